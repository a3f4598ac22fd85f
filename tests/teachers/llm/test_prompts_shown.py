"""Prompts of branches that no cassette holds, as a snapshot, and a run with each of the rarer ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.episode.loop import run
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from tasks.records import stream
from teachers.chat import render
from teachers.chat.scripted import ScriptedTurn, Server, serving
from teachers.chat.synthesis import LONGEST
from teachers.chat.tutor import arithmetic, blocks
from teachers.llm.evol_instruct import WAYS
from tests.chatting import backwards
from tests.tiny import TINY
from tests.toys import TOYS

SNAPSHOT = Path(__file__).with_name("prompts.txt")
SHOWN = [{"question": "12+34=", "solution": "46"}]
PROPOSAL: dict[str, Any] = {"skill": "add", "references": SHOWN, "questions": 2}
PLAIN = {"harder": False, "easier": False, "levelled": False, "difficulty": 25, "described": False, "about": None}
ERROR = {"problem": "12+34=", "student": "45"}
BRANCHES: dict[str, tuple[str, dict[str, Any]]] = {
    f"evolve: {way}": ("teachers.llm:evol_instruct.j2", {"references": SHOWN, "questions": 2, "way": i, "line": 0})
    for i, way in enumerate(WAYS)
}
BRANCHES |= {
    f"propose: {harder=} {easier=} {levelled=}": (
        "teachers.engines:propose.j2",
        PROPOSAL | PLAIN | {"harder": harder, "easier": easier, "levelled": levelled},
    )
    for harder, easier, levelled in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1))
}
BRANCHES["propose: described"] = (
    "teachers.engines:propose.j2",
    PROPOSAL | PLAIN | {"described": True, "about": {"name": "with carry", "description": "A column carries."}},
)
BRANCHES |= {
    f"diagnose: {known=}": (
        "teachers.chat:diagnose.j2",
        {"error": ERROR | ({"right": "46"} if known else {}), "skills": ("add", "carry"), "known": known},
    )
    for known in (True, False)
}


def test_every_branch_is_what_it_was() -> None:
    """``RECORD=1`` writes them anew, to be looked at and committed."""
    texts = [
        f"## {name}\n\n{render(template, stream(0, 'test'), longest=LONGEST, **data)}\n"
        for name, (template, data) in BRANCHES.items()
    ]
    if os.environ.get("RECORD"):
        SNAPSHOT.write_text("\n".join(texts), encoding="utf-8")
    assert "\n".join(texts) == SNAPSHOT.read_text(encoding="utf-8")
    assert len(set(texts)) == len(texts)


@pytest.mark.slow
def test_without_a_verifier_nobody_knows_the_right_answer_and_the_model_is_not_told_it() -> None:
    """``detect="consistency"`` with a diagnosis by the model, on a real student."""
    with serving(Server(arithmetic)) as server:
        chat = {"base_url": server.base_url, "model": "scripted"}
        args = {"chat": chat, "detect": "consistency", "diagnosis": "chat", "difficult": 8}
        fields = TINY | {"budget": {"student_tokens": 12_000}}
        teacher = registry.build("teacher", "stat-sel", args)
        steps = run(TeachingEnv("skill-list", runner=Runner(Store()), **fields), teacher, seed=0).steps
    assert server.heard
    for body in server.heard:
        prompt = body["messages"][0]["content"]
        assert set(blocks(prompt)["error"]) == {"problem", "student"}
        assert "The problem and the student's answer:" in prompt
    assert teacher.yields["diagnosed"] == teacher.yields["errors"] == len(server.heard)
    assert steps[1].mixture is not None
    assert len(set(steps[1].mixture)) > 1, "what was said of the answers is in the mixture"


FRENCH = "Bien sûr ! Voici deux nouveaux problèmes, très clairs, pour votre élève : quel est le mot à l'envers ?"


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("name", ["stat-syn", "open-ended", "reflection"])
@pytest.mark.parametrize("kind", ["French prose", "CJK in JSON"])
def test_a_reply_in_another_language_is_counted_and_paid(name: str, kind: str) -> None:
    """Prose is no reply of the schema. JSON is one: what it teaches is for screen and judge to count, like all else."""

    def script(turn: ScriptedTurn) -> str:
        reply = json.loads(backwards(turn))
        if kind == "French prose":
            return FRENCH
        if "questions" in reply:
            reply["questions"] = [f"请把这个词倒过来写：词{i}>" for i, _ in enumerate(reply["questions"])]
        if "specs" in reply:
            reply["specs"] = [{"design": "反転", "question": f"単語を逆に：{i}>"} for i, _ in enumerate(reply["specs"])]
        reply |= {field: "答案>" for field in ("question", "solution", "answer") if field in reply}
        return json.dumps(reply, ensure_ascii=False)

    args: dict[str, Any] = {"stat-syn": {"quota": 4, "difficult": 2}, "open-ended": {"errors": 2}}.get(name, {})
    with serving(Server(script)) as server:
        chat = {"base_url": server.base_url, "model": "scripted"}
        teacher = registry.build("teacher", name, {"chat": chat} | args)
        env = TeachingEnv("open-ended", runner=Runner(Store()), **TOYS | {"budget": {"student_tokens": 500}})
        steps = run(env, teacher, seed=0).steps
    purse, rows = env.teacher_purse, list(teacher.chat.used.values())
    assert len(rows) == len(server.heard)
    assert purse.spent.tokens == sum(row["tokens_in"] + row["tokens_out"] for row in rows) > 0
    assert purse.replies == teacher.chat.counts
    assert set(purse.replies) == ({"invalid"} if kind == "French prose" else {"ok"})
    y, taught = teacher.yields, steps[1:]
    if name == "reflection":
        assert y["offered"] == y["revised"] + y["unchanged"] + y["unusable"] > 0
        assert (y["unusable"] == y["offered"]) == (kind == "French prose")
    else:
        assert y["asked"] == y["no-reply"] + y["copies"] + y["unusable"] + y["questions"]
        assert y["solved"] + y["unsolved"] == 3 * y["questions"]
    for step in taught:
        assert step.offered == step.kept + sum(step.rejected.values())
        assert sum(step.judged.values()) == step.kept
    kept, right = sum(step.kept for step in taught), sum(step.judged.get("right", 0) for step in taught)
    if kind == "French prose":  # what no model wrote is taught as it was
        assert (kept > 0, right) == ((True, kept) if name == "reflection" else (False, 0))
    else:
        assert right == 0, "it reads as a lesson, and the judge says what it is"
