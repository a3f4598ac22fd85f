"""The task: sealed splits, checker, generator, pool, and what an untaught student has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import ClassVar, get_args

import numpy as np

from tasks.base import Task
from tasks.prior import by_share
from tasks.programs.checking import LEAST_VALUES, CallTests, ProgramChecker, Verdict, Wanted, alike, hidden, pairs
from tasks.programs.derivation import Derivation, read
from tasks.programs.diagnosis import diagnose
from tasks.programs.forms import NUMBERS, Style
from tasks.programs.responses import ENTRY, ReadProgram, read_program
from tasks.programs.skills import CATALOGUE, UNTAUGHT, ProgramShape, ProgramSkill, chosen, skills_of
from tasks.records import Example, Grade, Problem, Split, stream
from tasks.sandbox import in_force

SEALED: dict[Split, int] = {"feedback": 40, "selection": 50, "test": 110}
"""Problems of each skill."""
TRANSFER = 40
"""Problems of each untaught composition."""
POOL = 400
"""Pool examples of each skill."""
_SEED = 0
WHOLE = "all"
"""The subskill that is a skill's own mixture of parts."""
SHOWN = 200
"""Letters of a hidden call that a grade names."""
PATIENCE = 200
"""Draws in a row that ask something sealed, after which larger constants are drawn too."""


