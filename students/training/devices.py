"""Where PyTorch computes, and that it computes the same each time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def device_of(asked: str) -> str:
    """``cpu`` or ``cuda``; ``auto`` is the latter where there is one.

    Raises:
        ValueError: If there is none.
    """
    import torch

    if asked == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is 'cuda' and torch sees none here; give 'cpu', or run where one is")
    return asked if asked != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def repeatable(device: str, threads: int) -> Iterator[None]:
    """Compute by kernels and threads that give equal bits each time.

    Args:
        device: ``cpu`` or ``cuda``.
        threads: PyTorch's.
    """
    import torch

    torch.set_num_threads(threads)
    before = torch.are_deterministic_algorithms_enabled()
    if device == "cuda":  # kernels whose sums do not depend on chance
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
