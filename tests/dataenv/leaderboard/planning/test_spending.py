"""What language models cost, from the plan of a board to its table, CSV and page."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from rich.console import Console

from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.episode.loop import run
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.accuracy import Derived
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.planning.plan import make_plan, sentences
from dataenv.leaderboard.planning.spending import Asking, asking, told
from dataenv.leaderboard.play import play
from dataenv.leaderboard.report.tables import cells, terminal_table, write_csv, write_page
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.runs import all_runs, by_group
from dataenv.leaderboard.statistics.standings import TeacherCost
from dataenv.leaderboard.statistics.summary import summarise
from teachers.chat.scripted import Server, serving
from tests.chatting import backwards
from tests.dataenv.leaderboard.synthetic import make_board, make_row
from tests.toys import TOY_BOARD, TOYS


def asked(row: dict[str, Any], tokens: int, money: float) -> dict[str, Any]:
    """A synthetic row whose teacher spent as much before every step."""
    for step in row["steps"]:
        step |= {"teacher_tokens": step["step"] * tokens, "money": step["step"] * money}
    last = len(row["steps"]) - 1
    row["budget"] |= {"teacher_tokens": last * tokens, "money": last * money}
    return row


@pytest.fixture
def board() -> list[dict[str, Any]]:
    return [asked(row, 10_000, 0.05) if row["teacher"] == "stat-sel" else row for row in make_board(4)]


def test_a_point_costs_what_was_spent_over_what_was_learnt(board: list[dict[str, Any]]) -> None:
    summary = summarise(board)
    standing = next(s for s in summary.teachers if s.teacher == "stat-sel")
    cost = standing.cost
    assert cost is not None
    untaught = next(s for s in summary.references if s.teacher == "nothing")
    assert standing.score is not None
    assert untaught.score is not None
    points = 100 * (standing.score.value - untaught.score.value)
    assert (cost.tokens, cost.money) == (80_000, pytest.approx(0.4))
    assert cost.tokens_per_point is not None
    assert cost.tokens_per_point.estimate == pytest.approx(80_000 / points)
    assert cost.tokens_per_point.low < cost.tokens_per_point.estimate < cost.tokens_per_point.high
    assert cost.money_per_point is not None
    assert cost.money_per_point.estimate == pytest.approx(0.4 / points)
    assert all(s.cost is None for s in (*summary.teachers, *summary.references) if s is not standing)
    assert any("a point" in sentence for sentence in summary.sources)


def test_what_teaches_nothing_has_no_price_at_which_it_does() -> None:
    def figure(value: float) -> Derived:
        return Derived(value=value, split="test", n=9)

    cost = TeacherCost(tokens=100.0, money=0.0, learnt=figure(0.02), low=figure(-0.01), high=figure(0.05))
    assert cost.tokens_per_point == (50.0, 20.0, math.inf)
    worse = TeacherCost(tokens=100.0, money=1.0, learnt=figure(-0.02), low=None, high=None)
    assert worse.money_per_point == (math.inf, math.inf, math.inf)
    unknown = TeacherCost(tokens=100.0, money=1.0, learnt=None, low=None, high=None)
    assert unknown.tokens_per_point is None


def test_terminal_csv_and_page_show_it_where_there_is_something_to_show(
    board: list[dict[str, Any]], tmp_path: Path
) -> None:
    plain = make_board(4)
    for rows, there in ((board, True), (plain, False)):
        console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        console.print(terminal_table(rows))
        assert ("tokens a point" in console.export_text()) == there
        write_page(rows, tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert ("Teacher tokens by step: 1: 10,000 (0.0500), 2:" in page) == there
        assert ("in all 80,000 (0.4000)" in page) == there
        assert ("<th>teacher<br>tokens</th>" in page) == there
        write_csv(rows, tmp_path / "board.csv")
        lines = {line["teacher"]: line for line in csv.DictReader((tmp_path / "board.csv").open())}
        assert lines["stat-sel"]["teacher_tokens"] == ("80000.0" if there else "0.0")
        assert bool(lines["stat-sel"]["teacher_tokens_per_point"]) == there
        assert lines["random"]["money_per_point"] == ""
    shown = cells(next(s for s in summarise(board).teachers if s.teacher == "stat-sel"))
    assert (shown["teacher tokens"], shown["money"]) == ("80.0k", "0.4000")


def test_rows_from_before_are_read_and_what_does_not_add_up_is_not() -> None:
    row = Row.model_validate(make_row("random"))
    assert (row.budget.teacher_tokens, row.steps[-1].money) == (0, 0.0)
    falling = asked(make_row("random"), 10, 0.0)
    falling["steps"][3]["teacher_tokens"] = 1
    with pytest.raises(ValidationError, match="they are cumulative"):
        Row.model_validate(falling)
    short = asked(make_row("random"), 10, 1.0)
    short["budget"]["money"] = 0.5
    with pytest.raises(ValidationError, match=r"budget\.money is below"):
        Row.model_validate(short)


def with_model(server: Server, **changes: Any) -> Board:
    chat = {"base_url": server.base_url, "model": "scripted", "max_tokens": 64, "price_in": 1.0, "price_out": 4.0}
    syn = {"name": "stat-syn", "args": {"chat": chat, "quota": 4, "difficult": 2}}
    return Board.model_validate(TOY_BOARD | {"teachers": ["stratified", syn], "references": ["nothing"]} | changes)


def test_a_board_is_planned_without_asking_and_played_within_its_caps(toys: None, tmp_path: Path) -> None:
    caps = {"student_tokens": 1200, "teacher_tokens": 9_000, "money": 0.02}
    with serving(Server(backwards)) as server:
        board, store = with_model(server, setting=TOY_BOARD["setting"] | {"budget": caps}), Store(None)
        plan = make_plan(board, store, tmp_path / "toy", 1)
        assert server.heard == []
        assert plan.asking == (
            Asking(name="stat-syn", runs=2, tokens=18_000, money=0.04, requests=plan.asking[0].requests),
        )
        assert "at the most 18,000 teacher tokens, 0.0400 money" in " ".join(sentences(plan))
        rows = [row for row in play(board, Runner(store), tmp_path / "toy") if row.teacher == "stat-syn"]
        assert all(0 < row.budget.teacher_tokens <= 9_000 and 0 < row.budget.money <= 0.02 for row in rows)
        assert max(row.budget.teacher_tokens for row in rows) > 7_000, "the cap was felt"
        assert all(row.steps[1].teacher_tokens > 0 for row in rows)
        assert len(server.heard) <= (plan.asking[0].requests or 0)
        sent = len(server.heard)
        (tmp_path / "toy" / "rows" / "stat-syn--1.json").unlink()
        after = make_plan(board, store, tmp_path / "toy", 1)  # goes over that run again, with what is stored
        assert (after.known, after.rows) == (after.trainings, 5)
        assert [row for row in play(board, Runner(store), tmp_path / "toy") if row.teacher == "stat-syn"] == rows
        assert len(server.heard) == sent, "it was all stored, and paid again"


def test_a_plan_says_where_nothing_bounds_the_spending(toys: None, tmp_path: Path) -> None:
    with serving(Server(backwards)) as server:
        plan = make_plan(with_model(server), Store(None), tmp_path / "toy", 1)
    (line,) = plan.asking
    assert (line.tokens, line.money) == (None, None)
    assert "There is no cap on teacher tokens: set setting.budget.teacher_tokens." in told(line)
    assert "There is no cap on money" in told(line)
    assert json.loads(plan.model_dump_json())["asking"][0]["tokens"] is None
    free = line.model_copy(update={"requests": None})
    assert "nothing bounds what it spends" in told(free)


def test_a_chat_that_is_known_by_its_name_costs_no_money(toys: None) -> None:
    board = Board.model_validate(
        TOY_BOARD | {"teachers": ["stratified", {"name": "stat-syn", "args": {"chat": "local", "quota": 4}}]}
    )
    groups = {name: [(cell, 3) for cell in cells] for name, cells in by_group(all_runs(board)).items()}
    (line,) = asking(groups)
    assert (line.name, line.runs, line.tokens, line.money) == ("stat-syn", 2, None, 0.0)
    assert line.requests == 2 * 3 * (32 + 8 * 2 * 7)


@pytest.mark.parametrize("engine", [False, True])
def test_a_plan_says_which_keys_go_where(toys: None, engine: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAENV_KEYS", "")
    chat = {"base_url": "https://models.example.org/v1", "model": "m", "key_env": "AWS_SECRET_ACCESS_KEY"}
    entry: dict[str, Any] = {"name": "skill-list", "args": {"chat": chat}}
    if engine:
        entry = {"name": "random", "engine": "llm", "engine_args": {"chat": chat}}
    board = Board.model_validate(TOY_BOARD | {"teachers": ["stratified", entry]})
    groups = {name: [(cell, 3) for cell in cells] for name, cells in by_group(all_runs(board)).items()}
    (line,) = asking(groups)
    assert "It sends $AWS_SECRET_ACCESS_KEY to models.example.org, which is refused: key_env names" in told(line)
    assert "give --allow-key AWS_SECRET_ACCESS_KEY=models.example.org" in told(line)
    monkeypatch.setenv("DATAENV_KEYS", "AWS_SECRET_ACCESS_KEY=models.example.org")
    (line,) = asking(groups)
    assert told(line).endswith("It sends $AWS_SECRET_ACCESS_KEY to models.example.org.")


URL: dict[str, Any] = {"base_url": "http://127.0.0.1:9/v1", "model": "m"}
CAPPED = URL | {"tokens": 1_000, "price_in": 1.0, "price_out": 5.0}


@pytest.mark.parametrize(
    ("name", "args", "tokens", "money"),
    [
        ("reflection", {"chat": CAPPED, "teacher": "genqa", "args": {"chat": URL}}, None, 0.005),
        ("reflection", {"chat": CAPPED, "teacher": "genqa", "args": {"chat": CAPPED | {"tokens": 500}}}, 1_500, 0.0075),
        ("reflection", {"chat": CAPPED, "args": {}}, 1_000, 0.005),
        ("skill-list", {"chat": CAPPED, "engine": {"chat": CAPPED}}, 2_000, 0.01),
        ("best-of", {"chat": CAPPED, "engine": {"chat": URL}}, None, 0.005),
        ("llm2llm", {"chat": CAPPED}, 1_000, 0.005),
        ("best-of", {"chat": None}, 0, 0),
    ],
)
def test_caps_of_all_chats_add_up(
    name: str, args: dict[str, Any], tokens: int | None, money: float | None, toys: None
) -> None:
    """A reflection of 1,000 tokens over a teacher without a cap may spend what it likes, of money only its own."""
    teachers = ["stratified", {"name": name, "args": args}]
    board = Board.model_validate(TOY_BOARD | {"teachers": teachers})
    groups = {name: [(cell, 3) for cell in cells] for name, cells in by_group(all_runs(board)).items()}
    lines = asking(groups)
    assert [line.name for line in lines] == ([] if args["chat"] is None else [name])
    for line in lines:
        assert line.tokens == (None if tokens is None else 2 * tokens)
        assert line.money == (None if money is None else pytest.approx(2 * money))
        assert line.requests
    caps = TOY_BOARD["setting"] | {"budget": {"student_tokens": 1200, "teacher_tokens": 700, "money": 0.5}}
    bound = Board.model_validate(TOY_BOARD | {"setting": caps, "teachers": teachers})
    groups = {name: [(cell, 3) for cell in cells] for name, cells in by_group(all_runs(bound)).items()}
    assert [line.tokens for line in asking(groups)] == [1_400] * len(lines)
    assert all(line.money == pytest.approx(2 * 0.0035) for line in asking(groups) if line.money is not None)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("llm2llm", {"quota": 6}),
        ("accel", {"buffer": 2, "items": 2}),
        ("deliberate-practice", {"candidates": 2, "added": 4, "first": 4, "trim": 0.0, "signal": "loss"}),
    ],
)
def test_who_draws_from_an_engine_asks_for_no_more_than_it_says(name: str, args: dict[str, Any], toys: None) -> None:
    assert registry.build("teacher", name, args).most_requests(8) == 0
    with serving(Server(backwards)) as server:
        chat = {"base_url": server.base_url, "model": "scripted"}
        teacher = registry.build("teacher", name, args | {"chat": chat})
        env = TeachingEnv("open-ended", runner=Runner(Store(None)), **TOYS | {"budget": {"student_tokens": 1000}})
        lessons = len(run(env, teacher, seed=0).steps) - 1
    assert 0 < len(server.heard) <= lessons * teacher.most_requests(TOYS["lesson_size"])


def test_the_page_shows_verdicts_replies_yields_and_practice_where_there_are_any(tmp_path: Path) -> None:
    plain, told = make_board(2), make_board(2)
    for row in told:
        if row["teacher"] == "stat-sel":
            row |= {"asked": {"ok": 1_200, "invalid": 3}, "yields": {"asked": 900, "inner questions": 12}}
            for step in row["steps"][1:]:
                step["judged"] = {"right": 9, "wrong": 2, "unknown": 1}
        if row["teacher"] == "random":
            groups = {"answers": 80, "unknown": 4, "groups": 10, "right": 3, "wrong": 5, "reward": [0.1, 0.2]}
            row["steps"][1]["practice"] = groups
    pages = []
    for rows in (plain, told):
        write_page(rows, tmp_path / "page.html")
        pages.append((tmp_path / "page.html").read_text(encoding="utf-8"))
    steps = 2 * (len(told[0]["steps"]) - 1)
    shown = [
        "ok 2,400, invalid 6",
        "asked 1,800, inner questions 24",
        f'75.0 %<span class="sub">{9 * steps}/{12 * steps}<',
    ]
    shown += [
        "160</td>",
        '30.0 %<span class="sub">6/20<',
        '50.0 %<span class="sub">10/20<',
        '5.0 %<span class="sub">8/160<',
    ]
    assert [text for text in shown if text not in pages[1]] == []
    assert not any(anchor in pages[0] for anchor in ('id="judged"', 'id="practised"'))
