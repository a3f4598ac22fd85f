"""Setting: task x student x recipe x engine x verification x budget. Teachers are compared within one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from operator import eq, not_
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    WrapSerializer,
    model_validator,
)

from dataenv import registry
from dataenv.attempts import ONCE, Attempts
from dataenv.budget.purse import Budget
from dataenv.errors import SettingError, did_you_mean
from dataenv.execution.jobs import BuildSpec, Training, student_for, student_of
from dataenv.execution.serving.engine import ServingEngine, checked, without_address
from dataenv.execution.serving.process import served_by
from dataenv.skill_files import divided, read_discovery, read_proposal, under
from dataenv.validation import validated
from students.base import Decoding, Recipe, Student
from tasks.base import Task
from tasks.media import shown_by
from tasks.records import SPLITS, Problem, Record, Split, canonical_json, digest, stream


class WarmStart(Record):
    """How the untaught student of a seed is made from a fresh one, on the task's ``prior``.

    Attributes:
        examples: How many prior examples; 0 for no warm start.
        recipe: How they are trained.
    """

    examples: Annotated[int, Field(ge=0)] = 20_000
    recipe: Recipe = Recipe(updates=600, rate=3e-3)


class Finish(Record):
    """A phase after the teacher's last lesson: the environment goes on by itself, on problems of every skill equally.

    The teacher has spent its part of the purse, or has stopped; the phase's part is spent here, step by step, each on a
    lesson of the engine's. Several phases come one after the other, as in SFT, then DPO, then RLVR (Tülu 3, arXiv
    2411.15124).

    Attributes:
        share: Of the purse, that is set aside for it.
        recipe: How; ``grpo`` practises on the problems, ``sft`` is taught them, ``dpo`` prefers them to the student's
            own wrong answers.
    """

    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    recipe: Recipe = Recipe(method="grpo", batch=128, rate=1e-3)

    @model_validator(mode="after")
    def _goes_on(self) -> Self:
        if (self.recipe.start, self.recipe.data) != ("current", "lesson"):
            raise ValueError("finish.recipe goes on from the student as it is; leave out start and data")
        if self.recipe.dpo is not None and self.recipe.dpo.rejected == "given":
            raise ValueError(
                "finish.recipe.dpo.rejected is 'given', and no engine makes pairs; give 'own', or another method"
            )
        return self


def _as_phases(given: Any) -> Any:
    """One phase may be given by itself."""
    if given is None:
        return ()
    return (given,) if isinstance(given, Mapping | Finish) else given


def _as_given(phases: tuple[Finish, ...], dump: SerializerFunctionWrapHandler) -> Any:
    """One phase is written by itself, as it was before there could be several: so no Setting has another name."""
    return dump(phases) if len(phases) != 1 else dump(phases)[0]


Phases = Annotated[tuple[Finish, ...], BeforeValidator(_as_phases), WrapSerializer(_as_given)]
"""Phases after the teacher's last lesson, in order; one may be given by itself."""


class Shown(Record):
    """How much of the student's mistakes an observation shows. How many there are of each skill is always told.

    Attributes:
        errors: Mistakes shown of each skill, the first ones in the order of the feedback exam.
        characters: Longest text of a mistake. A longer one is cut there, and says how long it was.
    """

    errors: Annotated[int, Field(ge=0, le=100_000)] = 20
    characters: Annotated[int, Field(ge=64, le=10_000_000)] = 16_384


class Items(Record):
    """Problems per skill in each exam (all of them where a split has fewer). ``transfer``: of each suite."""

    feedback: Annotated[int, Field(ge=1)] = 50
    selection: Annotated[int, Field(ge=1)] = 100
    test: Annotated[int, Field(ge=1)] = 300
    transfer: Annotated[int, Field(ge=0)] = 300


