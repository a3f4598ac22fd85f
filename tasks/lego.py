"""``lego``: chains of assignments, Skill-It's synthetic task (arXiv 2307.14430 §4.1, after LEGO, arXiv 2206.04301).

A prompt such as ``k=1,b=-k,x=+b,a=-x,m=+a:3`` assigns bits along a chain (``-`` is *not*) and asks one by its place;
the answer is its bit. Skill ``depth-i`` asks the i-th variable of the chain, so it needs all shallower ones. As in the
paper the data as found are out of balance, 1 : 1 : 1 : 3 : 5, with most of it on the deepest two: who samples the pool
as it is sees little of what the deep ones rest on.

Unlike the paper's, a chain stands in its own order, names are single letters, and the variable is asked by its place in
the chain and not by its name: ``pocket`` is not pre-trained, and had not learnt to look a letter up after some hundred
updates (docs/lego.md).
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tasks.base import Task
from tasks.records import Example, Grade, Problem, Split, stream

LENGTH = 5
"""Variables of a chain, and skills."""
IMBALANCE = (1, 1, 1, 3, 5)
"""Shares of the pool by depth."""
POOL = 600
"""Pool examples of a skill whose share is 1."""
SEALED: dict[Split, int] = {"feedback": 100, "selection": 200, "test": 400}
TRANSFER = 200
"""Problems that ask the last variable of a chain that is longer by one."""
_SEED = 0
_LETTERS = np.array(list(string.ascii_lowercase))
_CLAUSE = re.compile(r"([a-z])=(?:([01])|([+-])([a-z]))\Z")
Bits = npt.NDArray[np.int64]


class Lego(Task):
    """Chains of five variables; one skill a depth."""

    name: ClassVar[str] = "lego"
    version: ClassVar[str] = "1"
    skills = tuple(f"depth-{i + 1}" for i in range(LENGTH))

    def split(self, name: Split) -> Sequence[Problem]:
        """The problems of a split, grouped by depth; ``transfer`` holds chains of six, asked for their last."""
        return self._splits[name]

    def grade(self, problem: Problem, response: str) -> Grade:
        """Right if the response is the bit, up to spaces at its ends."""
        return Grade(correct=response.strip(" ") == problem.answer)

    def identity(self, prompt: str) -> str:
        """The prompt itself: a chain is written in one way, names included."""
        return prompt.strip()

    def judge(self, example: Example) -> bool | None:
        """Whether the bit is right; ``None`` for a prompt that is no chain."""
        read = _read(example.prompt)
        return None if read is None else example.response.strip(" ") == str(read.bits[read.place - 1])

    def generate(self, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None) -> list[Example]:
        """``n`` fresh chains that ask one depth. A depth is as difficult as it is: ``difficulty`` changes nothing.

        Raises:
            ValueError: If the skill is unknown or ``n`` is negative.
        """
        if skill not in self.skills:
            raise ValueError(f"skill {skill!r} is not one of {', '.join(self.skills)}")
        if n < 0:
            raise ValueError(f"n is {n}; ask for 0 or more examples")
        return self._unsealed(self.skills.index(skill), n, rng, "generator")

    def subskills(self, skill: str) -> tuple[str, ...]:
        """Lengths of the chain, from the five variables of the splits down to where the asked one is the last."""
        return tuple(_lengths(self.skills.index(skill)))

    def generate_subskill(self, skill: str, subskill: str, n: int, rng: np.random.Generator) -> list[Example]:
        """``n`` fresh chains of one length that ask one depth.

        Raises:
            ValueError: If the skill or its subskill is unknown, or ``n`` is negative.
        """
        self.check_subskill(skill, subskill, n)
        depth = self.skills.index(skill)
        return self._unsealed(depth, n, rng, "generator", _lengths(depth)[subskill])

    def pool(self) -> Sequence[Example]:
        """600 examples of each of the first three depths, three times as many of the fourth, five times of the last."""
        return self._pool

    def prior(self, n: int, rng: np.random.Generator) -> Sequence[Example]:
        """The form: chains of one variable, asked for it. What is right of a longer chain is then a coin's toss."""
        letters, bits = rng.choice(_LETTERS, n), rng.integers(2, size=n)
        return [
            Example(prompt=f"{x}={b}:1", response=str(b), skills=("depth-1",), origin="prior")
            for x, b in zip(letters.tolist(), bits.tolist(), strict=True)
        ]

    @cached_property
    def _splits(self) -> dict[Split, tuple[Problem, ...]]:
        made: dict[Split, list[Problem]] = {name: [] for name in (*SEALED, "transfer")}
        taken: set[str] = set()
        for depth, skill in enumerate(self.skills):
            rng = stream(_SEED, f"split {skill}")
            for name, count in SEALED.items():
                made[name].extend(self._problems(name, depth, LENGTH, count, rng, taken))
        made["transfer"] = self._problems("transfer", LENGTH, LENGTH + 1, TRANSFER, stream(_SEED, "transfer"), taken)
        return {name: tuple(problems) for name, problems in made.items()}

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        return tuple(
            example
            for depth, share in enumerate(IMBALANCE)
            for example in self._unsealed(depth, share * POOL, stream(_SEED, f"pool {depth}"), "pool")
        )

    def _problems(
        self, split: Split, depth: int, length: int, count: int, rng: np.random.Generator, taken: set[str]
    ) -> list[Problem]:
        """Problems of one depth, none of an identity that is ``taken``; theirs are added to it."""
        skill, made = f"depth-{depth + 1}", list[Problem]()
        while len(made) < count:
            for prompt, answer in _draw(depth, length, count, rng):
                identity = self.identity(prompt)
                if identity in taken or len(made) == count:
                    continue
                taken.add(identity)
                made.append(
                    Problem(
                        id=f"{split}/{skill}/{len(made)}",
                        prompt=prompt,
                        answer=answer,
                        skills=_needs(depth),
                        split=split,
                        difficulty=min(1.0, depth / (LENGTH - 1)),
                    )
                )
        return made

    def _unsealed(
        self, depth: int, n: int, rng: np.random.Generator, origin: str, length: int = LENGTH
    ) -> list[Example]:
        made: list[Example] = []
        while len(made) < n:
            for prompt, answer in _draw(depth, length, n - len(made), rng):
                if self.identity(prompt) not in self.sealed:
                    made.append(Example(prompt=prompt, response=answer, skills=_needs(depth), origin=origin))
        return made


