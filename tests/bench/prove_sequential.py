"""Do boards that add seeds until their teachers are decided err as seldom as they say, and what do they save?

level      no teacher is better: how often is one called so, by somebody who stops when he likes what he sees?
cost       one teacher is better: runs until all are decided, beside a board of fixed seeds that is as likely to see it
futile     how often is a teacher dropped that does differ by the size worth finding?

All through the shipped ``monitor``; a board of fixed seeds is one with a single look. Exits with 1 if a claim does not
hold. Read docs/sequential.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping

import numpy as np
from common import table, verdict
from null_models import Claims, Rate
from worlds import FURTHER, SKEW, SYMMETRIC

from dataenv.leaderboard.config import Until
from dataenv.leaderboard.decisions import Judged
from dataenv.leaderboard.sequential.monitor import Pairs, levels, monitor
from tasks.records import stream

SD, TEACHERS, OWN = 0.01, 6, 0.3
"""Of the differences, in parts of 1; how many teachers; the part of the sd that is the baseline's, and so shared."""
SHIPPED = Until(effect=0.8)
"""The rule as it ships, with a difference worth finding of 0.8 sd of the differences."""
BOTH = Until(effect=0.8, worse=True)
"""The same where teachers that seem worse go on until that is certain."""
NEVER = Until(effect=1e-6, worse=True)
"""The same without futility: nobody stops but by a verdict."""
MOST_FIXED = 40
Found = dict[str, float]
"""By teacher: 1 if it is called better, −1 if worse."""


def last(until: Until, differences: np.ndarray) -> tuple[Judged, ...]:
    """What the last look says of each teacher; ``differences`` is ``(teachers, seeds)``, in sd."""
    return monitor(until, {str(i): Pairs((SD * one).tolist()) for i, one in enumerate(differences)})[-1].teachers


def said(decided: tuple[Judged, ...]) -> Found:
    """The verdicts among the decisions."""
    signs = {"better": 1.0, "worse": -1.0}
    return {one.teacher: signs[one.decision] for one in decided if one.decision in signs}


def fixed(differences: np.ndarray, n: int) -> Found:
    """The verdicts of a board of n fixed seeds."""
    return said(last(Until(first=n, most=n, effect=1e-6, worse=True), differences[:, :n]))


def repeated(differences: np.ndarray) -> Found:
    """The same by somebody who looks at that board after every group, and stops when somebody is better."""
    for n in levels(SHIPPED.looks, TEACHERS):
        found = fixed(differences, n)
        if any(gain > 0 for gain in found.values()):
            return found
    return {}


PROCEDURES: Mapping[str, Callable[[np.ndarray], Found]] = {
    "until decided (shipped)": lambda d: said(last(SHIPPED, d)),
    "until decided, nobody futile": lambda d: said(last(NEVER, d)),
    "fixed tests after every group": repeated,
    "6 fixed seeds": lambda d: fixed(d, 6),
    "24 fixed seeds": lambda d: fixed(d, 24),
}


SHOWN = ("normal", "one run in six collapses (−4 sd)")
"""Worlds in which the other procedures are shown too."""


def level(boards: int, seed: int) -> Claims:
    """Family-wise false *better* and *worse* at any look: whoever stops early, for any reason, errs no more often."""
    rows, claims = [], {}
    for world, draw in (SYMMETRIC | SKEW | FURTHER).items():
        drawn = draw(stream(seed, f"level {world}"), (boards, TEACHERS, SHIPPED.most))
        for name, procedure in PROCEDURES.items():
            if "until decided" not in name and world not in SHOWN:
                continue
            found = [procedure(d) for d in drawn]
            better, worse = (Rate.of(np.array([any(sign * gain > 0 for gain in one.values()) for one in found]))
                             for sign in (1, -1))  # fmt: skip
            either = Rate.of(np.array([bool(one) for one in found]))
            rows.append([world, name, better, worse, either])
            if "until decided" in name and world not in FURTHER:
                claims[f"{name}, {world}: false better in the family at most 5 %"] = not better.above(0.05)
            if "until decided" in name and world in SYMMETRIC:
                claims[f"{name}, {world}: false verdicts in the family at most 5 %"] = not either.above(0.05)
    head = ["true gain 0; differences are", "procedure", "any better, %", "any worse, %", "either, %"]
    table(f"no teacher is better; {boards} boards of {TEACHERS} teachers: called so at any look", head, rows)
    return claims


SCENES: Mapping[str, tuple[float, ...]] = {
    "one better, five equal": (0.8, 0, 0, 0, 0, 0),
    "one better, one by half, one equal, three much worse": (0.8, 0.4, 0, -3.5, -3.5, -3.5),
}
"""True gains in sd of the differences; the first teacher is the one that is to be found."""


