"""The task: sealed splits, checker, generator, pool and what the untaught student knows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tasks.arithmetic import diagnosis
from tasks.arithmetic.grammar import WIDTH, Digits, codes, identity, read, write
from tasks.arithmetic.skills import CATALOGUE, UNTAUGHT, Skill, draw
from tasks.base import Task
from tasks.records import Example, Grade, Problem, Split, stream

SEALED: dict[Split, int] = {"feedback": 100, "selection": 100, "test": 300}
"""Problems per skill. Skills that read one operand have 1000 identities, of which half stay teachable."""
TRANSFER = 200
"""Problems per untaught composition."""
POOL = 1000
"""Pool examples per skill."""
_SEED = 0
"""The splits and the pool are part of the task, so they have a seed of their own."""

Operands = tuple[Digits, Digits, Digits]


class Arithmetic(Task):
    """Fourteen skills on three-digit registers; see ``grammar`` for the prompts and ``skills.CATALOGUE`` for the skills."""

    name: ClassVar[str] = "arithmetic"
    version: ClassVar[str] = "1"
    skills = tuple(skill.name for skill in CATALOGUE)

    def split(self, name: Split) -> Sequence[Problem]:
        """The problems of a split, grouped by skill in the order of ``skills``; within a skill in a random order.

        ``transfer`` holds chains of operators that no generated lesson combines.
        """
        return self._splits[name]

    def grade(self, problem: Problem, response: str) -> Grade:
        """Right if the response is the answer, up to spaces at its ends. A chain must show its intermediate result."""
        return Grade(correct=response.strip(" ") == problem.answer)

    def identity(self, prompt: str) -> str:
        """See ``grammar.identity``."""
        return identity(prompt)

    def judge(self, example: Example) -> bool | None:
        """Whether the response is right; ``None`` for a prompt that is no question of this grammar."""
        question = read(example.prompt)
        return None if question is None else example.response.strip(" ") == question.answer()

    def diagnose(self, problem: Problem, response: str) -> tuple[str, ...]:
        """The skills a wrong response lacks, most basic first; see ``diagnosis``."""
        return diagnosis.diagnose(problem, response)

    def generate(
        self, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None
    ) -> list[Example]:
        """``n`` fresh worked examples; difficulty 0, 0.5 and 1 use one, two and three columns of digits.

        Raises:
            ValueError: If the skill is unknown, ``n`` is negative, or difficulty is not in [0, 1].
        """
        if skill not in self._catalogue:
            raise ValueError(f"skill {skill!r} is not one of {', '.join(self.skills)}")
        if n < 0:
            raise ValueError(f"n is {n}; ask for 0 or more examples")
        if difficulty is not None and not 0 <= difficulty <= 1:
            raise ValueError(f"difficulty is {difficulty}; give a number in [0, 1] or None")
        active = WIDTH if difficulty is None else 1 + round(2 * difficulty)
        row = self._catalogue[skill]
        return _examples(row, self._unsealed(row, n, rng, active), "generator")

    def pool(self) -> Sequence[Example]:
        """A thousand fixed examples of each skill, none of them asking a sealed question."""
        return self._pool

    def prior(self, n: int, rng: np.random.Generator) -> list[Example]:
        """What an untaught student has seen: the skills with a ``prior`` share, shuffled."""
        known = [skill for skill in CATALOGUE if skill.prior > 0]
        shares = np.array([skill.prior for skill in known])
        counts = rng.multinomial(n, shares / shares.sum())
        made: list[Example] = []
        for skill, count in zip(known, counts.tolist(), strict=True):
            made.extend(_examples(skill, self._unsealed(skill, count, rng, WIDTH), "prior"))
        return [made[i] for i in rng.permutation(len(made))]

    @cached_property
    def _catalogue(self) -> dict[str, Skill]:
        return {skill.name: skill for skill in CATALOGUE}

    @cached_property
    def _splits(self) -> dict[Split, tuple[Problem, ...]]:
        made: dict[Split, list[Problem]] = {name: [] for name in (*SEALED, "transfer")}
        for skill in CATALOGUE:
            operands = _distinct(skill, sum(SEALED.values()), stream(_SEED, f"split {skill.name}"))
            start = 0
            for name, count in SEALED.items():
                part = tuple(x[start : start + count] for x in operands)
                made[name].extend(_problems(skill, part, name))
                start += count
        shuffled: list[Problem] = []
        for skill in UNTAUGHT:
            operands = _distinct(skill, TRANSFER, stream(_SEED, f"transfer {skill.operators}"))
            shuffled.extend(_problems(skill, operands, "transfer"))
        order = stream(_SEED, "transfer order").permutation(len(shuffled))
        made["transfer"] = [shuffled[i] for i in order]
        return {name: tuple(rows) for name, rows in made.items()}

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        rows: list[Example] = []
        for skill in CATALOGUE:
            operands = self._unsealed(skill, POOL, stream(_SEED, f"pool {skill.name}"), WIDTH)
            rows.extend(_examples(skill, operands, "pool"))
        return tuple(rows)

    @cached_property
    def _sealed_codes(self) -> dict[str, npt.NDArray[np.int64]]:
        """The sealed questions by operators, as the sorted numbers that ``grammar.codes`` gives."""
        found: dict[str, list[int]] = {}
        for problems in self._splits.values():
            for problem in problems:
                question = read(problem.prompt)
                assert question is not None
                found.setdefault(question.operators, []).append(_code(question.operators, question.operands))
        return {operators: np.unique(rows) for operators, rows in found.items()}

    def _unsealed(self, skill: Skill, n: int, rng: np.random.Generator, active: int) -> Operands:
        """``n`` questions of which none is sealed, nor the first step of a chain.

        Where too few columns leave nothing that is not sealed, one more is used.
        """
        parts: list[Operands] = []
        have, tries = 0, 0
        while have < n:
            a, b, c = draw(skill, n - have + 16, rng, min(WIDTH, active + tries // 8))
            keep = ~np.isin(codes(skill.operators, a, b, c), self._sealed_codes[skill.operators])
            if len(skill.operators) == 2:
                first = skill.operators[0]
                keep &= ~np.isin(codes(first, a, b, c), self._sealed_codes[first])
            parts.append((a[keep], b[keep], c[keep]))
            have, tries = have + int(keep.sum()), tries + 1
        if not parts:
            return draw(skill, 0, rng)
        a, b, c = (np.concatenate(column)[:n] for column in zip(*parts, strict=True))
        return a, b, c


def _code(operators: str, operands: Sequence[str]) -> int:
    rows = [np.array([[int(c) for c in x]], dtype=np.int64) for x in operands]
    return int(codes(operators, rows[0], rows[1], rows[-1])[0])


def _distinct(skill: Skill, n: int, rng: np.random.Generator) -> Operands:
    """``n`` questions without two of the same identity, in the order drawn."""
    a, b, c = draw(skill, 8 * n, rng)
    _, first = np.unique(codes(skill.operators, a, b, c), return_index=True)
    keep = np.sort(first)[:n]
    assert len(keep) == n, f"skill {skill.name} has fewer than {n} identities"
    return a[keep], b[keep], c[keep]


def _examples(skill: Skill, operands: Operands, origin: str) -> list[Example]:
    prompts, answers = write(skill.operators, *operands)
    return [
        Example(prompt=prompt, response=answer, skills=skill.skills, origin=origin)
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def _problems(skill: Skill, operands: Sequence[Digits], split: Split) -> list[Problem]:
    a, b, c = operands
    prompts, answers = write(skill.operators, a, b, c)
    active = ((a + b > 0) | ((c > 0) & (len(skill.operators) == 2))).sum(axis=1)
    difficulty = np.maximum(active - 1, 0) / (WIDTH - 1)
    name = skill.name if split != "transfer" else f"{skill.name}{skill.operators}"
    return [
        Problem(
            id=f"{split}/{name}/{i}", prompt=prompt, answer=answer, skills=skill.skills, split=split, difficulty=level
        )
        for i, (prompt, answer, level) in enumerate(zip(prompts, answers, difficulty.tolist(), strict=True))
    ]
