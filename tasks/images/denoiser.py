"""A small class-conditional diffusion model of small grey pictures.

The denoiser is a residual multi-layer perceptron that predicts v (Salimans and Ho, arXiv 2202.00512) under the cosine
schedule ``alpha = cos(pi t / 2)``, ``sigma = sin(pi t / 2)``. Pictures are drawn by DDIM (arXiv 2010.02502) with
classifier-free guidance (arXiv 2207.12598) and, if asked, with the entropy guidance of Deliberate Practice (arXiv
2502.15588). PyTorch computes it, in one thread; ``python -m tasks.images.pretrain`` trains it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

Floats = npt.NDArray[np.float32]
Guide = Callable[[Floats], tuple[Floats, Floats]]
"""Of pictures ``(n, height, width)`` in [0, 1]: a student's entropy in nats ``(n,)``, and its gradient."""
FREQUENCIES = 16
"""Sines and cosines of the time, each."""
PASS = 1024
"""Pictures that are drawn at once."""
STEPS = 20
"""Of DDIM."""


class Steering(NamedTuple):
    """How pictures are drawn.

    Attributes:
        scale: lambda of classifier-free guidance, ``v = (1 + lambda) v_class - lambda v_any``; 0 is the plain class.
        omega: How far each step moves the predicted picture up the gradient of the student's entropy, in units of
            ``sqrt(pixels)`` where black and white are 2 apart. 0 is static generation.
        steps: Of DDIM.
    """

    scale: float = 0.0
    omega: float = 0.0
    steps: int = STEPS


@dataclass(frozen=True)
class DenoiserSizes:
    """Sizes of a denoiser.

    Attributes:
        side: Height and width of a picture.
        classes: How many.
        width: Of the residual stream.
        blocks: Residual blocks.
    """

    side: int
    classes: int
    width: int
    blocks: int


def untrained(network: DenoiserSizes, rng: np.random.Generator) -> dict[str, Floats]:
    """Initial parameters: He-scaled matrices, and zeros where a residual branch or the output begins."""
    pixels, width = network.side**2, network.width
    shapes = {"in": (pixels, width), "time": (2 * FREQUENCIES, width), "label": (network.classes + 1, width)}
    zero = {"out": (width, pixels)}
    for i in range(network.blocks):
        shapes |= {f"{i}.up": (width, 2 * width), f"{i}.when": (width, 2 * width)}
        zero[f"{i}.down"] = (2 * width, width)
    made = {
        name: (rng.standard_normal(shape) * math.sqrt(2 / shape[0])).astype(np.float32)
        for name, shape in shapes.items()
    }
    made["label"] = rng.standard_normal(shapes["label"]).astype(np.float32)
    biases = {"out.bias": pixels, "in.bias": width} | {f"{i}.bias": 2 * width for i in range(network.blocks)}
    made |= {name: np.zeros(shape, np.float32) for name, shape in zero.items()}
    return made | {name: np.zeros(n, np.float32) for name, n in biases.items()}


def predicted(held: Tensors, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The predicted v.

    Args:
        held: Parameters by name.
        x: Noisy pictures, ``(n, pixels)``, about 1 in size.
        time: ``(n,)`` in [0, 1].
        labels: ``(n,)``; the number of classes for any class.
    """
    import torch
    from torch.nn import functional

    pitch = torch.arange(FREQUENCIES, dtype=torch.float32) * (math.log(100.0) / (FREQUENCIES - 1))
    angles = time[:, None] * pitch.exp()[None] * (math.pi / 2)
    when = torch.cat([angles.sin(), angles.cos()], 1) @ held["time"] + held["label"][labels]
    when = functional.silu(when)
    hidden = x @ held["in"] + held["in.bias"]
    blocks = sum(name.endswith(".down") for name in held)
    for i in range(blocks):
        normed = functional.layer_norm(hidden, hidden.shape[1:])
        up = functional.silu(normed @ held[f"{i}.up"] + when @ held[f"{i}.when"] + held[f"{i}.bias"])
        hidden = hidden + up @ held[f"{i}.down"]
    return functional.layer_norm(hidden, hidden.shape[1:]) @ held["out"] + held["out.bias"]


def drawn(
    held: Tensors,
    network: DenoiserSizes,
    labels: npt.NDArray[np.int64],
    rng: np.random.Generator,
    steering: Steering,
    guide: Guide | None = None,
) -> Floats:
    """Draw one picture of each label.

    Args:
        held: Parameters of the denoiser by name.
        network: Its sizes.
        labels: ``(n,)``.
        rng: Where all noise comes from.
        steering: How.
        guide: The student's entropy; only asked where ``steering.omega`` is not 0.

    Returns:
        ``(n, side, side)`` in [0, 1].
    """
    import torch

    torch.set_num_threads(1)
    noise = rng.standard_normal((len(labels), network.side**2), np.float32)
    parts = range(0, len(labels), PASS)
    with torch.no_grad():
        made = [_ddim(held, network, labels[i : i + PASS], noise[i : i + PASS], steering, guide) for i in parts]
    return np.concatenate([np.zeros((0, network.side**2), np.float32), *made]).reshape(-1, network.side, network.side)


def _ddim(
    held: Tensors,
    network: DenoiserSizes,
    labels: npt.NDArray[np.int64],
    noise: Floats,
    steering: Steering,
    guide: Guide | None,
) -> Floats:
    import torch

    x, wanted = torch.from_numpy(noise), torch.from_numpy(labels)
    nobody = torch.full_like(wanted, network.classes)
    times = np.linspace(1.0, 0.0, steering.steps + 1)
    for now, then in pairwise(times.tolist()):
        time = torch.full((len(x),), float(now))
        v = predicted(held, x, time, wanted)
        if steering.scale:
            v = (1 + steering.scale) * v - steering.scale * predicted(held, x, time, nobody)
        alpha, sigma = math.cos(math.pi * now / 2), math.sin(math.pi * now / 2)
        clean = (alpha * x - sigma * v).clamp(-1, 1)
        if guide is not None and steering.omega:
            clean = _steered(clean, network.side, steering.omega, guide)
        epsilon = (x - alpha * clean) / sigma
        x = math.cos(math.pi * then / 2) * clean + math.sin(math.pi * then / 2) * epsilon
    return np.asarray((x.clamp(-1, 1) + 1).numpy() / 2)


def _steered(clean: torch.Tensor, side: int, omega: float, guide: Guide) -> torch.Tensor:
    """Predicted pictures moved up the normalised gradient of the student's entropy."""
    import torch

    _, gradient = guide(((clean + 1) / 2).numpy().reshape(-1, side, side))
    flat = torch.from_numpy(np.ascontiguousarray(gradient.reshape(len(clean), -1), np.float32))
    length = flat.norm(dim=1, keepdim=True)
    moved: torch.Tensor = clean + omega * side * flat / (length + 1e-12)
    return moved.clamp(-1, 1)
