"""Strict JSON: a reply is what the schema says, within bounds, or it is nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from tasks.records import stream
from teachers.chat.prompts import cleaned, escaped, render
from teachers.chat.spec import Ask, Message, Reply

FENCES = ("```", "~~~")
_LANGUAGE = re.compile(r"[ \t]*(?:json[5cl]?)?", re.IGNORECASE)
_THOUGHT = re.compile(
    r"</(?:[\w-]{1,20}:)?(?:think|thinking|thoughts?|reason|reasoning|reflection|analysis|scratchpad)\s*>"
    r"|\[/(?:think|thinking|reason|reasoning)\]|◁/think▷|<\|/?(?:end_of_thought|think_end|thought_end)\|>"
    r"|<\|channel\|>\s*final\s*<\|message\|>",
    re.IGNORECASE,
)
"""Where a thought ends, as models of today mark it. Its beginning may stand in the server's prompt."""
MARKS = 8
"""Ends of thoughts behind which a reply is looked for: the last ones."""
LONGEST = 4000
"""Characters of a reply that is shown to the model again."""

LARGEST = 2**53 - 1
"""The largest number in a reply: up to it every reader of JSON reads whole numbers exactly (RFC 7493)."""
LONGEST_TEXT = 100_000
"""Characters of one text in a reply. What a teacher can use is far shorter, and is for it to say."""
MOST_ITEMS = 10_000
"""Items of one list or object in a reply."""


def parse(text: str, schema: type[BaseModel]) -> tuple[BaseModel | None, str]:
    """The reply as the schema has it, or ``None`` and what is wrong. Types are strict: ``"3"`` is no number.

    A thought before it is allowed (some servers leave it in), and one fence around it; nothing else. Numbers, texts and
    lists have bounds here, whatever the schema says. They are not in what is sent, so they rename no stored reply, and
    they hold for stored replies too.
    """
    wrong: list[str] = []
    for candidate in _candidates(text):
        value, what = _parsed(_bare(candidate), schema)
        if value is not None:
            return value, ""
        wrong.append(what)
    return None, wrong[1 if len(wrong) > 1 else 0]  # behind the last mark is what was meant as the reply


def _candidates(text: str) -> Iterator[str]:
    """What may be the reply: all of it, for marks may be quoted in it; then what is behind the end of a thought.

    The last mark is tried first. An earlier one counts where the later ones are quoted in the reply.
    """
    yield text
    ends = [mark.end() for mark in _THOUGHT.finditer(text)]
    yield from (text[end:] for end in reversed(ends[-MARKS:]))


def _bare(text: str) -> str:
    """The text without spaces and a fence around it."""
    text = text.strip().lstrip("\ufeff")
    for fence in FENCES:
        if text.startswith(fence) and text.endswith(fence) and len(text) >= 2 * len(fence):
            inner = text[len(fence) : -len(fence)]
            language = _LANGUAGE.match(inner)
            return inner[language.end() if language else 0 :].strip()
    return text


def _parsed(text: str, schema: type[BaseModel]) -> tuple[BaseModel | None, str]:
    try:
        value = schema.model_validate_json(text, strict=True)
        beyond = _beyond(value.model_dump())
    except ValidationError as error:
        parts = error.errors(include_url=False, include_context=False, include_input=False)
        return None, "; ".join(f"{'.'.join(map(str, p['loc'])) or 'reply'}: {p['msg']}" for p in parts)[:500]
    except RecursionError:
        return None, "reply: nested too deeply"
    return (value, "") if beyond is None else (None, beyond)


def _beyond(value: Any, where: str = "reply") -> str | None:
    """What in a parsed reply is out of bounds; ``None`` if nothing is."""
    if isinstance(value, str):
        return f"{where}: a text of more than {LONGEST_TEXT} characters" if len(value) > LONGEST_TEXT else None
    if isinstance(value, int | float):  # NaN is in no range
        return None if abs(value) <= LARGEST else f"{where}: no number from -{LARGEST} to {LARGEST}"
    if not isinstance(value, Mapping | list | tuple | set | frozenset):
        return None
    if len(value) > MOST_ITEMS:
        return f"{where}: more than {MOST_ITEMS} items"
    inner: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, Mapping) else enumerate(value)
    return next(filter(None, (_beyond(item, f"{where}.{str(name)[:50]}") for name, item in inner)), None)


def repair(ask: Ask, reply: Reply) -> Ask:
    """The ask that gives the model its one chance to mend an invalid reply."""
    # The nonce is drawn from the sample alone, so that the same repair is the same request in every run.
    mend = render("teachers.chat:repair.j2", stream(ask.sample, "repair"), error=reply.detail)
    turns = (
        *ask.turns,
        Message(role="assistant", content=escaped(cleaned(reply.text, LONGEST))),
        Message(role="user", content=mend),
    )
    return Ask(turns, ask.schema, ask.sample, ask.max_tokens, ask.temperature)
