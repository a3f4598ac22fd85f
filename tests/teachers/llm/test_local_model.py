"""Every teacher that asks a language model, over a real one: SmolLM2-135M behind llama.cpp's server, one lesson each.

The replies were recorded once and are played again without a server; ``RECORD=local`` records anew what ``-k`` names.
It is a weak teacher. How weak is said by the table in ``docs/agents.md``, which is compared to the letter.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit

from dataenv import registry
from dataenv.checks import check_task
from dataenv.environment.env import TeachingEnv
from dataenv.episode.loop import StepRecord, run
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from tasks.arithmetic import Arithmetic
from tasks.records import Example, Problem, Split
from teachers.chat import Chat, load
from teachers.chat.spec import LOCAL_CHAT
from tests.tiny import TINY

CASSETTES = Path(__file__).with_name("smollm2")
TABLE = Path(__file__).parents[3] / "docs" / "agents.md"
CHAT = LOCAL_CHAT | {"max_tokens": 192}
OFFLINE = CHAT | {"base_url": "http://127.0.0.1:9/v1", "retries": 0}
QUOTA: dict[str, Any] = {"quota": 4, "walks": 1}
ENGINE: dict[str, Any] = {"engine": {"rounds": 1}}
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "stat-syn": ("stat-syn", QUOTA | {"difficult": 4}),
    "stat-syn, profile by chat": ("stat-syn", QUOTA | {"difficult": 4, "diagnosis": "chat"}),
    "stat-sel, profile by chat": ("stat-sel", {"difficult": 4, "diagnosis": "chat"}),
    "stat-sel-pool, rewritten": ("stat-sel-pool", {"quota": 4, "rewrites": 2}),
    "embed-syn": ("embed-syn", QUOTA | {"difficult": 4}),
    "augment": ("augment", QUOTA),
    "genqa": ("genqa", QUOTA | {"topics": 3}),
    "evol-instruct": ("evol-instruct", QUOTA | {"seeds": 4, "rounds": 2}),
    "skill-mix": ("skill-mix", QUOTA),
    "reflection": ("reflection", {"teacher": "embed-sel"}),
    "open-ended": ("open-ended", {"errors": 4}),
    "open-ended, no state": ("open-ended", {"errors": 4, "state": False}),
    "skill-list": ("skill-list", {}),
    "skill-list, no state": ("skill-list", {"state": False}),
    "skill-list, written": ("skill-list", {"quota": 4} | ENGINE),
    "skill-tree": ("skill-tree", {}),
    "skill-tree, no state": ("skill-tree", {"state": False}),
    "llm2llm": ("llm2llm", {"quota": 4, "floor": 0.0} | ENGINE),
    "best-of, learnability": ("best-of", {"quota": 2, "candidates": 2, "samples": 4} | ENGINE),
    "best-of, influence": ("best-of", {"quota": 2, "candidates": 2, "score": "influence"} | ENGINE),
    "best-of, teaching": ("best-of", {"quota": 2, "candidates": 2, "score": "teaching"} | ENGINE),
    "deliberate-practice": ("deliberate-practice", {"first": 2, "added": 2, "additions": 1, "candidates": 2} | ENGINE),
    "accel": ("accel", {"items": 2, "buffer": 2} | ENGINE),
    "influence": ("influence", {"group": 2, "reference": 16} | ENGINE),
}
"""Each with arguments that ask for little: a lesson of the local model's takes a minute."""


class Few(Arithmetic):
    """Two skills of ``arithmetic``: a lesson that touches all of them is to be short."""

    name = "few"
    skills = ("max", "add")

    def split(self, name: Split) -> Sequence[Problem]:
        return [p for p in super().split(name) if p.skills[0] in self.skills]

    def pool(self) -> Sequence[Example]:
        return [e for e in super().pool() if e.skills[0] in self.skills]

    def solve(self, prompt: str) -> tuple[str, str] | None:
        solved = super().solve(prompt)
        return solved if solved and solved[0] in self.skills else None

    def diagnose(self, problem: Problem, response: str) -> tuple[str, ...]:
        lacks = super().diagnose(problem, response)
        return tuple(s for s in lacks if s in self.skills) or (problem.skills[:1] if lacks else ())

    def prior(self, n: int, rng: np.random.Generator) -> list[Example]:
        return self.generate(self.skills[0], n, rng)


ONE_LESSON = TINY | {
    "task": "few",
    "student_args": {"width": 16, "layers": 1, "heads": 2, "context": 64},
    "items": {"feedback": 6, "selection": 6, "test": 6, "transfer": 0},
    "lesson_size": 8,
    "budget": {"student_tokens": 6_000},
}


def play(arm: str, chat: dict[str, Any], store: Store) -> tuple[Any, StepRecord]:
    """One lesson by a teacher of the table, and what it came to."""
    name, args = ARMS[arm]
    teacher = registry.build("teacher", name, {"chat": chat, **args})
    env = TeachingEnv(teacher.level, runner=Runner(store), **ONE_LESSON)
    return teacher, run(TimeLimit(env, 1), teacher, seed=0).steps[-1]


def chat_of(teacher: Any) -> Chat:
    """The teacher's own, or that of the engine that it draws from."""
    chat = getattr(teacher, "chat", None) or teacher._source.chat
    assert isinstance(chat, Chat)
    return chat


def row(arm: str, teacher: Any, step: StepRecord) -> str:
    """Its line of the table: requests, what became of them, questions, those agreed on, examples taught, and right."""
    outcomes, yields = chat_of(teacher).counts, teacher.yields if hasattr(teacher, "yields") else {}
    others = ", ".join(f"{n} {name}" for name, n in sorted(outcomes.items()) if name != "ok") or "–"
    stages = [str(yields.get(stage, "–")) for stage in ("questions", "consistent")]
    right = f"{step.judged.get('right', 0)} of {sum(step.judged.values())}" if step.judged else "–"
    cells = [arm, str(outcomes.total()), str(outcomes["ok"]), others, *stages, str(step.kept), right]
    return f"| {' | '.join(cells)} |"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.TASKS, "few", f"{__name__}:Few")


def test_the_task_keeps_its_contract() -> None:
    check_task(Few())


@pytest.mark.parametrize("arm", ARMS)
def test_a_lesson_with_a_real_model_is_played_again_without_it(arm: str, tmp_path: Path) -> None:
    cassette = CASSETTES / f"{arm.replace(', ', '_').replace(' ', '_').replace('-', '_')}.jsonl"
    if os.environ.get("RECORD") == "local":
        recorded, step = play(arm, CHAT, Store())
        chat_of(recorded).save(cassette)
        print(row(arm, recorded, step))
    rows = load(cassette).rows
    assert {r["served"] for r in rows.values()} == {CHAT["model"]}
    store = Store()
    for key, stored in rows.items():
        store.put("chats", key, stored)
    teacher, step = play(arm, OFFLINE, store)
    chat_of(teacher).save(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == cassette.read_bytes()
    assert row(arm, teacher, step) in TABLE.read_text().splitlines()
