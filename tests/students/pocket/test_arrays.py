"""How NumPy computes: what the library is called, and on how many threads it computes."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np
import pytest

from students.pocket import arrays

needs_openblas = pytest.mark.skipif(arrays._function("get_corename") is None, reason="NumPy here is without OpenBLAS")


@pytest.fixture
def unchanged() -> Iterator[None]:
    before = arrays.threads()
    yield
    if before is not None:
        arrays.set_threads(before)


@needs_openblas
def test_the_kernel_is_named() -> None:
    found = arrays.numerics()
    assert found["numpy"] == np.__version__
    assert "openblas" in found["blas"]
    config = arrays._function("get_config")
    config.restype = ctypes.c_char_p
    assert found["blas"].split()[-1] in config().decode(), "OpenBLAS says the same of itself"


@needs_openblas
def test_threads_are_set(unchanged: None) -> None:
    arrays.set_threads(2)
    assert arrays.threads() == 2
    arrays.set_threads(1)
    assert arrays.threads() == 1


def test_another_library_is_named_without_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "_function", lambda name: None)
    known = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[index]
    assert arrays.numerics()["blas"] == f"{known['name']} {known['version']}"
    arrays.set_threads(4)
    assert arrays.threads() is None
