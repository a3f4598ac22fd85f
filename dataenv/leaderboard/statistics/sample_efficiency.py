"""Samples to equal accuracy: how many examples a baseline needs to be as good as a teacher is with a given number.

The same of student tokens, which are what training, probes and guidance cost together.

The ratio is what data selection is sold by (Deliberate Practice, arXiv 2502.15588, Table 1). It is read off learning
curves of *selection* accuracy against examples taught, so it has their noise; a seed is a pair, as everywhere here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from dataenv.errors import SettingError
from dataenv.leaderboard.accuracy import Derived, derive, number
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.statistics.formulas import by_step, paired_t
from tasks.records import Record

Bound = Literal["exact", "at least", "at most"]
Axis = Literal["examples", "tokens"]
"""Examples taught, or student tokens spent on lessons and on what the teacher asked."""


class LearningCurve(NamedTuple):
    """Examples or tokens, rising, and the macro selection accuracy after each lesson.

    The untaught student is left out.
    """

    sizes: tuple[int, ...]
    accuracies: tuple[Derived, ...]


Curves = Mapping[int, LearningCurve]
"""By seed."""


class Needed(Record):
    """One seed.

    Attributes:
        accuracy: The teacher's at the size that is asked about.
        examples: What the baseline needed for as much.
        bound: ``at least`` where the baseline never got there, ``at most`` where it was there after its first lesson.
    """

    seed: int
    accuracy: Derived
    examples: float
    bound: Bound


class Ratio(Record):
    """Examples of the baseline over those of the teacher, at equal accuracy.

    Attributes:
        size: Examples of the teacher.
        runs: One a seed that both ran.
        mean: Geometric over seeds, with the ends of its 95 % interval (paired t of the logarithms). A seed that is
            only bounded counts with its bound, so a mean over such seeds is a bound as well, and so is its interval.
    """

    teacher: str
    baseline: str
    size: int
    runs: tuple[Needed, ...]
    mean: float
    low: float | None
    high: float | None

    def bounded(self, bound: Bound) -> int:
        """Seeds with this bound, of ``len(runs)``."""
        return sum(run.bound == bound for run in self.runs)


def learning_curve(row: Row, axis: Axis = "examples") -> LearningCurve:
    """Of one run, lessons that were trained alone."""
    taught = [i for i, step in enumerate(row.steps) if step.lesson is not None]
    if axis == "tokens":
        sizes = np.array([row.steps[i].spent for i in taught], np.int64)
    else:
        sizes = np.cumsum([row.steps[i].kept for i in taught], dtype=np.int64)
    after = by_step(row.steps)
    return LearningCurve(tuple(sizes.tolist()), tuple(after[i] for i in taught))


def accuracy_at(curve: LearningCurve, size: int) -> Derived | None:
    """Accuracy after a number of examples, linear in their logarithm between lessons; ``None`` outside of the curve."""
    if not curve.sizes or not curve.sizes[0] <= size <= curve.sizes[-1]:
        return None
    logs = np.log(curve.sizes)
    return derive(lambda values: np.interp(math.log(size), logs, values), curve.accuracies)


def examples_for(curve: LearningCurve, accuracy: float) -> tuple[float, Bound]:
    """Where a curve first reaches an accuracy, linear in the logarithm of examples between lessons.

    Args:
        curve: At least one lesson.
        accuracy: In [0, 1].

    Returns:
        Examples, and whether that is exact: a curve that never gets there needs *at least* all that it had, one that is
        above it after the first lesson *at most* that lesson.
    """
    values = [number(figure) for figure in curve.accuracies]
    there = next((i for i, value in enumerate(values) if value >= accuracy), None)
    if there is None:
        return float(curve.sizes[-1]), "at least"
    if there == 0:
        return float(curve.sizes[0]), "exact" if values[0] == accuracy else "at most"
    share = (accuracy - values[there - 1]) / (values[there] - values[there - 1])
    before, after = math.log(curve.sizes[there - 1]), math.log(curve.sizes[there])
    return math.exp(before + share * (after - before)), "exact"


def ratio(teacher: str, ours: Curves, baseline: str, theirs: Curves, size: int) -> Ratio | None:
    """Samples to equal accuracy, seed by seed.

    Args:
        teacher: Whose accuracy is to be equalled.
        ours: Its learning curves by seed.
        baseline: The teacher that is to equal it.
        theirs: Its curves.
        size: Examples of the teacher.

    Returns:
        ``None`` where no seed of both has as many examples.
    """
    runs = []
    for seed in sorted(ours.keys() & theirs.keys()):
        accuracy = accuracy_at(ours[seed], size)
        if accuracy is not None and theirs[seed].sizes:
            examples, bound = examples_for(theirs[seed], accuracy.value)
            runs.append(Needed(seed=seed, accuracy=accuracy, examples=examples, bound=bound))
    if not runs:
        return None
    logs = paired_t([math.log(run.examples / size) for run in runs])
    mean, low, high = (None if x is None else math.exp(x) for x in (logs.gain, logs.low, logs.high))
    assert mean is not None, "there is a run"
    return Ratio(teacher=teacher, baseline=baseline, size=size, runs=tuple(runs), mean=mean, low=low, high=high)


def curves_of(rows: Sequence[Row], axis: Axis = "examples") -> dict[str, dict[int, LearningCurve]]:
    """Learning curves by teacher and seed; failed runs have none."""
    found: dict[str, dict[int, LearningCurve]] = {row.teacher: {} for row in rows}
    for row in rows:
        if not row.failed:
            found[row.teacher][row.seed] = learning_curve(row, axis)
    return found


def ratios(
    rows: Sequence[Row],
    baseline: str,
    sizes: Sequence[int],
    of: Sequence[Row] | None = None,
    axis: Axis = "examples",
) -> list[Ratio]:
    """Every other teacher of a board against one, at each size that it reaches; references are left out.

    Args:
        rows: The board.
        baseline: A teacher.
        sizes: Examples, or tokens, of the others.
        of: The board that the baseline is read from, if it is another: one on which it goes on for longer.
        axis: What is counted.

    Raises:
        SettingError: If the baseline is no teacher of its board.
    """
    ours, theirs = curves_of(rows, axis), curves_of(rows if of is None else of, axis)
    if baseline not in theirs:
        raise SettingError(f"baseline {baseline!r} is no teacher of this board; give one of {', '.join(theirs)}")
    names = sorted({row.teacher for row in rows if row.role == "teacher"} - {baseline})
    made = [ratio(name, ours[name], baseline, theirs[baseline], size) for name in names for size in sizes]
    return [r for r in made if r is not None]


def sentence(r: Ratio, axis: Axis = "examples") -> str:
    """The ratio with its interval, its seeds, and how many of them are only bounded."""
    span = "no interval" if r.low is None or r.high is None else f"{r.low:.2f}, {r.high:.2f}"
    each = ", ".join(_one(run, r.size) for run in r.runs)
    never, early, n = r.bounded("at least"), r.bounded("at most"), len(r.runs)
    notes = [f"{r.baseline} never got there in {never} of {n}"] if never else []
    notes += [f"was there after its first lesson in {early} of {n}"] if early else []
    said = f"; {' and '.join(notes)}" if notes else ""
    return f"{r.teacher} at {r.size:,} {axis}: {r.mean:.2f} [{span}] times as many of {r.baseline} ({each}{said})"


def _one(run: Needed, size: int) -> str:
    return {"exact": "", "at least": "≥ ", "at most": "≤ "}[run.bound] + f"{run.examples / size:.2f}"
