"""The task: sealed splits, checker, generator, pool and what the untaught student knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tasks.arithmetic import diagnosis
from tasks.arithmetic.batch import Operands, among, by_form
from tasks.arithmetic.grammar import OPERATORS, WIDTH, Digits, answers, codes, identity, read, write
from tasks.arithmetic.skills import CATALOGUE, UNTAUGHT, Skill, anywhere, chosen, draw, parts
from tasks.base import Task
from tasks.columns import ExampleColumns, columns, joined, taken
from tasks.prior import by_share
from tasks.records import Example, Grade, Problem, Split, stream

SEALED: dict[Split, int] = {"feedback": 100, "selection": 100, "test": 300}
"""Problems per skill. Skills that read one operand have 1000 identities, of which half stay teachable."""
TRANSFER = 150
"""Problems per untaught composition."""
POOL = 1000
"""Pool examples per skill."""
_SEED = 0
"""The splits and the pool are part of the task, so they have a seed of their own."""

NO_CODES = np.zeros(0, np.int64)
_RIGHT, _WRONG = Grade(correct=True), Grade(correct=False)
Questions = tuple[str, Operands]
"""A form and the operands of its questions."""


class Arithmetic(Task):
    """Skills on three-digit registers; prompts are in ``grammar``, skills in ``skills.CATALOGUE``.

    Args:
        skills: Some of the catalogue or of ``skills.FURTHER``, each once, in this order; empty for the sixteen of the
            catalogue. ``transfer`` then holds the compositions whose steps are all among them, if there are any.
        known: Their shares of the warm start's data, relative to each other; a skill that is not named has none. Those
            of the catalogue, if not given.

    Raises:
        ValueError: If a name is unknown or stands twice, a share is no number above zero, or a skill needs one that is
            not there.
    """

    name: ClassVar[str] = "arithmetic"
    version: ClassVar[str] = "1"
    skills = tuple(skill.name for skill in CATALOGUE)

    def __init__(self, skills: Sequence[str] = (), known: Mapping[str, float] | None = None) -> None:
        self._chosen = chosen(skills, known or {})
        if skills:  # else those of the class, which a task that derives from it may narrow
            self.skills = tuple(skill.name for skill in self._chosen)
        there = {skill.name for skill in self._chosen}
        self._untaught = [skill for skill in UNTAUGHT if all(set(skill.needs(form)) <= there for form in skill.forms)]

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

    def grades(self, asked: Sequence[tuple[Problem, str]]) -> list[Grade]:
        """See Task."""
        if type(self).grade is not Arithmetic.grade:  # a task that is derived from this one, with a checker of its own
            return super().grades(asked)
        return [_RIGHT if said == p.answer or said.strip(" ") == p.answer else _WRONG for p, said in asked]

    def judges(self, examples: Sequence[Example]) -> list[bool | None]:
        """See Task. What is written as the generator writes it is computed at once, the rest one by one."""
        if type(self).judge is not Arithmetic.judge:
            return super().judges(examples)
        prompts, said = columns(examples, "prompt", "response")
        groups, others = by_form(prompts)
        golds: list[str | None] = [None] * len(examples)
        for form, (rows, operands) in groups.items():
            for i, gold in zip(rows.tolist(), answers(form, *operands), strict=True):
                golds[i] = gold
        verdicts: list[bool | None] = [x == gold or x.strip(" ") == gold for x, gold in zip(said, golds, strict=True)]
        for i in others.tolist():
            verdicts[i] = self.judge(examples[i])
        return verdicts

    def asks_sealed(self, prompts: Sequence[str]) -> list[bool]:
        """See Task. What is written as the generator writes it is compared as numbers, the rest one by one."""
        if type(self).identity is not Arithmetic.identity:
            return super().asks_sealed(prompts)
        groups, others = by_form(prompts)
        found = np.zeros(len(prompts), np.bool_)
        for form, (rows, operands) in groups.items():
            found[rows] = self._is_sealed(form, *operands)
        found[others] = super().asks_sealed([prompts[i] for i in others.tolist()])
        told: list[bool] = found.tolist()
        return told

    def solve(self, prompt: str) -> tuple[str, str] | None:
        """By the grammar: the first skill of the catalogue that uses these operators on such numbers."""
        question = read(prompt)
        if question is None:
            return None
        skills = [skill for skill in self._chosen if question.operators in skill.forms]
        if any(skill.region is not anywhere for skill in skills):
            a, b = (np.array([[int(digit) for digit in x]]) for x in question.operands[:2])
            skills = [skill for skill in skills if skill.region(a, b)[0]]
        return (skills[0].name, question.answer()) if skills else None

    def diagnose(self, problem: Problem, response: str) -> tuple[str, ...]:
        """The skills a wrong response lacks, most basic first; see ``diagnosis``."""
        return diagnosis.diagnose(problem, response)

    def generate(
        self, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None
    ) -> Sequence[Example]:
        """``n`` fresh worked examples; difficulty 0, 0.5 and 1 use one, two and three columns of digits.

        Raises:
            ValueError: If the skill is unknown, ``n`` is negative, or difficulty is not in [0, 1].
        """
        self.check_request(skill, n, difficulty)
        active = WIDTH if difficulty is None else 1 + round(2 * difficulty)
        return self._teachable(self._catalogue[skill], n, rng, active, "generator")

    def subskills(self, skill: str) -> tuple[str, ...]:
        """Sizes of the operands, the first of two steps, or the operators; see ``skills.parts``."""
        return tuple(parts(self._catalogue[skill]))

    def generate_subskill(self, skill: str, subskill: str, n: int, rng: np.random.Generator) -> Sequence[Example]:
        """See Task. The first step of a chain is asked as a question of its own.

        Raises:
            ValueError: If the skill or its subskill is unknown, or ``n`` is negative.
        """
        self.check_subskill(skill, subskill, n)
        part, active = parts(self._catalogue[skill])[subskill]
        return self._teachable(part, n, rng, active, "generator")

    def pool(self) -> Sequence[Example]:
        """A thousand fixed examples of each skill, none of them asking a sealed question."""
        return self._pool

    def prior(self, n: int, rng: np.random.Generator) -> Sequence[Example]:
        """What an untaught student has seen: the skills with a ``prior`` share, shuffled. Without any, nothing."""
        shares = {skill.name: skill.prior for skill in self._chosen}
        return by_share(shares, n, rng, lambda name, k: self._teachable(self._catalogue[name], k, rng, WIDTH, "prior"))

    @cached_property
    def _catalogue(self) -> dict[str, Skill]:
        return {skill.name: skill for skill in self._chosen}

    @cached_property
    def _splits(self) -> dict[Split, tuple[Problem, ...]]:
        made: dict[Split, list[Problem]] = {name: [] for name in (*SEALED, "transfer")}
        for skill in self._chosen:
            rng = stream(_SEED, f"split {skill.name}")
            for name, rows in _deal(skill, SEALED, rng).items():
                made[name].extend(_problems(skill, rows, name, skill.name))
        rng = stream(_SEED, "split transfer")
        untaught = [
            problem
            for skill in self._untaught
            for rows in _deal(skill, {"transfer": TRANSFER}, rng).values()
            for problem in _problems(skill, rows, "transfer", skill.forms[0])
        ]
        made["transfer"] = [untaught[i] for i in rng.permutation(len(untaught))]
        return {name: tuple(problems) for name, problems in made.items()}

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        return tuple(
            example
            for skill in self._chosen
            for example in self._teachable(skill, POOL, stream(_SEED, f"pool {skill.name}"), WIDTH, "pool")
        )

    @cached_property
    def _sealed_codes(self) -> dict[str, npt.NDArray[np.int64]]:
        """The sealed questions by form, as the sorted numbers that ``grammar.codes`` gives."""
        found: dict[str, list[tuple[str, ...]]] = {}
        for problems in self._splits.values():
            for problem in problems:
                question = read(problem.prompt)
                assert question is not None, problem.id
                found.setdefault(question.operators, []).append(question.operands)
        return {form: np.unique(codes(form, *_operands(rows))) for form, rows in found.items()}

    def _is_sealed(self, form: str, a: Digits, b: Digits, c: Digits) -> npt.NDArray[np.bool_]:
        """Which of many questions of a form are sealed, ``(n,)``."""
        return among(codes(form, a, b, c), self._sealed_codes.get(form, NO_CODES))

    def _teachable(self, skill: Skill, n: int, rng: np.random.Generator, active: int, origin: str) -> Sequence[Example]:
        """``n`` examples of a skill, its forms in equal shares and mixed."""
        share = np.bincount(rng.permutation(n) % len(skill.forms), minlength=len(skill.forms))
        parts = []
        for form, count in zip(skill.forms, rng.permutation(share).tolist(), strict=True):
            prompts, golds = write(form, *self._unsealed(skill, form, count, rng, active))
            parts.append(ExampleColumns.made(prompts, golds, skill.needs(form), origin))
        made = joined(parts)
        return made if len(parts) == 1 else taken(made, rng.permutation(n).tolist())

    def _unsealed(self, skill: Skill, form: str, n: int, rng: np.random.Generator, active: int) -> Operands:
        """``n`` questions of which none is sealed, nor the first step of a chain.

        Where too few columns leave nothing that is not sealed, one more is used.
        """
        parts: list[Operands] = []
        have, tries = 0, 0
        while have < n or not parts:
            a, b, c = draw(skill, n - have + 16, rng, min(WIDTH, active + tries // 8))
            keep = ~self._is_sealed(form, a, b, c)
            if len(form) > 1:
                keep &= ~self._is_sealed(form[0], a, b, c)
            parts.append((a[keep], b[keep], c[keep]))
            have, tries = have + int(keep.sum()), tries + 1
        a, b, c = (np.concatenate(column)[:n] for column in zip(*parts, strict=True))
        return a, b, c


def _operands(rows: Sequence[tuple[str, ...]]) -> Operands:
    """Operands as text to digits; the place of a third one that is not there holds the last."""
    a, b, c = (np.array([[int(x) for x in row[min(i, len(row) - 1)]] for row in rows]) for i in range(3))
    return a, b, c


def _deal(skill: Skill, counts: Mapping[Split, int], rng: np.random.Generator) -> dict[Split, list[Questions]]:
    """Questions of a skill for several splits, without two of one identity: each form equally often in each split."""
    dealt: dict[Split, list[Questions]] = {name: [] for name in counts}
    for form in skill.forms:
        shares = {name: count // len(skill.forms) for name, count in counts.items()}
        a, b, c = draw(skill, 8 * sum(shares.values()), rng)
        _, firsts = np.unique(codes(form, a, b, c), return_index=True)
        rows = np.sort(firsts)
        assert len(rows) >= sum(shares.values()), f"{skill.name} has too few identities for its splits"
        for name, share in shares.items():
            taken, rows = rows[:share], rows[share:]
            dealt[name].append((form, (a[taken], b[taken], c[taken])))
    return dealt


def _problems(skill: Skill, parts: Sequence[Questions], split: Split, label: str) -> list[Problem]:
    """The problems of one skill in one split, its forms mixed so that every prefix is a fair sample."""
    made: list[tuple[str, str, tuple[str, ...], float]] = []
    for form, (a, b, c) in parts:
        busy = (a > 0) | ((b > 0) & (not OPERATORS[form[0]].unary))
        if len(form) == 2 and not OPERATORS[form[1]].unary:
            busy |= c > 0
        levels = np.maximum(busy.sum(axis=1) - 1, 0) / (WIDTH - 1)
        prompts, answers = write(form, a, b, c)
        made.extend((p, r, skill.needs(form), d) for p, r, d in zip(prompts, answers, levels.tolist(), strict=True))
    order = stream(_SEED, f"order {split} {label}").permutation(len(made))
    return [
        Problem(id=f"{split}/{label}/{i}", prompt=p, answer=r, skills=needs, split=split, difficulty=level)
        for i, (p, r, needs, level) in enumerate(made[j] for j in order)
    ]
