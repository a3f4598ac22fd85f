"""Many states of one student at once: in one computation where the student has slots, else one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

from students.base import Asked, Data, Decoding, Recipe, Student, Trained, TrainingDivergedError
from tasks.records import Example

Made = tuple[bytes, Trained] | TrainingDivergedError
"""New weights and the report of the training, or why it failed."""
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Fit:
    """What ``Student.fit`` is given."""

    weights: bytes
    data: Data
    recipe: Recipe
    seed: int


@runtime_checkable
class Slotted(Protocol):
    """A student that computes several states at once; each has the same bytes and texts as alone.

    Attributes:
        slots: How many at the most. Whoever calls gives no more.
    """

    slots: int

    def alike(self, fit: Fit) -> Any:
        """What must be equal for two trainings to be in one computation; hashable."""

    def fit_many(self, fits: Sequence[Fit]) -> list[Made]:
        """``Student.fit`` of each; they are alike. What diverges fails alone."""

    def answer_many(
        self, weights: Sequence[bytes], asked: Sequence[Asked], decoding: Decoding, seed: int
    ) -> list[list[str]]:
        """``Student.answer`` of each state."""

    def losses_many(self, weights: Sequence[bytes], examples: Sequence[Example]) -> list[list[float]]:
        """``Student.losses`` of each state."""

    def entropies_many(self, weights: Sequence[bytes], examples: Sequence[Example]) -> list[list[float]]:
        """``Student.entropies`` of each state."""


def slots_of(student: Student) -> int:
    """How many states a student computes at once; 1 for one that does not."""
    return student.slots if isinstance(student, Slotted) else 1


def fit_many(student: Student, fits: Sequence[Fit]) -> list[Made]:
    """Train several states, those that are alike in one computation.

    Args:
        student: Who.
        fits: What each is given, in any order.

    Returns:
        What each came to, in order. A training that diverged has its error in its place.
    """
    if slots_of(student) == 1:
        return one_by_one(student, fits)
    slotted = cast(Slotted, student)
    groups: dict[Any, list[int]] = {}
    for i, fit in enumerate(fits):
        alike = slotted.alike(fit) if len(fits) > 1 else None
        groups.setdefault((fit.recipe.model_dump_json(), alike), []).append(i)
    made: dict[int, Made] = {}
    for members in groups.values():
        for some in _parts(members, slotted.slots):
            made.update(zip(some, slotted.fit_many([fits[i] for i in some]), strict=True))
    return [made[i] for i in range(len(fits))]


def answer_many(
    student: Student, weights: Sequence[bytes], asked: Sequence[Asked], decoding: Decoding, seed: int
) -> list[list[str]]:
    """``Student.answer`` of several states, to the same questions."""
    if slots_of(student) == 1:
        return [student.answer(each, asked, decoding, seed) for each in weights]
    slotted = cast(Slotted, student)
    return _in_parts(slotted, weights, lambda some: slotted.answer_many(some, asked, decoding, seed))


def losses_many(student: Student, weights: Sequence[bytes], examples: Sequence[Example]) -> list[list[float]]:
    """``Student.losses`` of several states, on the same examples."""
    if slots_of(student) == 1:
        return [student.losses(each, examples) for each in weights]
    slotted = cast(Slotted, student)
    return _in_parts(slotted, weights, lambda some: slotted.losses_many(some, examples))


def entropies_many(student: Student, weights: Sequence[bytes], examples: Sequence[Example]) -> list[list[float]]:
    """``Student.entropies`` of several states, on the same examples."""
    if slots_of(student) == 1:
        return [student.entropies(each, examples) for each in weights]
    slotted = cast(Slotted, student)
    return _in_parts(slotted, weights, lambda some: slotted.entropies_many(some, examples))


def only(made: Made) -> tuple[bytes, Trained]:
    """What a training came to.

    Raises:
        TrainingDivergedError: If it did.
    """
    if isinstance(made, TrainingDivergedError):
        raise made
    return made


def one_by_one(student: Student, fits: Sequence[Fit]) -> list[Made]:
    """``Student.fit`` of each; what diverges fails alone."""
    made: list[Made] = []
    for fit in fits:
        try:
            made.append(student.fit(fit.weights, fit.data, fit.recipe, fit.seed))
        except TrainingDivergedError as error:
            made.append(error)
    return made


def _parts(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    return (items[start : start + most] for start in range(0, len(items), most))


def _in_parts(student: Slotted, weights: Sequence[bytes], act: Callable[[Sequence[bytes]], list[R]]) -> list[R]:
    return [found for some in _parts(weights, student.slots) for found in act(some)]
