"""The lesson lock: who waits for a checker keeps nobody else from making a lesson."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from dataenv.environment.env import TeachingEnv
from dataenv.execution.runner import LessonLock
from tests.tiny import TINY


def test_while_a_judge_works_others_have_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    env = TeachingEnv("open-ended", **TINY)
    env.reset(seed=0)
    free: list[bool] = []

    def taken() -> None:
        with env.runner.lesson_lock:
            free.append(True)

    def ask_others(*_: Any) -> None:
        other = threading.Thread(target=taken)
        other.start()
        other.join(5)

    judges, grades = env.task.judges, env.task.grades
    monkeypatch.setattr(env.task, "judges", lambda examples: (ask_others(), judges(examples))[1])
    monkeypatch.setattr(env.task, "grades", lambda asked: (ask_others(), grades(asked))[1])
    env.step(env.task.generate(env.task.skills[0], 8, np.random.default_rng(0)))
    assert len(free) == 3  # the judge, and two exams


def test_a_lock_that_nobody_holds_is_not_released() -> None:
    lock = LessonLock()
    with lock.released():
        pass
    with lock:
        with lock.released(), lock:
            pass
        other = threading.Thread(target=lambda: lock.released().__enter__())
        other.start()
        other.join()
        assert lock._lock.locked()
    assert not lock._lock.locked()
