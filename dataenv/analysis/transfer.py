"""Transfer matrix: what training on one skill does to every other.

Entry (i, j) is the gain on skill j of the selection split after one lesson of skill i alone, from the untaught student
of a seed, in a Setting's own recipe (so with its replay). It is the linear estimator of Skill-It (arXiv 2307.14430,
section 3.2: train on i alone, measure j), on accuracy in place of loss, and without cutting off what is negative.

``credit`` asks the other way round: what a lesson of everything would have lost, had it left one skill out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
from markupsafe import escape

from dataenv.budget.purse import Budget
from dataenv.environment.env import TeachingEnv
from dataenv.environment.render import SIMULATED
from dataenv.execution.runner import Runner, side_by_side
from dataenv.leaderboard.format import visible
from dataenv.leaderboard.statistics.formulas import holm, paired_t
from dataenv.setting import Setting
from tasks.records import Record

CELL, LEFT, TOP, RIGHT, NOTE = 46, 110, 110, 70, 400
"""Sizes of the picture: a cell, what labels need at the left, above and at the right, and what the note needs."""


class Gain(Record):
    """One entry, in [-1, 1]: mean over seeds, 95 % interval (paired t over seeds), Holm's p over all entries."""

    mean: float
    low: float
    high: float
    p: float

    @property
    def shown(self) -> str:
        """Mean and interval in points."""
        return f"{100 * self.mean:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"


class Matrix(Record):
    """The matrix and the counts that it was computed from.

    Attributes:
        skills: Rows (taught) and columns (measured).
        seeds: Untaught students.
        updates: Length of each lesson.
        setting_digest: Of the Setting.
        n: Selection problems of each skill.
        before: Right answers, ``[seed][skill]``, of the untaught student.
        after: Right answers, ``[seed][taught][skill]``.
        gains: ``[taught][measured]``.
        simulated: Whether the student was a simulated one: no evidence about a real one.
    """

    schema_version: Literal[1] = 1
    skills: tuple[str, ...]
    seeds: tuple[int, ...]
    updates: int
    setting_digest: str
    n: tuple[int, ...]
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[tuple[int, ...], ...], ...]
    gains: tuple[tuple[Gain, ...], ...]
    simulated: bool = False

    @property
    def label(self) -> str:
        """What is said beside its numbers, where the student is simulated."""
        return f" ({SIMULATED})" if self.simulated else ""


