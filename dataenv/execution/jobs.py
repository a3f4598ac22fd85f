"""Job: train, then respond. The only thing that an executor ever runs.

A job is JSON. Its outcome is JSON too (an ``Outcome``) and at most one blob, the weights, which the worker writes to
the blobs it was given. Jobs are never nested, and a job says everything that its result depends on.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import not_
from typing import Annotated, Any, Self

from pydantic import Field, ValidatorFunctionWrapHandler, WrapSerializer, WrapValidator

from dataenv import registry
from dataenv.errors import DataenvError, JobFailedError, SettingError
from dataenv.execution.blobs import BlobCorruptError, Blobs, place_beside
from dataenv.execution.making import Making
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
from students.training import many
from students.training.methods import METHODS, method_code
from tasks import media
from tasks.base import Task
from tasks.columns import ExampleColumns, distinct
from tasks.records import Example, Problem, Record, absent, canonical_json, digest, stream

DATA = ("lesson", "earlier", "watched")
"""The parts of what a training run sees."""


class _Remembering(Record):
    """A record with cached properties. A copy, which ``model_copy`` then changes, begins without their values."""

    def __copy__(self) -> Self:
        made = super().__copy__()
        for name in vars(made).keys() - type(made).model_fields.keys():
            del vars(made)[name]
        return made


def _as_columns(value: Any, validate: ValidatorFunctionWrapHandler) -> Sequence[Example]:
    """Columns stay what they are; anything else becomes a tuple of examples."""
    return value if type(value) is ExampleColumns else tuple(validate(value))


LessonField = Annotated[
    Sequence[Example], WrapValidator(_as_columns), WrapSerializer(lambda lesson, serialise: serialise(tuple(lesson)))
]


class BuildSpec(Record):
    """A registered name and its arguments, as JSON."""

    name: str
    args: dict[str, Any] = {}


class Training(_Remembering):
    """What is trained: the lesson, the sample of earlier examples that is replayed, how, and in which order.

    ``watched`` is what patience looks at. ``task`` is whose checker says what is right, where the student practises: a
    worker asks it while it trains.
    """

    lesson: LessonField
    earlier: LessonField = ()
    watched: LessonField = ()
    recipe: Recipe
    seed: int
    task: BuildSpec | None = Field(default=None, exclude_if=absent)

    @cached_property
    def data(self) -> Data:
        """The same, as the student takes it."""
        parts = tuple(self.lesson), tuple(self.earlier), tuple(self.watched)
        task = self._checker
        data = Data(*parts) if task is None else Data(*parts, task[0].verifies, task[1])
        vars(data)["digest"] = self.digest
        return data

    @cached_property
    def digest(self) -> str:
        """``Data.digest``, which would list and hash every example again."""
        return digest([self.written[part].name for part in DATA] + ([self._checker[1]] if self._checker else []))

    @cached_property
    def _checker(self) -> tuple[Task, str] | None:
        """The task that says what is right, and the name of its checker."""
        if self.task is None:
            return None
        task: Task = registry.shared("task", self.task.name, canonical_json(self.task.args))
        # What rewards is part of what is trained: a worker with another checker has another name for the state.
        return task, digest([task.fingerprint, code_digest(type(task))])

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
        text = f'["exam",{canonical_json(state)},{self.asked}]'
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def asked(self) -> str:
        """What is asked and how, as JSON, the exam's name and the address of its engine left out."""
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


