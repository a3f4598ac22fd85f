"""Shifted copies are other pictures of the same thing."""

import numpy as np
import pytest

from tasks.images.shifts import SHIFTS, blurred, faint, noisy, rotated, shifted
from tasks.records import stream

BAR = np.zeros((12, 12))
BAR[1:11, 5:7] = 255


def test_rotation_keeps_the_middle_and_moves_the_ends() -> None:
    turned = rotated(BAR, stream(0, "t"))
    assert turned[5:7, 5:7].mean() > 200
    assert turned[1, 5:7].mean() < 130
    assert turned.sum() == pytest.approx(BAR.sum(), rel=0.02)


def test_blur_keeps_brightness_and_lowers_contrast() -> None:
    soft = blurred(BAR, stream(0, "t"))
    assert soft.sum() == pytest.approx(BAR.sum(), rel=0.01)
    assert soft.max() < 200


def test_noise_has_the_stated_deviation() -> None:
    assert noisy(np.zeros((200, 200)), stream(0, "t")).std() == pytest.approx(50, rel=0.02)


def test_contrast_is_a_third() -> None:
    assert np.ptp(faint(BAR, stream(0, "t"))) == pytest.approx(0.35 * 255)


@pytest.mark.parametrize("name", SHIFTS)
@pytest.mark.parametrize("shape", [(3, 12, 12), (2, 9, 9, 3), (0, 12, 12)])
def test_each_shift_keeps_the_shape_and_repeats_itself(name: str, shape: tuple[int, ...]) -> None:
    pictures = stream(1, "p").integers(256, size=shape).astype(np.uint8)
    made = shifted(pictures, name, stream(2, "s"))
    assert made.shape == shape
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, shifted(pictures, name, stream(2, "s")))
    if len(pictures):
        assert (made != pictures).any()
