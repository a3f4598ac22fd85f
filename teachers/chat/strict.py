"""Strict JSON: a reply is what the schema says, or it is nothing."""

from __future__ import annotations

import re

from pydantic import BaseModel, ValidationError

from tasks.records import stream
from teachers.chat.prompts import cleaned, render
from teachers.chat.spec import Ask, Message, Reply

_FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*?)\n?```\s*", re.DOTALL)
_THOUGHT = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
LONGEST = 4000
"""Characters of a reply that is shown to the model again."""


def parse(text: str, schema: type[BaseModel]) -> tuple[BaseModel | None, str]:
    """The reply as the schema has it, or ``None`` and what is wrong. Types are strict: ``"3"`` is no number.

    A thought before it is allowed (some servers leave it in), and one fence around it; nothing else.
    """
    text = _THOUGHT.sub("", text, count=1) if text.lstrip().startswith("<think>") else text
    fenced = _FENCED.fullmatch(text)
    try:
        return schema.model_validate_json(fenced[1] if fenced else text, strict=True), ""
    except ValidationError as error:
        parts = error.errors(include_url=False, include_context=False, include_input=False)
        return None, "; ".join(f"{'.'.join(map(str, p['loc'])) or 'reply'}: {p['msg']}" for p in parts)[:500]
    except RecursionError:
        return None, "reply: nested too deeply"


def repair(ask: Ask, reply: Reply) -> Ask:
    """The ask that gives the model its one chance to mend an invalid reply."""
    # The nonce is drawn from the sample alone, so that the same repair is the same request in every run.
    mend = render("teachers.chat:repair.j2", stream(ask.sample, "repair"), error=reply.detail)
    turns = (
        *ask.turns,
        Message(role="assistant", content=cleaned(reply.text, LONGEST)),
        Message(role="user", content=mend),
    )
    return Ask(turns, ask.schema, ask.sample, ask.max_tokens, ask.temperature)
