"""The examples in the pages are run as a reader would run them, top to bottom."""

from __future__ import annotations

import importlib
import os
import re
import sys
import types
from pathlib import Path

import pytest

from dataenv import registry
from tasks.sandbox import SandboxError, in_force

ROOT = Path(__file__).resolve().parents[1]


def run_page(page: str, module: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Run the page's Python blocks as one module; a traceback shows the lines of the page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = [""] * len(text.splitlines())
    for block in re.finditer(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        first = text[: block.start(1)].count("\n")
        for i, line in enumerate(block.group(1).splitlines(), start=first):
            lines[i] = line
    assert any(lines)
    (folder / f"{module}.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, module, raising=False)
    return importlib.import_module(module)


def test_contributing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.TASKS, "reverse", "contributed:Reverse")
    monkeypatch.setitem(registry.STUDENTS, "copycat", "contributed:Copycat")
    monkeypatch.setitem(registry.TEACHERS, "bandit", "contributed:Bandit")
    episode = run_page("CONTRIBUTING.md", "contributed", tmp_path, monkeypatch).episode
    assert len(episode.steps) > 2
    assert episode.total_reward > 0.5
    assert episode.steps[-1].ended == "mastered"


def test_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = run_page("docs/levels.md", "levels", tmp_path, monkeypatch)
    assert not page.observation["allocation"][:5].any()
    assert page.observation["subskill_counts"][5:, 0].all()
    assert page.truncated
    assert len(page.vector) == 322
    assert page.blind.fields >= {"accuracy", "errors"}


def test_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = run_page("docs/pictures.md", "pictures_page", tmp_path, monkeypatch)
    assert page.problem.media == (page.name,)
    assert page.seen.shape == (32, 32, 3)


def test_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._HERE, "engine", {})
    page = run_page("docs/engines.md", "engines_page", tmp_path, monkeypatch)
    assert page.env.unwrapped.engine.name == "llm"
    assert registry.names("engine")["short"] == "engines_page:Short"


def test_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = run_page("docs/simulated.md", "simulated_page", tmp_path, monkeypatch)
    assert page.env.unwrapped.student.simulated
    assert page.envs.num_envs == 1024


def test_vector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = run_page("docs/vector.md", "vector_page", tmp_path, monkeypatch)
    assert page.observations["accuracy"].shape == (2, 16)
    assert page.observations["counts"].any(axis=1).all()
    assert page.shown.shape == page.numbers.observation_space.shape


def test_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        in_force()
    except SandboxError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
    page = run_page("docs/sandbox.md", "sandbox_page", tmp_path, monkeypatch)
    assert page.added.values == (3, 7)
    assert page.endless.reason == "cpu"
    assert page.script.values == ("42\n",)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run_page("README.md", "readme", tmp_path, monkeypatch).result
    assert len(result.steps) > 2
    assert result.total_reward == pytest.approx(sum(step.reward for step in result.steps), abs=1e-9)


def test_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = run_page("docs/tools.md", "tools_page", tmp_path, monkeypatch)
    assert (page.score.precision, page.score.recall, page.score.f1) == (1.0, 1.0, 1.0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_get_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    episode = run_page("docs/get_started.md", "get_started", tmp_path, monkeypatch).episode
    assert len(episode.steps) > 2
    assert episode.steps[-1].ended
