"""The lesson lock, and what a step commits: who waits for a checker keeps nobody else from making a lesson."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataenv.environment.branch import fork
from dataenv.environment.env import TeachingEnv
from dataenv.errors import StoreError
from dataenv.execution.runner import LessonLock, Runner
from dataenv.execution.store import Store
from tasks.records import Example
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


def counts(store: Store) -> dict[str, int]:
    return {table: store.count(table) for table in ("states", "exams", "lessons")}


def test_a_step_is_there_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    env = TeachingEnv("skill-list", runner=Runner(store), **TINY)
    env.reset(seed=0)
    before, action = counts(store), np.ones(len(env.task.skills), np.float32)
    put = store.put

    def full(table: str, key: str, record: Any) -> Any:
        if table == "exams":
            raise StoreError("the disk is full")
        return put(table, key, record)

    monkeypatch.setattr(store, "put", full)
    with pytest.raises(StoreError, match="full"):
        env.step(action)
    assert counts(store) == before
    monkeypatch.undo()
    env.step(action)
    after = counts(store)
    assert (after["states"] - before["states"], after["exams"] - before["exams"]) == (1, 2)
    assert [len(Store(tmp_path).lesson(name)) for name in env.snapshot().lessons] == [len(env._taught.lessons[0])]


def test_what_is_put_together_is_seen_by_others_together(tmp_path: Path) -> None:
    store, other = Store(tmp_path), Store(tmp_path)
    with store.together(), store.together():  # the inner one is part of the outer one
        store.put("chats", "a", {"n": 1})
        assert other.get("chats", "a") is None
    assert other.get("chats", "a") == store.put("chats", "a", {"n": 2}) == {"n": 1}


def test_a_fork_reads_no_lesson_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    env = TeachingEnv("skill-list", runner=Runner(store), **TINY)
    env.reset(seed=0)
    for _ in range(2):
        env.step(np.ones(len(env.task.skills), np.float32))
    monkeypatch.setattr(
        store, "get", lambda table, *rest: None if table == "lessons" else Store.get(store, table, *rest)
    )
    assert fork(env).snapshot().lessons == env.snapshot().lessons
    monkeypatch.undo()
    apart = Store(tmp_path)  # has put none of them, and reads what is written
    assert [apart.lesson(name) for name in env.snapshot().lessons] == list(env._taught.lessons)


def test_recent_lessons_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(None)
    lessons = [tuple(Example(prompt=f"{i}", response=f"{j}") for j in range(3)) for i in range(4)]
    monkeypatch.setattr(store._recent, "_most", 6)
    names = [store.put_lesson(lesson) for lesson in lessons]
    assert [store.remembers(name) for name in names] == [False, False, True, True]
    assert [store.lesson(name) for name in names] == lessons
