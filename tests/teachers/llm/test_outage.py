"""Where nobody can be asked, a run fails, says what to mend, and is made again; what was asked is on the board."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from dataenv import registry
from dataenv.cli import app
from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.episode.loop import run
from dataenv.errors import UnansweredError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.play import play
from dataenv.leaderboard.report.tables import write_page
from dataenv.leaderboard.rows import Row
from dataenv.lessons.outage import MENDS, NOT_SENT
from teachers.chat.scripted import ScriptedTurn, Server, serving
from teachers.chat.spec import ANSWERED, Outcome
from tests.chatting import backwards
from tests.dataenv.leaderboard.synthetic import make_row
from tests.teachers.chat.misbehaving import Misbehaving
from tests.toys import TOY_BOARD, TOYS

pytestmark = pytest.mark.usefixtures("toys")
DEAD = "http://127.0.0.1:9/v1"
CASES = {"no server": "no-server", "401": "wrong-key", "404": "wrong-model", "400 context": "context",
         "60 MB": "oversized"}  # fmt: skip
WHO: dict[str, dict[str, Any]] = {
    "stat-syn": {"quota": 4, "difficult": 2},
    "stat-sel": {"diagnosis": "chat", "difficult": 2},
    "skill-list": {},
    "reflection": {},
}


@pytest.fixture(scope="module")
def bad() -> Iterator[Server]:
    with serving(Misbehaving()) as running:
        yield running


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", WHO)
def test_a_run_in_which_nobody_can_be_asked_fails_with_the_mend(bad: Server, name: str, case: str) -> None:
    url = DEAD if case == "no server" else bad.base_url
    chat = {"base_url": url, "model": case, "retries": 0, "max_bytes": 100_000}
    teacher = registry.build("teacher", name, {"chat": chat} | WHO[name])
    env = TeachingEnv(teacher.level, runner=Runner(Store()), **TOYS)
    with pytest.raises(UnansweredError, match=rf"\(replies: {CASES[case]} [0-9]+\); {MENDS[CASES[case]][:20]}"):
        run(env, teacher, seed=0)
    assert set(env.teacher_purse.replies) == {CASES[case]}
    assert len(env.history) == 1, "nothing was taught"


def test_every_outcome_has_a_mend_or_is_no_outage() -> None:
    assert set(get_args(Outcome)) == MENDS.keys() | ANSWERED | {"invalid", *NOT_SENT}


def test_an_outage_within_a_step_of_which_nothing_comes_is_one_too() -> None:
    """Diagnoses are answered, and then no more is: that is no lesson that a teacher chose to leave empty."""
    with serving(Server(backwards)) as server:
        chat = {"base_url": server.base_url, "model": "scripted", "retries": 0}
        teacher = registry.build("teacher", "stat-syn", {"chat": chat} | WHO["stat-syn"])
        env = TeachingEnv("open-ended", runner=Runner(Store()), **TOYS)

        def dying(turn: ScriptedTurn) -> str:
            return backwards(turn) if (turn.schema or {})["title"] != "Proposal" else _down(turn)

        server.script = dying
        with pytest.raises(UnansweredError, match="look into the server's log"):
            run(env, teacher, seed=0)
    assert env.teacher_purse.replies["ok"] == 2


def test_a_reply_that_is_only_invalid_costs_the_step_and_a_spent_purse_is_no_outage() -> None:
    with serving(Server(lambda turn: "no JSON")) as server:
        chat = {"base_url": server.base_url, "model": "scripted"}
        for args, fields in (({}, {}), ({"tokens": 1}, {}), ({}, {"teacher_tokens": 1})):
            teacher = registry.build("teacher", "skill-list", {"chat": chat | args})
            budget = {"student_tokens": 500} | fields
            env = TeachingEnv("skill-list", runner=Runner(Store()), **TOYS | {"budget": budget})
            assert run(env, teacher, seed=0).steps[-1].ended == "stopped"


@pytest.mark.parametrize("name", ["stat-sel", "stat-sel-pool"])
def test_a_profile_that_nobody_was_there_to_make_is_not_kept(name: str) -> None:
    args = {"diagnosis": "chat", "difficult": 4, "floor": 0.0} | ({} if name == "stat-sel" else {"profile": "once"})
    with serving(Server(backwards)) as server:
        chat = {"base_url": server.base_url, "model": "scripted", "retries": 0}
        teacher = registry.build("teacher", name, {"chat": chat} | args)
        env = TeachingEnv(teacher.level, runner=Runner(Store()), **TOYS)
        observation, info = env.reset(seed=0)
        teacher.begin(Context(env))
        teacher.chat.spec = teacher.chat.spec.model_copy(update={"base_url": DEAD})
        teacher.act(observation, info)
        teacher.chat.spec = teacher.chat.spec.model_copy(update={"base_url": server.base_url})
        teacher.act(observation, info)
        assert len(server.heard) == teacher.yields["diagnosed"] == 4
        teacher.act(observation, info)
        assert len(server.heard) == 4, "what is known is kept"


def with_stat_syn(url: str) -> Board:
    chat = {"base_url": url, "model": "scripted", "retries": 0}
    entry = {"name": "stat-syn", "args": {"chat": chat} | WHO["stat-syn"]}
    return Board.model_validate(
        TOY_BOARD | {"teachers": ["stratified", entry], "references": ["nothing"], "seeds": [0]}
    )


def test_on_a_board_such_a_run_is_a_failed_row_that_is_played_again(tmp_path: Path) -> None:
    store = Store()
    with serving(Server(backwards)) as server:
        board = with_stat_syn(server.base_url)
        working, server.script = server.script, _down
        down = play(board, Runner(store), tmp_path / "toy")
        failed = [row for row in down if row.teacher == "stat-syn"]
        assert {row.ended for row in failed} == {"failed"}
        assert all("server-error 2); look into the server's log" in (row.error or "") for row in failed)
        assert {str(row.asked) for row in failed} == {"{'server-error': 2}"}
        write_page(down, tmp_path / "down.html")
        server.script = working
        rows = play(board, Runner(store), tmp_path / "toy")
    assert [row for row in rows if row.teacher != "stat-syn"] == [row for row in down if row.teacher != "stat-syn"]
    again = [row for row in rows if row.teacher == "stat-syn"]
    assert all(not row.failed and set(row.asked) == {"ok"} for row in again)
    write_page(rows, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"ok {sum(row.asked['ok'] for row in again):,}" in page
    assert f"consistent {sum(row.yields['consistent'] for row in again):,}" in page
    right = sum(step.judged.get("right", 0) for row in again for step in row.steps)
    assert f'<span class="sub">{right}/{right}</span>' in page
    assert "server-error 2" in (tmp_path / "down.html").read_text(encoding="utf-8")


def _down(turn: ScriptedTurn) -> str:
    raise RuntimeError("down")


def test_a_row_without_a_language_model_keeps_its_bytes() -> None:
    row = Row.model_validate(make_row("random"))
    assert "asked" not in row.model_dump_json()
    assert Row.model_validate_json(row.model_copy(update={"asked": {"ok": 3}}).model_dump_json()).asked == {"ok": 3}


def test_a_single_episode_ends_with_the_sentence(tmp_path: Path) -> None:
    args = json.dumps({"chat": {"base_url": DEAD, "model": "m", "retries": 0}} | WHO["stat-syn"])
    words = ["run", "--task", "reverse", "--student", "parrot", "--teacher", "stat-syn", "--args", args]
    toys = {name: value for name, value in TOYS.items() if name not in ("task", "student")}
    done = CliRunner().invoke(app, [*words, "--setting", json.dumps(toys), "--store", str(tmp_path)])
    assert isinstance(done.exception, UnansweredError), "which the command line prints, and exits with 2"
