"""The networks of image classifiers: a multi-layer perceptron with one hidden layer, and two convolutions.

A network is two functions: initial parameters, and scores of the classes before any softmax.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.images.convolution import convolved, untrained_convolution

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]


class Net(NamedTuple):
    """Makes initial parameters of (side, classes, width, rng), and scores of parameters and pictures."""

    untrained: Callable[[int, int, int, np.random.Generator], dict[str, Floats]]
    scores: Callable[[Mapping[str, torch.Tensor], torch.Tensor], torch.Tensor]


def untrained_perceptron(side: int, classes: int, width: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Initial parameters (He et al., arXiv 1502.01852).

    Args:
        side: Height and width of a picture.
        classes: How many.
        width: Hidden units.
        rng: Where every draw comes from.
    """
    shapes = {"hidden": (side**2, width), "dense": (width, classes)}
    made = {
        name: (rng.standard_normal(shape) * math.sqrt(2 / shape[0])).astype(np.float32)
        for name, shape in shapes.items()
    }
    return made | {"hidden.bias": np.zeros(width, np.float32), "dense.bias": np.zeros(classes, np.float32)}


def perceived(held: Mapping[str, torch.Tensor], pictures: torch.Tensor) -> torch.Tensor:
    """Scores of the classes ``(n, classes)`` by the perceptron, of pictures ``(n, side, side)`` in [0, 1]."""
    hidden = (pictures.flatten(1) @ held["hidden"] + held["hidden.bias"]).relu()
    return hidden @ held["dense"] + held["dense.bias"]


PERCEPTRON = Net(untrained_perceptron, perceived)
CONVOLUTION = Net(untrained_convolution, convolved)
