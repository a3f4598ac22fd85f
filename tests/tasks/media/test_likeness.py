"""The perceptual hash: near for disguised copies, far for other pictures."""

from __future__ import annotations

import numpy as np
import pytest

from tasks import media
from tasks.media.likeness import NEAR, averaged, dhash, hashes, nearest
from tasks.records import stream


def landscape(seed: int, side: int = 64) -> media.Pixels:
    """Smooth random brightness, as a photograph has."""
    rng = stream(seed, "landscape")
    coarse = rng.random((6, 6, 3))
    line = np.linspace(0, 5, side)
    low, part = np.minimum(line.astype(int), 4), line - np.minimum(line.astype(int), 4)
    rows = coarse[low] * (1 - part)[:, None, None] + coarse[low + 1] * part[:, None, None]
    whole = rows[:, low] * (1 - part)[None, :, None] + rows[:, low + 1] * part[None, :, None]
    return (whole * 255).astype(np.uint8)


DISGUISES = {
    "brighter": lambda p: np.clip(p.astype(int) + 12, 0, 255).astype(np.uint8),
    "half the size": lambda p: p.reshape(32, 2, 32, 2, 3).mean((1, 3)).astype(np.uint8),
    "twice the size": lambda p: p.repeat(2, 0).repeat(2, 1),
    "noisy": lambda p: np.clip(p + stream(1, "noise").normal(0, 3, p.shape), 0, 255).astype(np.uint8),
    "without colour": lambda p: (p.sum(2, dtype=np.uint16) // 3).astype(np.uint8),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_copy_in_disguise_is_near(disguise: str) -> None:
    for seed in range(20):
        one, other = landscape(seed), DISGUISES[disguise](landscape(seed))
        assert (dhash(media.encode(one)) ^ dhash(media.encode(other))).bit_count() <= NEAR


def test_other_pictures_are_far() -> None:
    known = hashes([media.encode(landscape(seed)) for seed in range(100)])
    for seed in range(100, 200):
        found = nearest(dhash(media.encode(landscape(seed))), known)
        assert found is not None
        assert found[1] > NEAR
    assert nearest(int(known[7]), known) == (7, 0)
    assert nearest(1, known[:0]) is None


def test_averages_are_exact() -> None:
    values = np.arange(12.0).reshape(3, 4)
    assert np.allclose(averaged(values, 3, 4), values)
    assert np.allclose(averaged(values, 1, 1), values.mean())
    assert np.allclose(averaged(np.array([[0.0, 3.0, 6.0]]), 1, 2), [[1.0, 5.0]]), "the middle one counts half to each"
    assert np.allclose(averaged(np.array([[1.0, 2.0]]), 2, 4), [[1, 1, 2, 2], [1, 1, 2, 2]])
