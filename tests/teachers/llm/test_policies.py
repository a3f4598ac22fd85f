"""The policies after DataEnvGym: what they show with state and without, what they make of a reply, and replays."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.episode.loop import Episode, run
from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from teachers.chat import load
from teachers.chat.scripted import ScriptedTurn, Server, serving
from teachers.chat.tutor import blocks
from tests.canaries import Canaried, canaries
from tests.chatting import backwards
from tests.toys import TOYS

pytestmark = pytest.mark.usefixtures("toys")
SHORT = TOYS | {"budget": {"student_tokens": 500}}
DEAD = {"base_url": "http://127.0.0.1:9/v1", "model": "scripted", "retries": 0}
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "open_ended": ("open-ended", {"errors": 2}),
    "open_ended_blind": ("open-ended", {"errors": 2, "state": False}),
    "skill_list": ("skill-list", {}),
    "skill_list_blind": ("skill-list", {"state": False}),
    "skill_list_written": ("skill-list", {"engine": {}, "quota": 4}),
    "skill_tree": ("skill-tree", {}),
    "skill_tree_blind": ("skill-tree", {"state": False}),
}
"""Each is recorded once; the cassette is a snapshot of its prompts as well."""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server(backwards)) as running:
        yield running


def teacher(server: Server | None, name: str, **args: Any) -> Any:
    chat = {"base_url": server.base_url, "model": "scripted"} if server else DEAD
    return registry.build("teacher", name, {"chat": chat, **args})


def play(teacher: Any, fields: dict[str, Any] = SHORT, store: Store | None = None) -> Episode:
    if teacher.level == "skill-tree":
        fields = {**fields, "task": "branching" if fields is SHORT else fields["task"]}
    return run(TeachingEnv(teacher.level, runner=Runner(store or Store()), **fields), teacher, seed=0)


def shown(server: Server, schema: str, block: str) -> list[Any]:
    named = [b for b in server.heard if b["response_format"]["json_schema"]["name"] == schema]
    return [blocks(body["messages"][0]["content"])[block] for body in named]


@pytest.mark.parametrize("arm", ARMS)
def test_a_recorded_run_is_played_again_to_the_byte_without_a_server(arm: str, tmp_path: Path) -> None:
    """``RECORD=1`` records the cassettes anew; they are then looked at and committed."""
    cassette = Path(__file__).with_name(f"{arm}.jsonl")
    name, args = ARMS[arm]
    if os.environ.get("RECORD"):
        with serving(Server(backwards)) as running:
            recorded = teacher(running, name, **args)
            play(recorded)
            recorded.chat.save(cassette)
    store = Store()
    for key, row in load(cassette).rows.items():
        store.put("chats", key, row)
    offline = teacher(None, name, **args)
    episode = play(offline, store=store)
    assert set(offline.chat.counts) == {"ok"}
    assert len(episode.steps) > 2
    assert all(step.kept for step in episode.steps[1:])
    offline.chat.save(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == cassette.read_bytes()


@pytest.mark.parametrize("arm", ARMS)
def test_no_canary_is_in_a_stored_call(arm: str, server: Server) -> None:
    name, args = ARMS[arm]
    who = teacher(server, name, **args)
    play(who, SHORT | {"task": "canaried"})
    stored = json.dumps([list(who.chat.used.values()), server.heard]).casefold()
    assert [where for word, where in canaries().items() if word in stored] == []
    if name == "open-ended":
        seen = any(p.prompt in stored for p in Canaried().split("feedback"))
        assert seen is args.get("state", True), "mistakes are shown with state, and without nothing of the student is"


def test_open_ended_shows_mistakes_with_state_and_the_tasks_own_examples_without(server: Server) -> None:
    play(teacher(server, "open-ended", errors=3))
    assert {tuple(one) for one in shown(server, "Specs", "shown")} == {("problem", "student", "right")}
    assert len(shown(server, "Specs", "shown")) % 3 == 0
    server.heard.clear()
    play(teacher(server, "open-ended", errors=3, state=False))
    solved = shown(server, "Specs", "shown")
    assert {tuple(one) for one in solved} == {("problem", "right")}
    assert all(one["right"] == one["problem"][-2::-1] for one in solved)
    assert not {one["problem"] for one in solved} & {p.prompt for p in Canaried().split("feedback")}


def test_open_ended_drops_what_it_was_shown(server: Server) -> None:
    def parrot(turn: ScriptedTurn) -> str:
        if (turn.schema or {}).get("title") == "Specs":
            problem = blocks(turn.messages[0]["content"])["shown"]["problem"]
            return json.dumps({"lacks": "", "specs": [{"design": "", "question": problem}] * 2})
        return backwards(turn)

    server.script = parrot
    who = teacher(server, "open-ended", errors=2)
    assert play(who).steps[-1].ended == "stopped", "nothing of use came"
    assert (who.yields["asked"], who.yields["questions"]) == (4, 0)


def test_skill_list_shows_accuracy_and_takes_the_counts_as_a_mixture(server: Server) -> None:
    def mostly(turn: ScriptedTurn) -> str:
        counts = [{"skill": "long", "count": 7}, {"skill": "short", "count": 1}]
        return json.dumps({"why": "", "counts": counts})

    server.script = mostly
    episode = play(teacher(server, "skill-list"), SHORT | {"budget": {"student_tokens": 1000}})
    rows = shown(server, "Plan", "skills")
    assert rows[0] == [{"skill": "short", "accuracy": 0, "taught": 0}, {"skill": "long", "accuracy": 0, "taught": 0}]
    assert rows[1][1]["taught"] == 7
    assert episode.steps[1].mixture == (1 / 8, 7 / 8)
    assert "Its next lesson has 8 examples" in server.heard[0]["messages"][0]["content"]


def test_without_state_only_names_are_shown_and_the_schema_is_the_same(server: Server) -> None:
    play(teacher(server, "skill-list"))
    told = server.heard[0]
    server.heard.clear()
    play(teacher(server, "skill-list", state=False))
    assert shown(server, "Plan", "skills")[0] == [{"skill": "short"}, {"skill": "long"}]
    assert "accuracy is" not in server.heard[0]["messages"][0]["content"]
    assert server.heard[0]["response_format"] == told["response_format"]
    item = told["response_format"]["json_schema"]["schema"]["$defs"]["Share"]["properties"]
    assert item["skill"]["enum"] == ["short", "long"]
    assert item["count"]["minimum"] == 0


def test_with_an_engine_the_model_writes_and_its_state_is_mistakes(server: Server) -> None:
    who = teacher(server, "skill-list", engine={"solutions": 1, "agree": 1}, quota=6)
    assert (who.level, teacher(server, "skill-list").level) == ("open-ended", "skill-list")
    episode = play(who)
    assert shown(server, "Plan", "skills")[0] == [{"skill": "short", "mistakes": 4}, {"skill": "long", "mistakes": 4}]
    assert episode.steps[1].kept == 6
    assert who.yields["solved"] == who.yields["questions"] > 0
    assert who.yields["plans"] == len(episode.steps) - 1
    assert len(who.chat.used) == len(server.heard), "policy and engine are one chat with one purse"


def test_an_unusable_plan_is_asked_for_again_and_then_the_episode_stops(server: Server) -> None:
    good = backwards

    def moody(turn: ScriptedTurn) -> str:
        return "no idea" if turn.seed < 2 else good(turn)

    server.script = moody
    who = teacher(server, "skill-list")
    episode = play(who)
    assert len(episode.steps) > 2
    assert who.yields["unusable-plans"] == 2 * (len(episode.steps) - 1)
    assert who.yields["plans"] == 3 * (len(episode.steps) - 1)
    stubborn = teacher(server, "skill-list", tries=2)
    assert play(stubborn).steps[-1].ended == "stopped"


def test_skills_that_do_not_exist_are_no_plan(server: Server) -> None:
    server.script = lambda turn: json.dumps({"why": "", "counts": [{"skill": "cooking", "count": 8}]})
    who = teacher(server, "skill-list", tries=1)
    assert play(who).steps[-1].ended == "stopped"
    assert who.chat.counts == {"invalid": 1}


def test_no_counts_end_the_training(server: Server) -> None:
    server.script = lambda turn: json.dumps({"why": "done", "counts": []})
    who = teacher(server, "skill-list")
    assert play(who).steps[-1].ended == "stopped"
    assert who.yields["unusable-plans"] == 0


def test_skill_tree_is_shown_the_forest_and_moves_what_the_model_names(server: Server) -> None:
    plans = [
        {"explore": [{"skill": "long", "new": 2, "data": 50}], "exploit": []},
        {"explore": [{"skill": "short", "new": 1, "data": 100}],
         "exploit": [{"skill": "long", "subskill": "a-h", "data": 0}]},
        {"explore": [], "exploit": []},
    ]  # fmt: skip
    server.script = lambda turn: json.dumps({"why": "", **plans[len(server.heard) - 1]})
    who = teacher(server, "skill-tree")
    episode = play(who, SHORT | {"task": "branching", "budget": {"student_tokens": 5000}})
    rows = shown(server, "Moves", "skills")
    assert rows[0] == [
        {"skill": "short", "left": 2, "subskills": [], "accuracy": 0},
        {"skill": "long", "left": 3, "subskills": [], "accuracy": 0},
    ]
    assert [(part["subskill"], part["data"], part["taught"]) for part in rows[1][1]["subskills"]] == [
        ("a-h", 50, 4),
        ("i-q", 50, 4),
    ]
    assert [(part["subskill"], part["data"]) for row in rows[2] for part in row["subskills"]] == [
        ("a-m", 100),
        ("a-h", 0),
        ("i-q", 50),
    ]
    assert set(rows[2][1]["subskills"][0]) == {"subskill", "data", "taught", "accuracy"}
    assert (episode.steps[-1].ended, who.yields) == ("stopped", {"plans": 3})


def test_skill_tree_without_state_shows_the_forest_alone(server: Server) -> None:
    play(teacher(server, "skill-tree"))
    told = server.heard[0]
    server.heard.clear()
    play(teacher(server, "skill-tree", state=False))
    last = shown(server, "Moves", "skills")[-1]
    assert any(row["subskills"] for row in last)
    assert "accuracy is" not in json.dumps(server.heard)
    assert not [row for row in last for part in (row, *row["subskills"]) if "accuracy" in part]
    assert server.heard[0]["response_format"] == told["response_format"]


@pytest.mark.parametrize(
    "moves",
    [
        {"explore": [{"skill": "cooking", "new": 1, "data": 9}], "exploit": []},
        {"explore": [{"skill": "long", "new": 0, "data": 9}], "exploit": []},
        {"explore": [{"skill": "long", "new": 1, "data": 101}], "exploit": []},
        {"explore": [{"skill": "long", "new": 1, "data": 9}] * 2, "exploit": []},
        {"explore": [], "exploit": [{"skill": "long", "subskill": "r-z", "data": 9}]},
        {"explore": [], "exploit": [{"skill": "long", "subskill": "a-m", "data": 9}]},
        {"explore": [{"skill": "long", "new": 1, "data": 9}],
         "exploit": [{"skill": "long", "subskill": "a-h", "data": 9}]},
    ],
)  # fmt: skip
def test_a_move_that_is_not_of_the_forest_is_asked_for_again_and_then_the_episode_stops(
    server: Server, moves: dict[str, Any]
) -> None:
    first = {"explore": [{"skill": s, "new": 1, "data": 50} for s in ("short", "long")], "exploit": []}
    server.script = lambda turn: json.dumps({"why": "", **(first if len(server.heard) == 1 else moves)})
    who = teacher(server, "skill-tree", tries=2)
    assert play(who).steps[-1].ended == "stopped"
    assert who.yields == {"plans": 3, "unusable-plans": 2}


@pytest.mark.parametrize("verify", [False, True])
def test_the_judge_is_counted_and_enforced_only_under_verify(server: Server, verify: bool) -> None:
    """A model that is wrong and always agrees with itself: the filter cannot help, and only ``verify`` does."""

    def sure(turn: ScriptedTurn) -> str:
        if (turn.schema or {}).get("title") == "Solution":
            question = blocks(turn.messages[0]["content"])["question"]
            answer = question[-2::-1] if question[0] < "n" else "zzz"
            return json.dumps({"solution": answer, "answer": answer})
        return backwards(turn)

    server.script = sure
    who = teacher(server, "open-ended", errors=8)
    steps = play(who, SHORT | {"verify": verify}).steps
    wrong = sum(step.judged.get("wrong", 0) for step in steps)
    dropped = sum(step.rejected.get("wrong", 0) for step in steps)
    assert (wrong > 0, dropped > 0) == (not verify, verify)
    unpaid = who.yields["examples"] - sum(s.offered for s in steps)
    assert unpaid in (0, 16), "all are offered, but for a last lesson that the purse cannot pay"


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        ("open-ended", {}, "missing a required argument: 'chat'"),
        ("open-ended", {"chat": DEAD, "errors": 0}, "errors is 0; give 1 or more"),
        ("open-ended", {"chat": DEAD, "state": "no"}, "state is 'no'; give true or false"),
        ("open-ended", {"chat": DEAD, "engine": {"agree": 9}}, "agree is 9"),
        ("skill-list", {"chat": {"model": "m"}}, "base_url is missing"),
        ("skill-list", {"chat": DEAD, "quota": 4}, "quota is 4; leave it out, or give an engine too"),
        ("skill-list", {"chat": DEAD, "tries": 0}, "tries is 0"),
        ("skill-tree", {"chat": DEAD, "tries": 0}, "tries is 0; give a whole number of at least 1"),
        ("skill-tree", {"chat": DEAD, "state": 1}, "state is 1; give true or false"),
    ],
)
def test_bad_arguments(name: str, args: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        registry.build("teacher", name, args)


def test_an_even_plan_is_an_even_mixture(server: Server) -> None:
    who = teacher(server, "skill-list", state=False)
    env = TeachingEnv("skill-list", runner=Runner(Store()), **SHORT)
    run(env, who, seed=0)
    np.testing.assert_allclose(env.history[1].mixture or (), (0.5, 0.5))
