"""Scripts for the scripted server that play a teacher. They think nothing: they are for trying out a command.

python -m teachers.chat.scripted --script teachers.chat.tutor:arithmetic
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tasks.arithmetic.grammar import read
from tasks.records import stream
from teachers.chat.scripted import Script, Turn, least

_BLOCK = re.compile(r"<(\w+) ([0-9a-f]{16})>\n(.*?)\n</\1 \2>", re.DOTALL)


def blocks(prompt: str) -> dict[str, Any]:
    """The data of a prompt of ``teachers.chat.prompts.render``, by name."""
    return {name: json.loads(text) for name, _, text in _BLOCK.findall(prompt)}


def tutor(
    solve: Callable[[str], str | None], vary: Callable[[str, np.random.Generator], str], wrong: float = 0.2
) -> Script:
    """A script that answers the prompts of ``stat-syn``, of the engine and of the policies.

    Args:
        solve: The right answer to a question, or ``None``.
        vary: A question like another.
        wrong: Share of solutions, in [0, 1], that are another question's.
    """

    def script(turn: Turn) -> str:
        prompt = turn.messages[0]["content"]
        data, rng = blocks(prompt), stream(zlib.crc32(prompt.encode()), "tutor", turn.seed)
        title = (turn.schema or {}).get("title")
        if title == "Diagnosis":
            chosen = rng.permutation(len(data["skills"]))[:2]
            return json.dumps({"correct": False, "why": "", "skills": [data["skills"][i] for i in chosen]})
        if title == "Proposal" and turn.schema is not None:
            count = turn.schema["properties"]["questions"]["minItems"]
            shown = [data["references"][i % len(data["references"])]["question"] for i in range(count)]
            return json.dumps({"relation": "", "design": "", "questions": [vary(question, rng) for question in shown]})
        if title == "Specs" and turn.schema is not None:
            count = turn.schema["properties"]["specs"]["minItems"]
            specs = [{"design": "", "question": vary(data["shown"]["problem"], rng)} for _ in range(count)]
            return json.dumps({"lacks": "", "specs": specs})
        if title == "Plan":
            return json.dumps({"why": "", "counts": [_share(row) for row in data["skills"]]})
        if title == "Solution" and "solved" in data:
            right = solve(data["solved"]["question"]) or "none"
            return json.dumps({"solution": right, "answer": right})
        if title == "Solution":
            asked = data["question"] if rng.random() >= wrong else vary(data["question"], rng)
            answer = solve(asked) or "none"
            return json.dumps({"solution": answer, "answer": answer})
        return json.dumps(least(turn.schema, turn.schema.get("$defs", {}))) if turn.schema else "scripted"

    return script


def _share(row: dict[str, Any]) -> dict[str, Any]:
    """As many examples of a skill as there are points to gain in it; equally many where nothing is said of it."""
    need = 100 - row["accuracy"] if "accuracy" in row else row.get("mistakes", 1)
    return {"skill": row["skill"], "count": need}


def _solve(question: str) -> str | None:
    found = read(question)
    return None if found is None else found.answer()


def _vary(question: str, rng: np.random.Generator) -> str:
    return re.sub(r"[0-9]", lambda _: str(rng.integers(10)), question)


arithmetic = tutor(_solve, _vary)
"""Varies the digits of questions of ``arithmetic`` and solves them by its grammar, one in five wrongly."""
