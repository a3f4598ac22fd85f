"""How NumPy computes in this process: the linear algebra library, its kernel and threads, and what memory is kept.

The kernel decides the order of additions, and so the last bits of every product.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
from numpy._core import _multiarray_umath  # type: ignore[attr-defined]

SYMBOLS = (
    ("scipy_openblas_", "64_"),
    ("scipy_openblas_", ""),
    ("openblas_", "64_"),
    ("openblas_", ""),
)
"""How OpenBLAS's functions are named in NumPy's wheels and elsewhere, before and behind (as threadpoolctl looks)."""


KEPT = 30 << 20
"""Bytes; glibc takes no more than 32 MiB into account."""


def numerics() -> dict[str, Any]:
    """NumPy's release, the BLAS and its kernel, and the instruction set of NumPy's own loops."""
    config: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    blas = config["Build Dependencies"]["blas"]
    found = config["SIMD Extensions"].get("found") or config["SIMD Extensions"].get("baseline") or ["none"]
    core = _function("get_corename")
    kernel = ""
    if core is not None:
        core.restype = ctypes.c_char_p
        kernel = core().decode()
    return {
        "numpy": np.__version__,
        "isa": str(found[-1]),
        "blas": " ".join(part for part in (str(blas["name"]), str(blas.get("version", "")), kernel) if part),
    }


def set_threads(n: int) -> None:
    """Let products be computed on so many threads, where the library can be told: OpenBLAS, which NumPy brings."""
    setter = _function("set_num_threads")
    if setter is not None:
        setter(ctypes.c_int(n))


def threads() -> int | None:
    """On how many threads products are computed; ``None`` where the library does not say."""
    getter = _function("get_num_threads")
    return int(getter()) if getter is not None else None


def keep_memory() -> None:
    """Let glibc keep up to 60 MB that was freed, in place of giving it back after each operation.

    Freeing a block that had pages of its own raises the size from which blocks get those, and twice that is kept (the
    dynamic threshold of mallopt(3)). Without it a quarter of a training run goes into fresh pages. Results are equal.
    """
    np.empty(KEPT, np.uint8)


@lru_cache(maxsize=8)
def _function(name: str) -> Any:
    """A function of OpenBLAS, or ``None``: a symbol is looked for in NumPy's core and in what it is linked to."""
    library = ctypes.CDLL(_multiarray_umath.__file__)
    for before, behind in SYMBOLS:
        found = getattr(library, f"{before}{name}{behind}", None)
        if found is not None:
            return found
    return None
