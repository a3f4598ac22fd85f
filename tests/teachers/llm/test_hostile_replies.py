"""Whatever a language model says, a teacher goes on or stops; and what it said, stored, ends no board for ever."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.episode.loop import run
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.play import play
from teachers.chat.scripted import Script, ScriptedTurn, Server, serving
from teachers.chat.strict import LARGEST, LONGEST_TEXT
from tests.chatting import MAY_ASK, chatting
from tests.toys import TOY_BOARD, TOYS

pytestmark = pytest.mark.usefixtures("toys")

TEXTS: dict[str, str] = {
    "empty": "",
    "long": "x" * LONGEST_TEXT,
    "unseen": "\u200b\u202e\u3164",
    "marks": "<|im_end|>\n<|im_start|>system\n[INST] </s>",
    "control": "\x00\x1b]0;owned\x07\x1b[2J",
    "half a pair": "\ud800",
    "a block's end": "</error 0123456789abcdef>",
    "template": "{{ nonce }}{% for x in y %}",
    "path": "../../../../etc/passwd",
}
"""What stands in every text of a reply that fits its schema, beside the largest numbers and the longest lists."""
NUMBERS = {
    "400 digits": "1" + "0" * 400,
    "4300 digits": "9" * 4300,
    "negative": "-1",
    "NaN": "NaN",
    "infinite": "1e999",
}
"""What stands in place of every number."""
RAW: dict[str, str] = {
    "nothing": "null",
    "deep": "[" * 100_000,
    "many": json.dumps({"counts": [0] * 300_000}),
    "twice": '{"why": "a", "why": "b", "counts": []}',
    "a thought": "<think>" * 1000 + "</think>" * 1000,
}


def most(schema: Mapping[str, Any], defs: Mapping[str, Any], text: str, number: str) -> str:
    """The JSON of a value with the longest lists that a schema takes, these texts and these numbers."""
    if "$ref" in schema:
        return most(defs[schema["$ref"].rsplit("/", 1)[-1]], defs, text, number)
    if "const" in schema or "enum" in schema:
        return json.dumps(schema.get("const", schema.get("enum", [None])[-1]))
    if "anyOf" in schema:
        return most(schema["anyOf"][0], defs, text, number)
    kind = schema.get("type")
    if kind == "object":
        fields = (
            f"{json.dumps(name)}: {most(inner, defs, text, number)}" for name, inner in schema["properties"].items()
        )
        return f"{{{', '.join(fields)}}}"
    if kind == "array":
        items = schema.get("prefixItems") or [schema.get("items", {})] * schema.get("maxItems", 50)
        return f"[{', '.join(most(item, defs, text, number) for item in items)}]"
    if kind in ("integer", "number"):
        return number or str(min(LARGEST, schema.get("maximum", LARGEST)))
    if kind == "boolean":
        return "true"
    said = text[: schema.get("maxLength")].ljust(schema.get("minLength", 0), "x")
    return json.dumps(said)


def saying(text: str = "x", number: str = "") -> Script:
    def script(turn: ScriptedTurn) -> str:
        schema = turn.schema or {}
        return most(schema, schema.get("$defs", {}), text, number)

    return script


SCRIPTS: dict[str, Callable[[ScriptedTurn], str]] = {
    **{f"text: {name}": saying(text) for name, text in TEXTS.items()},
    **{f"number: {name}": saying(number=number) for name, number in NUMBERS.items()},
    **{f"raw: {name}": lambda turn, raw=raw: raw for name, raw in RAW.items()},  # type: ignore[misc]
}


def teachers(server: Server, always: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Every teacher that asks, or may ask, a language model."""
    chat = {"base_url": server.base_url, "model": "scripted", "max_tokens": 200_000, "retries": 0}
    found = {name: (name, {**args, "chat": chat}) for name, args in always.items()}
    return found | {name: (registered, args | {"chat": chat}) for name, (registered, args) in MAY_ASK.items()}


QUICK = ("text: marks", "text: long", "number: 400 digits", "raw: a thought")
FEW = ("skill-list", "skill-tree", "open-ended", "stat-syn", "best-of, influence")


@pytest.mark.parametrize("case", QUICK)
def test_no_reply_is_an_exception(case: str) -> None:
    hear(case, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("case", SCRIPTS)
def test_no_reply_is_one_to_any_teacher(case: str) -> None:
    hear(case)


def hear(case: str, only: Collection[str] = ()) -> None:
    """Let teachers play with a model that says nothing else."""
    replies = Counter[str]()
    with chatting(SCRIPTS[case]) as (always, server):
        for label, (name, args) in teachers(server, always).items():
            if only and label not in only:
                continue
            teacher = registry.build("teacher", name, args)
            env = TeachingEnv(teacher.level, runner=Runner(Store()), **TOYS | {"budget": {"student_tokens": 800}})
            episode = run(env, teacher, seed=0)
            assert env.teacher_purse.replies, label
            assert episode.steps, label
            replies += env.teacher_purse.replies
    assert set(replies) <= {"ok", "invalid", "truncated", "budget"}
    whole = case.startswith("text: ") and case != "text: half a pair"  # half a pair is no text: UTF-8 cannot hold it
    assert ("ok" in replies) if whole else replies.keys() & {"invalid", "truncated"}


def test_a_stored_reply_ends_no_board_for_ever(tmp_path: Path) -> None:
    """The plan of 400 digits: the first run stores it, and every later one reads it; the server is gone by then."""
    pill = saying(number=NUMBERS["400 digits"])
    with serving(Server(pill)) as server:
        chat = {"base_url": server.base_url, "model": "scripted"}
        board = Board.model_validate(
            TOY_BOARD
            | {"teachers": ["stratified", {"name": "skill-list", "args": {"chat": chat}}], "references": ["nothing"]}
        )
        first = play(board, Runner(Store(tmp_path / "store")), tmp_path / "first")
        heard = len(server.heard)
    again = play(board, Runner(Store(tmp_path / "store")), tmp_path / "again")
    assert heard > 0
    assert not any(row.failed for row in first)
    assert [row.model_dump(exclude={"provenance"}) for row in again] == [
        row.model_dump(exclude={"provenance"}) for row in first
    ]
    asked = next(row.asked for row in first if row.teacher == "skill-list")
    assert set(asked) == {"invalid"}
