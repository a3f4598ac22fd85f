"""The teacher of docs/agents.md works as a reader would have it: two files in a package of one's own."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from teachers.chat.scripted import Server, serving
from tests.chatting import backwards
from tests.toys import TOYS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "agents.md"


@pytest.mark.usefixtures("toys")
def test_the_coach_of_the_page_teaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my_teachers"
    folder.mkdir()
    (folder / "__init__.py").touch()
    for kind, file in (("jinja", "coach.j2"), ("python", "coach.py")):
        (block,) = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        (folder / file).write_text(block, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    coach = import_module("my_teachers.coach").Coach
    with serving(Server(backwards)) as server:
        chat = {"base_url": server.base_url, "model": "scripted"}
        dataenv.check_teacher(coach(chat), lambda: TeachingEnv("open-ended", runner=Runner(Store()), **SHORT))
        teacher = coach(chat)
        episode = dataenv.run(TeachingEnv("open-ended", runner=Runner(Store()), **SHORT), teacher, seed=0)
    for name in ("my_teachers", "my_teachers.coach"):
        sys.modules.pop(name)
    assert len(episode.steps) > 2
    assert all(step.kept == 8 for step in episode.steps[1:])
    assert teacher.yields["consistent"] >= 8


SHORT = TOYS | {"budget": {"student_tokens": 1_000}}
