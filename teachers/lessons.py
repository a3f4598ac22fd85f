"""What teachers share that bring the examples themselves: where examples come from, lessons by share, an allowance."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from dataenv.errors import BudgetSpentError, RefusedError
from dataenv.lessons.engines import Request, split_counts
from tasks.errors import UnsupportedError
from tasks.records import Example
from teachers.base import Floats, with_floor

if TYPE_CHECKING:
    from dataenv.episode.context import Context

T = TypeVar("T")
Question = tuple[str, tuple[str, ...]]
"""What is asked, and the digests of the pictures that are shown."""


def question_of(example: Example) -> Question:
    """What an example asks: two examples with one text and other pictures ask two things."""
    return example.prompt, example.media


def as_asked(examples: Iterable[Example]) -> list[str | Example]:
    """Examples as ``Context.sample`` takes them: a text, or with its pictures the example itself."""
    return [example if example.media else example.prompt for example in examples]


class Material(Protocol):
    """What examples are made from: what the task has itself, and what its student can read.

    ``Context`` is one, of a teacher; ``dataenv.lessons.scene.Scene`` is one, of an engine.
    """

    skills: tuple[str, ...]
    lesson_size: int
    rng: np.random.Generator

    def pool(self) -> Sequence[Example]:
        """The task's public training examples; raises UnsupportedError where it has none."""

    def generate(self, skill: str, n: int, difficulty: float | None = None) -> list[Example]:
        """Fresh examples of the task's own generator; raises UnsupportedError where it has none."""

    def readable(self, examples: Sequence[Example]) -> list[bool]:
        """Whether the student can read each."""


class Source:
    """Examples of a skill: fresh from the task's generator or, where it has none, from its pool.

    The pool is walked in a random order, and a skill whose items are used up starts again.
    ``teachers.engines.writer.Writer`` is a source as well: a teacher that draws from one can be given the other.

    Args:
        context: Of the episode.

    Attributes:
        yields: What came of each stage in this episode; a source that has no stages counts nothing.
    """

    def __init__(self, context: Material) -> None:
        self._context = context
        self.yields: Counter[str] = Counter()
        self._pool: dict[str, list[Example]] | None = None
        self._taken: dict[str, int] = {}

    def draw(self, skill: str, n: int, difficulty: float | None = None) -> list[Example]:
        """``n`` examples of a skill; the pool knows no difficulty, and may hold none of a skill.

        Raises:
            tasks.errors.UnsupportedError: If the task has neither generator nor pool.
        """
        if self._pool is None:
            try:
                return self._context.generate(skill, n, difficulty)
            except UnsupportedError:
                self._pool = self._shuffled()
        rows, start = self._pool[skill], self._taken.get(skill, 0)
        self._taken[skill] = start + n
        return [rows[i % len(rows)] for i in range(start, start + n)] if rows else []

    def make(self, requests: Sequence[Request]) -> list[list[Example]]:
        """The examples of each request; fewer where a source has no more."""
        return [self.draw(r.skill, r.n, r.difficulty) if r.n else [] for r in requests]

    def lesson(self, shares: Floats, n: int | None = None, difficulty: float | None = None) -> list[Example]:
        """A shuffled lesson of these shares over the skills.

        Args:
            shares: ``(skills,)``, non-negative; the largest remainders get what is left over.
            n: Its size; that of an ordinary lesson, where it is left out.
            difficulty: See ``draw``.
        """
        context = self._context
        size = context.lesson_size if n is None else n
        counts = split_counts(shares, size, context.rng)
        requests = [Request(skill, k, difficulty) for skill, k in zip(context.skills, counts, strict=True)]
        return shuffled([example for examples in self.make(requests) for example in examples], context.rng)

    def stratified(self, n: int | None = None, difficulty: float | None = None) -> list[Example]:
        """A lesson of equal shares."""
        return self.lesson(with_floor(np.ones(len(self._context.skills)), 0.0), n, difficulty)

    def _items(self) -> Sequence[Example]:
        """What is drawn from where the task has no generator."""
        return self._context.pool()

    def _shuffled(self) -> dict[str, list[Example]]:
        rows: dict[str, list[Example]] = {skill: [] for skill in self._context.skills}
        for example in self._items():
            rows[example.skills[0]].append(example)
        return {skill: shuffled(found, self._context.rng) for skill, found in rows.items()}