def scene(boards: int, gains: tuple[float, ...], seed: int) -> np.ndarray:
    """Differences ``(boards, teachers, MOST_FIXED)`` in sd; the baseline's noise is in all of a board."""
    rng = stream(seed, f"scene {gains}")
    own = (1 - OWN**2) ** 0.5 * rng.standard_normal((boards, len(gains), MOST_FIXED))
    return own - OWN * rng.standard_normal((boards, 1, MOST_FIXED)) + np.array(gains)[:, None]


def runs(decided: tuple[Judged, ...]) -> int:
    """Runs of the teachers and of the baseline, which goes on as long as any of them."""
    return sum(one.seeds for one in decided) + max(one.seeds for one in decided)


def as_likely(drawn: np.ndarray, power: float) -> int:
    """The fewest fixed seeds with which the first teacher is called better as often; power rises with seeds."""
    low, high = 6, MOST_FIXED
    while low < high:
        n = (low + high) // 2
        seen = np.mean([fixed(d, n).get("0", 0) > 0 for d in drawn])
        low, high = (low, n) if seen >= power else (n + 1, high)
    return low


ENOUGH = 200
"""Boards from which on a cost is claimed: power is read off so many, and with fewer the ratio is mostly noise."""


def cost(boards: int, seed: int) -> Claims:
    """Runs of a board that stops, beside those of one of fixed seeds with the same chance to see the better teacher."""
    rows, claims = [], {}
    for rule, until in (("shipped", SHIPPED), ("worse = true", BOTH)):
        for name, gains in SCENES.items():
            drawn = scene(boards, gains, seed)
            ended = [last(until, d) for d in drawn]
            seen = Rate.of(np.array([one[0].decision == "better" for one in ended]))
            spent, per_seed = np.array([runs(one) for one in ended]), TEACHERS + 1
            needed = as_likely(drawn, seen.value)
            ratios = [
                value / (per_seed * needed) for value in (np.median(spent), spent.mean(), np.quantile(spent, 0.9))
            ]
            rows.append([name, rule, seen, needed, *(f"{ratio:.2f}" for ratio in ratios)])
            if until is SHIPPED and boards >= ENOUGH:
                claims[f"{name}: median runs at most 0.7 of those of fixed seeds at equal power"] = ratios[0] <= 0.7
    nobody = np.array([runs(last(SHIPPED, d)) for d in scene(boards, (0.0,) * TEACHERS, seed)])
    head = [
        "true gains",
        "rule",
        "found better, %",
        "fixed seeds at equal power",
        "median runs / fixed",
        "mean",
        "90 %",
    ]
    table(f"runs, {boards} boards each; the difference worth finding is {SHIPPED.effect:g} sd", head, rows)
    print(f"  six equal: median {np.median(nobody) / (TEACHERS + 1):.1f} seeds of all, at most {SHIPPED.most}")
    return claims


def futile(boards: int, seed: int) -> Claims:
    """Teachers that differ by exactly the size worth finding, and by less: what becomes of one beside five equal."""
    rows = []
    for gain in (0.0, 0.4, 0.8, 1.2, 2.0):
        drawn = scene(boards, (gain, 0, 0, 0, 0, 0), seed)
        ends = [last(SHIPPED, d)[0] for d in drawn]
        shares = [Rate.of(np.array([end.decision == what for end in ends]))
                     for what in ("better", "worse", "futile", "undecided")]  # fmt: skip
        rows.append([f"{gain:.1f}", *shares, f"{np.median([end.seeds for end in ends]):.0f}"])
    table(f"one teacher beside five equal ones, {boards} boards each: how it ends, %",
          ["true gain, sd", "better", "worse", "futile", "undecided", "median seeds"], rows)  # fmt: skip
    return {}


def main(arguments: list[str] | None = None) -> int:
    """Run it all; 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the boards: a few seconds, wide errors")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    options = parser.parse_args(arguments)
    share = 10 if options.quick else 1
    parts = (f"{n} ({100 * p:.1f} %)" for n, p in levels(SHIPPED.looks, TEACHERS).items())
    print(f"looks after {', '.join(map(str, SHIPPED.looks))} seeds; verdicts at these, by p up to: {', '.join(parts)}")
    claims: Claims = {}
    for part, boards in ((level, 500), (cost, 200), (futile, 200)):
        claims |= part(boards // share, options.seed)
    return verdict(claims)


if __name__ == "__main__":
    sys.exit(main())
