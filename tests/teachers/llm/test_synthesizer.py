"""Every teacher that lets a model write problems: what it asks, to the byte, and what it makes of the replies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.episode.loop import Episode, run
from dataenv.errors import SettingError, UnansweredError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from tasks.arithmetic import Arithmetic
from tasks.arithmetic.grammar import read
from tasks.records import Example, stream
from teachers.chat import load
from teachers.chat.scripted import ScriptedTurn, Server, serving
from teachers.chat.tutor import _same_skill, blocks, tutor
from tests.canaries import Canaried, canaries
from tests.chatting import _letters, backwards
from tests.toys import TOYS

HERE = Path(__file__).parent
DEAD = {"base_url": "http://127.0.0.1:9/v1", "model": "scripted", "retries": 0}
SHORT = TOYS | {"budget": {"student_tokens": 450}}
ARGS: dict[str, dict[str, Any]] = {
    "embed-syn": {"quota": 4, "difficult": 2},
    "augment": {"quota": 4},
    "genqa": {"quota": 4, "topics": 3},
    "evol-instruct": {"quota": 4, "seeds": 3, "rounds": 2},
    "skill-mix": {"quota": 4},
    "stat-sel-pool": {"quota": 4, "rewrites": 3, "diagnosis": "chat", "difficult": 2},
    "reflection": {"teacher": "embed-sel"},
}
"""``stat-syn`` has tests of its own."""

pytestmark = pytest.mark.usefixtures("toys")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server(backwards)) as running:
        yield running


def made(name: str, chat: dict[str, Any], **args: Any) -> Any:
    return registry.build("teacher", name, {"chat": chat} | ARGS[name] | args)


def live(name: str, server: Server, **args: Any) -> Any:
    return made(name, {"base_url": server.base_url, "model": "scripted"}, **args)


def play(teacher: Any, store: Store | None = None, fields: dict[str, Any] = SHORT) -> tuple[Episode, list[Example]]:
    """An episode, and everything that was taught."""
    env = TeachingEnv("open-ended", runner=Runner(store or Store()), **fields)
    episode = run(env, teacher, seed=0)
    return episode, [e for name in episode.snapshot.lessons for e in env.runner.store.lesson(name)]


def prompts(server: Server, schema: str) -> list[str]:
    named = [b for b in server.heard if b["response_format"]["json_schema"]["name"] == schema]
    return [body["messages"][0]["content"] for body in named]


@pytest.mark.parametrize("name", sorted(ARGS))
def test_a_recorded_run_is_played_again_to_the_byte_without_a_server(name: str, tmp_path: Path) -> None:
    """The cassette is the snapshot of the prompts too; ``RECORD=1`` records it anew, to be looked at and committed."""
    cassette = HERE / f"{name.replace('-', '_')}.jsonl"
    if os.environ.get("RECORD"):
        with serving(Server(backwards)) as running:
            recorded = live(name, running)
            play(recorded)
            recorded.chat.save(cassette)
    store = Store()
    for key, row in load(cassette).rows.items():
        store.put("chats", key, row)
    offline = made(name, DEAD)
    episode, taught = play(offline, store)
    assert set(offline.chat.counts) == {"ok"}
    assert len(episode.steps) > 2
    assert len(taught) > 4
    offline.chat.save(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == cassette.read_bytes()


@pytest.mark.parametrize("name", sorted(ARGS))
def test_no_canary_is_in_a_stored_call(name: str, server: Server) -> None:
    teacher = live(name, server)
    play(teacher, fields=SHORT | {"task": "canaried"})
    stored = json.dumps([list(teacher.chat.used.values()), server.heard]).casefold()
    assert len(teacher.chat.used) > 4
    assert [where for word, where in canaries().items() if word in stored] == []
    if name == "stat-sel-pool":
        assert any(p.prompt in stored for p in Canaried().split("feedback")), "what it may see is there to be found"


@pytest.mark.parametrize("name", sorted(ARGS))
def test_no_server_fails_the_run_and_says_so(name: str) -> None:
    """``reflection`` and ``stat-sel-pool`` too: with what no model wrote alone they would be another teacher."""
    teacher = made(name, DEAD)
    with pytest.raises(UnansweredError, match=r"no-server [0-9]+.*start the server, or mend base_url"):
        play(teacher)
    assert set(teacher.chat.counts) == {"no-server"}


@pytest.mark.parametrize("name", sorted(set(ARGS) - {"reflection"}))
def test_every_example_came_through_the_filter(name: str, server: Server) -> None:
    """One solution in five is another question's: none of those is taught."""
    teacher = live(name, server, quota=16)
    _, taught = play(teacher, fields=TOYS | {"lesson_size": 16, "budget": {"student_tokens": 1000}})
    assert len(taught) > 16
    assert all(e.response == e.prompt[-2::-1] for e in taught)
    assert {e.origin for e in taught} <= {name, ""}, "those of the toy's pool say nothing"
    assert 0 < teacher.yields["consistent"] <= teacher.yields["questions"]
    assert teacher.yields["solved"] == 3 * teacher.yields["questions"]


