"""The engine that writes: what it asks for, what it keeps and why, and that nothing it drops goes uncounted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.lessons.engines import Request
from tasks.records import Example
from teachers.chat.client import Chat
from teachers.chat.scripted import Script, ScriptedTurn, Server, serving
from teachers.chat.spec import ChatError
from teachers.chat.synthesis import NewQuestion, Want
from teachers.chat.tutor import blocks, tutor
from teachers.engines.signature import Seen, signature
from teachers.engines.writer import Writer, engine_spec
from tests.chatting import _letters, backwards
from tests.toys import TOYS

pytestmark = pytest.mark.usefixtures("toys")
RIGHT = tutor(lambda question: question[-2::-1], _letters, wrong=0.0)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server(backwards)) as running:
        yield running


def engine(server: Server, chat: Chat | None = None, **fields: Any) -> Writer:
    env = TeachingEnv("open-ended", runner=Runner(Store()), **TOYS)
    env.reset(seed=0)
    spec = engine_spec({"base_url": server.base_url, "model": "scripted", "retries": 0}, fields)
    return Writer(Context(env), spec, "pen", chat)


def asked(server: Server, schema: str) -> list[str]:
    named = [b for b in server.heard if b["response_format"]["json_schema"]["name"] == schema]
    return [body["messages"][0]["content"] for body in named]


def replying(schema: str, reply: Any, otherwise: Script = RIGHT) -> Script:
    """A script with one reply of its own; a function is given the prompt's data."""

    def script(turn: ScriptedTurn) -> str:
        if (turn.schema or {}).get("title") != schema:
            return otherwise(turn)
        return json.dumps(reply(blocks(turn.messages[0]["content"])) if callable(reply) else reply)

    return script


def test_it_makes_what_was_asked_for(server: Server) -> None:
    server.script = RIGHT
    pen = engine(server)
    long, none, short = pen.make([Request("long", 3), Request("short", 0), Request("short", 4)])
    made = [*long, *none, *short]
    assert [(e.skills, len(e.prompt), e.origin) for e in made] == [(("long",), 6, "pen")] * 3 + [
        (("short",), 4, "pen")
    ] * 4
    assert len({e.prompt for e in made}) == 7
    assert all(e.response == e.prompt[-2::-1] for e in made)
    assert pen.yields["wanted"] == pen.yields["examples"] == 7
    assert pen.yields["asked"] == pen.yields["questions"] == 8, "two a prompt"
    assert pen.yields["solved"] == 3 * pen.yields["consistent"] == 24


def test_what_is_missing_is_asked_for_again(server: Server) -> None:
    """A model that is wrong four times in ten: fewer questions are agreed on, and all are right that are taught."""
    server.script = tutor(lambda question: question[-2::-1], _letters, wrong=0.4)
    pen = engine(server, rounds=10)
    made = pen.draw("long", 20)
    assert len(made) >= 18
    assert pen.yields["asked"] > 20
    assert pen.yields["consistent"] < pen.yields["questions"]
    assert sum(e.response == e.prompt[-2::-1] for e in made) >= len(made) - 1


def test_rounds_end_where_nothing_more_comes(server: Server) -> None:
    server.script = replying("Proposal", {"relation": "", "design": "", "questions": ["abcde>", "abcde>"]})
    pen = engine(server)
    assert [e.prompt for e in pen.draw("long", 8)] == ["abcde>"]
    assert pen.yields["near-duplicates"] == 1, "one of the second round; there was no third"
    assert (pen.yields["asked"], pen.yields["questions"]) == (16, 2)
    assert pen.draw("long", 8) == [], "it remembers what it made before"


def test_copies_of_references_are_dropped(server: Server) -> None:
    server.script = replying(
        "Proposal",
        lambda data: {
            "relation": "",
            "design": "",
            "questions": [data["references"][0]["question"], data["references"][1]["question"].upper()],
        },
    )
    pen = engine(server)
    assert pen.draw("long", 2) == []
    assert (pen.yields["asked"], pen.yields["questions"], pen.yields["near-duplicates"]) == (2, 1, 1)


def test_difficulty_operator_and_references_are_in_the_prompt(server: Server) -> None:
    shown = Example(prompt="zyxwv>", response="vwxyz", skills=("long",))
    pen = engine(server)
    pen.make([Request("long", 1, 0.25, (shown,), "harder"), Request("short", 1, operator="easier")])
    first, second = sorted(asked(server, "Proposal")[:2], key=lambda prompt: "zyxwv" not in prompt)  # sent at once
    assert "harder than the references" in first
    assert "at 25" in first
    assert blocks(first)["references"] == [{"question": "zyxwv>", "solution": "vwxyz"}]
    assert "easier than the references" in second
    assert "the hardest" not in second
    assert len(blocks(second)["references"]) == 3
    assert blocks(second)["skill"] == "short"