class Programs(Task):
    """One-line Python functions from short descriptions; see ``skills.CATALOGUE``.

    Args:
        style: How problems are described: ``compact``, or ``english`` for language models.
        skills: Some of the catalogue, each once, in this order; empty for all.
        known: Their shares of what an untaught student has seen, relative to each other; a skill that is not named has
            none. Empty for equal shares of all.

    Raises:
        ValueError: If there is no such style, a name is unknown or stands twice, a share is no number above zero, or a
            skill needs one that is not there.
    """

    name: ClassVar[str] = "programs"
    version: ClassVar[str] = "2"
    skills = tuple(skill.name for skill in CATALOGUE)
    sandbox = staticmethod(in_force)

    def __init__(
        self, style: Style = "compact", skills: Sequence[str] = (), known: Mapping[str, float] | None = None
    ) -> None:
        if style not in get_args(Style):
            raise ValueError(f"style is {style!r}; give one of {', '.join(get_args(Style))}")
        self._style: Style = style
        self._checker = ProgramChecker()
        self._chosen = chosen(skills, known or {})
        self._known = known or dict.fromkeys((skill.name for skill in self._chosen), 1.0)
        self.skills = tuple(skill.name for skill in self._chosen)

    def split(self, name: Split) -> Sequence[Problem]:
        """The problems of a split, grouped by skill; ``transfer`` holds compositions that no lesson holds, mixed."""
        return self._splits[name]

    def identity(self, prompt: str) -> str:
        """What a described program computes on fixed inputs; of a description by examples, what it shows too.

        Any other text is its own identity, up to spaces.
        """
        asked = read(prompt)
        if asked is None:
            return "text " + " ".join(prompt.split())
        return f"examples {asked.letter} {asked.shown} {asked.behaviour}" if asked.shown else asked.behaviour

    def grade(self, problem: Problem, response: str) -> Grade:
        """Right if it is a Python expression, or a function, that gives the right value of every hidden input."""
        return self.grades([(problem, response)])[0]

    def grades(self, asked: Sequence[tuple[Problem, str]]) -> list[Grade]:
        """See Task. All programs of a batch are run in one call of the sandbox.

        ``parts`` holds a call for each hidden input. Where this machine has no sandbox, a response that is not the
        reference program is a checker's error.
        """
        checked = zip(asked, self._checked(asked), strict=True)
        return [_graded(problem, wanted, verdict) for (problem, _), (wanted, verdict) in checked]

    def judge(self, example: Example) -> bool | None:
        """Whether the response gives what the prompt describes, or passes the example's own tests.

        ``None`` where the prompt is no description and there are no tests (``check``), or where no sandbox is.
        """
        return self.judges([example])[0]

    def judges(self, examples: Sequence[Example]) -> list[bool | None]:
        """See Task. All programs of a batch are run in one call of the sandbox."""
        wanted = [self._wanted(example.prompt, example.check) for example in examples]
        asked = [(goal, example.response) for goal, example in zip(wanted, examples, strict=True) if goal is not None]
        verdicts = iter(self._checker.check(asked))
        return [None if goal is None else _told(next(verdicts)) for goal in wanted]

    def same(self, example: Example, answer: str) -> bool:
        """Whether two programs give the same on every input of what the prompt describes, be they right or not."""
        return self.sames([(example, answer)])[0]

    def sames(self, asked: Sequence[tuple[Example, str]]) -> list[bool]:
        """See ``same``; all programs are run in one call of the sandbox."""
        found = [_compared(example, answer) for example, answer in asked]
        runs = [((mine, goal), (other, goal)) for mine, other, goal in (f for f in found if not isinstance(f, bool))]
        outcomes = self._checker.outcomes([run for pair in runs for run in pair])
        said = iter([alike(outcomes[mine], outcomes[other]) for mine, other in runs])
        return [f if isinstance(f, bool) else next(said) for f in found]

    def diagnose(self, problem: Problem, response: str) -> tuple[str, ...]:
        """The skills a wrong response lacks, most basic first; see ``diagnosis``."""
        ((wanted, verdict),) = self._checked([(problem, response)])
        if _graded(problem, wanted, verdict).correct:
            return ()
        return diagnose(problem.skills, wanted if isinstance(wanted, Derivation) else None, response, verdict)

    def solve(self, prompt: str) -> tuple[str, str] | None:
        """By the forms: the skill that a program is counted in, and the reference program."""
        asked = read(prompt)
        return None if asked is None else (self._counted_in(asked), asked.code)

    def generate(self, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None) -> list[Example]:
        """``n`` fresh worked examples, the parts of the skill in equal shares; difficulty bounds the constants.

        Raises:
            ValueError: If the skill is unknown, ``n`` is negative, or difficulty is not in [0, 1].
        """
        self.check_request(skill, n, difficulty)
        share = 1.0 if difficulty is None else (1 + 2 * difficulty) / 3
        return self._teachable(skill, self._catalogue[skill].shapes, n, rng, "generator", share)

    def subskills(self, skill: str) -> tuple[str, ...]:
        """The skill as its problems ask it, and then its parts where there are several."""
        shapes = self._catalogue[skill].shapes
        return (WHOLE, *(shape.name for shape in shapes)) if len(shapes) > 1 else (WHOLE,)

    def generate_subskill(self, skill: str, subskill: str, n: int, rng: np.random.Generator) -> list[Example]:
        """See Task.

        Raises:
            ValueError: If the skill or its subskill is unknown, or ``n`` is negative.
        """
        self.check_subskill(skill, subskill, n)
        shapes = [shape for shape in self._catalogue[skill].shapes if subskill in (WHOLE, shape.name)]
        return self._teachable(skill, shapes, n, rng, "generator")

    def pool(self) -> Sequence[Example]:
        """Fixed examples of each skill, none of them asking a sealed question."""
        return self._pool

    def prior(self, n: int, rng: np.random.Generator) -> Sequence[Example]:
        """What an untaught student has seen: the skills that are ``known``, in their shares, mixed."""
        return by_share(
            self._known, n, rng, lambda name, n: self._teachable(name, self._catalogue[name].shapes, n, rng, "prior")
        )

    def difficulty(self, prompt: str) -> float | None:
        """Where the constants of a description stand between their limits, in [0, 1]; ``None`` for any other text."""
        asked = read(prompt)
        return None if asked is None else _difficulty(asked)

    def _checked(self, asked: Sequence[tuple[Problem, str]]) -> list[tuple[Wanted | None, Verdict]]:
        """What is wanted of each response, and the verdict on it."""
        wanted = [self._wanted(problem.prompt, problem.check) for problem, _ in asked]
        known = [(goal, response) for goal, (_, response) in zip(wanted, asked, strict=True) if goal is not None]
        verdicts = iter(self._checker.check(known))
        return [(goal, Verdict() if goal is None else next(verdicts)) for goal in wanted]

    @staticmethod
    def _wanted(prompt: str, check: str | None) -> Wanted | None:
        """What a program has to give: what the prompt describes, or else what the tests say."""
        return read(prompt) or CallTests.read(check)

    @cached_property
    def _catalogue(self) -> dict[str, ProgramSkill]:
        return {skill.name: skill for skill in self._chosen}

    @cached_property
    def _untaught(self) -> dict[str, list[ProgramSkill]]:
        """Compositions by suite, whose steps are all among the skills."""
        return {
            suite: [skill for skill in rows if set(skill.needs) <= set(self.skills)] for suite, rows in UNTAUGHT.items()
        }

    @cached_property
    def _splits(self) -> dict[Split, tuple[Problem, ...]]:
        taken, made = set[str](), {name: list[Problem]() for name in (*SEALED, "transfer")}
        for skill in self._chosen:
            rng = stream(_SEED, f"split {skill.name}")
            for name, count in SEALED.items():
                made[name].extend(self._problems(skill, name, count, rng, taken))
        rng = stream(_SEED, "split transfer")
        untaught = [
            problem
            for suite, rows in self._untaught.items()
            for skill in rows
            for problem in self._problems(skill, "transfer", TRANSFER, rng, taken, suite)
        ]
        made["transfer"] = [untaught[i] for i in rng.permutation(len(untaught))]
        return {name: tuple(problems) for name, problems in made.items()}

    def _problems(
        self, skill: ProgramSkill, split: Split, count: int, rng: np.random.Generator, taken: set[str], suite: str = ""
    ) -> list[Problem]:
        """Problems of one skill, its parts in turn, none of an identity that is ``taken``; theirs are added to it."""
        made, refused = list[Problem](), 0
        while len(made) < count:
            assert refused < PATIENCE, f"{skill.name} has too few programs for its splits"
            shape = skill.shapes[len(made) % len(skill.shapes)]
            derivation = shape.draw(rng)
            prompt = derivation.describe(self._style)
            identity = self.identity(prompt)
            if identity in taken or not _sound(derivation):
                refused += 1
                continue
            refused = 0
            taken.add(identity)
            made.append(
                Problem(
                    id="/".join([split, skill.name, *([shape.name] if suite else []), str(len(made))]),
                    prompt=prompt,
                    answer=derivation.code,
                    skills=skills_of(skill.name, derivation),
                    split=split,
                    difficulty=_difficulty(derivation),
                    suite=suite,
                )
            )
        return made

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        return tuple(
            example
            for skill in self._chosen
            for example in self._teachable(skill.name, skill.shapes, POOL, stream(_SEED, f"pool {skill.name}"), "pool")
        )

    def _teachable(
        self,
        skill: str,
        shapes: Sequence[ProgramShape],
        n: int,
        rng: np.random.Generator,
        origin: str,
        share: float = 1.0,
    ) -> list[Example]:
        """``n`` examples that ask no sealed question, the parts in turn and then mixed."""
        made, refused = list[Example](), 0
        while len(made) < n:
            derivation = shapes[len(made) % len(shapes)].draw(rng, min(1.0, share * 2 ** (refused // PATIENCE)))
            prompt = derivation.describe(self._style)
            if self.identity(prompt) in self.sealed:
                refused += 1
                continue
            refused = 0
            made += Example.made([prompt], [derivation.code], [(skills_of(skill, derivation), "solution", origin)])
        return [made[i] for i in rng.permutation(n)]

    def _counted_in(self, asked: Derivation) -> str:
        """The skill whose parts have such steps, or the nearest composition where none has."""
        forms = tuple(step.form for step in asked.steps)
        for skill in (*self._chosen, *(skill for rows in self._untaught.values() for skill in rows)):
            if any(shape.holds(asked.letter, forms, bool(asked.shown)) for shape in skill.shapes):
                return skill.name
        return "pipe" if len(forms) > 1 and "pipe" in self.skills else forms[0].skill


@lru_cache(maxsize=8192)
def _sound(derivation: Derivation) -> bool:
    """Whether a program is for most of its inputs, and gives different values of them."""
    values = hidden(derivation)
    return len(values) >= LEAST_VALUES and len({repr(value) for _, value in values}) > 1


def _difficulty(derivation: Derivation) -> float:
    """Where the constants stand between their limits, in [0, 1]; 0 without numbers."""
    shares = []
    for step in derivation.steps:
        for letter, value in step.given:
            if letter in NUMBERS:
                low, high = step.form.bounds(letter)
                shares.append((int(value) - low) / (high - low))
    return round(float(np.mean(shares)), 3) if shares else 0.0


def _graded(problem: Problem, wanted: Wanted | None, verdict: Verdict) -> Grade:
    if wanted is None:
        return Grade(correct=False, error=f"problem {problem.id!r} is no description of this task and has no tests")
    if verdict.failed:
        return Grade(correct=False, error=verdict.reason)
    calls = _calls(wanted)
    right = verdict.right or (verdict.correct,) * len(calls)
    return Grade(correct=verdict.correct, parts=dict(zip(calls, right, strict=True)))


def _told(verdict: Verdict) -> bool | None:
    return None if verdict.failed else verdict.correct


@lru_cache(maxsize=8192)
def _calls(wanted: Wanted) -> tuple[str, ...]:
    """Each hidden call as a text, numbered, for two may be cut to the same."""
    return tuple(
        f"{i}: {ENTRY}({', '.join(map(repr, given))})"[:SHOWN] for i, (given, _) in enumerate(pairs(wanted), 1)
    )


def _compared(example: Example, answer: str) -> bool | tuple[ReadProgram, ReadProgram, Derivation]:
    """Whether the texts tell that an answer is the same as an example's; else what to run, for which description."""
    if answer == example.response:
        return True
    asked = read(example.prompt)
    mine, other = (read_program(text, asked.letter if asked else "v") for text in (example.response, answer))
    if mine is None or other is None:
        return False
    if mine.body is not None and mine.body == other.body:
        return True
    return (mine, other, asked) if asked is not None else False
