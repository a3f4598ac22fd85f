"""What leaked is on the page to read, of every run, as text; a teacher that overdrew ends as spent, with its score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard import play as playing
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.play import Run
from dataenv.leaderboard.report.tables import write_page
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.trackers import Tracker
from dataenv.setting import make_setting
from tasks.records import Example
from tests.dataenv.leaderboard.report.test_tables import Reader
from tests.dataenv.leaderboard.synthetic import HOSTILE, make_board
from tests.toys import TOYS


def leak(i: int, text: str) -> dict[str, Any]:
    return {
        "step": i, "where": "lesson", "problem": f"test/{i}", "split": "test", "how": "8-gram", "prompt": text,
        "response": text,
    }  # fmt: skip


def test_the_page_lists_the_leaks_of_every_run_as_text(tmp_path: Path) -> None:
    rows = make_board(3)
    for row in rows:
        if row["teacher"] == "failure":
            first = [leak(i, text) for i, text in enumerate(HOSTILE)]
            row["leaks"] = {"count": 1_000 + row["seed"], "first": first}
    write_page([Row.model_validate(row) for row in rows], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(page)
    text = " ".join(reader.text)
    assert "3,003 leaks" in text
    assert f"Leaks: {3 * len(HOSTILE)} of 3,003 examples" in text
    assert text.count("8-gram") == 3 * len(HOSTILE)
    assert "alert(1)" in text
    assert "script" not in reader.tags
    assert "img" not in reader.tags


def test_a_page_without_leaks_says_nothing_of_them(tmp_path: Path) -> None:
    write_page([Row.model_validate(row) for row in make_board(3)], tmp_path / "page.html")
    assert "leaks" not in (tmp_path / "page.html").read_text(encoding="utf-8")


class Careless:
    """Teaches once, with a leak in the lesson, and then asks for more than there is."""

    name, level, prior_compute = "careless", "open-ended", np.int64(12)

    def begin(self, context: Any) -> None:
        self.context = context

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        if info["step"]:
            self.context.probe(self.context.generate("short", 5_000))
        copied = [Example(prompt=e["prompt"], response=e["answer"]) for e in observation["errors"][:2]]
        return [*self.context.generate("short", 6), *copied]


def test_a_run_that_overdrew_is_spent_and_scored_and_its_leaks_are_in_the_row(toys: None) -> None:
    setting = make_setting(TOYS | {"budget": {"student_tokens": 3_000}})
    row = played(setting, Careless)
    assert (row.ended, row.error) == ("spent", None)
    assert row.test is not None
    assert [step.kept for step in row.steps] == [0, 6, 0]
    assert row.budget.spent == row.steps[-1].spent < row.budget.total
    assert (row.leaks.count, [x.split for x in row.leaks.first]) == (2, ["feedback", "feedback"])
    assert row.budget.prior == 12


def played(setting: Any, make: Any) -> Row:
    quiet = Board.model_validate(
        {"name": "toys", "seeds": [0], "teachers": ["stratified"], "references": ["nothing"], "setting": setting}
    )
    cell = Run("careless", "", "teacher", make, {}, make.level, 0, setting)
    source = {"commit": "x", "dirty": False, "versions": {}}
    return playing._row(quiet, cell, Runner(Store()), Tracker(), source, None)
