"""A small convolutional classifier: two convolutions of 3x3, each pooled by two, and one dense layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]


def untrained_convolution(side: int, classes: int, width: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Initial parameters (He et al., arXiv 1502.01852).

    Args:
        side: Height and width of a picture, at least 4.
        classes: How many.
        width: Channels of the first convolution; the second has twice as many.
        rng: Where every draw comes from.
    """
    shapes: dict[str, tuple[tuple[int, ...], int]] = {
        "conv1": ((width, 1, 3, 3), 9),
        "conv2": ((2 * width, width, 3, 3), 9 * width),
        "dense": (((side // 4) ** 2 * 2 * width, classes), (side // 4) ** 2 * 2 * width),
    }
    made = {
        name: (rng.standard_normal(shape) * math.sqrt(2 / into)).astype(np.float32)
        for name, (shape, into) in shapes.items()
    }
    biases = {"conv1.bias": width, "conv2.bias": 2 * width, "dense.bias": classes}
    return made | {name: np.zeros(n, np.float32) for name, n in biases.items()}


def convolved(held: Mapping[str, torch.Tensor], pictures: torch.Tensor) -> torch.Tensor:
    """Scores of the classes, before any softmax, ``(n, classes)``.

    Args:
        held: Parameters by name.
        pictures: ``(n, side, side)`` in [0, 1].
    """
    from torch.nn import functional

    x = pictures[:, None]
    for name in ("conv1", "conv2"):
        x = functional.relu(functional.conv2d(x, held[name], held[f"{name}.bias"], padding=1))
        x = functional.max_pool2d(x, 2)
    return x.flatten(1) @ held["dense"] + held["dense.bias"]
