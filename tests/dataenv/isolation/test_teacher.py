"""A teacher in a process of its own teaches what it would teach here, and gets hold of nothing else."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dataenv.environment.env import TeachingEnv
from dataenv.episode.loop import Episode, run
from dataenv.episode.teacher import AdaptedTeacher, as_teacher, build_teacher, yields_of
from dataenv.errors import SettingError, TeacherFailedError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.isolation import teacher, walls
from dataenv.isolation.choice import VARIABLE
from dataenv.isolation.teacher import IsolatedTeacher
from dataenv.isolation.walls import TeacherLimits
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.play import play
from dataenv.lessons import screen
from tasks.sandbox.choice import try_out
from tests.chatting import backwards, chatting
from tests.toys import TOYS

pytestmark = [pytest.mark.usefixtures("toys", "needs_sandbox")]
FIELDS: dict[str, Any] = TOYS | {"budget": {"student_tokens": 1_500}}


def taught(who: Any, **changes: Any) -> tuple[Episode, TeachingEnv]:
    who = as_teacher(who)
    env = TeachingEnv(who.level, runner=Runner(Store()), **(FIELDS | changes))
    return run(env, who, 0), env


def isolated(name: str, args: dict[str, Any] | None = None, **limits: Any) -> AdaptedTeacher:
    return as_teacher(IsolatedTeacher(name, args, TeacherLimits(**limits)), name)


TEACHERS = ["lookahead", "influence"]


def test_rows_are_equal_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board played twice, its teachers here and in processes of their own."""
    fields: dict[str, Any] = {"name": "tiny", "seeds": [0], "references": ["nothing"], "setting": FIELDS}
    fields["teachers"] = ["stratified", *TEACHERS]
    rows: dict[str, dict[str, bytes]] = {}
    for who in ("none", "all"):
        monkeypatch.setenv(VARIABLE, who)
        play(Board.model_validate(fields), Runner(Store()), tmp_path / who)
        rows[who] = {path.name: path.read_bytes() for path in sorted((tmp_path / who / "rows").iterdir())}
    assert len(rows["none"]) == len(TEACHERS) + 2
    assert b'"ended":"failed"' not in b"".join(rows["none"].values())
    assert rows["all"] == rows["none"]


def test_a_teacher_that_asks_a_language_model_pays_the_same() -> None:
    with chatting(backwards) as (args, _):
        found = []
        for who in (build_teacher("reflection", args["reflection"]), isolated("reflection", args["reflection"])):
            episode, env = taught(who, budget={"student_tokens": 500})
            found.append((episode.steps, yields_of(who), env.teacher_purse.spent, dict(env.teacher_purse.replies)))
    assert found[0] == found[1]
    assert found[0][2].tokens


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("wall", ["bubblewrap", "landlock"])
def test_no_theft_succeeds(wall: str, tmp_path: Path, listener: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if try_out(wall, 1)[1] is not None:
        pytest.skip(f"{wall} does not hold on this machine")
    monkeypatch.setattr(walls, "chosen", lambda: SimpleNamespace(name=wall))
    monkeypatch.setattr(teacher, "_KNOWN", {})
    monkeypatch.setenv("SOME_API_KEY", "hidden")
    tmp_path.chmod(0o777)
    (tmp_path / "secret").write_text("secret")
    thief = isolated("tests.thieves:Thief", {"folder": str(tmp_path), "port": listener, "pid": os.getpid()})
    episode, env = taught(thief)
    tried = {name: n for name, n in thief.yields.items() if not name.startswith("honest")}
    honest = {name: n for name, n in thief.yields.items() if name.startswith("honest")}
    assert len(tried) >= 30
    assert [name for name, n in tried.items() if n] == []
    assert set(honest.values()) == {1}
    plain, _ = taught(lambda observation: np.zeros(2, np.float32))
    assert episode.steps[-1].selection == plain.steps[-1].selection
    assert env.task.grade(env.setting.exam_items("test")[0], "wrong").correct is False
    assert not (tmp_path / "loot").exists()


def test_a_purse_that_is_closed_stays_closed() -> None:
    hoarder = isolated("tests.thieves:Hoarder")
    taught(hoarder)
    _, env = taught(hoarder)
    assert hoarder.yields == {"spent from a closed purse": 0}
    assert env.purse.spent == 0


@pytest.mark.parametrize(
    "line", ["nonsense", '{"done": "stolen"}', '{"ask": "_env", "given": {}}', '{"failed": ["StoreError", "x"]}']
)
def test_what_is_forged_is_a_claim_like_any_other(line: str) -> None:
    with pytest.raises((TeacherFailedError, ValueError)):
        taught(isolated("tests.thieves:Forger", {"line": line}))


@pytest.mark.parametrize(
    ("what", "limits", "said"),
    [
        ("memory", {}, "MemoryError"),
        ("time", {"cpu": 2.0}, "has ended"),
        ("leave", {}, "has ended"),
        ("store", {}, "StoreError: the store is broken"),
        ("anything", {}, "RuntimeError"),
    ],
)
def test_its_limits_end_its_run_alone(what: str, limits: dict[str, Any], said: str) -> None:
    with pytest.raises(TeacherFailedError, match=said):
        taught(isolated("tests.thieves:Greedy", {"what": what}, **limits))


def test_a_call_that_never_ends_is_ended() -> None:
    env = TeachingEnv("skill-list", runner=Runner(Store()), **FIELDS)
    with pytest.raises(TeacherFailedError, match=r"act\(\) was not done within 2 seconds"):
        run(env, isolated("tests.thieves:Greedy", {"what": "sleep"}), 0, act_deadline=2.0)


def test_what_is_free_never_asks_whether_a_text_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """So neither its answer nor its time can tell."""
    asked: list[Any] = []
    plain = screen.guard_of
    env = TeachingEnv("skill-list", runner=Runner(Store()), **FIELDS)
    env.reset(seed=0)
    from dataenv.episode.context import Context

    context = Context(env)
    sealed = [{"prompt": p.prompt, "response": p.answer} for p in env.setting.exam_items("test")]
    monkeypatch.setattr(screen, "guard_of", lambda task: asked.append(task) or plain(task))
    context.readable(sealed)
    context.difficulties([screen.as_example(one) for one in sealed])
    context.same(screen.as_example(sealed[0]), "x")
    assert asked == []
    before = env.purse.spent
    with pytest.raises(SettingError, match="would not pass the screen"):
        context.probe(sealed)
    assert asked
    assert env.purse.spent > before


def test_one_that_cannot_be_made_is_one_sentence() -> None:
    with pytest.raises(SettingError, match="candidates"):
        isolated("lookahead", {"candidates": -1})
    with pytest.raises(SettingError, match="not found"):
        isolated("no_such_module:Teacher")
    with pytest.raises(SettingError, match="has no attribute 'Nobody'"):
        isolated("tests.thieves:Nobody")
