"""Pictures made larger or smaller by area: each new pixel is the mean of what it covers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def sized(picture: npt.NDArray[Any], side: int) -> npt.NDArray[np.float64]:
    """A picture ``(height, width)`` or ``(height, width, 3)`` as ``(side, side)`` or ``(side, side, 3)``.

    Height and width are each brought to ``side``, so a picture that is no square changes its shape. One that has that
    size already is left as it is.
    """
    values = picture.astype(np.float64)
    for axis in (0, 1):
        if values.shape[axis] != side:
            values = np.moveaxis(_averaged(np.moveaxis(values, axis, 0), side), 0, axis)
    return values


def _averaged(values: npt.NDArray[np.float64], cells: int) -> npt.NDArray[np.float64]:
    """Rows averaged into cells of equal height, parts of rows by their share."""
    edges = np.linspace(0, len(values), cells + 1)
    total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, 0)])
    low = np.minimum(edges.astype(int), len(values) - 1)
    at = total[low] + (edges - low).reshape(-1, *(1,) * (values.ndim - 1)) * values[low]
    return np.asarray(np.diff(at, axis=0) * (cells / len(values)))