class Job(_Remembering):
    """Train (or not), then sit the exams.

    Attributes:
        student: Which student.
        parent: The key of the state to start from.
        initial: The seed of the untrained state, where the parent is that; else ``None``.
        blob: Where the parent's weights are (filled in by the runner, and no part of any name).
        train: What to train, or ``None``.
        exams: What to answer afterwards.
        make: What to make with the parent's help; then nothing is trained.
    """

    student: BuildSpec
    parent: str
    initial: int | None = None
    blob: str | None = None
    train: Training | None = None
    exams: tuple[Exam, ...] = ()
    make: Making | None = Field(default=None, exclude_if=absent)

    def text(self) -> str:
        """The job as JSON, of which ``Job.model_validate_json`` makes it again; lessons are not listed anew for it."""
        if self.train is None:
            return self.model_dump_json()
        rest = self.train.model_dump_json(exclude=set(DATA))
        parts = ",".join(f'"{part}":{written.text}' for part, written in self.train.written.items())
        return f'{self.model_dump_json(exclude={"train"})[:-1]},"train":{{{parts},{rest[1:]}}}'

    @property
    def pictures(self) -> set[str]:
        """Digests of all images that it shows."""
        asked = (name for exam in self.exams for names in exam.media for name in names)
        if self.train is None:
            return set(asked)
        return {
            *asked,
            *(name for part in DATA for names in distinct(getattr(self.train, part), "media") for name in names),
        }

    def key(self) -> str:
        """The name of the state that the job ends in."""
        return self._key

    @cached_property
    def _key(self) -> str:
        if self.train is None:
            return self.parent
        t = self.train
        code = method_code(t.recipe)
        return derive_key(student_of(self.student), self.parent, t.digest, t.recipe, t.seed, code)


class Outcome(Record):
    """What a job came to: the state it ended in, its blob, the training report and the answers by exam name.

    ``seconds`` is the processor time of the process that ran it; ``None`` where nothing was run.
    """

    key: str
    blob: str | None = None
    trained: Trained | None = None
    answers: dict[str, Answers] = {}
    made: tuple[Example, ...] = Field(default=(), exclude_if=not_)
    seconds: float | None = Field(default=None, exclude_if=absent)


def student_of(spec: BuildSpec) -> Student:
    """The student of a spec; one instance a process, for students are pure."""
    student: Student = registry.shared("student", spec.name, canonical_json(spec.args))
    if not isinstance(student, Student):
        raise SettingError(f"student {spec.name!r} is a {type(student).__name__}; derive it from students.base.Student")
    return student