def measure(
    setting: Setting, runner: Runner, seeds: Iterable[int], updates: int, say: Callable[[str], None] = lambda line: None
) -> Matrix:
    """Measure the matrix: skills x seeds lessons.

    Args:
        setting: Task, student, warm start and recipe; its budget and targets play no part.
        runner: Store and executor.
        seeds: At least two, or there is no interval.
        updates: Of each lesson, which holds ``updates * batch`` fresh examples.
        say: Told a line a lesson.
    """
    recipe = setting.recipe.model_copy(update={"updates": updates, "start": "current", "data": "lesson"})
    budget = Budget(student_tokens=1 << 60)
    alone = setting.changed(recipe=recipe, lesson_size=updates * recipe.batch, budget=budget, finish=(), targets=())
    seeds = tuple(seeds)
    k = len(setting.built_task.skills)

    def teach(cell: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        seed, i = cell
        env = TeachingEnv("skill-list", runner=runner, setting=alone)
        env.reset(seed=seed)
        env.step(np.eye(k, dtype=np.float32)[i])
        before, after = (record.selection for record in env.history)
        runner.evict(env.history[-1].state)
        say(f"seed {seed}: {env.task.skills[i]} taught")
        return before.correct, after.correct, after.n

    cells = [(seed, i) for seed in seeds for i in range(k)]
    found = side_by_side(runner, cells, teach)
    n = found[0][2]
    before = tuple(found[s * k][0] for s in range(len(seeds)))
    after = tuple(tuple(found[s * k + i][1] for i in range(k)) for s in range(len(seeds)))
    gain = (np.array(after) - np.array(before)[:, None, :]) / np.array(n)
    return Matrix(
        skills=setting.built_task.skills,
        seeds=seeds,
        updates=updates,
        setting_digest=alone.digest,
        n=n,
        before=before,
        after=after,
        gains=_with_intervals(gain),
        simulated=setting.built_student.simulated,
    )


def _with_intervals(gain: npt.NDArray[np.float64]) -> tuple[tuple[Gain, ...], ...]:
    """Gains ``(seeds, k, k)`` with their intervals."""
    k = gain.shape[1]
    tests = {(i, j): paired_t(gain[:, i, j].tolist()) for i in range(k) for j in range(k)}
    adjusted = holm({f"{i},{j}": 1.0 if test.p is None else test.p for (i, j), test in tests.items()})

    def entry(i: int, j: int) -> Gain:
        test = tests[i, j]
        mean = 0.0 if test.gain is None else test.gain
        low, high = (mean, mean) if test.low is None or test.high is None else (test.low, test.high)
        return Gain(mean=mean, low=low, high=high, p=adjusted[f"{i},{j}"])

    return tuple(tuple(entry(i, j) for j in range(k)) for i in range(k))


def links(matrix: Matrix, corrected: bool = False) -> list[tuple[str, str, Gain]]:
    """Off-diagonal gains above zero, the largest first: (taught, measured, gain).

    Args:
        matrix: Measured.
        corrected: Whether Holm's p over all entries must be below .05, or only the entry's own interval above zero.
    """
    found = [
        (taught, measured, gain)
        for taught, row in zip(matrix.skills, matrix.gains, strict=True)
        for measured, gain in zip(matrix.skills, row, strict=True)
        if taught != measured and gain.low > 0 and (not corrected or gain.p < 0.05)
    ]
    return sorted(found, key=lambda link: -link[2].mean)


def summary(matrix: Matrix) -> str:
    """The matrix in points, taught skills as rows, and what of it is off-diagonal gain."""
    width = max(map(len, matrix.skills))
    lines = [" " * width + "".join(f"{skill[:6]:>7}" for skill in matrix.skills)]
    for skill, row in zip(matrix.skills, matrix.gains, strict=True):
        lines.append(f"{skill:<{width}}" + "".join(f"{100 * gain.mean:>+7.1f}" for gain in row))
    found, sure = links(matrix), links(matrix, corrected=True)
    lines.append(
        f"points of selection accuracy{matrix.label}, {len(matrix.seeds)} seeds, n = {matrix.n[0]} a skill and seed; "
        f"{len(found)} off-diagonal gains have a 95 % interval above zero, {len(sure)} after Holm over all entries:"
    )
    lines.extend(f"  {taught} -> {measured}: {gain.shown}" for taught, measured, gain in found)
    return "\n".join(lines)


def picture(matrix: Matrix) -> str:
    """The matrix as an SVG: blue gains, orange losses, the mean in points, a ring where the interval is clear of 0."""
    k = len(matrix.skills)
    width, height = max(LEFT + k * CELL + RIGHT, NOTE), TOP + k * CELL + 48
    names = [visible(skill) for skill in matrix.skills]
    notes = (
        f"points gained on a column by {matrix.updates} updates on a row",
        f"{len(matrix.seeds)} seeds{matrix.label}; ring: 95 % interval clear of 0",
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" ',
        f'aria-label="Transfer between {k} skills: {notes[0]}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for j, name in enumerate(names):
        x, y, short = LEFT + j * CELL + CELL / 2, TOP - 8, name if len(name) <= 14 else name[:13] + "…"
        parts.append(f'<text x="{x}" y="{y}" transform="rotate(-45 {x} {y})">{escape(short)}</text>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{TOP + j * CELL + CELL / 2 + 4}" text-anchor="end">{escape(short)}</text>'
        )
    for i, row in enumerate(matrix.gains):
        for j, gain in enumerate(row):
            parts.append(_cell(LEFT + j * CELL, TOP + i * CELL, gain, f"{names[i]} on {names[j]}"))
    parts += [f'<text x="10" y="{height - 28 + 16 * i}">{note}</text>' for i, note in enumerate(notes)]
    return "\n".join((*parts, "</svg>")) + "\n"


def _cell(x: float, y: float, gain: Gain, title: str) -> str:
    strength = min(1.0, abs(gain.mean)) ** 0.5
    colour = "37,99,180" if gain.mean > 0 else "200,98,20"
    clear = gain.low > 0 or gain.high < 0
    ring = ' stroke="#222" stroke-width="1.5"' if clear else ' stroke="#ddd"'
    ink = "#fff" if strength > 0.87 and gain.mean > 0 else "#000"  # a contrast of 4.5 on every shade
    hover, points = f"{title}: {gain.shown}", f"{100 * gain.mean:+.0f}"
    return (
        f'<rect x="{x + 2}" y="{y + 2}" width="{CELL - 4}" height="{CELL - 4}" '
        f'fill="rgba({colour},{strength:.2f})"{ring}>'
        f"<title>{escape(hover)}</title></rect>"
        f'<text x="{x + CELL / 2}" y="{y + CELL / 2 + 4}" text-anchor="middle" fill="{ink}">{points}</text>'
    )
