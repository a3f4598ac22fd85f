"""Engines turn a mixture over skills into examples: the task's generator, or its fixed pool; and what is replayed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dataenv.errors import SettingError
from dataenv.setting import Setting
from tasks.base import Task
from tasks.errors import UnsupportedError
from tasks.records import Example, stream

if TYPE_CHECKING:
    from dataenv.snapshot import Snapshot


def split_counts(mixture: npt.NDArray[np.float64], total: int, rng: np.random.Generator) -> list[int]:
    """Whole examples per skill, summing to ``total``, by largest remainder; ties are drawn."""
    exact = mixture / mixture.sum() * total
    counts = np.floor(exact).astype(int)
    rest = exact - counts
    order = np.lexsort((rng.random(len(rest)), -np.round(rest, 9)))
    counts[order[: total - int(counts.sum())]] += 1
    return [int(c) for c in counts]


def make_lesson(
    setting: Setting, mixture: npt.NDArray[np.float64], snapshot: Snapshot
) -> tuple[list[Example], dict[str, int]]:
    """The examples of a mixture, from the Setting's engine, and how far the pool has been walked.

    Raises:
        tasks.errors.UnsupportedError: If the task has no such engine.
    """
    task, rng = setting.built_task, stream(snapshot.seed, "engine", snapshot.step)
    counts = split_counts(mixture, setting.lesson_size, rng)
    if setting.engine == "pool":
        return from_pool(task, counts, rng, snapshot.seed, snapshot.taken)
    return procedural(task, counts, rng), snapshot.taken


def check_engine(setting: Setting) -> None:
    """Refuse a finish without problems.

    Raises:
        SettingError: If the task has none for the Setting's engine.
    """
    task = setting.built_task
    try:
        task.pool() if setting.engine == "pool" else task.generate(task.skills[0], 0, stream(0, "engine"))
    except UnsupportedError as error:
        raise SettingError(f"finish has no problems to go on with: {error}") from error


def procedural(task: Task, counts: list[int], rng: np.random.Generator) -> list[Example]:
    """Fresh examples of each skill, shuffled.

    Raises:
        tasks.errors.UnsupportedError: If the task has no generator.
    """
    made = [e for skill, n in zip(task.skills, counts, strict=True) if n for e in task.generate(skill, n, rng)]
    return [made[i] for i in rng.permutation(len(made))]


def from_pool(
    task: Task, counts: list[int], rng: np.random.Generator, seed: int, taken: dict[str, int]
) -> tuple[list[Example], dict[str, int]]:
    """Examples of the pool by primary skill, without replacement over the episode; a pool used up starts again.

    Args:
        task: Has the pool.
        counts: Examples per skill.
        rng: Shuffles the lesson.
        seed: Of the episode: the order in which the pool is walked.
        taken: How many of each skill earlier lessons took.

    Returns:
        The examples, and the new ``taken``.

    Raises:
        tasks.errors.UnsupportedError: If the task has no pool.
    """
    by_skill: dict[str, list[Example]] = {skill: [] for skill in task.skills}
    for example in task.pool():
        by_skill[example.skills[0]].append(example)
    made: list[Example] = []
    after = dict(taken)
    for i, (skill, n) in enumerate(zip(task.skills, counts, strict=True)):
        rows = by_skill[skill]
        if not n or not rows:
            continue
        order = stream(seed, "pool", i).permutation(len(rows))
        start = taken.get(skill, 0)
        made.extend(rows[order[j % len(rows)]] for j in range(start, start + n))
        after[skill] = start + n
    return [made[i] for i in rng.permutation(len(made))], after


def replayed(
    prior: Sequence[Example], taught: Sequence[Example], wanted: int, rng: np.random.Generator
) -> tuple[Example, ...]:
    """The earlier examples that training draws on, with repetition: equally many of each source that has any.

    Args:
        prior: What the student knew before anyone taught it.
        taught: The lessons before this one.
        wanted: How many.
        rng: Where every draw comes from.
    """
    sources = [source for source in (prior, taught) if source]
    shares = split_counts(np.ones(len(sources)), wanted, rng) if sources else []
    return tuple(s[i] for s, n in zip(sources, shares, strict=True) for i in rng.integers(len(s), size=n))