@pytest.mark.parametrize("same", [True, False])
def test_rewritten_solutions_are_kept_where_they_agree(server: Server, same: bool) -> None:
    replies = count()

    def reply(data: Any) -> Any:
        answer = data["references"][0]["solution"]
        return {"solution": f"first: {answer}", "answer": answer if same else str(next(replies))}

    server.script = replying("Solution", reply)
    pen = engine(server, rounds=1)
    (made,) = pen.make([Request("long", 3, operator="rewrite")])
    assert [e.response for e in made] == [f"first: {e.prompt[-2::-1]}" for e in made]
    assert {e.origin for e in made} <= {"pen"}
    y = pen.yields
    assert (len(made), y["asked"], y["questions"], y["solved"]) == (3 if same else 0, 3, 3, 9)


def test_what_the_student_cannot_read_is_counted(server: Server) -> None:
    server.script = replying("Proposal", {"relation": "", "design": "", "questions": ["a" * 120 + ">", "abcde>"]})
    pen = engine(server, rounds=1)
    assert [e.prompt for e in pen.draw("long", 2)] == ["abcde>"]
    assert pen.yields["unreadable"] == 1


def test_without_a_server_nothing_comes_and_it_says_why() -> None:
    dead = Server(backwards)
    dead.server_close()
    pen = engine(dead)
    assert pen.draw("long", 4) == []
    assert pen.chat.counts == {"no-server": 2}
    assert pen.yields["asked"] == 4


def test_several_solutions_of_a_question_may_be_kept(server: Server) -> None:
    texts = iter(f"{word} abc" for word in ("first", "then", "last"))
    server.script = lambda turn: (
        json.dumps({"solution": next(texts), "answer": "abc"})
        if (turn.schema or {}).get("title") == "Solution"
        else json.dumps({"relation": "", "design": "", "questions": ["cba>"]})
    )
    made = engine(server, kept=2, questions=1, rounds=1).draw("short", 2)
    assert [e.prompt for e in made] == ["cba>", "cba>"]
    assert len({e.response for e in made}) == 2


def test_a_story_retold_is_the_same_question_and_other_numbers_are_another() -> None:
    told = signature(("add",), "Tom has 3 apples and buys 4. How many?", "3 + 4 = 7 apples")
    assert told == signature(("add",), "Ann owns 4 pears; she is given 3 more. How many now?", "3 + 4 = 7, so 7"[:9])
    assert told != signature(("add",), "Tom has 3 apples and buys 5. How many?", "3 + 5 = 8 apples")
    assert told != signature(("multiply",), "Tom has 3 apples and buys 4. How many?", "3 + 4 = 7 apples")
    assert told != signature(("add",), "Tom has 3 bags of 4 apples. How many?", "3 * 4 = 12 apples")
    assert signature((), "Reverse ABC", "cba") == signature((), "reverse: abc!", "CBA")
    assert signature((), "Reverse abc", "cba") != signature((), "Reverse abd", "dba")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"agree": 4}, "agree is 4; give 1 to solutions, which is 3"),
        ({"chat": {"model": "m"}}, "base_url is missing"),
        ({"solution": 3}, "solution is no field; did you mean solutions"),
        ({"rounds": 0}, "rounds is 0"),
    ],
)
def test_bad_settings(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ChatError, match=says):
        engine_spec({"base_url": "http://127.0.0.1:9/v1", "model": "m"}, fields)


def test_a_known_problem_in_other_words_is_new_and_its_copy_is_not() -> None:
    item = Example(prompt="What is 3 plus 4?", response="7", skills=("add",))
    seen, yields = Seen(), Counter[str]()
    seen.show([Want(("add",), (item,))])

    def new(text: str, skill: str = "add", **fields: Any) -> bool:
        question = NewQuestion(text, Want((skill,), (item,), **fields))
        return bool(seen.new(question, [Example(prompt=text, response="7", skills=(skill,))], yields))

    assert not new("Add 4 to 3.")
    assert new("Add 4 to 3.", reworded=True)
    assert not new("add  4 to 3.", reworded=True), "the same words"
    assert not new("what is 3 plus 4?", "sub"), "the same words, whatever skill is claimed"
    assert new(item.prompt, given=item.prompt), "nobody wrote it"
    assert yields == {"near-duplicates": 3}