def student_for(
    spec: BuildSpec, task: str, methods: Iterable[str] = ("sft",), shows: Iterable[str] = ("text",)
) -> Student:
    """The student, if it can learn the task, which ``shows`` texts or images, by these methods.

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
    if "image" in shows and "image" not in student.sees:
        raise SettingError(
            f"task {task!r} shows pictures, which student {student.name!r} does not see; give a student that sees them"
        )
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
    ended = execute_many([job], [key], blobs)[0]
    if isinstance(ended, Exception):
        raise ended
    return ended


@dataclass
class _Run:
    """A job on its way. What has failed goes no further."""

    job: Job
    key: str
    weights: bytes = b""
    blob: str | None = None
    trained: Trained | None = None
    answers: dict[str, Answers] = field(default_factory=dict)
    made: tuple[Example, ...] = ()
    failed: DataenvError | None = None


def execute_many(jobs: Sequence[Job], keys: Sequence[str], blobs: Blobs) -> list[Outcome | DataenvError]:
    """Run jobs of one student in this process, in one computation where the student has slots.

    Args:
        jobs: As in ``execute``.
        keys: Of each.
        blobs: Where weights are read and written.

    Returns:
        What each came to; for a job that failed alone the error that ``execute`` raises. Any other error is raised, and
        belongs to all of them.
    """
    student, began = student_of(jobs[0].student), time.process_time()
    runs = [_Run(job, key, blob=job.blob) for job, key in zip(jobs, keys, strict=True)]
    for run in runs:
        try:
            run.weights = _weights_before(student, run.job, blobs)
        except BlobCorruptError as error:
            run.failed = error
    with media.reading(blobs.get):
        _compute(student, runs, blobs)
    seconds = (time.process_time() - began) / len(runs)
    return [
        run.failed
        or Outcome(key=run.key, blob=run.blob, trained=run.trained, answers=run.answers, made=run.made, seconds=seconds)
        for run in runs
    ]


def _compute(student: Student, runs: Sequence[_Run], blobs: Blobs) -> None:
    """Make what is to be made, train all that are to be trained, then let them sit their exams."""
    for run in runs:
        if run.job.make is not None and run.failed is None:
            run.made = tuple(run.job.make.make(student, run.weights))
            for name in (name for example in run.made for name in example.media):
                blobs.put(media.picture(name), sync=False)
    _train(student, runs, blobs)
    exams: dict[tuple[str, str], list[tuple[_Run, Exam]]] = {}
    for run in runs:
        for exam in run.job.exams:
            exams.setdefault((exam.name, "" if len(runs) == 1 else exam.asked), []).append((run, exam))
    for sitting in exams.values():
        _sit(student, [run for run, _ in sitting if run.failed is None], sitting[0][1], blobs)


def _weights_before(student: Student, job: Job, blobs: Blobs) -> bytes:
    if job.initial is not None:
        return student.initial(job.initial)
    assert job.blob is not None, "the runner fills in the blob of a parent that was trained"
    return blobs.get(job.blob)


def _train(student: Student, runs: Sequence[_Run], blobs: Blobs) -> None:
    taught = [(run, run.job.train) for run in runs if run.job.train is not None and run.failed is None]
    fits = [many.Fit(run.weights, train.data, train.recipe, train.seed) for run, train in taught]
    for (run, _), made in zip(taught, many.fit_many(student, fits), strict=True):
        if isinstance(made, TrainingDivergedError):
            run.failed = made
        else:
            run.weights, run.trained = made
            run.blob = blobs.put(run.weights)


def media_of(shown: Iterable[Problem | Example]) -> tuple[tuple[str, ...], ...]:
    """The images of each, as an exam has them: empty where none shows any."""
    each = tuple(one.media for one in shown)
    return each if any(each) else ()


def asked_in(exam: Exam, read: Callable[[str], bytes]) -> list[Asked]:
    """The prompts of an exam, with the images themselves in place of their digests, which ``read`` gives."""
    media = exam.media or ((),) * len(exam.prompts)
    return [Asked(text, tuple(map(read, some))) for text, some in zip(exam.prompts, media, strict=True)]


def _sit(student: Student, runs: Sequence[_Run], exam: Exam, blobs: Blobs) -> None:
    """Let several states sit one exam."""
    if not runs:
        return
    if exam.media and "image" not in student.sees:
        raise SettingError(
            f"the {exam.name} exam shows images, which student {student.name!r} does not see; give one that sees them"
        )
    states, asked = [run.weights for run in runs], asked_in(exam, blobs.get)
    rounds = [_responses(student, runs, asked, exam, seed, blobs) for seed in exam.seeds]  # by round and state
    golds = golds_of(exam)
    losses = many.losses_many(student, states, golds) if golds is not None else None
    entropies = many.entropies_many(student, states, golds) if golds is not None and exam.entropy else None
    for i, run in enumerate(runs):
        said = [answers for each in zip(*(some[i] for some in rounds), strict=True) for answers in each]
        try:
            run.answers[exam.name] = Answers(
                responses=tuple(said),
                losses=None if losses is None else _finite("loss", losses[i], exam),
                entropies=None if entropies is None else _finite("entropy", entropies[i], exam),
            )
        except TrainingDivergedError as error:
            run.failed = error


def _responses(
    student: Student, runs: Sequence[_Run], asked: Sequence[Asked], exam: Exam, seed: int, blobs: Blobs
) -> list[list[str]]:
    """What each state answers, once to each prompt."""
    if exam.engine is None:
        found = many.answer_many(student, [run.weights for run in runs], asked, exam.decoding, seed)
    else:
        engine, place = exam.engine, place_beside(blobs)
        found = [answer(engine, student, (r.key, r.weights), asked, exam.decoding, seed, place) for r in runs]
    for some in found:
        if len(some) != len(asked):
            raise JobFailedError(
                f"student {student.name!r} gives {len(some)} answers to {len(asked)} prompts of the {exam.name} exam; "
                "give one text for each in answer()"
            )
    return found


def golds_of(exam: Exam) -> list[Example] | None:
    """The prompts with their gold answers, where losses are measured."""
    if exam.golds is None:
        return None
    media = exam.media or ((),) * len(exam.prompts)
    rows = zip(exam.prompts, exam.golds, media, strict=True)
    return [Example(prompt=p, response=g, media=m) for p, g, m in rows]


def _finite(what: str, values: Sequence[float], exam: Exam) -> tuple[float, ...]:
    """The values, if all are finite; a student that gives others has diverged."""
    for value in values:
        if not math.isfinite(value):
            raise TrainingDivergedError(
                f"the student's {what} on the {exam.name} exam is {value}; lower recipe.rate, or where it was not "
                "trained yet, mend the model that student_args names"
            )
    return tuple(values)
