"""Worlds in which no teacher is better, and how often the shipped procedure says that one is (prove_statistics.py)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from common import table
from worlds import FURTHER, SKEW, SYMMETRIC

from dataenv.leaderboard.statistics.comparisons import corrected, p_of_seeds
from dataenv.leaderboard.statistics.crossed import crossed
from dataenv.leaderboard.statistics.formulas import holm, paired_t
from dataenv.leaderboard.statistics.sign_flips import sign_flips
from tasks.records import stream

SEEDS = (3, 6, 10)
BASELINE = 0.31
"""Sd of the baseline's own noise, which is in every difference, over that of a difference (1.75 of 5.6 points)."""


class Rate(NamedTuple):
    """A frequency over simulated boards, with its Monte Carlo standard error."""

    value: float
    error: float

    @classmethod
    def of(cls, hits: np.ndarray) -> Rate:
        """Of hits ``(boards, ...)``: comparisons of one board are not independent, boards are."""
        boards = np.asarray(hits, float).reshape(len(hits), -1).mean(1)
        return cls(float(boards.mean()), float(boards.std(ddof=1) / len(boards) ** 0.5))

    def above(self, nominal: float) -> bool:
        """Whether it is above ``nominal`` beyond Monte Carlo error (three standard errors)."""
        return self.value - 3 * self.error > nominal

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} ± {196 * self.error:.1f}"


Claims = dict[str, bool]


# --- procedures ------------------------------------------------------------------------------------------------------


def shipped(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p alone and p that counts, ``(boards, comparisons)``, from differences ``(boards, comparisons, seeds)``."""
    of_t, _ = t_and_holm(differences)
    flipped = [[sign_flips({"": dict(enumerate(d))})[""] for d in one.tolist()] for one in differences]
    return np.maximum(of_t, flipped), counting(differences, of_t)


def counting(differences: np.ndarray, of_t: np.ndarray) -> np.ndarray:
    """p that counts, from differences and the p of their paired t."""
    adjusted = np.empty_like(of_t)
    for i, (one, alone) in enumerate(zip(differences, of_t, strict=True)):
        by_name = {str(j): dict(enumerate(values)) for j, values in enumerate(one.tolist())}
        p = corrected(dict(zip(by_name, alone.tolist(), strict=True)), by_name)
        adjusted[i] = [p[name] for name in by_name]
    return adjusted


def t_and_holm(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p of the paired t and Holm's adjusted p, of the same shapes."""
    p = np.array([[p_of_seeds(paired_t(d)) for d in one.tolist()] for one in differences])
    names = [str(i) for i in range(p.shape[1])]
    adjusted = [holm(dict(zip(names, one, strict=True))) for one in p.tolist()]
    return p, np.array([[one[name] for name in names] for one in adjusted])


# --- what is asked ---------------------------------------------------------------------------------------------------


def shapes(boards: int, seed: int) -> Claims:
    """A comparison alone: false *better* and *worse* where differences are not normal; all have mean 0."""
    rows = []
    for name, draw in (SYMMETRIC | SKEW).items():
        for n in SEEDS:
            tests = [paired_t(d) for d in draw(stream(seed, f"shape {name}", n), (boards, n)).tolist()]
            better, worse = (np.array(hits) for hits in zip(*((t.low > 0, t.high < 0) for t in tests), strict=True))
            rows.append([name, n, Rate.of(better), Rate.of(worse), Rate.of(~(better | worse))])
    head = ["true gain 0; differences are", "seeds", "false better, %", "false worse, %", "interval holds 0, %"]
    table(f"shapes, {boards} comparisons each (nominal: 2.5, 2.5, 95)", head, rows)
    return {}


def families(boards: int, seed: int) -> Claims:
    """Six teachers on one board, all of one world or one among five normal: does the board say *better*, or *worse*?"""
    rows, claims = [], {}
    for name, draw in (SYMMETRIC | SKEW | FURTHER).items():
        for n in (6, 10):
            rng = stream(seed, f"family {name}", n)
            noise = draw(rng, (boards, 6, n))
            common = 0.0 if name.startswith("ties") else BASELINE * noise.std() * rng.standard_normal((boards, 1, n))
            everyone = noise - common
            alone = np.concatenate([noise[:, :1] / noise.std(), rng.standard_normal((boards, 5, n))], axis=1)
            up, (of_t, by_holm) = everyone.mean(-1) > 0, t_and_holm(everyone)
            adjusted = counting(everyone, of_t)
            sides = [Rate.of(((p < 0.05) & side).any(1)) for p in (by_holm, adjusted) for side in (up, ~up)]
            of_t, alone_by_holm = t_and_holm(alone)
            lucky = alone[:, 0].mean(-1) > 0
            first = [Rate.of((p[:, 0] < 0.05) & lucky) for p in (alone_by_holm, counting(alone, of_t))]
            rows.append([name, n, *sides, *first])
            either = Rate.of((adjusted < 0.05).any(1))
            claims[f"{name}, {n} seeds: a board of six errs on at most 5 %"] = not either.above(0.05)
            one = f"{name}, {n} seeds: one among five normal is better by luck at most 2.5 % of the time"
            claims[one] = not first[1].above(0.025)
    head = ["six teachers, true gain 0; differences are", "seeds", "t, Holm: any better, %", "any worse, %",
            "shipped: any better, %", "any worse, %",
            "one with five normal, t, Holm: better, %", "shipped, %"]  # fmt: skip
    table(f"families, {boards} boards each (nominal: 2.5, 2.5)", head, rows)
    return claims


def items_drawn(boards: int, seed: int) -> Claims:
    """A teacher that answers other problems right, and as many: is a draw of problems taken for a gain?"""
    rows, claims, skills, n = [], {}, 4, 6
    for items in (40, 300):
        for sd in (0.005, 0.025, 0.056):
            rng = stream(seed, f"items {items} {sd}")
            by_item = rng.choice((-1.0, 0.0, 1.0), (boards, 1, items), p=(0.1, 0.8, 0.1))
            answers = by_item + sd * rng.standard_normal((boards, n, 1))
            t = np.array([p_of_seeds(paired_t(d)) for d in answers.mean(-1).tolist()])
            both = np.array([c.p for one in answers if (c := crossed(one, [items // skills] * skills)) is not None])
            counted = Rate.of(np.maximum(t, both) < 0.05)
            rows.append([items, f"{100 * sd:.1f}", Rate.of(t < 0.05), counted])
            claims[
                f"{items} items, sd {100 * sd:.1f}: a draw of items is taken for a gain at most 5 % of the time"
            ] = not counted.above(0.05)
    head = ["test items", "sd over seeds, points", "paired t: better or worse, %", "with the crossed interval, %"]
    table(f"items, {boards} comparisons each, 6 seeds; the teachers differ on a fifth of the items", head, rows)
    return claims
