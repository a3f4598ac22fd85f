"""Likeness: whether two pictures look alike though their pixels differ, by a perceptual hash.

dHash (N. Krawetz, "Kind of Like That", 2013): the picture is shrunk to 9 × 8 grey cells; each of the 64 bits says
whether a cell is brighter than its left neighbour. Scaling, mild noise, a shift of brightness and another file format
leave nearly all bits as they are. A picture that is turned, mirrored or cropped has another hash.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tasks.media.png import grey

NEAR = 4
"""Bits in which the hashes of two copies differ, at the most."""
_ROWS, _COLUMNS = 8, 9
_STEP = 1e-6
Hashes = npt.NDArray[np.uint64]


def dhash(png: bytes) -> int:
    """The hash of a canonical PNG, 64 bits."""
    cells = averaged(grey(png).astype(np.float64), _ROWS, _COLUMNS)
    bits = (cells[:, 1:] > cells[:, :-1] + _STEP).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hashes(pngs: Sequence[bytes]) -> Hashes:
    """Of many, ``(n,)``."""
    return np.array([dhash(png) for png in pngs], np.uint64)


def nearest(one: int, known: Hashes) -> tuple[int, int] | None:
    """The place and the distance in bits of the nearest of some hashes; ``None`` where there are none."""
    if not len(known):
        return None
    distances = np.bitwise_count(known ^ np.uint64(one))
    place = int(distances.argmin())
    return place, int(distances[place])


def averaged(values: npt.NDArray[np.float64], rows: int, columns: int) -> npt.NDArray[np.float64]:
    """A picture of one channel as ``(rows, columns)`` cells of equal size, each the mean of what it covers."""
    return _averaged(_averaged(values, rows).T, columns).T


def _averaged(values: npt.NDArray[np.float64], cells: int) -> npt.NDArray[np.float64]:
    """Rows averaged into so many of equal height, parts of rows by their share."""
    n = len(values)
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    edges = np.linspace(0, n, cells + 1)
    low = np.minimum(edges.astype(int), n - 1)
    at = total[low] + (edges - low)[:, None] * values[low]
    means: npt.NDArray[np.float64] = np.diff(at, axis=0) / (n / cells)
    return means
