"""Differences of teachers that are no better than the baseline (mean 0), in the shapes that they may have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

DEPTH, SELDOM = 4.0, 1 / 6
"""How far a collapsed run lies below the others, in their sd, and how often that happens."""

World = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
"""From a generator and a shape, seeds last, to differences in units of about their sd."""


def one_wild_seed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The first seed has five times the sd of the others."""
    return rng.standard_normal(shape) * np.where(np.arange(shape[-1]) == 0, 5.0, 1.0)


def collapses(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Now and then a run is lost, and the others are above the baseline by as much as that costs."""
    return rng.standard_normal(shape) - DEPTH * ((rng.random(shape) < SELDOM) - SELDOM)


def gambler(win: float, loss: float, noise: float) -> World:
    """A teacher that wins a little nearly always, and loses much in 8 % of its runs."""
    return lambda rng, shape: np.where(rng.random(shape) < 0.92, win, loss) + noise * rng.standard_normal(shape)


SYMMETRIC: dict[str, World] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "heavy tails (t, 3 degrees of freedom)": lambda rng, shape: rng.standard_t(3, shape),
    "one seed with 5 times the sd": one_wild_seed,
    "every seed its own sd (lognormal, 0.75)": lambda rng, shape: (
        rng.standard_normal(shape) * rng.lognormal(0, 0.75, shape)
    ),
}
SKEW: dict[str, World] = {
    "skew (exponential, long side up)": lambda rng, shape: rng.exponential(1, shape) - 1,
    "one run in six collapses (−4 sd)": collapses,
}
FURTHER: dict[str, World] = {
    "ties: −1, 0 or +1 item": lambda rng, shape: rng.integers(-1, 2, shape).astype(float),
    "gambler: +1, or −11.5 in 8 %, noise 0.3": gambler(1.0, -11.5, 0.3),
    "gambler: +4, or −46 in 8 %, noise 2.5": gambler(4.0, -46.0, 2.5),
}
WORLDS = SYMMETRIC | SKEW
