"""Replies as data: thoughts are cut off, fences taken off, and what is out of bounds is nothing."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.records import Record
from teachers.chat.spec import Ask, Reply
from teachers.chat.strict import LARGEST, LONGEST_TEXT, MOST_ITEMS, parse, repair


class Said(Record):
    """Some of each type; no field has a bound of its own."""

    value: int = 0
    share: float = 0.0
    text: str = ""
    many: tuple[int, ...] = ()
    named: dict[str, float] = {}


GOOD = '{"value": 4}'
MARKS = [
    "</think>", "</THINK>", "</thinking>", "</thought>", "</reasoning>", "</seed:think>", "[/THINK]", "◁/think▷",
    "<|end_of_thought|>", "<|channel|>final<|message|>", "</think >",
]  # fmt: skip


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize(
    "form",
    [
        "two and two{}\n\n" + GOOD,
        "<think>two {{}}{}" + GOOD,
        'quoted "{}" first. {} \n```JSON\n' + GOOD + "\n```",
        'no: {{"value": 3}}{}' + GOOD,
        "a{}b{}c{}d{}" + GOOD,
    ],
)
def test_a_thought_is_cut_off_by_its_end(form: str, mark: str) -> None:
    value, wrong = parse(form.replace("{}", mark).replace("{{", "{").replace("}}", "}"), Said)
    assert (value, wrong) == (Said(value=4), "")


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_that_is_quoted_in_the_reply_cuts_nothing(mark: str) -> None:
    reply = json.dumps({"value": 4, "text": f"a {mark} b"}, ensure_ascii=False)
    for text in (reply, f"hm {mark}{reply}", f"hm {mark} ha {mark}\n{reply}"):
        assert parse(text, Said)[0] == Said(value=4, text=f"a {mark} b")


def test_what_is_only_thought_is_no_reply() -> None:
    for text in (f"<think>{GOOD}", f"{GOOD}</think>", f"<think>{GOOD}</think>", f"{GOOD} and more</think>so"):
        value, wrong = parse(text, Said)
        assert value is None
        assert wrong


@pytest.mark.parametrize(
    "text",
    ["```json\n{}\n```", "```JSON\n{}\n```", "```Json {}```", "``` {} ```", "~~~json5\n{}\n~~~", "\ufeff{}", "  {}\n",
     "```jsonl\r\n{}\r\n```"],
)  # fmt: skip
def test_a_fence_is_taken_off(text: str) -> None:
    assert parse(text.replace("{}", GOOD), Said)[0] == Said(value=4)


@pytest.mark.parametrize(
    "text", [f"Here: {GOOD}", f"{GOOD} there", f"```\n{GOOD}", f"```python\n{GOOD}\n```", "```", ""]
)
def test_nothing_else_is(text: str) -> None:
    assert parse(text, Said)[0] is None


OUT = [
    ("value", "1" + "0" * 400),
    ("value", "1" + "0" * 5000),
    ("value", str(LARGEST + 1)),
    ("value", str(-LARGEST - 1)),
    ("share", "NaN"),
    ("share", "Infinity"),
    ("share", "-Infinity"),
    ("share", "1e999"),
    ("share", "1e300"),
    ("text", json.dumps("x" * (LONGEST_TEXT + 1))),
    ("many", json.dumps([0] * (MOST_ITEMS + 1))),
    ("many", "[1" + "0" * 400 + "]"),
    ("named", '{"a": NaN}'),
    ("named", json.dumps({str(i): 0.0 for i in range(MOST_ITEMS + 1)})),
]


@pytest.mark.parametrize(("field", "value"), OUT)
def test_what_is_out_of_bounds_is_nothing(field: str, value: str) -> None:
    found, wrong = parse(f'{{"{field}": {value}}}', Said)
    assert found is None
    assert field in wrong or "out of range" in wrong
    assert len(wrong) < 600
    repair(Ask("x", Said), Reply("invalid", f'{{"{field}": {value}}}', detail=wrong))


def test_what_is_at_the_bounds_is_something() -> None:
    said: dict[str, Any] = {"value": -LARGEST, "share": float(LARGEST), "text": "x" * LONGEST_TEXT}
    said |= {"many": [LARGEST] * MOST_ITEMS}
    assert parse(json.dumps(said), Said)[0] == Said.model_validate(said)


@given(
    st.text() | st.lists(st.sampled_from([*MARKS, "```", "```json\n", "{", "}", '"', GOOD, "NaN", "\n"])).map("".join)
)
def test_no_text_is_an_exception(text: str) -> None:
    value, wrong = parse(text, Said)
    assert (value is None) == bool(wrong)
    if value is not None:
        assert GOOD in text or Said() == value


@pytest.mark.parametrize("text", ["```" + " " * 1_000_000, "</think>" * 200_000, "<|channel|>" + " " * 1_000_000])
def test_a_long_reply_takes_no_time(text: str) -> None:
    start = time.monotonic()
    assert parse(text, Said)[0] is None
    assert time.monotonic() - start < 5
