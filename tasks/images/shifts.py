"""Shifted copies of pictures, for transfer suites: rotated, blurred, noisy, and of low contrast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tasks.images.packaged import Pictures

Floats = npt.NDArray[np.float64]
DEGREES, NOISE, CONTRAST = 30.0, 50.0, 0.35
"""Largest rotation either way; standard deviation of the noise, of 255; share of the contrast that is left."""


def rotated(picture: Floats, rng: np.random.Generator) -> Floats:
    """Turned about its middle by 15 to 30 degrees either way, with bilinear weights; black comes in."""
    angle = np.radians(rng.uniform(DEGREES / 2, DEGREES) * rng.choice([-1, 1]))
    height, width = picture.shape[:2]
    down, right = np.mgrid[:height, :width] - np.array([(height - 1) / 2, (width - 1) / 2])[:, None, None]
    rows = np.cos(angle) * down - np.sin(angle) * right + (height - 1) / 2
    columns = np.sin(angle) * down + np.cos(angle) * right + (width - 1) / 2
    padded = np.pad(picture, ((1, 1), (1, 1), *((0, 0),) * (picture.ndim - 2)))
    top, left = (np.floor(x).astype(int) for x in (rows, columns))
    out = np.zeros_like(picture)
    for i in (0, 1):
        for j in (0, 1):
            weight = np.abs(1 - i - (rows - top)) * np.abs(1 - j - (columns - left))
            at = padded[(top + i + 1).clip(0, height + 1), (left + j + 1).clip(0, width + 1)]
            out += weight.reshape(weight.shape + (1,) * (picture.ndim - 2)) * at
    return out


def blurred(picture: Floats, rng: np.random.Generator) -> Floats:
    """Each pixel the mean of nine, weighted 1 : 2 : 1 both ways, two times."""
    for axis in (0, 1, 0, 1):
        wide = np.pad(picture, [(1, 1) if i == axis else (0, 0) for i in range(picture.ndim)], mode="edge")
        first, middle, last = (np.take(wide, np.arange(picture.shape[axis]) + i, axis) for i in range(3))
        picture = (first + 2 * middle + last) / 4
    return picture


def noisy(picture: Floats, rng: np.random.Generator) -> Floats:
    """With independent Gaussian noise on each pixel."""
    return picture + rng.normal(0, NOISE, picture.shape)


def faint(picture: Floats, rng: np.random.Generator) -> Floats:
    """With a third of its contrast, about a grey that is drawn."""
    return rng.uniform(0, 255 * (1 - CONTRAST)) + CONTRAST * picture


SHIFTS: dict[str, Callable[[Floats, np.random.Generator], Floats]] = {
    "rotation": rotated,
    "blur": blurred,
    "noise": noisy,
    "contrast": faint,
}


def shifted(pictures: Pictures, name: str, rng: np.random.Generator) -> Pictures:
    """Each picture shifted in one way, ``(n, height, width, ...)``."""
    made = [SHIFTS[name](picture.astype(np.float64), rng) for picture in pictures]
    return np.rint(np.clip(np.array(made).reshape(pictures.shape), 0, 255)).astype(np.uint8)
