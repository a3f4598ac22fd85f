"""Transformers for tests, far enough from what they begin with that every part of them matters."""

from __future__ import annotations

from typing import Any

import numpy as np

from students.pocket.student import untaught
from students.pocket.transformer import Parameters
from students.pocket.vocabulary import ALPHABET, FIRST

VOCABULARY = FIRST + len(ALPHABET)


def parameters_of(rng: np.random.Generator, layers: int, width: int, dtype: Any) -> Parameters:
    """Parameters of a transformer: matrices ten times as large as at first, and no two weights of a norm alike."""
    out = {}
    for name, value in untaught(VOCABULARY, width, layers, rng).items():
        moved = value * 10 if value.ndim == 2 else value + rng.uniform(-0.5, 0.5, value.shape)
        out[name] = moved.astype(dtype)
    return out
