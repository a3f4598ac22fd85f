"""Job: train, then respond. The only thing that an executor ever runs.

A job is JSON. Its outcome is JSON too (an ``Outcome``) and at most one blob, the weights, which the worker writes to
the blobs it was given. Jobs are never nested, and a job says everything that its result depends on.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from operator import not_
from typing import Any, Self

from pydantic import Field

from dataenv import registry
from dataenv.errors import JobFailedError, SettingError
from dataenv.execution.blobs import Blobs, place_beside
from dataenv.execution.serving.answers import answer
from dataenv.execution.serving.engine import ServingEngine
from dataenv.execution.written import Written
from students.base import (
    Asked,
    Data,
    Decoding,
    Recipe,
    Student,
    Trained,
    TrainingDivergedError,
    code_digest,
    derive_key,
    initial_key,
)
from students.methods import METHODS, method_code
from tasks.base import Task
from tasks.records import Example, Record, absent, canonical_json, digest, stream

DATA = ("lesson", "earlier", "watched")
"""The parts of what a training run sees."""


class _Remembering(Record):
    """A record with cached properties. A copy, which ``model_copy`` then changes, begins without their values."""

    def __copy__(self) -> Self:
        made = super().__copy__()
        for name in vars(made).keys() - type(made).model_fields.keys():
            del vars(made)[name]
        return made


class BuildSpec(Record):
    """A registered name and its arguments, as JSON."""

    name: str
    args: dict[str, Any] = {}


class Training(_Remembering):
    """What is trained: the lesson, the sample of earlier examples that is replayed, how, and in which order.

    ``watched`` is what patience looks at. ``task`` is whose checker says what is right, where the student practises: a
    worker asks it while it trains.
    """

    lesson: tuple[Example, ...]
    earlier: tuple[Example, ...] = ()
    watched: tuple[Example, ...] = ()
    recipe: Recipe
    seed: int
    task: BuildSpec | None = Field(default=None, exclude_if=absent)

    @cached_property
    def data(self) -> Data:
        """The same, as the student takes it; kept, for it knows its digest."""
        names = [self.written[part].name for part in DATA]
        if self.task is None:
            data = Data(self.lesson, self.earlier, self.watched)
        else:
            task: Task = registry.shared("task", self.task.name, canonical_json(self.task.args))
            # What rewards is part of what is trained: a worker with another checker has another name for the state.
            checker = digest([task.fingerprint, code_digest(type(task))])
            data = Data(self.lesson, self.earlier, self.watched, task.verify, checker)
            names.append(checker)
        vars(data)["digest"] = digest(names)  # as Data.digest has it, which would list and hash every example again
        return data

    @cached_property
    def written(self) -> dict[str, Written]:
        """Each part of the data as it is stored, sent and hashed."""
        return {part: Written(getattr(self, part)) for part in DATA}


class Exam(_Remembering):
    """Prompts to answer. With ``golds`` the loss on each gold answer is measured too, with ``entropy`` its entropy.

    ``media`` holds digests of the images of each prompt; it is empty where no prompt has any. ``samples`` is how often
    each prompt is answered; the answers to one prompt stand side by side. ``engine`` answers in the student's place;
    what is measured is the student's own in any case.
    """

    name: str
    prompts: tuple[str, ...]
    media: tuple[tuple[str, ...], ...] = Field(default=(), exclude_if=not_)
    golds: tuple[str, ...] | None = None
    entropy: bool = False
    decoding: Decoding = Decoding()
    seed: int = 0
    samples: int = Field(default=1, ge=1, exclude_if=(1).__eq__)
    engine: ServingEngine | None = Field(default=None, exclude_if=absent)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of each round of answers: a stream of its own, so that more samples leave the first ones as they are."""
        if self.samples == 1:
            return (self.seed,)
        return tuple(int(stream(self.seed, "exam sample", i).integers(2**31)) for i in range(self.samples))

    def key(self, state: str) -> str:
        """The name of this exam's record for a state; the exam's own name plays no part in it."""
        # canonical_json(["exam", state, …]) to the letter; what is asked is the same after every step
        text = f'["exam",{canonical_json(state)},{self._asked}]'
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def _asked(self) -> str:
        return canonical_json(self.model_dump(mode="json", exclude={"name": True, "engine": {"address"}}))

    def answers(self, record: Any) -> Answers:
        """The answers of a record.

        Raises:
            ValueError: If it holds none, or not as many as were asked for.
        """
        found, n = Answers.model_validate(record), len(self.prompts)
        if len(found.responses) != n * self.samples or {len(found.losses or ()), len(found.entropies or ())} - {0, n}:
            raise ValueError("a record of answers holds as many as were asked for")
        return found


class Answers(Record):
    """What a student answered in one exam, and its losses and entropies on the gold answers in nats per token."""

    responses: tuple[str, ...]
    losses: tuple[float, ...] | None = None
    entropies: tuple[float, ...] | None = None


class Job(Record):
    """Train (or not), then sit the exams.

    Attributes:
        student: Which student.
        parent: The key of the state to start from.
        initial: The seed of the untrained state, where the parent is that; else ``None``.
        blob: Where the parent's weights are (filled in by the runner, and no part of any name).
        train: What to train, or ``None``.
        exams: What to answer afterwards.
    """

    student: BuildSpec
    parent: str
    initial: int | None = None
    blob: str | None = None
    train: Training | None = None
    exams: tuple[Exam, ...] = ()

    def text(self) -> str:
        """The job as JSON, of which ``Job.model_validate_json`` makes it again; lessons are not listed anew for it."""
        if self.train is None:
            return self.model_dump_json()
        rest = self.train.model_dump_json(exclude=set(DATA))
        parts = ",".join(f'"{part}":{written.text}' for part, written in self.train.written.items())
        return f'{self.model_dump_json(exclude={"train"})[:-1]},"train":{{{parts},{rest[1:]}}}'

    def key(self) -> str:
        """The name of the state that the job ends in."""
        if self.train is None:
            return self.parent
        t = self.train
        code = method_code(t.recipe)
        return derive_key(student_of(self.student), self.parent, t.data.digest, t.recipe, t.seed, code)


