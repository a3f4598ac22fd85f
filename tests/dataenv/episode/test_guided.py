"""Drawing from a generator that the student guides is paid as what it costs, and refused in one sentence."""

from pathlib import Path
from typing import Any

import pytest

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.errors import BudgetSpentError, SettingError
from students.base import FORWARD_BACKWARD
from tasks.images.denoiser import STEPS
from tests.pictures import stand_in
from tests.tiny import TINY


def context(monkeypatch: pytest.MonkeyPatch, folder: Path, tokens: int = 100_000) -> tuple[TeachingEnv, Context]:
    setting: dict[str, Any] = {
        "task": "digits",
        "task_args": stand_in(monkeypatch, folder),
        "student": "image-mlp",
        "student_args": {"side": 8},
        "recipe": {"updates": 2, "batch": 4},
        "lesson_size": 4,
        "items": {"feedback": 1, "selection": 1, "test": 1, "transfer": 1},
        "decoding": {"max_tokens": 1},
        "budget": {"student_tokens": tokens},
    }
    env = TeachingEnv("open-ended", **setting)
    env.reset(seed=0)
    return env, Context(env)


def test_guidance_is_paid_and_static_generation_is_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env, asked = context(monkeypatch, tmp_path)
    before = env.purse.spent
    free = asked.draw([("3", 2), ("8", 1)], checked=False)
    assert [e.response for e in free] == ["3", "3", "8"]
    assert env.purse.spent == before
    guided = asked.draw([("3", 2)], omega=0.1, checked=False)
    assert len(guided) == 2
    assert env.purse.spent - before == FORWARD_BACKWARD * STEPS * 2
    assert asked.draw([("3", 2)], omega=0.1, checked=False) != guided  # each call has draws of its own


def test_an_empty_purse_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env, asked = context(monkeypatch, tmp_path, tokens=3_000)
    spent = env.purse.spent
    with pytest.raises(BudgetSpentError):
        asked.draw([("3", 100)], omega=0.1, checked=False)
    assert env.purse.spent == spent


def test_what_is_wrong_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, asked = context(monkeypatch, tmp_path)
    with pytest.raises(ValueError, match="skill 'cat' is not one of"):
        asked.draw([("cat", 1)])
    with pytest.raises(SettingError, match=r"omega is -1"):
        asked.draw([("3", 1)], omega=-1)
    env = TeachingEnv("open-ended", **TINY)
    env.reset(seed=0)
    with pytest.raises(SettingError, match="has no generator that can be steered"):
        Context(env).draw([(env.task.skills[0], 1)])


def test_a_guided_lesson_is_taught_and_repeats_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from teachers.practice import DeliberatePractice

    env, _ = context(monkeypatch, tmp_path)
    args: dict[str, Any] = {"additions": 2, "unguided": 0.0}
    for steer in ({"omega": 0.1, "checked": False}, {"checked": False}):
        runs = [dataenv.run(env, DeliberatePractice(**args, steer=steer), seed=1) for _ in range(2)]
        assert runs[0] == runs[1]
        assert [step.kept for step in runs[0].steps] == [0, 4, 4, 4, 0]
