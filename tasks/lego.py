"""``lego``: chains of assignments, Skill-It's synthetic task (arXiv 2307.14430 §4.1, after LEGO, arXiv 2206.04301).

A prompt such as ``k=1,b=-k,x=+b,a=-x,m=+a:x`` assigns bits along a chain (``-`` is *not*) and asks one variable; the
answer is its bit. Skill ``depth-i`` asks the i-th variable of the chain, so it needs all shallower ones. As in the
paper the data as found are out of balance, 1 : 1 : 1 : 3 : 5, with most of it on the deepest two: who samples the pool
as it is sees little of what the deep ones rest on.

Unlike the paper's, letters are single characters, and clauses stand in the order of the chain unless ``shuffle`` is
set. It is a task for a student that can look things up: ``pocket`` was far from it after 900 updates (docs/lego.md).
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
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
    """Chains of five variables; one skill a depth.

    Args:
        shuffle: Whether clauses stand in a random order, as in the paper; harder.
    """

    name: ClassVar[str] = "lego"
    version: ClassVar[str] = "1"
    skills = tuple(f"depth-{i + 1}" for i in range(LENGTH))

    def __init__(self, shuffle: bool = False) -> None:
        if not isinstance(shuffle, bool):
            raise ValueError(f"task_args.shuffle is {shuffle!r}; give true or false")
        self.shuffle = shuffle

    def split(self, name: Split) -> Sequence[Problem]:
        """The problems of a split, grouped by depth; ``transfer`` holds chains of six, asked for their last."""
        return self._splits[name]

    def grade(self, problem: Problem, response: str) -> Grade:
        """Right if the response is the bit, up to spaces at its ends."""
        return Grade(correct=response.strip(" ") == problem.answer)

    def identity(self, prompt: str) -> str:
        """The clauses in the order of the chain, whatever order they stand in, and what is asked."""
        read = _read(prompt)
        return prompt.strip() if read is None else ",".join(read.clauses) + ":" + read.asked

    def judge(self, example: Example) -> bool | None:
        """Whether the bit is right; ``None`` for a prompt that is no chain."""
        read = _read(example.prompt)
        return None if read is None else example.response.strip(" ") == str(read.values[read.asked])

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

    def pool(self) -> Sequence[Example]:
        """600 examples of each of the first three depths, three times as many of the fourth, five times of the last."""
        return self._pool

    def prior(self, n: int, rng: np.random.Generator) -> list[Example]:
        """The form: chains of one variable, asked for it. What is right of a longer chain is then a coin's toss."""
        letters, bits = rng.choice(_LETTERS, n), rng.integers(2, size=n)
        return [
            Example(prompt=f"{x}={b}:{x}", response=str(b), skills=("depth-1",), origin="prior")
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
            for prompt, answer in _draw(depth, length, count, rng, self.shuffle):
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

    def _unsealed(self, depth: int, n: int, rng: np.random.Generator, origin: str) -> list[Example]:
        made: list[Example] = []
        while len(made) < n:
            for prompt, answer in _draw(depth, LENGTH, n - len(made), rng, self.shuffle):
                if self.identity(prompt) not in self.sealed:
                    made.append(Example(prompt=prompt, response=answer, skills=_needs(depth), origin=origin))
        return made


class _Chain:
    """A prompt that was read: clauses in the order of the chain, each variable's bit, and the one that is asked."""

    def __init__(self, clauses: list[str], values: dict[str, int], asked: str) -> None:
        self.clauses, self.values, self.asked = clauses, values, asked


def _read(prompt: str) -> _Chain | None:
    """A prompt's chain, or ``None`` for what is none: another form, a variable twice, a clause without its ground."""
    body, _, asked = prompt.strip().partition(":")
    after: dict[str, tuple[str, str, bool]] = {}
    values: dict[str, int] = {}
    order: list[str] = []
    for clause in body.split(","):
        match = _CLAUSE.match(clause)
        if match is None:
            return None
        name, bit, sign, ground = match.groups()
        if bit is not None:
            if order:
                return None
            values[name], order = int(bit), [clause]
        elif ground in after:
            return None
        else:
            after[ground] = (name, clause, sign == "-")
    name = next(iter(values), "")
    while name in after:
        nxt, clause, turned = after.pop(name)
        if nxt in values:
            return None
        values[nxt] = values[name] ^ turned
        order.append(clause)
        name = nxt
    return None if after or asked not in values else _Chain(order, values, asked)


def _needs(depth: int) -> tuple[str, ...]:
    """The skills a question of a depth needs: its own, then the shallower ones, which it rests on."""
    return tuple(f"depth-{i + 1}" for i in range(depth, -1, -1))


def _draw(depth: int, length: int, n: int, rng: np.random.Generator, shuffle: bool) -> list[tuple[str, str]]:
    """``n`` prompts and answers."""
    names = _LETTERS[rng.random((n, len(_LETTERS))).argsort(axis=1)[:, :length]]
    bits: Bits = rng.integers(2, size=(n, length))
    values = np.cumsum(bits, axis=1) % 2
    orders = rng.random((n, length)).argsort(axis=1) if shuffle else np.tile(np.arange(length), (n, 1))
    made = []
    for row, turned, value, order in zip(names.tolist(), bits.tolist(), values.tolist(), orders.tolist(), strict=True):
        clauses = [f"{row[0]}={turned[0]}"] + [f"{row[i]}={'+-'[turned[i]]}{row[i - 1]}" for i in range(1, length)]
        made.append((f"{','.join(clauses[i] for i in order)}:{row[depth]}", str(value[depth])))
    return made
