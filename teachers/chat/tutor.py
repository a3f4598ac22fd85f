"""Scripts for the scripted server that play a teacher. They think nothing: they are for trying out a command.

python -m teachers.chat.scripted --script teachers.chat.tutor:arithmetic
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tasks.arithmetic import Arithmetic
from tasks.arithmetic.grammar import read
from tasks.arithmetic.skills import CATALOGUE
from tasks.records import stream
from teachers.chat.scripted import Script, ScriptedTurn, least

_BLOCK = re.compile(r"<(\w+) ([0-9a-f]{16})>\n(.*?)\n</\1 \2>", re.DOTALL)


def blocks(prompt: str) -> dict[str, Any]:
    """The data of a prompt of ``teachers.chat.prompts.render``, by name."""
    return {name: json.loads(text) for name, _, text in _BLOCK.findall(prompt)}


def tutor(
    solve: Callable[[str], str | None],
    vary: Callable[[str, np.random.Generator], str],
    wrong: float = 0.2,
    kind: Callable[[str], str] = lambda question: f"{len(question)} letters",
) -> Script:
    """A script that answers the prompts of the teachers in ``teachers.llm`` and ``teachers.discovery``.

    It blames two skills at random; its new questions are ones like the references, whatever else is asked; its
    plans go where there is most to gain, in a forest too, which it grows one by one; its revisions keep the question,
    and give its right answer where there is one; and it groups names by keeping the commonest.

    Args:
        solve: The right answer to a question, or ``None``.
        vary: A question like another.
        wrong: Share of solutions, in [0, 1], that are another question's.
        kind: The name of the skill that a question needs.
    """

    def script(turn: ScriptedTurn) -> str:
        prompt = turn.messages[0]["content"]
        data, rng = blocks(prompt), stream(zlib.crc32(prompt.encode()), "tutor", turn.seed)
        if turn.schema is None:
            return "scripted"
        reply = least(turn.schema, turn.schema.get("$defs", {}))
        if turn.schema["title"] == "Plan":
            reply |= {"counts": [_share(row) for row in data["skills"]]}
        elif turn.schema["title"] == "Moves":
            reply |= _moves(data["skills"], rng)
        elif "Diagnosis" in turn.schema["title"]:
            chosen = rng.permutation(len(data["skills"]))[:2]
            reply |= {"skills": [data["skills"][i] for i in chosen]}
        elif "questions" in reply:
            shown = [data["references"][i % len(data["references"])] for i in range(len(reply["questions"]))]
            reply |= {"questions": [vary(example["question"], rng) for example in shown]}
        elif turn.schema["title"] == "Specs":
            reply |= {"specs": [spec | {"question": vary(data["shown"]["problem"], rng)} for spec in reply["specs"]]}
        elif turn.schema["title"] == "Solution":
            asked = data["question"] if rng.random() >= wrong else vary(data["question"], rng)
            answer = solve(asked) or "none"
            reply |= {"solution": answer, "answer": answer}
        elif turn.schema["title"] in ("Named", "Label"):
            reply |= {"skill": kind(data["problem"]["problem"])}
        elif turn.schema["title"] == "Catalogue":
            names = [row["name"] for row in data["names"]]
            reply |= {"skills": names[: turn.schema["properties"]["skills"]["maxItems"]]}
        elif turn.schema["title"] == "Revision":
            shown = data["example"]
            reply |= {"question": shown["question"], "solution": solve(shown["question"]) or shown["solution"]}
        return json.dumps(reply)

    return script


def _moves(rows: list[dict[str, Any]], rng: np.random.Generator) -> dict[str, Any]:
    """Half of the skills that can grow get one more subskill; the others get data."""
    grows = [row for row in rows if row["left"] and (not row["subskills"] or rng.random() < 0.5)]
    return {
        "explore": [{"skill": row["skill"], "new": 1, "data": 100} for row in grows],
        "exploit": [part for row in rows if row not in grows for part in _parts(row)],
    }


def _share(row: dict[str, Any]) -> dict[str, Any]:
    """As many examples of a skill as it lacks points; equally many if its accuracy is not shown."""
    need = 100 - row["accuracy"] if "accuracy" in row else row.get("mistakes", 1)
    return {"skill": row["skill"], "count": need}


def _parts(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Data for the grown subskills of a skill by the points that each lacks; equal if that is not shown."""
    parts = row["subskills"]
    return [
        {"skill": row["skill"], "subskill": part["subskill"], "data": 100 - part.get("accuracy", 0)} for part in parts
    ]


def _solve(question: str) -> str | None:
    found = read(question)
    return None if found is None else found.answer()


def _operators(question: str) -> str:
    found = read(question)
    return "none" if found is None else f"operator {' then '.join(found.operators)}"


def _vary(question: str, rng: np.random.Generator) -> str:
    return re.sub(r"[0-9]", lambda _: str(rng.integers(10)), question)


def _same_skill(question: str, rng: np.random.Generator) -> str:
    """A fresh question of a skill that the question belongs to; of several, the first."""
    found = read(question)
    if found is None:
        return question
    a, b = (np.array([[int(digit) for digit in operand]]) for operand in found.operands[:2])
    fits = (skill for skill in CATALOGUE if found.operators in skill.forms and skill.region(a, b).all())
    skill = next(fits, None)
    return question if skill is None else _task().generate(skill.name, 1, rng)[0].prompt


@cache
def _task() -> Arithmetic:
    return Arithmetic()  # it takes a second to know what it may not generate


arithmetic = tutor(_solve, _vary, kind=_operators)
"""Varies the digits of questions of ``arithmetic`` and solves them by its grammar, one in five wrongly; its
skills are the operators."""
perfect = tutor(_solve, _same_skill, wrong=0.0, kind=_operators)
"""Writes fresh questions of the references' own skills of ``arithmetic``, and solves all of them rightly. No language
model: it is the most that one could do, and a board that uses it says so."""