class Outcome(Record):
    """What a job came to: the state it ended in, its blob, the training report and the answers by exam name.

    ``seconds`` is the processor time of the process that ran it; ``None`` where nothing was run.
    """

    key: str
    blob: str | None = None
    trained: Trained | None = None
    answers: dict[str, Answers] = {}
    seconds: float | None = Field(default=None, exclude_if=absent)


def student_of(spec: BuildSpec) -> Student:
    """The student of a spec; one instance a process, for students are pure."""
    student: Student = registry.shared("student", spec.name, canonical_json(spec.args))
    if not isinstance(student, Student):
        raise SettingError(f"student {spec.name!r} is a {type(student).__name__}; derive it from students.base.Student")
    return student


def student_for(spec: BuildSpec, task: str, methods: Iterable[str] = ("sft",)) -> Student:
    """The student, if it can learn the task, by these methods: simulated ones know the tasks that they are fitted to.

    Raises:
        SettingError: If it cannot.
    """
    student = student_of(spec)
    for method in methods:
        registry.must_know("method", method)
        outside = method not in METHODS
        if method not in student.methods and not (outside and student.has_policy):
            raise SettingError(
                f"recipe.method is {method!r}, by which student {student.name!r} is not trained; give "
                f"{' or '.join(map(repr, student.methods))}, or another student"
            )
    known = getattr(student, "tasks", (task,))
    if task not in known:
        raise SettingError(f"student {student.name!r} cannot learn task {task!r}; give {' or '.join(known)}")
    return student


def from_initial(spec: BuildSpec, seed: int, train: Training | None = None, exams: tuple[Exam, ...] = ()) -> Job:
    """A job that starts from the untrained student of a seed."""
    return Job(student=spec, parent=initial_key(student_of(spec), seed), initial=seed, train=train, exams=exams)


def execute(job: Job, key: str, blobs: Blobs) -> Outcome:
    """Run a job in this process.

    Args:
        job: With ``blob`` filled in, unless it starts from an untrained student.
        key: ``job.key()``, as the driver computed it.
        blobs: Where weights are read and written.

    Raises:
        BlobCorruptError: If the parent's weights are missing or damaged.
        TrainingDivergedError: If the loss is not finite, in training or in an exam.
    """
    student, began = student_of(job.student), time.process_time()
    if job.initial is not None:
        weights = student.initial(job.initial)
    else:
        assert job.blob is not None, "the runner fills in the blob of a parent that was trained"
        weights = blobs.get(job.blob)
    trained, blob = None, job.blob
    if job.train is not None:
        weights, trained = student.fit(weights, job.train.data, job.train.recipe, job.train.seed)
        blob = blobs.put(weights)
    answers = {exam.name: _sit(student, (key, weights), exam, blobs) for exam in job.exams}
    return Outcome(key=key, blob=blob, trained=trained, answers=answers, seconds=time.process_time() - began)


def _asked(exam: Exam, blobs: Blobs) -> list[Asked]:
    """The prompts of an exam, with the images themselves in place of their digests."""
    media = exam.media or ((),) * len(exam.prompts)
    return [Asked(text, tuple(map(blobs.get, some))) for text, some in zip(exam.prompts, media, strict=True)]


def _sit(student: Student, state: tuple[str, bytes], exam: Exam, blobs: Blobs) -> Answers:
    if exam.media and "image" not in student.sees:
        raise SettingError(
            f"the {exam.name} exam shows images, which student {student.name!r} does not see; give one that sees them"
        )
    asked = _asked(exam, blobs)
    weights = state[1]
    if exam.engine is None:
        rounds = [student.answer(weights, asked, exam.decoding, seed) for seed in exam.seeds]
    else:
        place = place_beside(blobs)
        rounds = [answer(exam.engine, student, state, asked, exam.decoding, seed, place) for seed in exam.seeds]
    for some in rounds:
        if len(some) != len(asked):
            raise JobFailedError(
                f"student {student.name!r} gives {len(some)} answers to {len(asked)} prompts of the {exam.name} exam; "
                "give one text for each in answer()"
            )
    responses = [said for answers in zip(*rounds, strict=True) for said in answers]
    losses, entropies = None, None
    if exam.golds is not None:
        media = exam.media or ((),) * len(exam.prompts)
        rows = zip(exam.prompts, exam.golds, media, strict=True)
        golds = [Example(prompt=p, response=g, media=m) for p, g, m in rows]
        losses = _finite("loss", student.losses(weights, golds), exam)
        entropies = _finite("entropy", student.entropies(weights, golds), exam) if exam.entropy else None
    return Answers(responses=tuple(responses), losses=losses, entropies=entropies)


def _finite(what: str, values: Sequence[float], exam: Exam) -> tuple[float, ...]:
    """The values, if all are finite; a student that gives others has diverged."""
    for value in values:
        if not math.isfinite(value):
            raise TrainingDivergedError(
                f"the student's {what} on the {exam.name} exam is {value}; lower recipe.rate, or where it was not "
                "trained yet, mend the model that student_args names"
            )
    return tuple(values)