def test_skill_mix_asks_for_both_skills_and_shows_both(server: Server) -> None:
    _, taught = play(live("skill-mix", server))
    assert {e.skills for e in taught} == {("short", "long")}
    data = blocks(prompts(server, "Proposal")[0])
    assert data["skills"] == ["short", "long"]
    assert sorted(len(r["question"]) for r in data["references"]) == [4, 4, 4, 6, 6, 6]


def test_genqa_takes_a_number_of_the_list(server: Server) -> None:
    play(live("genqa", server, topics=30))
    asked = prompts(server, "Listed")
    assert all("List 30 kinds of problems" in prompt for prompt in asked)
    numbers = {prompt.split("Take number ")[1].split()[0] for prompt in asked}
    assert len(numbers) > 1
    assert {blocks(prompt)["skill"] for prompt in asked} == {"short", "long"}


def test_evol_instruct_goes_on_from_what_it_made_and_starts_again(server: Server) -> None:
    teacher = live("evol-instruct", server, seeds=1, rounds=2, quota=2, walks=1)
    play(teacher, fields=SHORT | {"budget": {"student_tokens": 1200}})
    shown = [blocks(prompt)["references"][0]["question"] for prompt in prompts(server, "Evolved")]
    seed = teacher._lines[0].seed.prompt
    assert len(shown) > 4
    assert shown[0] == seed
    assert shown[1] != seed
    assert shown[2] == seed
    assert teacher.yields["evolved"] == len(shown)


def test_evol_instruct_stays_where_solutions_do_not_agree(server: Server) -> None:
    def never(turn: ScriptedTurn) -> str:
        return backwards(turn) if (turn.schema or {}).get("title") != "Solution" else _noise(turn)

    server.script = never
    teacher = live("evol-instruct", server)
    episode, _ = play(teacher)
    assert episode.steps[-1].ended == "stopped"
    assert teacher.yields["evolved"] == 0
    assert all(line.now is line.seed for line in teacher._lines)


def _noise(turn: ScriptedTurn) -> str:
    return json.dumps({"solution": "s", "answer": str(turn.seed)})


def test_augment_words_half_of_the_items_anew_and_never_shows_their_solutions(server: Server) -> None:
    teacher = live("augment", server, quota=24)
    play(teacher, fields=SHORT | {"lesson_size": 24})
    pool = {e.prompt: e.response for e in teacher._pool}
    reworded = prompts(server, "Reworded")
    assert reworded
    for prompt in reworded:
        data = blocks(prompt)
        assert data["problem"] in pool
        assert data["problem"] not in [r["question"] for r in data["references"]]
    solved = {blocks(prompt)["question"] for prompt in prompts(server, "Solution")}
    assert solved & pool.keys(), "those that stay as they are"
    assert solved - pool.keys(), "those that were worded anew"
    for prompt in prompts(server, "Solution"):
        data = blocks(prompt)
        assert data["question"] not in [r["question"] for r in data["references"]]


