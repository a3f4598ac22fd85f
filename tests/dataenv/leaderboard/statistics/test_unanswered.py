"""Boards that say nothing say so, and why."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dataenv.leaderboard.report.tables import terminal_table, write_page
from dataenv.leaderboard.statistics.summary import summarise
from tests.dataenv.leaderboard.synthetic import make_board

GOLD = "First 3 + 4 = 7, then 7 x 2 = 14. So the answer is 14. #### 14"


def dead_board(lenient: int | None = None, room: int = 12, response: str = "First 3 + 4") -> list[dict[str, Any]]:
    """A board on which no answer is right; ``lenient`` of each exam are right but for their form."""
    rows = make_board()
    for row in rows:
        row["setting"] = row["setting"] | {"decoding": {"max_tokens": room}}
        for step in row["steps"]:
            step["selection"]["correct"] = [0] * len(step["selection"]["correct"])
        row["mistakes"] = [{"step": 1, "skill": "a", "prompt": "3 + 4?", "response": response, "answer": GOLD}]
        if row["test"] is not None:
            n = len(row["test"]["correct"])
            row["test"] |= {"correct": "0" * n, "by_skill": [0] * len(row["test"]["n"])}
            if lenient is not None:
                row["test"]["lenient"] = "1" * lenient + "0" * (n - lenient)
    return rows


def told(rows: list[dict[str, Any]]) -> str:
    console = Console(width=200, file=io.StringIO(), force_terminal=False)
    console.print(terminal_table(rows))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_dead_board_says_so_and_compares_nobody(tmp_path: Path) -> None:
    rows = dead_board()
    summary = summarise(rows)
    assert summary.nobody_right
    assert summary.reading[0].startswith("Nobody answered any test problem right (0 of ")
    assert summary.visible is None
    assert summary.seen == summary.sensitivity == ()
    assert {s.verdict for s in summary.teachers} == {"baseline", "not compared"}
    assert all(s.comparison is None and s.target is None for s in (*summary.teachers, *summary.references))
    write_page(rows, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for shown in (told(rows), page, summary.model_dump_json()):
        assert "Nobody answered any test problem right" in shown
        assert "smallest gain" not in shown
        assert "cannot be told apart" not in shown
        assert "reached 2/2" not in shown
        assert "First 3 + 4" in shown


def test_what_may_be_the_cause_is_said() -> None:
    short = " ".join(summarise(dead_board()).reading)
    assert "An answer ends after 12 tokens at the latest (setting.decoding.max_tokens)" in short
    assert f"right answers have up to {len(GOLD)} characters here, and those of the students 11: there may be" in short
    enough = " ".join(summarise(dead_board(room=400, response=GOLD + "?")).reading)
    assert "too little room" not in enough
    assert "Asked '3 + 4?', a student answered 'First 3 + 4'; right is 'First 3" in short


def test_answers_are_counted_where_a_problem_has_several() -> None:
    rows = dead_board()
    for row in rows:
        for exam in (row["test"], row["transfer"]):
            if exam is not None:
                exam |= {"attempts": {"samples": 3}, "correct": exam["correct"].replace("1", "0") * 3}
    answers = sum(len(row["test"]["correct"]) for row in rows if row["test"] is not None)
    assert f"(0 of {answers:,} answers)" in summarise(rows).reading[0]


@pytest.mark.parametrize(("lenient", "words"), [(2, "look at the form of the answers"), (0, "not what they lack")])
def test_lenient_counts_are_told(lenient: int, words: str) -> None:
    rows = dead_board(lenient)
    exams = sum(row["test"] is not None for row in rows)
    said = " ".join(summarise(rows).reading)
    assert f"If only the form is forgiven, {lenient * exams:,} of " in said
    assert words in said


def test_one_right_answer_makes_a_board() -> None:
    rows = dead_board()
    test = next(row["test"] for row in rows if row["test"] is not None)
    test |= {"correct": "1" + test["correct"][1:], "by_skill": [1, *test["by_skill"][1:]]}
    summary = summarise(rows)
    assert not summary.nobody_right
    assert "nobody_right" not in summary.model_dump()
    assert summary.sensitivity


def test_a_selected_student_that_is_untaught_is_said() -> None:
    rows = make_board()
    for row in rows:
        if row["teacher"] == "failure" and row["seed"] in (1, 3):
            row["selected"] = 0
    said = [sentence for sentence in summarise(rows).warnings if "untaught student was selected" in sentence]
    assert said == [
        "failure: on 2 of 6 seeds (seeds 1, 3) no lesson made the student better on the selection exam, so the "
        "untaught student was selected, and its score is shown."
    ]
    assert said[0] in told(rows)