class Setting(Record):
    """Everything that teachers in one comparison share. Plain JSON; unknown fields are refused.

    Attributes:
        task: A registered task, with ``task_args``.
        skills: A file of ``dataenv discover``: its skills take the place of the task's own. Empty for those.
        subskills: A file of ``dataenv discover --subskills``, for the skill-tree level: in place of the task's own.
        student: A registered student, with ``student_args``.
        warm_start: How the untaught student is made.
        recipe: How a lesson is trained.
        engine: What makes the examples of a lesson, with ``engine_args``: ``procedural``, fresh ones by the task's own
            generator; ``pool``, the task's fixed ones without replacement; ``llm``, a language model, paid by the
            teacher's budget; or any other registered engine.
        verify: Whether examples that the task's judge finds wrong are rejected (else only counted).
        budget: The purse and the cap on examples.
        lesson_size: Examples that a skill-list lesson holds; an open-ended one may hold twice as many.
        items: Exam sizes.
        decoding: How the student answers in exams.
        mastery: Selection accuracy, in [0, 1], at which the episode terminates.
        warm_starts: How many untaught students ``reset()`` without a seed chooses from.
        finish: The phases after the teacher's last lesson, if there are any.
        recipes: Further recipes by name, a menu: an action may ask for one of them in place of ``recipe``. Each is
            whole: what it leaves out has its default.
        shown: How much of the student's mistakes a teacher sees.
        targets: The skills that reward, mastery and the test exam look at; empty for all of them. Every skill may be
            taught, and the teacher sees feedback on all of them.
        exam: How often a problem is answered, and what the answers are worth (avg@k, pass@k); once, unless given.
        answers: Who answers exams in the student's place: ``vllm:http://host:port``, a server of vLLM; ``vllm``, one
            that is started on this machine. Empty for the student itself. The address is left out of JSON.
    """

    task: str = "arithmetic"
    task_args: dict[str, Any] = {}
    # Left out where there are none: Settings without them keep the names that they had before there were any.
    skills: str = Field(default="", exclude_if=not_)
    subskills: str = Field(default="", exclude_if=not_)
    student: str = "pocket"
    student_args: dict[str, Any] = {}
    warm_start: WarmStart = WarmStart()
    recipe: Recipe = Recipe()
    engine: str = "procedural"
    engine_args: dict[str, Any] = Field(default={}, exclude_if=not_)
    verify: bool = False
    budget: Budget = Budget(student_tokens=825_000)
    lesson_size: Annotated[int, Field(ge=1, le=1_000_000)] = 2048
    items: Items = Items()
    decoding: Decoding = Decoding(max_tokens=12)
    mastery: Annotated[float, Field(gt=0, le=1)] = 0.99
    warm_starts: Annotated[int, Field(ge=1)] = 8
    # Left out where there are none: Settings without them keep the names that they had before there were any.
    finish: Phases = Field(default=(), exclude_if=not_)
    recipes: dict[Annotated[str, Field(min_length=1)], Recipe] = Field(default={}, exclude_if=not_)
    targets: tuple[str, ...] = Field(default=(), exclude_if=not_)
    shown: Shown = Field(default=Shown(), exclude_if=partial(eq, Shown()))
    exam: Attempts = Field(default=ONCE, exclude_if=partial(eq, ONCE))
    answers: Annotated[str, AfterValidator(checked), PlainSerializer(without_address, when_used="json")] = Field(
        default="", exclude_if=not_
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for name in ("task_args", "student_args", "engine_args"):
            try:
                canonical_json(getattr(self, name))
            except (TypeError, ValueError):
                raise ValueError(f"{name} holds what is no JSON, or a number that is not finite; mend it") from None
        if self.warm_start.recipe.method != "sft":
            raise ValueError(f"warm_start.recipe.method is {self.warm_start.recipe.method!r}; give 'sft'")
        if self.finish and self.budget.examples is not None:
            raise ValueError("finish brings problems of its own, which budget.examples would cap; leave one out")
        if len(set(self.targets)) != len(self.targets):
            raise ValueError("targets names a skill twice; name each once")
        if self.exam.samples > 1 and not self.decoding.temperature:
            raise ValueError(
                f"exam.samples is {self.exam.samples}, and greedy answers to a problem are all alike; give "
                "decoding.temperature above 0, or leave exam.samples out"
            )
        if sum(phase.share for phase in self.finish) > 1:
            raise ValueError("finish sets more than the purse aside; give shares that sum to at most 1")
        return self

    @property
    def asides(self) -> tuple[int, ...]:
        """Student tokens that are set aside for each phase of the finish."""
        return tuple(int(phase.share * self.budget.student_tokens) for phase in self.finish)

    @property
    def aside(self) -> int:
        """Student tokens that are set aside for the finish."""
        return sum(self.asides)

    def recipe_of(self, name: str) -> Recipe:
        """The recipe of a name on the menu; the Setting's own for the empty name."""
        return self.recipes[name] if name else self.recipe

    @property
    def every_recipe(self) -> tuple[Recipe, ...]:
        """All recipes that an episode may train by."""
        return (self.recipe, *self.recipes.values(), *(phase.recipe for phase in self.finish))

    @property
    def methods(self) -> tuple[str, ...]:
        """By which a student must be trainable."""
        return tuple(dict.fromkeys(recipe.method for recipe in self.every_recipe))

    @cached_property
    def built_task(self) -> Task:
        """The task itself; one instance a process, for its problems are always the same."""
        task: Task = registry.shared("task", self.task, canonical_json(self.task_args))
        if not isinstance(task, Task):
            raise SettingError(f"task {self.task!r} is a {type(task).__name__}; derive it from tasks.base.Task")
        task = under(task, self.skills) if self.skills else task
        task = divided(task, self.subskills) if self.subskills else task
        for skill in self.targets:
            if skill not in task.skills:
                hint = did_you_mean(skill, task.skills, f"the task has {', '.join(task.skills)}.")
                raise SettingError(f"targets has {skill!r}, which is no skill of task {self.task!r}; {hint}")
        return task

    @property
    def student_spec(self) -> BuildSpec:
        """The student, as a job names it."""
        return BuildSpec(name=self.student, args=self.student_args)

    @property
    def built_student(self) -> Student:
        """The student itself; one instance a process, for students are pure."""
        return student_of(self.student_spec)

    @property
    def able_student(self) -> Student:
        """The student, if it can learn the task by all recipes.

        Raises:
            SettingError: If it cannot.
        """
        return student_for(self.student_spec, self.task, self.methods, shown_by(self.built_task))

    @property
    def engine_of_answers(self) -> ServingEngine | None:
        """The serving engine that answers exams, probed once a process; ``None`` where the student does.

        Raises:
            SettingError: If there is none, or it cannot answer for this student.
        """
        return served_by(self.answers, self.built_student) if self.answers else None

    @property
    def numerics(self) -> dict[str, Any]:
        """The student's numerics class, and the engine that answers, where there is one."""
        engine = self.engine_of_answers
        return self.built_student.numerics | ({"answers": engine.identity} if engine else {})

    @property
    def student_fingerprint(self) -> str:
        """Names the student, and the engine that answers in its place, where there is one."""
        student, engine = self.built_student.fingerprint, self.engine_of_answers
        return digest([student, engine.identity]) if engine else student

    @property
    def hashes(self) -> dict[str, str]:
        """What a row is named by: task, student, and the engine that answers, where there is one."""
        engine = self.engine_of_answers
        answers = {"answers": digest(engine.identity)} if engine else {}
        return {"task": self.built_task.fingerprint, "student": self.student_fingerprint} | answers

    @cached_property
    def digest(self) -> str:
        """Names the Setting. Discovered skills and subskills go by what the file holds, and not by where it lies."""
        held = {"skills": read_discovery(self.skills).digest} if self.skills else {}
        held |= {"subskills": read_proposal(self.subskills).digest} if self.subskills else {}
        return digest(self.model_dump(mode="json") | held)

    def changed(self, **fields: Any) -> Setting:
        """The Setting with some fields changed, checked anew; ``model_copy`` would keep what was cached of this one."""
        return Setting.model_validate(self.model_dump() | fields)

    def warm_training(self, seed: int) -> Training | None:
        """How the untaught student of a seed is made; ``None`` where it comes trained. Drawn once, then kept."""
        if seed not in self._warm:
            start = self.warm_start
            lesson = tuple(self.built_task.prior(start.examples, stream(seed, "prior"))) if start.examples else ()
            self._warm[seed] = Training(lesson=lesson, recipe=start.recipe, seed=seed) if lesson else None
        return self._warm[seed]

    @cached_property
    def _warm(self) -> dict[int, Training | None]:
        return {}

    def attempts(self, split: Split) -> Attempts:
        """How a split is examined: feedback is asked once, for a teacher reads what the student answers."""
        return ONCE if split == "feedback" else self.exam

    def exam_items(self, split: Split) -> tuple[Problem, ...]:
        """The problems of one exam, always the same: the first ``items`` of each skill of the split."""
        return self._exams[split]

    def exam_rows(self, split: Split) -> npt.NDArray[np.int64]:
        """The place of each problem's primary skill among the task's, ``(problems,)``; -1 for one that is none."""
        return self._rows[split]

    @cached_property
    def _rows(self) -> dict[Split, npt.NDArray[np.int64]]:
        place = {skill: i for i, skill in enumerate(self.built_task.skills)}
        return {split: np.array([place.get(p.skills[0], -1) for p in self._exams[split]], np.int64) for split in SPLITS}

    @cached_property
    def _exams(self) -> dict[Split, tuple[Problem, ...]]:
        return {split: self._choose(split) for split in SPLITS}

    def _choose(self, split: Split) -> tuple[Problem, ...]:
        wanted = getattr(self.items, split)
        problems = self.built_task.split(split)
        if split == "transfer":  # so many of each suite, in the order in which the task has them
            by_suite: dict[str, list[Problem]] = {}
            for problem in problems:
                by_suite.setdefault(problem.suite, []).append(problem)
            return tuple(p for suite in by_suite.values() for p in suite[:wanted])
        # Feedback is asked of every skill, for all may be taught; what is ranked looks at the targets alone.
        asked = self.targets if self.targets and split != "feedback" else self.built_task.skills
        by_skill: dict[str, list[Problem]] = {s: [] for s in self.built_task.skills if s in asked}
        for problem in problems:
            if problem.skills[0] in by_skill and len(by_skill[problem.skills[0]]) < wanted:
                by_skill[problem.skills[0]].append(problem)
        return tuple(p for rows in by_skill.values() for p in rows)


def make_setting(fields: Mapping[str, Any], where: str = "Setting") -> Setting:
    """A Setting from plain values.

    Raises:
        SettingError: With every wrong field by name and what it should be.
    """
    return validated(Setting, fields, where, SettingError)
