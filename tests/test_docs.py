"""The examples in the pages are run as a reader would run them, top to bottom."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from dataenv import registry

ROOT = Path(__file__).resolve().parents[1]


def run_page(page: str, module: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the page's Python blocks in one module; errors show the page and the line."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))
    assert blocks
    home = types.ModuleType(module)
    monkeypatch.setitem(sys.modules, module, home)
    for block in blocks:
        above = text[: block.start(1)].count("\n")
        exec(compile("\n" * above + block.group(1), str(ROOT / page), "exec"), home.__dict__)
    return home.__dict__


def test_contributing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.TASKS, "reverse", "contributed:Reverse")
    monkeypatch.setitem(registry.STUDENTS, "copycat", "contributed:Copycat")
    monkeypatch.setitem(registry.TEACHERS, "bandit", "contributed:Bandit")
    names = run_page("CONTRIBUTING.md", "contributed", monkeypatch)
    episode = names["episode"]
    assert len(episode.steps) > 2
    assert episode.total_reward > 0.5
    assert episode.steps[-1].ended == "mastered"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_readme(monkeypatch: pytest.MonkeyPatch) -> None:
    names = run_page("README.md", "readme", monkeypatch)
    assert len(names["result"].steps) > 2
    assert names["result"].total_reward == pytest.approx(sum(step.reward for step in names["result"].steps), abs=1e-9)
