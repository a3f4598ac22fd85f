"""The task ``scenes``: sealed splits, checker, generator, pool and prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import ClassVar

import numpy as np

from tasks import media
from tasks.base import Task
from tasks.prior import by_share, check_shares
from tasks.records import Example, Grade, Problem, Split, stream
from tasks.scenes.drawing import COLOURS, SHAPES, draw, read
from tasks.scenes.questions import BY_NAME, HELD, KINDS, MOST, Look, drawn, solved

SEALED: dict[Split, int] = {"feedback": 60, "selection": 80, "test": 200, "transfer": 60}
"""Problems of each kind."""
POOL = 600
"""Pool examples of each kind."""
LOOKS: tuple[Look, ...] = tuple(look for look in product(COLOURS, SHAPES) if look not in HELD)
SUBSKILLS: dict[str, int] = {"any": MOST, "few things": 2, "many things": MOST}
"""Parts of a skill, and the most things in a scene; the last has at least five."""
FEWEST_OF_MANY = 5
_SEED = 0


class Scenes(Task):
    """Questions about generated pictures of coloured shapes, of nine kinds; see ``questions.KINDS``.

    Four looks (a colour and a shape, such as a red triangle) are in no lesson. Transfer asks about scenes that show
    them. Every answer of a kind is equally frequent, so the question alone says nothing.

    Args:
        known: Shares of the kinds that an untaught student has seen, relative to each other; none, if not given.

    Raises:
        ValueError: If a name is unknown, or a share is no number above zero.
    """

    name: ClassVar[str] = "scenes"
    version: ClassVar[str] = "1"
    skills = tuple(kind.name for kind in KINDS)
    shows: ClassVar[tuple[str, ...]] = ("text", "image")

    def __init__(self, known: Mapping[str, float] | None = None) -> None:
        check_shares(known or {}, self.skills)
        self._shares = dict(known or {})

    def split(self, name: Split) -> Sequence[Problem]:
        """The problems of a split, grouped by kind; those of transfer are mixed."""
        return self._splits[name]

    def grade(self, problem: Problem, response: str) -> Grade:
        """Right if the response is the answer; capitals and spaces around it do not count."""
        return Grade(correct=_said(response) == problem.answer)

    def identity(self, prompt: str) -> str:
        """The words of the question."""
        return " ".join(prompt.lower().split()) or prompt

    def judge(self, example: Example) -> bool | None:
        """Whether the response is right: the scene is read back from the picture. ``None`` where it cannot be."""
        scene = read(media.picture(example.media[0])) if _shows_one(example) else None
        found = None if scene is None else solved(scene, example.prompt)
        return None if found is None else _said(example.response) == found[1]

    def same(self, example: Example, answer: str) -> bool:
        """Whether two answers are the same word."""
        return answer == example.response or _said(answer) == _said(example.response)

    def generate(self, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None) -> list[Example]:
        """``n`` fresh examples of one kind; difficulty is how many things a scene may have, from two to six.

        Raises:
            ValueError: If the skill is unknown, ``n`` is negative, or difficulty is not in [0, 1].
        """
        self.check_request(skill, n, difficulty)
        most = MOST if difficulty is None else 2 + round(difficulty * (MOST - 2))
        return self._fresh(skill, n, rng, "generator", most)

    def subskills(self, skill: str) -> tuple[str, ...]:
        """Any scene, scenes of few things, and scenes of many; of ``count`` there is one piece."""
        return () if skill == "count" else tuple(SUBSKILLS)

    def generate_subskill(self, skill: str, subskill: str, n: int, rng: np.random.Generator) -> list[Example]:
        """``n`` fresh examples of one kind about scenes of few or of many things.

        Raises:
            ValueError: If the skill or its subskill is unknown, or ``n`` is negative.
        """
        self.check_subskill(skill, subskill, n)
        fewest = FEWEST_OF_MANY if subskill == "many things" else 1
        return self._fresh(skill, n, rng, "generator", SUBSKILLS[subskill], fewest)

    def pool(self) -> Sequence[Example]:
        """Fixed examples of each kind."""
        return self._pool

    def prior(self, n: int, rng: np.random.Generator) -> Sequence[Example]:
        """What an untaught student has seen: of the pool the kinds in ``known``, by their shares, mixed."""

        def make(skill: str, count: int) -> list[Example]:
            first = POOL * self.skills.index(skill)
            return [self._pool[first + i] for i in rng.integers(POOL, size=count).tolist()]

        return by_share(self._shares, n, rng, make)

    @cached_property
    def _splits(self) -> dict[Split, tuple[Problem, ...]]:
        made: dict[Split, list[Problem]] = {name: [] for name in SEALED}
        taken: set[str] = set()
        for kind in KINDS:
            rng = stream(_SEED, f"split {kind.name}")
            for name, count in SEALED.items():
                made[name].extend(_problems(kind.name, name, count, rng, taken))
        order = stream(_SEED, "order transfer").permutation(len(made["transfer"])).tolist()
        made["transfer"] = [made["transfer"][i] for i in order]
        return {name: tuple(problems) for name, problems in made.items()}

    @cached_property
    def _pictures(self) -> frozenset[str]:
        """Digests of all sealed pictures."""
        return frozenset(name for problems in self._splits.values() for p in problems for name in p.media)

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        made = (self._fresh(skill, POOL, stream(_SEED, f"pool {skill}"), "pool", MOST) for skill in self.skills)
        return tuple(example for some in made for example in some)

    def _fresh(
        self, skill: str, n: int, rng: np.random.Generator, origin: str, most: int, fewest: int = 1
    ) -> list[Example]:
        """``n`` examples of a kind that show no sealed picture and no look that is held out."""
        kind = BY_NAME[skill]
        kind = kind._replace(fewest=max(fewest, kind.fewest))
        made: list[Example] = []
        while len(made) < n:
            scene, prompt, answer = drawn(kind, most, LOOKS, rng)
            name = media.keep(draw(scene))
            if name not in self._pictures:
                made.append(Example(prompt=prompt, response=answer, skills=(skill,), origin=origin, media=(name,)))
        return made


def _problems(skill: str, split: Split, count: int, rng: np.random.Generator, taken: set[str]) -> list[Problem]:
    """Problems of one kind, each with a picture that is not ``taken``; theirs are added to it."""
    made: list[Problem] = []
    must = HELD if split == "transfer" else ()
    while len(made) < count:
        scene, prompt, answer = drawn(BY_NAME[skill], MOST, LOOKS, rng, must)
        name = media.keep(draw(scene))
        if name not in taken:
            taken.add(name)
            difficulty = round(max(0, len(scene) - 2) / (MOST - 2), 3)
            made.append(
                Problem(
                    id=f"{split}/{skill}/{len(made)}",
                    prompt=prompt,
                    answer=answer,
                    skills=(skill,),
                    split=split,
                    difficulty=min(1.0, difficulty),
                    media=(name,),
                )
            )
    return made


def _said(response: str) -> str:
    return " ".join(response.lower().split())


def _shows_one(example: Example) -> bool:
    return len(example.media) == 1 and media.has(example.media[0])
