"""Contract suites: whatever has a name keeps the contract of its kind; and each rule, broken on purpose."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import dataenv
from dataenv import registry
from dataenv.checks import ContractError
from dataenv.episode.probe import LossProbe
from dataenv.execution.executors import Inline
from dataenv.leaderboard.metric import Metric
from dataenv.leaderboard.references import Nothing
from dataenv.leaderboard.trackers import Tracker
from dataenv.levels.base import Plan
from dataenv.levels.skill_list import SkillList
from students.training.method import Method, Rate

PICTURES: dict[str, Any] = {
    "task": "scenes",
    "student": "pocket-vlm",
    "engine": "pool",
    "warm_start": {"examples": 0},
    "recipe": {"updates": 2, "batch": 16},
    "lesson_size": 32,
    "items": {"feedback": 2, "selection": 2, "test": 2, "transfer": 0},
    "decoding": {"max_tokens": 1},
    "budget": {"student_tokens": 20_000},
}
"""A Setting with pictures, which one of the references asks for."""


@pytest.mark.parametrize("name", registry.names("probe"))
def test_every_probe(name: str) -> None:
    dataenv.check_probe(name)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if "joint" in n else ()) for n in registry.names("reference")]
)
def test_every_reference(name: str) -> None:
    dataenv.check_reference(name, PICTURES if name == "question-only" else None)


@pytest.mark.parametrize("name", registry.names("metric"))
def test_every_metric(name: str) -> None:
    dataenv.check_metric(name)


@pytest.mark.parametrize("name", registry.names("tracker"))
def test_every_tracker(name: str, tmp_path: Path) -> None:
    dataenv.check_tracker(f"{name}:{tmp_path / 'events.jsonl'}" if name == "jsonl" else name)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n != "inline" else ()) for n in registry.names("executor")]
)
def test_every_executor(name: str) -> None:
    dataenv.check_executor(name if name == "inline" else f"{name}:2")


@pytest.mark.parametrize("name", registry.names("method"))
def test_every_method(name: str) -> None:
    dataenv.check_method(name)


@pytest.mark.parametrize("name", registry.names("level"))
def test_every_level(name: str) -> None:
    dataenv.check_level(name)


def broken(base: type[Any], **members: Any) -> Any:
    """A subclass with these members."""
    return type("Broken", (base,), {"__doc__": "Broken on purpose.", "__module__": __name__} | members)


class Steady(Metric):
    """Always a half."""

    unit = "%"

    def of(self, row: Any) -> Any:
        return 0.5


class Cheap(Method):
    """Trains for nothing."""

    def __init__(self, *_: Any) -> None: ...

    def run(self, moments: Any) -> Any: ...

    @classmethod
    def rate(cls, recipe: Any) -> Rate:
        return Rate(0)


def noisy(*_: Any) -> float:
    return random.random()


SHARES = spaces.Box(0.0, 1.0, (3,), np.float32)


@pytest.mark.parametrize(
    ("kind", "thing", "said"),
    [
        ("probe", dict, "no subclass of dataenv.episode.probe.Probe"),
        ("probe", broken(LossProbe, tokens=lambda *_: 0), "tokens() gives 0"),
        ("probe", broken(LossProbe, tokens=lambda *_: 1 + round(1e9 * random.random())), "tokens() differs"),
        ("probe", broken(LossProbe, needs=("thoughts",)), "no methods of Student"),
        ("probe", broken(LossProbe, read=lambda self, a, e, t: [1.0]), "read() gives"),
        ("probe", broken(LossProbe, read=lambda self, a, e, t: sorted(a.losses)), "not in the order of the examples"),
        ("probe", broken(LossProbe, exam=lambda self, e, d: LossProbe.exam(self, e[:1], d)), "asks other prompts"),
        ("probe", broken(LossProbe, __doc__=None), "has no docstring"),
        ("reference", broken(Nothing, within=classmethod(lambda cls, s: None)), "within() gives NoneType"),
        ("reference", broken(Nothing, level="skil-list"), "level"),
        ("reference", broken(Nothing, act=lambda self, o, i: o["accuracy"] + random.random()), "act()"),
        ("metric", broken(Steady, unit=""), "unit is ''"),
        ("metric", broken(Steady, split="exam"), "split is 'exam'"),
        ("metric", broken(Steady, of=lambda self, row: "much"), "gives 'much'"),
        ("metric", broken(Steady, of=lambda self, row: 57.0), "gives 57.0; give a share"),
        ("metric", broken(Steady, of=lambda self, row: row.transfer.n - 2), "raises AttributeError"),
        ("metric", broken(Steady, of=noisy), "draws from random's global generator"),
        ("tracker", broken(Tracker, __exit__=lambda *_: True)(), "__exit__() gives a true value"),
        ("tracker", broken(Tracker, step=lambda *_: 1 / 0)(), "raises ZeroDivisionError"),
        ("method", Cheap, "rate() gives Rate(times=0"),
        ("level", broken(SkillList, begin=lambda self: {1: 2}), "comes back from JSON as something else"),
        ("level", broken(SkillList, check=lambda self, memory: None), "lets a strange memory pass"),
        ("level", broken(SkillList, read=lambda *_: Plan(stop=True)), "takes None for an action"),
        ("level", broken(SkillList, read=lambda self, a, m: 1 / a), "read() gives ndarray; give a Plan"),
        ("level", broken(SkillList, observe=lambda *_: {}), "observe() gives no"),
        ("level", broken(SkillList, state=("mood",)), "state names ['mood']"),
    ],
)
def test_a_broken_rule_is_one_sentence(kind: str, thing: Any, said: str) -> None:
    check: Callable[[Any], None] = getattr(dataenv, f"check_{kind}")
    with pytest.raises(ContractError) as caught:
        check(thing)
    assert said in str(caught.value)


class Lazy(Inline):
    """Comes to no outcome."""

    def submit(self, job: Any, key: str, blobs: Any) -> Any:
        future: Future[Any] = Future()
        future.set_result(None)
        return future


class Deaf(Inline):
    """Says nothing of what failed."""

    def submit(self, job: Any, key: str, blobs: Any) -> Any:
        done = super().submit(job, key, blobs)
        if done.exception() is None:
            return done
        future: Future[Any] = Future()
        future.set_exception(RuntimeError("something"))
        return future


@pytest.mark.parametrize(("kind", "said"), [(Lazy, "submit() comes to None"), (Deaf, "raises RuntimeError")])
def test_a_broken_executor(kind: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._HERE["executor"], "broken", kind)
    with pytest.raises(ContractError) as caught:
        dataenv.check_executor("broken")
    assert said in str(caught.value)
