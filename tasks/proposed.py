"""Subskills that a language model proposed, in place of those that a task comes with: the file, and the task."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from tasks.base import Task
from tasks.discovered import LONGEST_NAME
from tasks.records import Example, Grade, Problem, Record, Split, digest


class Subskill(Record):
    """A part of a skill.

    Attributes:
        name: Without ``/``, for it stands behind one in what an example says of its origin.
        description: Which problems are of it.
        examples: Written for it. No task generates a proposed subskill, so these are all that can be taught of it.
    """

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=r"\A[^/\n]+\z")]
    description: str = ""
    examples: tuple[Example, ...] = ()


class Proposal(Record):
    """The subskills of a task's skills: what ``dataenv discover --subskills`` writes.

    Attributes:
        format: Of the file.
        task: The registered task.
        made_with: What it depended on, to read.
        cost: Teacher tokens and money that it took.
        counts: Of what was asked and written by what became of it, and examples by the verdict of the task's judge.
        subskills: By skill, in the order in which a forest grows them; a skill that is not here is one piece.
    """

    format: Literal[1] = 1
    task: str
    made_with: dict[str, Any] = {}
    cost: dict[str, float] = {}
    counts: dict[str, int] = {}
    subskills: dict[str, tuple[Subskill, ...]]

    @model_validator(mode="after")
    def _sound(self) -> Proposal:
        for skill, parts in self.subskills.items():
            if len({part.name for part in parts}) != len(parts):
                raise ValueError(f"subskills of {skill!r} hold a name twice; drop one of them")
        return self

    @cached_property
    def digest(self) -> str:
        """Names what an environment makes of it: names and examples, and not how they were found."""
        parts = {
            s: [p.model_dump(mode="json", exclude={"description"}) for p in ps] for s, ps in self.subskills.items()
        }
        return digest([self.task, parts])


class Proposed(Task):
    """A task under proposed subskills; all else is the task's own.

    Args:
        task: The task itself.
        found: The subskills.

    Raises:
        ValueError: If they are another task's, or there is nothing to teach of one.
    """

    name: ClassVar[str] = "proposed"

    def __init__(self, task: Task, found: Proposal) -> None:
        self.task, self.skills = task, task.skills
        # What the contract has on the class is the wrapped task's, and so on the instance.
        self.name, self.version, self.natural = task.name, task.version, task.natural  # type: ignore[misc]
        if found.task != task.name:
            raise ValueError(f"subskills are those of task {found.task!r}, and this is {task.name!r}; propose its own")
        for skill, parts in found.subskills.items():
            if skill not in task.skills:
                raise ValueError(f"skill {skill!r} is not one of {', '.join(task.skills)}; drop it, or propose again")
            for part in parts:
                if not part.examples:
                    raise ValueError(
                        f"subskill {part.name!r} of {skill!r} has no examples, and the procedural engine cannot "
                        "generate a proposed one; write some with --examples, or drop it"
                    )
        self._parts = {skill: {part.name: part.examples for part in parts} for skill, parts in found.subskills.items()}

    def subskills(self, skill: str) -> tuple[str, ...]:
        """Those proposed; none where the skill was not divided."""
        return tuple(self._parts.get(skill, ()))

    def generate_subskill(self, skill: str, subskill: str, n: int, rng: np.random.Generator) -> list[Example]:
        """See Task. What was written, in an order that is drawn; again from the start where more is asked for."""
        self.check_subskill(skill, subskill, n)
        rows = self._parts[skill][subskill]
        made = [rows[i] for _ in range(-(-n // len(rows))) for i in rng.permutation(len(rows))][:n]
        return [e.model_copy(update={"skills": (skill,)}) for e in made]

    def split(self, name: Split) -> Sequence[Problem]:
        """The task's own."""
        return self.task.split(name)

    def grade(self, problem: Problem, response: str) -> Grade:
        """The task's own verdict."""
        return self.task.grade(problem, response)

    def identity(self, prompt: str) -> str:
        """The task's own."""
        return self.task.identity(prompt)

    def generate(
        self, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None
    ) -> Sequence[Example]:
        """The task's own."""
        return self.task.generate(skill, n, rng, difficulty)

    def pool(self) -> Sequence[Example]:
        """The task's own."""
        return self.task.pool()

    def prior(self, n: int, rng: np.random.Generator) -> Sequence[Example]:
        """The task's own."""
        return self.task.prior(n, rng)

    def diagnose(self, problem: Problem, response: str) -> tuple[str, ...]:
        """The task's own."""
        return self.task.diagnose(problem, response)

    def solve(self, prompt: str) -> tuple[str, str] | None:
        """The task's own."""
        return self.task.solve(prompt)

    def grades(self, asked: Sequence[tuple[Problem, str]]) -> list[Grade]:
        """The task's own verdicts."""
        return self.task.grades(asked)

    def judge(self, example: Example) -> bool | None:
        """The task's own verdict."""
        return self.task.judge(example)

    def judges(self, examples: Sequence[Example]) -> list[bool | None]:
        """The task's own verdicts."""
        return self.task.judges(examples)

    def same(self, example: Example, answer: str) -> bool:
        """The task's own verdict."""
        return self.task.same(example, answer)

    def sames(self, asked: Sequence[tuple[Example, str]]) -> list[bool]:
        """The task's own verdicts."""
        return self.task.sames(asked)

    def verifies(self, asked: Sequence[tuple[Example, str]]) -> list[bool | None]:
        """The task's own verdicts."""
        return self.task.verifies(asked)

    @cached_property
    def sealed(self) -> frozenset[str]:
        """The task's own."""
        return self.task.sealed
