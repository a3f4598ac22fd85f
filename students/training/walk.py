"""The walk of a training run: what each update goes over, known before anything is trained.

The order in which a lesson is walked follows from its length, the recipe and the seed alone. So what a lesson will cost
is counted, batch by batch, and not estimated from the mean of what was handed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from students.base import Recipe, Student
from students.training.loop import walked
from students.training.methods import BUILT_IN
from tasks.records import stream

Sizes = Sequence[int]
Walk = Callable[[Sizes, Sizes, Recipe, int], Iterator[int]]


def walk_of(student: Student, recipe: Recipe) -> Walk | None:
    """How a student walks what it is trained on; ``None`` where that is not known beforehand.

    It is known of a student that names ``training.loop`` in its ``code``, and of one that says so itself by a method
    ``walk(fresh, earlier, recipe, seed)``, which yields the tokens of each update, cool-down included, in order.
    A method of training from outside has an order of its own.

    Args:
        student: Who is trained.
        recipe: How.
    """
    if recipe.method not in BUILT_IN:
        return None
    own: Walk | None = getattr(student, "walk", None)
    return own or (tokens_of_batches if "students.training.loop" in student.code else None)


def tokens_of_batches(fresh: Sizes, earlier: Sizes, recipe: Recipe, seed: int) -> Iterator[int]:
    """Tokens of the batches that ``students.training.loop.batches`` makes, one number an update, without end.

    Args:
        fresh: Tokens of each example of the lesson (of a pair, of both), in its order; not empty.
        earlier: Tokens of each example that replay draws from.
        recipe: Gives batch, replay share and order.
        seed: Of the training.
    """
    replay = np.array(earlier, np.int64)
    rng = stream(seed, "replay")
    replayed = round(recipe.batch * recipe.replay) if len(replay) else 0
    for picked in walked(len(fresh), recipe.batch - replayed, recipe, seed):
        tokens = sum(map(fresh.__getitem__, picked))
        if replayed:
            tokens += int(replay[rng.integers(len(replay), size=replayed)].sum())
        yield tokens
