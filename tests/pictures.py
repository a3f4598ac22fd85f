"""Small made-up digits, and a generator of them that has learnt nothing: what tests need of ``digits``, at once."""

from pathlib import Path

import numpy as np
import pytest

from tasks import media
from tasks.images import digits
from tasks.images.convolution import untrained_convolution
from tasks.images.denoiser import DenoiserSizes, untrained
from tasks.images.generator import Generator
from tasks.records import Example, stream

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


def picture_folder(root: Path) -> Path:
    """Twenty bright and twenty dark pictures, in a folder of each class."""
    rng = stream(0, "pictures")
    for name, low in (("bright", 150), ("dark", 0)):
        (root / name).mkdir(parents=True)
        for i in range(20):
            picture = rng.integers(low, low + 100, size=(10, 14, 3)).astype(np.uint8)
            (root / name / f"{i}.png").write_bytes(media.encode(picture))
    return root


def halves(n: int, seed: int = 0) -> list[Example]:
    """Pictures of two classes: bright above (1), or bright below (0)."""
    rng = stream(seed, "pictures")
    made = []
    for i in range(n):
        picture = rng.integers(80, size=(12, 12)).astype(np.uint8)
        picture[:6] += np.uint8(150 * (i % 2))
        picture[6:] += np.uint8(150 * (1 - i % 2))
        digest = media.keep(media.encode(picture))
        made.append(Example(prompt=f"picture {digest[:8]}", response="01"[i % 2], skills=("half",), media=(digest,)))
    return made


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict[str, str]:
    """Let ``digits`` be made of these; returns its ``task_args``, with the generator's file."""
    monkeypatch.setattr(digits, "packaged", lambda source: made_up())
    network, rng = DenoiserSizes(SIDE, 10, 16, 1), stream(0, "weights")
    denoiser = untrained(network, rng)
    denoiser["out"] += 0.1 * rng.standard_normal(denoiser["out"].shape, np.float32)
    file = folder / "generator.safetensors"
    Generator(network, denoiser, untrained_convolution(SIDE, 10, 4, rng)).write(file)
    return {"source": "optical", "generator": str(file)}