@dataclass(frozen=True)
class _Chain:
    """A prompt that was read: the bit that each clause gives, and the place (from 1) of the one that is asked."""

    bits: tuple[int, ...]
    place: int


def _read(prompt: str) -> _Chain | None:
    """A prompt's chain, or ``None`` for what is none: another form, a name twice, a clause without its ground."""
    body, _, asked = prompt.strip().partition(":")
    names: list[str] = []
    bits: list[int] = []
    for clause in body.split(","):
        match = _CLAUSE.match(clause)
        if match is None:
            return None
        name, bit, sign, ground = match.groups()
        grounded = (bit is not None) if not names else ground == names[-1]
        if not grounded or name in names:
            return None
        bits.append(int(bit) if bit is not None else bits[-1] ^ (sign == "-"))
        names.append(name)
    place = int(asked) if len(asked) == 1 and asked in "123456789" else 0
    return _Chain(tuple(bits), place) if 1 <= place <= len(bits) else None


def _lengths(depth: int) -> dict[str, int]:
    """The lengths of chain that can ask a depth, longest first."""
    return {f"{n} variable{'s' if n > 1 else ''}": n for n in range(LENGTH, depth, -1)}


def _needs(depth: int) -> tuple[str, ...]:
    """The skills a question of a depth needs: its own, then the shallower ones, which it rests on."""
    return tuple(f"depth-{i + 1}" for i in range(depth, -1, -1))


def _draw(depth: int, length: int, n: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """``n`` prompts and answers."""
    names = _LETTERS[rng.random((n, len(_LETTERS))).argsort(axis=1)[:, :length]]
    turned: Bits = rng.integers(2, size=(n, length))
    bits = np.cumsum(turned, axis=1) % 2
    made = []
    for row, turn, bit in zip(names.tolist(), turned.tolist(), bits.tolist(), strict=True):
        clauses = [f"{row[0]}={turn[0]}"] + [f"{row[i]}={'+-'[turn[i]]}{row[i - 1]}" for i in range(1, length)]
        made.append((f"{','.join(clauses)}:{depth + 1}", str(bit[depth])))
    return made
