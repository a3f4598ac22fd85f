"""Engines turn requests into examples: the task's generator, or its fixed pool; and what is replayed.

An engine is a registered kind: ``name -> "module:Class"``. It keeps nothing between two lessons, so that a lesson
follows from the moment before it: what it needs to know of the episode is in the ``Scene``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.lessons.offer import Offer
from dataenv.lessons.scene import Scene
from dataenv.setting import Setting
from dataenv.validation import whole
from students.training.methods import method_of
from tasks.base import Task
from tasks.columns import ExampleColumns, joined, taken
from tasks.errors import UnsupportedError
from tasks.records import Example, canonical_json, stream

Operator = Literal["new", "harder", "easier", "rewrite"]


@dataclass(frozen=True)
class Request:
    """What examples are wanted.

    Attributes:
        skill: One of the task's.
        n: How many.
        difficulty: In [0, 1]; ``None`` for the skill's own spread.
        references: Solved examples to write after; where there are none, an engine that writes draws its own.
        operator: What is done with the references.
        about: What is wanted of the skill, to read. The task's own generator and pool read none of these three.
        subskill: One of the skill's; empty for the whole skill. For engines that divide skills.
    """

    skill: str
    n: int
    difficulty: float | None = None
    references: tuple[Example, ...] = ()
    operator: Operator = "new"
    about: Mapping[str, str] | None = None
    subskill: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", whole(f"n of a request of skill {self.skill!r}", self.n))


class Engine(ABC):
    """Turns requests into examples.

    One object serves every episode of a process, side by side, so it keeps nothing of any of them.

    Attributes:
        divides: Whether it makes data of a subskill apart, and ends the ``origin`` of each such example in
            ``/subskill``; else every skill is one piece at the skill-tree level.
        waits: Whether it waits for a server, so that other episodes go on meanwhile.
    """

    name: ClassVar[str]
    divides: ClassVar[bool] = False
    waits: ClassVar[bool] = False

    @abstractmethod
    def make(self, requests: Sequence[Request], rng: np.random.Generator, scene: Scene) -> Sequence[Sequence[Example]]:
        """The examples of each request, in order; fewer than were asked where there are no more.

        Args:
            requests: Each of one skill, with ``n`` of at least 1.
            rng: Where every draw comes from.
            scene: Of the lesson.

        Raises:
            tasks.errors.UnsupportedError: If the task has not what it draws from.
        """

    def check(self, task: Task) -> None:  # noqa: B027 (not every engine draws from the task)
        """Refuse a task that it cannot draw from, without asking anybody.

        Raises:
            tasks.errors.UnsupportedError: If it cannot.
        """

    def most_requests(self, lesson_size: int) -> int:
        """Requests to language models that a lesson takes at the most, without repairs and retries."""
        return 0


class Procedural(Engine):
    """Fresh examples from the task's own generator."""

    name = "procedural"
    divides = True

    def make(self, requests: Sequence[Request], rng: np.random.Generator, scene: Scene) -> Sequence[Sequence[Example]]:
        """See Engine. Which subskill an example was made for is written behind its ``origin``."""
        return [self._of(request, rng, scene.task) for request in requests]

    def check(self, task: Task) -> None:
        """See Engine."""
        task.generate(task.skills[0], 0, stream(0, "engine"))

    def _of(self, request: Request, rng: np.random.Generator, task: Task) -> Sequence[Example]:
        if not request.subskill:
            return task.generate(request.skill, request.n, rng, request.difficulty)
        made = task.generate_subskill(request.skill, request.subskill, request.n, rng)
        return [e.model_copy(update={"origin": f"{e.origin}/{request.subskill}"}) for e in made]


class Pool(Engine):
    """The task's fixed examples by primary skill, without replacement over the episode.

    Each skill is walked in a random order that the episode's seed decides; one that is used up starts again.
    """

    name = "pool"

    def make(self, requests: Sequence[Request], rng: np.random.Generator, scene: Scene) -> list[list[Example]]:
        """See Engine. A skill of which the pool holds nothing gives nothing."""
        by_skill = _by_skill(scene.task)
        made: list[list[Example]] = []
        for request in requests:
            rows, start = by_skill[request.skill], scene.taken.get(request.skill, 0)
            if not rows:
                made.append([])
                continue
            order = stream(scene.seed, "pool", scene.task.skills.index(request.skill)).permutation(len(rows))
            made.append([rows[order[j % len(rows)]] for j in range(start, start + request.n)])
            scene.taken[request.skill] = start + request.n
        return made

    def check(self, task: Task) -> None:
        """See Engine."""
        task.pool()