def test_embed_syn_shows_neighbours_of_the_errors(server: Server) -> None:
    play(live("embed-syn", server))
    for prompt in prompts(server, "Proposal"):
        assert len(blocks(prompt)["references"]) == 3
        assert "lacks" not in prompt


def test_stat_sel_pool_attaches_rewritten_solutions_and_keeps_the_pools_where_there_are_none(server: Server) -> None:
    def rewriting(turn: ScriptedTurn) -> str:
        if (turn.schema or {}).get("title") != "Solution":
            return backwards(turn)
        word = blocks(turn.messages[0]["content"])["question"]
        if len(word) == 4:  # of the short ones no two solutions agree
            return _noise(turn)
        return json.dumps({"solution": f"by {turn.seed % 2}: {word[-2::-1]}", "answer": word[-2::-1]})

    server.script = rewriting
    _, taught = play(live("stat-sel-pool", server, quota=12), fields=SHORT | {"lesson_size": 12})
    assert {e.response[:5] for e in taught if len(e.prompt) == 6} == {"by 0:", "by 1:"}
    assert all(e.response == e.prompt[-2::-1] for e in taught if len(e.prompt) == 4)


def test_a_revision_is_what_is_taught_and_one_that_cannot_be_used_is_not(server: Server) -> None:
    def revising(turn: ScriptedTurn) -> str:
        shown = blocks(turn.messages[0]["content"])["example"]
        if len(shown["question"]) == 4:
            return "no JSON"
        return json.dumps({"critique": "lower", "question": shown["question"], "solution": shown["solution"].upper()})

    server.script = revising
    teacher = live("reflection", server)
    _, taught = play(teacher)
    assert all(e.response.isupper() == (len(e.prompt) == 6) for e in taught)
    assert teacher.yields["revised"] + teacher.yields["unusable"] == teacher.yields["offered"] >= len(taught) > 4
    assert teacher.yields["revised"] > 0
    assert teacher.yields["unusable"] > 0


