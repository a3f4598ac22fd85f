"""What this machine takes for the pieces that a board is made of, measured on the board's own student and data."""

from __future__ import annotations

import statistics
import time
import zlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from dataenv.environment.env import TeachingEnv
from dataenv.environment.exams import exam_of
from dataenv.errors import SettingError
from dataenv.execution.jobs import asked_in
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.lessons.engines import Procedural, Request, blended, engine_of, split_counts
from dataenv.lessons.scene import Scene
from dataenv.lessons.tuition import golds
from dataenv.setting import Setting
from dataenv.snapshot import Snapshot
from dataenv.waiting import waiting
from students.base import FORWARD_BACKWARD, Data, Student, TrainingDivergedError
from tasks import media
from tasks.errors import UnsupportedError
from tasks.records import Example, Record, canonical_json, stream

T = TypeVar("T")
WARM_UP, UPDATES, SLICE, TIMES = 2, 16, 400, 3
PLAIN = {"method": "sft", "grpo": None, "dpo": None}
"""A student token is timed where it is taught, whatever a board does with it."""
SECONDS = 8.0
"""About how long each timing of a piece may take: a student of hundreds of millions of weights is timed on fewer."""


class Measured(Record):
    """Seconds and bytes on this machine, one torch thread.

    Attributes:
        start: Seconds until the student is loaded, imports included.
        token: Seconds to train for one student token.
        answer: Seconds to answer one problem of an exam.
        loss: Seconds to measure the loss on one gold answer.
        lesson: Seconds that the driver takes to make, screen, name and send one lesson.
        blob: Bytes of a trained student.
        example: Bytes that the store keeps of one taught example.
        updates: Updates that were timed, ``TIMES`` times.
        answers: Answers that were timed, ``TIMES`` times.
        share: Share of one core that this process got meanwhile: well below 1 where others kept the machine busy.
    """

    start: float
    token: float
    answer: float
    loss: float
    lesson: float
    blob: int
    example: float
    updates: int
    answers: int
    share: float


def measure(setting: Setting) -> Measured:
    """Train a few updates of the real student on a real lesson, and let it answer a slice of the exam.

    Medians of three, after a warm-up that is not timed. Nothing is stored.

    Raises:
        SettingError: If the student cannot be trained on what the task generates, or diverges on it at once.
    """
    with waiting("measuring some updates and answers of the student on this machine …"):
        return _measured(setting)


def _measured(setting: Setting) -> Measured:
    start, student = _timed(lambda: setting.built_student)
    more, fresh = _timed(lambda: student.initial(0))
    began, used = time.perf_counter(), time.process_time()
    weights, token, updates = _training(setting, student, fresh)
    answer, loss, answers = _exam(setting, student, weights)
    lesson, example = _lesson(setting)
    return Measured(
        start=start + more,
        token=token,
        answer=answer,
        loss=loss,
        lesson=lesson,
        blob=len(weights),
        example=example,
        updates=updates,
        answers=answers,
        share=(time.process_time() - used) / (time.perf_counter() - began),
    )


def _training(setting: Setting, student: Student, weights: bytes) -> tuple[bytes, float, int]:
    """A student that was taught a little, seconds a student token, and the updates that were timed."""
    lesson = tuple(e for e in sample(setting, None, UPDATES * setting.recipe.batch) if student.refuse(e) is None)
    if not lesson:
        raise SettingError(f"student {setting.student!r} can read no example of task {setting.task!r}; give another")
    recipe = setting.recipe.model_copy(
        update={"updates": min(UPDATES, setting.recipe.updates), "replay": 0.0, "cooldown": 0, **PLAIN}
    )
    few = recipe.model_copy(update={"updates": min(WARM_UP, recipe.updates)})
    try:
        each, (weights, _) = _timed(lambda: student.fit(weights, Data(lesson), few, 0))
        recipe = recipe.model_copy(update={"updates": _within(each / few.updates, recipe.updates)})
        timed = [_timed(lambda: student.fit(weights, Data(lesson), recipe, 0)) for _ in range(TIMES)]
    except TrainingDivergedError as error:
        raise SettingError(f"setting.recipe does not train: {error}") from error
    after, report = timed[0][1]
    seconds = statistics.median(seconds for seconds, _ in timed)
    return after, seconds / (FORWARD_BACKWARD * report.tokens), recipe.updates


def _exam(setting: Setting, student: Student, weights: bytes) -> tuple[float, float, int]:
    """Seconds an answer, seconds a loss, and how many of each were timed: problems spread over the feedback exam."""
    exam = exam_of(setting, "feedback")
    assert exam.golds is not None, "the feedback exam measures losses"
    shown = asked_in(exam, media.picture)
    few = shown[:: max(1, len(shown) // 8)]
    student.answer(weights, few[:1], exam.decoding, 0)
    each, _ = _timed(lambda: student.answer(weights, few, exam.decoding, 0))
    n = _within(each / len(few), min(SLICE, len(exam.prompts)))
    some = np.linspace(0, len(exam.prompts) - 1, n).astype(int)
    prompts = [shown[i] for i in some]
    right = golds(setting)
    examples = [right[i] for i in some]
    answered = [_timed(lambda: student.answer(weights, prompts, exam.decoding, 0))[0] for _ in range(TIMES)]
    lost = [_timed(lambda: student.losses(weights, examples))[0] for _ in range(TIMES)]
    return statistics.median(answered) / n, statistics.median(lost) / n, n


def _within(seconds: float, most: int) -> int:
    """How many things that take these seconds each are timed."""
    return max(1, min(most, int(SECONDS / max(seconds, 1e-9))))


def _lesson(setting: Setting) -> tuple[float, float]:
    """Seconds of the driver for one lesson, and bytes that the store keeps of one of its examples."""
    env = TeachingEnv("open-ended", runner=Runner(Store(None)), setting=setting)
    env.begin_reset(seed=0)  # prepares the episode; the job that would make the untaught student is left alone
    seconds = []
    for i in range(TIMES):

        def begin(step: int = i) -> str:
            job = env.begin(sample(setting, None, setting.lesson_size, step))
            return "" if job is None else job.key() + job.model_dump_json()

        seconds.append(_timed(begin)[0])
        env.abort()
    made = sample(setting, None, setting.lesson_size)
    kept = len(zlib.compress(canonical_json([e.model_dump(mode="json") for e in made]).encode(), 1))
    return statistics.median(seconds), kept / max(1, len(made))


def sample(setting: Setting, mixture: npt.NDArray[np.float64] | None, n: int, step: int = 0) -> Sequence[Example]:
    """``n`` examples as the Setting's engine makes them, of every skill equally or in a mixture ``(k,)``.

    A task that has neither generator nor pool gives its feedback problems: what teachers bring will be like them.
    """
    task, rng, engine = setting.built_task, stream(0, "plan", step), engine_of(setting)
    if engine.waits:  # no server is asked before a board is played; the generator stands in for it
        engine = Procedural()
    counts = split_counts(np.ones(len(task.skills)) if mixture is None else mixture, n, rng)
    scene = Scene(setting, Snapshot(setting="", level="", seed=0, student_seed=0))
    scene.rng = rng
    try:
        return blended(engine, [Request(s, k) for s, k in zip(task.skills, counts, strict=True) if k], scene)
    except UnsupportedError:
        return list(golds(setting))


def _timed(act: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = act()
    return time.perf_counter() - began, result
