"""Trains a generator of digits and the classifier that checks its labels, and writes both as one file.

    python -m tasks.images.pretrain mnist tasks/images/mnist.safetensors

Four minutes of one thread. Both see the training pool of the task alone (docs/practice_images.md). The number of
updates is fixed, so one processor class gives the same file each time.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.images.convolution import convolved, untrained_convolution
from tasks.images.denoiser import DenoiserSizes, Floats, Steering, predicted, untrained
from tasks.images.generator import Generator
from tasks.images.packaged import PACKAGED, Labels, packaged
from tasks.images.sorting import sort_out
from tasks.records import stream

if TYPE_CHECKING:
    import torch

    Loss = Callable[[dict[str, torch.Tensor]], torch.Tensor]

RATE, BATCH, EMA, UNLABELLED = 2e-3, 128, 0.999, 0.1
CHECKER_UPDATES = 1_000


def main() -> None:
    """Train, write, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=PACKAGED)
    parser.add_argument("file", type=Path)
    parser.add_argument("--updates", type=int, default=16_000, help="of the denoiser")
    parser.add_argument("--width", type=int, default=256, help="of the denoiser")
    parser.add_argument("--blocks", type=int, default=3, help="of the denoiser")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    began = time.process_time()
    data = sort_out(*packaged(asked.source))
    pool, test = data.rows["pool"], data.rows["test"]
    pictures = (data.pictures / 255).astype(np.float32)
    made = trained(pictures[pool], data.labels[pool], asked.width, asked.blocks, asked.updates, asked.seed)
    made.write(asked.file)
    rng = stream(asked.seed, "agreement")
    wanted = np.repeat(np.arange(made.network.classes), 200)
    agreement = [
        float(np.mean(made.checked(made.draw(wanted, rng, Steering(scale=scale))) == wanted)) for scale in (0, 1, 3)
    ]
    print(f"{asked.file}: {asked.file.stat().st_size:,} bytes, {time.process_time() - began:.0f} s of one thread")
    print(f"checker on the test pictures: {np.mean(made.checked(pictures[test]) == data.labels[test]):.3f}")
    print("label agreement at lambda 0, 1, 3: " + ", ".join(f"{a:.3f}" for a in agreement))


def trained(pictures: Floats, labels: Labels, width: int, blocks: int, updates: int, seed: int) -> Generator:
    """Train a denoiser and a checker.

    Args:
        pictures: ``(n, side, side)`` in [0, 1].
        labels: ``(n,)``, from 0.
        width: Of the denoiser.
        blocks: Of it.
        updates: Of it.
        seed: Of all draws.
    """
    network = DenoiserSizes(pictures.shape[1], int(labels.max()) + 1, width, blocks)
    shown = np.stack([shifted(pictures, down, right) for down in (-0.5, 0, 0.5) for right in (-0.5, 0, 0.5)])
    denoiser = _denoiser(network, shown, labels, updates, seed)
    return Generator(network, denoiser, _checker(network, shown, labels, seed))


def shifted(pictures: Floats, down: float, right: float) -> Floats:
    """Pictures moved by up to a pixel, with bilinear weights; what comes in is black."""
    for axis, by in ((1, down), (2, right)):
        moved = np.roll(pictures, int(np.sign(by)), axis)
        edge = [slice(None)] * 3
        edge[axis] = slice(0, 1) if by > 0 else slice(-1, None)
        moved[tuple(edge)] = 0
        pictures = ((1 - abs(by)) * pictures + abs(by) * moved).astype(np.float32)
    return pictures


def _denoiser(network: DenoiserSizes, shown: Floats, labels: Labels, updates: int, seed: int) -> dict[str, Floats]:
    import torch

    rng = stream(seed, "denoiser")
    flat = torch.from_numpy(shown.reshape(*shown.shape[:2], -1)) * 2 - 1
    classes = torch.from_numpy(labels)

    def loss(held: dict[str, torch.Tensor]) -> torch.Tensor:
        rows, views = rng.integers(flat.shape[1], size=BATCH), rng.integers(len(flat), size=BATCH)
        clean = flat[views, rows]
        wanted = torch.where(torch.from_numpy(rng.random(BATCH) < UNLABELLED), network.classes, classes[rows])
        time = torch.from_numpy(rng.random(BATCH, np.float32))
        noise = torch.from_numpy(rng.standard_normal(clean.shape, np.float32))
        alpha, sigma = torch.cos(math.pi / 2 * time)[:, None], torch.sin(math.pi / 2 * time)[:, None]
        v = predicted(held, alpha * clean + sigma * noise, time, wanted)
        return (v - (alpha * noise - sigma * clean)).square().mean()

    return _minimised(untrained(network, rng), loss, updates, RATE)


def _checker(network: DenoiserSizes, shown: Floats, labels: Labels, seed: int) -> dict[str, Floats]:
    import torch

    rng = stream(seed, "checker")
    views, classes = torch.from_numpy(shown), torch.from_numpy(labels)

    def loss(held: dict[str, torch.Tensor]) -> torch.Tensor:
        rows = rng.integers(len(labels), size=BATCH)
        scores = convolved(held, views[rng.integers(len(shown), size=BATCH), rows])
        return torch.nn.functional.cross_entropy(scores, classes[rows])

    start = untrained_convolution(network.side, network.classes, 16, rng)
    return _minimised(start, loss, CHECKER_UPDATES, 3e-3)


def _minimised(start: Mapping[str, Floats], loss: Loss, updates: int, rate: float) -> dict[str, Floats]:
    """The moving average of parameters that Adam has taken down a loss, with a rate that falls to zero by a cosine."""
    import torch

    torch.set_num_threads(1)
    held = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
    kept = {name: value.detach().clone() for name, value in held.items()}
    adam = torch.optim.Adam(held.values(), lr=rate, fused=True)
    for i in range(updates):
        adam.param_groups[0]["lr"] = rate * min(1, (i + 1) / 200) * 0.5 * (1 + math.cos(math.pi * i / updates))
        adam.zero_grad()
        loss(held).backward()
        adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(kept.values()), [v.detach() for v in held.values()], 1 - min(EMA, i / (i + 10)))
    return {name: value.numpy() for name, value in kept.items()}


if __name__ == "__main__":
    main()
