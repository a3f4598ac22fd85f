"""Named transfer suites: k of n of each, in the row, the summary, the table, the page and the CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dataenv import registry
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard import play as playing
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.folder import read_rows
from dataenv.leaderboard.report.page import render
from dataenv.leaderboard.report.tables import terminal_table, write_csv
from dataenv.leaderboard.rescore import rescore
from dataenv.leaderboard.rows import Row, TestExam, TransferExam
from dataenv.leaderboard.statistics.summary import summarise
from tests.benchmark_files import gsm8k_rows, write_rows
from tests.dataenv.leaderboard.synthetic import make_row
from tests.toys import Parrot

SIZES = {"train": 200, "test": 40, "svamp": 12, "asdiv": 30}


class Counter(Parrot):
    """Knows nothing but the first few answers of two suites."""

    name = "counter"

    def initial(self, seed: int) -> bytes:
        rows = [*gsm8k_rows(12, "svamp")[:9], *gsm8k_rows(30, "asdiv")[:5]]
        return json.dumps({row["question"]: row["answer"] for row in rows}).encode()

    def refuse(self, example: Any) -> str | None:
        return None


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(registry.STUDENTS, "counter", f"{__name__}:Counter")
    files = {name: write_rows(tmp_path / f"{name}.jsonl", gsm8k_rows(n, name)) for name, n in SIZES.items()}
    task = {"train": files["train"], "test": files["test"], "format": "gsm8k"}
    task |= {"transfer": {name: files[name] for name in ("svamp", "asdiv")}}
    board = Board.model_validate(
        {
            "name": "suites", "seeds": [0, 1], "teachers": ["stratified"], "references": ["nothing"],
            "setting": {
                "task": "jsonl", "task_args": task, "engine": "pool", "student": "counter", "lesson_size": 4,
                "warm_start": {"examples": 0}, "recipe": {"updates": 1, "batch": 4}, "items": {"transfer": 20},
                "decoding": {"max_tokens": 200}, "budget": {"student_tokens": 20_000},
            },
        }
    )  # fmt: skip
    playing.play(board, Runner(Store(tmp_path / "store")), tmp_path / "runs")
    return tmp_path / "runs"


def test_every_suite_has_its_count(played: Path) -> None:
    rows = read_rows(played)
    for row in rows:
        assert row.transfer is not None
        assert [(suite.name, suite.n) for suite in row.transfer.suites] == [("asdiv", 20), ("svamp", 12)]
        assert row.transfer.by_suite == {"asdiv": (5, 20), "svamp": (9, 12)}
        assert (row.transfer.correct.count("1"), row.transfer.n) == (14, 32)
    board = summarise(rows)
    for standing in (*board.teachers, *board.references):
        assert {name: (share.k, share.n) for name, share in standing.suites.items()} == {
            "asdiv": (10, 40),
            "svamp": (18, 24),
        }
        assert standing.transfer is not None
        assert (standing.transfer.k, standing.transfer.n) == (28, 64)
    shown = io.StringIO()
    Console(file=shown, width=120).print(terminal_table(rows))
    assert "asdiv % (k/n)" in shown.getvalue()
    assert "75.0 (18/24)" in shown.getvalue()
    html = render(rows, board)
    assert re.search(r"<th>asdiv<span class=.sub.>transfer, k/n</span></th>", html)
    assert '<td>25.0<span class="sub">10/40</span></td>' in html
    write_csv(rows, played / "table.csv")
    with (played / "table.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert {(line["transfer_asdiv_k"], line["transfer_svamp_n"]) for line in table} == {("10", "24")}


def test_rescored_suites_are_the_same(played: Path, tmp_path: Path) -> None:
    done = rescore(played, Store(tmp_path / "store"), tmp_path / "again")
    assert [row.transfer for row in done.rows] == [row.transfer for row in read_rows(played)]


def test_a_row_without_suites_keeps_its_bytes() -> None:
    row = make_row("stratified")
    assert "suites" not in row["transfer"]
    assert "suites" not in Row.model_validate(row).model_dump_json()
    assert "suites" not in summarise([row]).model_dump_json()


@pytest.mark.parametrize(
    ("suites", "words"),
    [
        ([{"name": "a", "n": 3}], "suites hold 3 items and n is 4"),
        ([{"name": "a", "n": 2}, {"name": "a", "n": 2}], "names a suite twice"),
        ([{"name": "", "n": 4}], "at least 1 item"),
    ],
)
def test_suites_that_do_not_add_up(suites: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TransferExam.model_validate({"correct": "0101", "n": 4, "suites": suites})


def test_suites_of_some_runs_are_not_shown() -> None:
    named = make_row("stratified", 0)
    named["transfer"]["suites"] = [{"name": "far", "n": named["transfer"]["n"]}]
    assert list(summarise([named]).teachers[0].suites) == ["far"]
    assert summarise([named, make_row("stratified", 1)]).teachers[0].suites == {}


def test_parts_of_the_test_have_their_count_beside_the_suites(tmp_path: Path) -> None:
    rows = [make_row("stratified", seed) for seed in (0, 1)]
    for row in rows:
        n = len(row["test"]["correct"])
        row["test"]["parts"] = [{"name": "hard", "of": "1" * 10 + "0" * (n - 10)}]
        row["transfer"]["suites"] = [{"name": "far", "n": row["transfer"]["n"]}]
    right = sum(row["test"]["correct"][:10].count("1") for row in rows)
    found = summarise(rows).teachers[0].suites
    assert [(name, share.split) for name, share in found.items()] == [("hard", "test"), ("far", "transfer")]
    assert (found["hard"].k, found["hard"].n) == (right, 20)
    write_csv(rows, tmp_path / "x.csv")
    [line] = csv.DictReader((tmp_path / "x.csv").open(encoding="utf-8"))
    assert (line["test_hard_k"], line["test_hard_n"]) == (str(right), "20")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([{"name": "a", "of": "01"}], "parts has 'a', which must say of 4 problems, of one at least"),
        ([{"name": "a", "of": "0000"}], "parts has 'a', which must say of 4 problems, of one at least"),
        ([{"name": "a", "of": "0001"}, {"name": "a", "of": "1000"}], "parts names a part twice"),
    ],
)
def test_parts_that_do_not_add_up(parts: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TestExam.model_validate({"correct": "0101", "n": [4], "by_skill": [2], "parts": parts})


def test_a_part_counts_the_answers_of_its_problems_where_each_is_answered_twice() -> None:
    plain = {"correct": "01110100", "n": [4], "by_skill": [4], "attempts": {"samples": 2}}
    exam = TestExam.model_validate(plain | {"parts": [{"name": "a", "of": "0110"}]})
    assert exam.by_part == {"a": (3, 4)}
