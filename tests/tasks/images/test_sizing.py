"""Pictures keep their mean when they are made smaller or larger."""

import numpy as np
import pytest

from tasks.images.sizing import sized
from tasks.records import stream


@pytest.mark.parametrize("shape", [(24, 24), (7, 31), (5, 5, 3), (1, 1)])
def test_the_mean_stays(shape: tuple[int, ...]) -> None:
    picture = stream(0, "p").integers(256, size=shape).astype(np.uint8)
    made = sized(picture, 12)
    assert made.shape == (12, 12, *shape[2:])
    assert made.mean() == pytest.approx(picture.mean())


def test_one_of_that_size_is_left_alone() -> None:
    picture = stream(0, "p").integers(256, size=(12, 12)).astype(np.uint8)
    np.testing.assert_array_equal(sized(picture, 12), picture)


def test_halving_is_the_mean_of_four() -> None:
    picture = np.arange(16.0).reshape(4, 4)
    np.testing.assert_allclose(sized(picture, 2), [[2.5, 4.5], [10.5, 12.5]])