@lru_cache(maxsize=8)
def _by_skill(task: Task) -> dict[str, list[Example]]:
    """A task's pool by primary skill; gone through once, for it is fixed."""
    found: dict[str, list[Example]] = {skill: [] for skill in task.skills}
    for example in task.pool():
        found[example.skills[0]].append(example)
    return found


def engine_of(setting: Setting) -> Engine:
    """The engine of a Setting; one instance a process, for engines keep nothing.

    Raises:
        SettingError: If there is none of that name, its arguments do not fit, or it cannot divide the skills that the
            Setting divides.
    """
    engine = registry.shared("engine", setting.engine, canonical_json(setting.engine_args))
    if not isinstance(engine, Engine):
        raise SettingError(
            f"engine {setting.engine!r} is a {type(engine).__name__}; derive it from dataenv.lessons.engines.Engine"
        )
    if setting.subskills and not engine.divides:
        raise SettingError(
            f"subskills is given and engine is {setting.engine!r}, which divides no skill; leave one out"
        )
    return engine


def mixed(engine: Engine, mixture: npt.NDArray[np.float64], scene: Scene) -> Offer:
    """A lesson of an ordinary size in the shares of a mixture over the skills, ``(skills,)``."""
    counts = split_counts(mixture, scene.lesson_size, scene.rng)
    requests = [Request(skill, n) for skill, n in zip(scene.skills, counts, strict=True) if n]
    return Offer(blended(engine, requests, scene), scene.lessons, taken=scene.taken)


def blended(engine: Engine, requests: Sequence[Request], scene: Scene) -> Sequence[Example]:
    """What an engine makes of some requests, shuffled.

    Raises:
        tasks.errors.UnsupportedError: If the task has not what it draws from.
    """
    given = engine.make(requests, scene.rng, scene)
    parts = isinstance(given, list) and all(isinstance(x, list | ExampleColumns) for x in given)
    if not parts or len(given) != len(requests):
        raise SettingError(
            f"engine {engine.name!r} gives a {type(given).__name__} for {len(requests)} requests; give a list of "
            "examples for each (check_engine says what else)"
        )
    made = joined(given)
    return taken(made, scene.rng.permutation(len(made)).tolist())


def require_no_pairs(setting: Setting, brings: bool) -> None:
    """Refuse recipes for pairs where an engine makes the examples, for no engine makes pairs.

    Args:
        setting: Its recipe and its finish. A recipe of its menu is refused when it is asked for.
        brings: Whether the teacher brings the examples itself, and so may bring pairs.

    Raises:
        SettingError: With the recipe.
    """
    taught = {} if brings else {"recipe": setting.recipe}
    for where, recipe in (taught | {f"finish[{i}].recipe": p.recipe for i, p in enumerate(setting.finish)}).items():
        if method_of(recipe).needs_pairs(recipe):
            raise SettingError(
                f"{where} is of method {recipe.method!r} for pairs, and no engine makes pairs; give dpo.rejected "
                "'own', another method, or teach at the level open-ended"
            )


def require_problems(setting: Setting) -> None:
    """Refuse a finish without problems.

    Raises:
        SettingError: If the task has none for the Setting's engine.
    """
    try:
        engine_of(setting).check(setting.built_task)
    except UnsupportedError as error:
        raise SettingError(f"finish has no problems to go on with: {error}") from error


def split_counts(mixture: npt.NDArray[np.float64], total: int, rng: np.random.Generator) -> list[int]:
    """Whole examples per skill, summing to ``total``, by largest remainder; ties are drawn."""
    exact = mixture / mixture.sum() * total
    counts = np.floor(exact).astype(int)
    rest = exact - counts
    order = np.lexsort((rng.random(len(rest)), -np.round(rest, 9)))
    counts[order[: total - int(counts.sum())]] += 1
    return [int(c) for c in counts]


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
