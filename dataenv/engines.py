"""Engines turn a mixture over skills into examples: the task's generator, or its fixed pool."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tasks.base import Task
from tasks.records import Example, stream


def split_counts(mixture: npt.NDArray[np.float64], total: int, rng: np.random.Generator) -> list[int]:
    """Whole examples per skill, summing to ``total``, by largest remainder; ties are drawn."""
    exact = mixture / mixture.sum() * total
    counts = np.floor(exact).astype(int)
    rest = exact - counts
    order = np.lexsort((rng.random(len(rest)), -np.round(rest, 9)))
    counts[order[: total - int(counts.sum())]] += 1
    return [int(c) for c in counts]


def procedural(task: Task, counts: list[int], rng: np.random.Generator) -> list[Example]:
    """Fresh examples of each skill, shuffled.

    Raises:
        tasks.base.Unsupported: If the task has no generator.
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
        tasks.base.Unsupported: If the task has no pool.
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
