"""Task: a problem family with skills, sealed splits and a checker, and where it has them a generator and a pool."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.errors import UnsupportedError
from tasks.records import SPLITS, Example, Grade, Problem, Split, digest


class Task(ABC):
    """A problem family.

    A subclass sets ``name``, ``version`` and ``skills`` and implements ``split``, ``grade`` and ``identity``; the other
    methods are abilities that it may add. All of it is deterministic: whatever is random takes a generator.

    Attributes:
        name: On the board.
        version: Raised whenever a split changes.
        skills: In the order of every array.
        natural: Whether problems are natural text: written, not generated from templates. Then whatever shares eight
            words in a row with a sealed prompt is taken for a copy of it (``dataenv.leaks``). Problems made from
            templates share as much with everything that their generator makes, so they leave this at ``False``.
        part_kinds: First words of the names of ``Grade.parts`` that an exam counts apart, such as the wanted calls of a
            plan.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    skills: tuple[str, ...]
    natural: ClassVar[bool] = False
    part_kinds: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def split(self, name: Split) -> Sequence[Problem]:
        """The problems of a sealed split, always the same and in the same order.

        Problems come grouped so that every prefix of ``n`` problems of a skill is a fair sample of that skill.
        """

    @abstractmethod
    def grade(self, problem: Problem, response: str) -> Grade:
        """Check a response. Never raises: a checker that fails says so in ``Grade.error``."""

    def grades(self, asked: Sequence[tuple[Problem, str]]) -> list[Grade]:
        """Check many responses, one grade each, in order. A task whose checker is slow checks them side by side here.

        It is called without any lock, and gives what ``grade`` gives of each, which is the default.
        """
        return [self.grade(problem, response) for problem, response in asked]

    @abstractmethod
    def identity(self, prompt: str) -> str:
        """The canonical form of a prompt: two prompts that ask the same thing have the same identity."""

    def asks_sealed(self, prompts: Sequence[str]) -> list[bool]:
        """Of many prompts, in order, whether each may ask what a sealed problem asks.

        The screen looks closer at each that may, so a task may say so of too many, and must not of too few. The default
        is exact: the identity is that of a sealed problem.
        """
        return [self.identity(prompt) in self.sealed for prompt in prompts]

    def generate(
        self, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None
    ) -> Sequence[Example]:
        """``n`` fresh worked examples of one skill, none of them in a sealed split.

        Args:
            skill: One of ``skills``.
            n: How many.
            rng: Where every draw comes from.
            difficulty: In [0, 1], or ``None`` for the skill's own spread of difficulties.

        Raises:
            UnsupportedError: If the task has no generator.
        """
        raise UnsupportedError(
            f"task {self.name!r} has no generator; give the Setting engine='pool' or bring your own data"
        )

    def subskills(self, skill: str) -> tuple[str, ...]:
        """The parts of a skill that data can be made for apart, in the order in which a forest grows them.

        They follow from the generator's own parameters; the skill as its problems ask it comes first. The default is
        none: the skill is then one piece.
        """
        return ()

    def generate_subskill(self, skill: str, subskill: str, n: int, rng: np.random.Generator) -> Sequence[Example]:
        """``n`` fresh worked examples of one part of a skill, none of them in a sealed split.

        Args:
            skill: One of ``skills``; it comes first in the skills of every example.
            subskill: One of ``subskills(skill)``.
            n: How many.
            rng: Where every draw comes from.

        Raises:
            UnsupportedError: If the task knows no subskills.
        """
        raise UnsupportedError(f"task {self.name!r} has no subskills; ask generate() for the whole skill")

    def check_subskill(self, skill: str, subskill: str, n: int) -> None:
        """Refuse what no generator can give.

        Raises:
            ValueError: If the skill or its subskill is unknown, or ``n`` is negative.
        """
        self.check_request(skill, n, None)
        if subskill not in self.subskills(skill):
            raise ValueError(f"subskill {subskill!r} of {skill!r} is not one of {', '.join(self.subskills(skill))}")

    def check_request(self, skill: str, n: int, difficulty: float | None) -> None:
        """Refuse what no generator can give.

        Raises:
            ValueError: If the skill is unknown, ``n`` is negative, or difficulty is not in [0, 1].
        """
        if skill not in self.skills:
            raise ValueError(f"skill {skill!r} is not one of {', '.join(self.skills)}")
        if n < 0:
            raise ValueError(f"n is {n}; ask for 0 or more examples")
        if difficulty is not None and not 0 <= difficulty <= 1:
            raise ValueError(f"difficulty is {difficulty}; give a number in [0, 1] or None")

    def pool(self) -> Sequence[Example]:
        """The task's fixed training examples, with their skills: public, and disjoint from the sealed splits.

        Raises:
            UnsupportedError: If the task has no pool.
        """
        raise UnsupportedError(f"task {self.name!r} has no pool; give the Setting engine='procedural'")

    def prior(self, n: int, rng: np.random.Generator) -> Sequence[Example]:
        """``n`` examples of what a student knows before anyone teaches it; empty where students come trained."""
        return []

    def diagnose(self, problem: Problem, response: str) -> tuple[str, ...]:
        """The skills that a wrong response lacks (a missing-skill profile, STAT §3), most basic first.

        The default blames every skill of the problem. A right response lacks none.
        """
        return () if self.grade(problem, response).correct else problem.skills

    def solve(self, prompt: str) -> tuple[str, str] | None:
        """The primary skill and the gold answer of any prompt, ``None`` for one that is of no skill.

        Simulated students know by it what they are taught and asked.

        Raises:
            UnsupportedError: If the task cannot say.
        """
        raise UnsupportedError(f"task {self.name!r} does not solve prompts; a simulated student cannot learn it")

    def judge(self, example: Example) -> bool | None:
        """Whether an example teaches something true: yes, no, or ``None`` for cannot tell."""
        return None

    def judges(self, examples: Sequence[Example]) -> list[bool | None]:
        """The verdict on each of many examples, in order: what ``judge`` says of each, which is the default."""
        return [self.judge(example) for example in examples]

    def same(self, example: Example, answer: str) -> bool:
        """Whether an answer comes to what an example's own response comes to.

        It is what probes and teachers ask that compare answers of the student with a response of their own. Whether
        that response is *right* is not the question, and the default, equality of the texts, tells nothing of it. A
        task whose answers have several forms compares what they say. It may ask its checker about both, and never tells
        of a wrong response that it is wrong.
        """
        return answer == example.response

    def sames(self, asked: Sequence[tuple[Example, str]]) -> list[bool]:
        """What ``same`` says of each of many examples with an answer, in order, which is the default."""
        return [self.same(example, answer) for example, answer in asked]

    def verifies(self, asked: Sequence[tuple[Example, str]]) -> list[bool | None]:
        """Whether responses answer the prompts of examples: the rewards where a student practises on verified answers.

        ``None`` for cannot tell. The default asks the judge, and where that cannot tell the checker, with the example's
        own response as the gold answer: each of them once, for all that they are asked.
        """
        verdicts = self.judges([example.model_copy(update={"response": response}) for example, response in asked])
        open_ = [i for i, verdict in enumerate(verdicts) if verdict is None]
        golds = [
            (Problem(id="", prompt=e.prompt, answer=e.response, skills=e.skills, split="feedback"), response)
            for e, response in (asked[i] for i in open_)
        ]
        for i, found in zip(open_, self.grades(golds) if golds else (), strict=True):
            verdicts[i] = None if found.error is not None else found.correct
        return verdicts

    def verify(self, example: Example, response: str) -> bool | None:
        """Whether a response answers an example's prompt: what ``verifies`` says of it alone."""
        return self.verifies([(example, response)])[0]

    @cached_property
    def sealed(self) -> frozenset[str]:
        """The identities of all problems in all splits; nothing with such an identity may be taught."""
        return frozenset(self.identity(p.prompt) for name in SPLITS for p in self.split(name))

    @cached_property
    def fingerprint(self) -> str:
        """Names the task's content: name, version, skills and every sealed problem."""
        problems = [p.model_dump(mode="json") for name in SPLITS for p in self.split(name)]
        return digest([self.name, self.version, list(self.skills), problems])