def test_reflection_passes_on_what_is_no_example(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = live("reflection", server)
    lesson = ({"prompt": "abc>", "response": "x"}, {"prompt": 1}, None)
    monkeypatch.setattr(teacher.inner, "act", lambda observation, info: lesson)
    env = TeachingEnv("open-ended", runner=Runner(Store()), **SHORT)
    steps = run(env, teacher, seed=0).steps
    assert steps[1].rejected == {"form": 2}
    assert steps[1].judged == {"right": 1}, "its solution was mended"


@pytest.mark.parametrize("name", sorted(ARGS))
def test_no_lesson_asks_for_more_than_it_says(name: str, server: Server) -> None:
    """With a tutor who is often wrong, so that walks are walked."""
    server.script = tutor(lambda question: question[-2::-1], _letters, wrong=0.6)
    teacher = live(name, server)
    episode, _ = play(teacher)
    lessons = len(episode.steps) - 1
    assert 0 < len(server.heard) <= lessons * teacher.most_requests(SHORT["lesson_size"])


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        ("reflection", {"teacher": "stratified"}, "its level is skill-list; give one that brings its examples"),
        ("reflection", {"teacher": "nobody"}, "'nobody' is not registered"),
        ("skill-mix", {"k": 0}, "k is 0"),
        ("genqa", {"topics": 0}, "topics is 0"),
        ("evol-instruct", {"rounds": 0}, "rounds is 0"),
        ("augment", {"reword": 2}, "reword is 2"),
        ("embed-syn", {"neighbours": 0}, "neighbours is 0"),
        ("genqa", {"agree": 4}, "agree is 4; give 1 to solutions, which is 3"),
        ("genqa", {"agreed": 4}, "unexpected keyword argument 'agreed'"),
        ("genqa", {"quota": 0}, "quota is 0"),
    ],
)
def test_bad_arguments(name: str, args: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        registry.build("teacher", name, {"chat": DEAD} | args)


def test_more_skills_than_there_are_cannot_be_mixed(server: Server) -> None:
    with pytest.raises(SettingError, match="k is 3; the task has 2 skills"):
        play(live("skill-mix", server, k=3))


def test_the_perfect_tutor_stays_within_the_skill() -> None:
    task, rng = Arithmetic(), stream(0, "test")
    for skill in task.skills:
        for example in task.generate(skill, 5, rng):
            fresh = _same_skill(example.prompt, rng)
            asked, given = read(fresh), read(example.prompt)
            assert asked is not None
            assert given is not None
            assert fresh != example.prompt
            assert len(asked.operators) == len(given.operators)
            if skill.startswith(("add", "sub")) and len(given.operators) == 1:
                assert asked.operators == given.operators


WRITERS = sorted(set(ARGS) - {"stat-sel-pool", "reflection"})
MESSY = {
    "stat-syn": {"quota": 8, "difficult": 4},
    "open-ended": {"errors": 8},
    "skill-list": {"engine": {}, "quota": 8},
    "stat-sel-pool": {"rewrites": 3, "quota": 4},
} | {name: {**ARGS[name], "quota": 8} for name in WRITERS}


@pytest.mark.parametrize("name", WRITERS)
def test_what_a_model_repeats_is_taught_once_in_an_episode(name: str, server: Server) -> None:
    """It knows two questions, for every skill and in every lesson."""

    def repeating(turn: ScriptedTurn) -> str:
        reply = json.loads(backwards(turn))
        if "questions" in reply:
            reply["questions"] = ["abc>", "ABCDE>"]
        if (turn.schema or {}).get("title") == "Solution":
            word = blocks(turn.messages[0]["content"])["question"]
            reply = {"solution": word[-2::-1], "answer": word[-2::-1]}
        return json.dumps(reply)

    server.script = repeating
    teacher = live(name, server, **({"reword": 1.0} if name == "augment" else {}))
    _, taught = play(teacher, fields=SHORT | {"budget": {"student_tokens": 1500}})
    assert sorted(e.prompt for e in taught) == ["ABCDE>", "abc>"]
    assert teacher.yields["near-duplicates"] > 0


@pytest.mark.parametrize("name", sorted(MESSY))
def test_every_question_that_was_asked_for_came_or_is_a_loss_with_a_name(name: str, server: Server) -> None:
    """One prompt gets no JSON, the next a text that nobody can read, the next a copy of what it shows."""
    order: dict[str, int] = {}

    def messy(turn: ScriptedTurn) -> str:
        prompt, reply = turn.messages[0]["content"], json.loads(backwards(turn))
        specs = reply.get("specs")
        texts = reply.get("questions") or [spec["question"] for spec in specs or ()]
        if not texts:
            return "no JSON" if turn.seed == 2 else backwards(turn)
        turns = order.setdefault(prompt, len(order)) % 4  # a repair turn is of the same prompt
        data = blocks(prompt)
        shown = data["references"][0]["question"] if "references" in data else data["shown"]["problem"]
        texts[0] = (texts[0], "\u200b", shown, texts[0])[turns]
        if turns == 0:
            return "no JSON"
        asked = {"specs": [{"design": "", "question": text} for text in texts]} if specs else {"questions": texts}
        return json.dumps(reply | asked)

    server.script = messy
    args = {"chat": {"base_url": server.base_url, "model": "scripted", "concurrency": 1}} | MESSY[name]
    teacher = registry.build("teacher", name, args)
    play(teacher, fields=SHORT | {"budget": {"student_tokens": 200}})
    y = teacher.yields
    assert y["asked"] == y["no-reply"] + y["copies"] + y["unusable"] + y["questions"] > 0
    assert y["solved"] + y["unsolved"] == 3 * y["questions"]
    if name != "stat-sel-pool":  # whose questions are the pool's
        assert y["no-reply"] > 0
        assert y["copies"] + y["unusable"] > 0
