"""The task: sealed splits, checker, generator, pool, and what a student is pre-trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from tasks.base import Task
from tasks.columns import ExampleColumns
from tasks.prior import by_share, check_shares
from tasks.records import Example, Grade, Problem, Split, stream
from tasks.words.kinds import CATALOGUE, ProblemKind
from tasks.words.lexicon import spoken
from tasks.words.wording import Limits, Slots, Wording, skeleton

SEALED: dict[Split, int] = {"feedback": 60, "selection": 80, "test": 200, "transfer": 60}
"""Problems of each kind."""
POOL = 400
"""Pool examples of each kind."""
TELLINGS = 3
"""Of a story."""
DRILLED = {kind.name: kind.drilled for kind in CATALOGUE}
"""Shares of the drills that ``word-lm`` was pre-trained on."""
_SEED = 0


class Worded(NamedTuple):
    """A prompt that was read: its kind, and what fills its places."""

    kind: ProblemKind
    slots: Slots


class Words(Task):
    """Word problems of eighteen kinds; see ``kinds.CATALOGUE``.

    Each kind is asked in two or three wordings. One more wording of each is kept for the transfer split.

    Args:
        known: Shares of the warm start's data, relative to each other; a kind that is not named has none. Those of the
            drills that ``word-lm`` was pre-trained on, if not given.

    Raises:
        ValueError: If a name is unknown, or a share is no number above zero.
    """

    name: ClassVar[str] = "words"
    version: ClassVar[str] = "1"
    skills = tuple(kind.name for kind in CATALOGUE)

    def __init__(self, known: Mapping[str, float] | None = None) -> None:
        check_shares(known or {}, self.skills)
        self._shares = {kind.name: (known or DRILLED).get(kind.name, 0.0) for kind in CATALOGUE}

    def split(self, name: Split) -> Sequence[Problem]:
        """The problems of a split, grouped by kind; ``transfer`` asks in wordings that no lesson holds, mixed."""
        return self._splits[name]

    def grade(self, problem: Problem, response: str) -> Grade:
        """Right if the response says the answer and nothing else; capitals, spaces and signs do not count."""
        return Grade(correct=spoken(response) == spoken(problem.answer))

    def identity(self, prompt: str) -> str:
        """The kind and what fills its places, in whatever wording; for what is no question, its words."""
        asked = self._read(prompt)
        if asked is None:
            return " ".join(spoken(prompt)) or prompt
        return " ".join([f"{asked.kind.name}:", *(f"{letter}={word}" for letter, word in sorted(asked.slots.items()))])

    def judge(self, example: Example) -> bool | None:
        """Whether the response is right; ``None`` for a prompt that is no question of this catalogue."""
        solved = self.solve(example.prompt)
        return None if solved is None else spoken(example.response) == spoken(solved[1])

    def same(self, example: Example, answer: str) -> bool:
        """Whether two answers say the same; capitals, spaces and signs do not count."""
        return answer == example.response or spoken(answer) == spoken(example.response)

    def solve(self, prompt: str) -> tuple[str, str] | None:
        """By the catalogue."""
        asked = self._read(prompt)
        answer = None if asked is None else asked.kind.answer(asked.slots)
        return None if asked is None or answer is None else (asked.kind.name, answer)

    def generate(
        self, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None
    ) -> Sequence[Example]:
        """``n`` fresh worked examples, the taught wordings in equal shares; difficulty bounds the numbers.

        Raises:
            ValueError: If the skill is unknown, ``n`` is negative, or difficulty is not in [0, 1].
        """
        self.check_request(skill, n, difficulty)
        kind = self._catalogue[skill]
        return self._teachable(kind, n, rng, "generator", _limits(kind, 1.0 if difficulty is None else difficulty))

    def pool(self) -> Sequence[Example]:
        """Fixed examples of each kind, none of them asking a sealed question."""
        return self._pool

    def prior(self, n: int, rng: np.random.Generator) -> Sequence[Example]:
        """Drills: questions of the kinds that a student was asked before, in their shares, mixed."""

        def make(name: str, count: int) -> Sequence[Example]:
            kind = self._catalogue[name]
            return self._teachable(kind, count, rng, "prior", _limits(kind))

        return by_share(self._shares, n, rng, make)

    def stories(self, n: int, rng: np.random.Generator) -> list[str]:
        """``n`` texts that tell what some kinds ask: what a student is pre-trained on besides drills.

        None tells what a sealed problem asks.
        """
        told = [kind for kind in CATALOGUE if kind.told]
        picks = rng.integers(len(told), size=n * TELLINGS)
        counts = np.bincount(picks, minlength=len(told)).tolist()
        sentences = [self._tellings(kind, count, rng) for kind, count in zip(told, counts, strict=True)]
        rows = picks.reshape(n, TELLINGS).tolist()
        return [" ".join(next(sentences[i]) for i in row) for row in rows]

    @cached_property
    def _catalogue(self) -> dict[str, ProblemKind]:
        return {kind.name: kind for kind in CATALOGUE}

    @cached_property
    def _wordings(self) -> dict[tuple[str, ...], list[tuple[ProblemKind, Wording]]]:
        """Kinds and wordings by skeleton."""
        found: dict[tuple[str, ...], list[tuple[ProblemKind, Wording]]] = defaultdict(list)
        for kind in CATALOGUE:
            for wording in kind.wordings:
                found[wording.skeleton].append((kind, wording))
        return dict(found)

    @cached_property
    def _splits(self) -> dict[Split, tuple[Problem, ...]]:
        made: dict[Split, list[Problem]] = {name: [] for name in SEALED}
        taken: set[str] = set()
        for kind in CATALOGUE:
            rng = stream(_SEED, f"split {kind.name}")
            for name, count in SEALED.items():
                made[name].extend(self._problems(kind, name, count, rng, taken))
        order = stream(_SEED, "order transfer").permutation(len(made["transfer"]))
        made["transfer"] = [made["transfer"][i] for i in order]
        return {name: tuple(problems) for name, problems in made.items()}

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        return tuple(
            example
            for kind in CATALOGUE
            for example in self._teachable(kind, POOL, stream(_SEED, f"pool {kind.name}"), "pool", _limits(kind))
        )

    def _read(self, prompt: str) -> Worded | None:
        words = spoken(prompt)
        for kind, wording in self._wordings.get(skeleton(words), ()):
            slots = wording.read(words)
            if slots is not None:
                return Worded(kind, slots)
        return None

    def _problems(
        self, kind: ProblemKind, split: Split, count: int, rng: np.random.Generator, taken: set[str]
    ) -> list[Problem]:
        """Problems of one kind, its wordings in turn, none of an identity that is ``taken``; theirs are added to it."""
        wordings = kind.wordings[-1:] if split == "transfer" else kind.wordings[:-1]
        drawn = [_draw(kind, wording, rng, _limits(kind)) for wording in wordings]
        made: list[Problem] = []
        while len(made) < count:
            wording = wordings[len(made) % len(wordings)]
            slots, answer = next(drawn[len(made) % len(wordings)])
            prompt = wording.write(slots)
            identity = self.identity(prompt)
            if identity not in taken:
                taken.add(identity)
                made.append(
                    Problem(
                        id=f"{split}/{kind.name}/{len(made)}",
                        prompt=prompt,
                        answer=answer,
                        skills=(kind.name, *kind.needs),
                        split=split,
                        difficulty=_difficulty(kind, slots),
                    )
                )
        return made

    def _teachable(
        self, kind: ProblemKind, n: int, rng: np.random.Generator, origin: str, limits: Limits
    ) -> Sequence[Example]:
        """``n`` examples of a kind that ask no sealed question, its taught wordings in turn and then mixed."""
        wordings = kind.wordings[:-1]
        drawn = [_draw(kind, wording, rng, limits) for wording in wordings]
        prompts, answers = list[str](), list[str]()
        while len(prompts) < n:
            i = len(prompts) % len(wordings)
            slots, answer = next(drawn[i])
            prompt = wordings[i].write(slots)
            if self.identity(prompt) not in self.sealed:
                prompts.append(prompt)
                answers.append(answer)
        made = ExampleColumns.made(prompts, answers, (kind.name, *kind.needs), origin)
        return made.taken(rng.permutation(n).tolist())

    def _tellings(self, kind: ProblemKind, n: int, rng: np.random.Generator) -> Iterator[str]:
        """``n`` sentences that tell an answer of this kind, none that of a sealed problem in any of its wordings."""
        wording = Wording(kind.told)
        drawn = _draw(kind, wording, rng, _limits(kind))
        while n:
            slots, answer = next(drawn)
            identities = (self.identity(asking.write(slots)) for asking in kind.wordings if _fits(asking, slots))
            if self.sealed.isdisjoint(identities):
                n -= 1
                yield kind.told.format(answer=answer, **slots)


def _fits(wording: Wording, slots: Slots) -> bool:
    return set(wording.letters) <= set(slots)


def _limits(kind: ProblemKind, difficulty: float = 1.0) -> Limits:
    """The least and the most of each number; at difficulty 0 they keep to the lowest third, at 1 they are free."""
    return {x: (low, low + max(1, round((1 + 2 * difficulty) / 3 * (high - low)))) for x, low, high in kind.limits}


def _difficulty(kind: ProblemKind, slots: Slots) -> float:
    """Where the numbers of a problem stand between their limits, in [0, 1]; 0 without numbers."""
    shares = [(int(slots[x]) - low) / (high - low) for x, low, high in kind.limits if x in slots]
    return round(float(np.mean(shares)), 3) if shares else 0.0


def _draw(
    kind: ProblemKind, wording: Wording, rng: np.random.Generator, limits: Limits, size: int = 64
) -> Iterator[tuple[dict[str, str], str]]:
    """Problems of a wording without end: what fills its places, and the answer."""
    while True:
        for slots in wording.fill(size, limits, rng):
            answer = kind.answer(slots)
            if answer is not None:
                yield slots, answer