class Steered(Source):
    """Examples from a generator that the student may guide (``Context.draw``).

    Args:
        context: Of the episode.
        omega: How far the student guides; 0 for static generation.
        scale: Of classifier-free guidance.
        checked: Whether labels are confirmed by an independent classifier.
    """

    def __init__(self, context: Context, omega: float, scale: float, checked: bool) -> None:
        super().__init__(context)
        self.omega, self._teacher, self._scale, self._checked = omega, context, scale, checked

    def make(self, requests: Sequence[Request]) -> list[list[Example]]:
        """See Source. Difficulty plays no part; what the screen would drop is missing."""
        wanted = Counter[str]()
        for request in requests:
            wanted[request.skill] += request.n
        asked = [(skill, n) for skill, n in wanted.items() if n]
        made: dict[str, list[Example]] = defaultdict(list)
        for example in self._teacher.draw(asked, self.omega, self._scale, self._checked) if asked else ():
            made[example.skills[0]].append(example)
        self.yields["wanted"] += sum(wanted.values())
        self.yields["examples"] += sum(map(len, made.values()))
        return [[made[r.skill].pop() for _ in range(min(r.n, len(made[r.skill])))] for r in requests]


def by_needed_skill(examples: Iterable[Example]) -> dict[str, list[Example]]:
    """Examples by every skill that they need, the primary one and the others."""
    found: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        for skill in set(example.skills):
            found[skill].append(example)
    return found


def pool_or_made(context: Context, each: int = 200) -> Sequence[Example]:
    """The task's pool; where it has none, ``each`` examples of each skill from its generator.

    Raises:
        tasks.errors.UnsupportedError: If the task has neither.
    """
    try:
        return context.pool()
    except UnsupportedError:
        return [e for skill in context.skills for e in context.generate(skill, each)]


def shuffled(items: Sequence[T], rng: np.random.Generator) -> list[T]:
    """A new list in a random order."""
    return [items[i] for i in rng.permutation(len(items))]


def passed(ask: Callable[[Sequence[T]], Floats], items: Sequence[T]) -> tuple[list[T], Floats]:
    """What a probe says of each item, without the items that the screen refuses; what is refused is paid as well.

    A probe of many is refused for one. Then each half is asked for itself, and so on: candidates that a language model
    wrote may hold a sealed problem, and nobody says which one does.
    """
    try:
        return list(items), ask(items)
    except RefusedError:
        if len(items) == 1:
            return [], np.zeros(0)
    half = len(items) // 2
    (one, low), (other, high) = passed(ask, items[:half]), passed(ask, items[half:])
    return one + other, np.concatenate([low, high])


class Allowance:
    """A share of the purse that a teacher may spend on looking: when it is used up, or the purse is, looking ends.

    Args:
        context: Of the episode.
        share: Of the whole purse, in [0, 1].
    """

    def __init__(self, context: Context, share: float) -> None:
        self._budget, self._most = context.budget, share * context.budget.total
        self.spent = 0

    @property
    def left(self) -> float:
        """Student tokens that may still be spent."""
        return max(0.0, min(self._most - self.spent, self._budget.remaining))

    @property
    def for_this_step(self) -> float:
        """What is left, spread over the lessons that the rest of the purse will pay for (at least one)."""
        ahead = self._budget.remaining - self.left
        return self.left / max(1.0, ahead / self._budget.step_price)

    def spend(self, ask: Callable[[], T]) -> T | None:
        """Ask, and write down what that cost; ``None`` if the purse cannot pay."""
        before = self._budget.spent
        try:
            return ask()
        except BudgetSpentError:
            return None
        finally:
            self.spent += self._budget.spent - before
