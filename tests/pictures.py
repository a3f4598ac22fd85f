"""Small made-up digits, and a generator of them that has learnt nothing: what tests need of ``digits``, at once."""

from pathlib import Path

import numpy as np
import pytest

from tasks.images import digits
from tasks.images.convolution import untrained_convolution
from tasks.images.denoiser import DenoiserSizes, untrained
from tasks.images.generator import Generator
from tasks.records import stream

SIDE = 8


def made_up(per_class: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of ten classes, each a bright row or column in noise, and their labels."""
    rng = stream(0, "made up")
    labels = np.repeat(np.arange(10), per_class)
    pictures = rng.integers(60, size=(len(labels), SIDE, SIDE))
    for picture, label in zip(pictures, labels.tolist(), strict=True):
        if label < 5:
            picture[label + 1] += 150
        else:
            picture[:, label - 4] += 150
    return pictures.astype(np.uint8), labels.astype(np.int64)


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict[str, str]:
    """Let ``digits`` be made of these; returns its ``task_args``, with the generator's file."""
    monkeypatch.setattr(digits, "packaged", lambda source: made_up())
    network, rng = DenoiserSizes(SIDE, 10, 16, 1), stream(0, "weights")
    denoiser = untrained(network, rng)
    denoiser["out"] += 0.1 * rng.standard_normal(denoiser["out"].shape, np.float32)
    file = folder / "generator.safetensors"
    Generator(network, denoiser, untrained_convolution(SIDE, 10, 4, rng)).write(file)
    return {"source": "optical", "generator": str(file)}
