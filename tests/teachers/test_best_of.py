"""``best-of`` and the others that probe candidates, over a language model: what is scored, taught and paid."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.episode.loop import run
from dataenv.errors import RefusedError, SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from tasks.records import Example
from teachers.best_of import BestOf
from teachers.chat.scripted import ScriptedTurn, Server, serving
from teachers.chat.tutor import arithmetic, blocks
from teachers.lessons import passed
from tests.chatting import backwards
from tests.teachers.fakes import Fake, taught
from tests.tiny import TINY
from tests.toys import TOYS

LONG = TINY | {"budget": {"student_tokens": 6_000}, "recipe": TINY["recipe"] | {"replay": 0.0}}


class Readable(Fake):
    """A student that can read ``letters``."""

    letters = 1000

    def readable(self, examples: Sequence[Example]) -> list[bool]:
        return [len(e.prompt) <= self.letters for e in examples]

    def _right(self, prompt: str) -> bool:
        return super()._right(" ".join(prompt.split()[-3:]))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server(backwards)) as running:
        yield running


def begun(context: Any, **args: Any) -> BestOf:
    teacher = BestOf(**({"quota": 10, "floor": 0.0, "candidates": 4, "samples": 8, "share": 1.0} | args))
    teacher.begin(context)
    return teacher


def test_learnability_teaches_what_is_sometimes_right_and_nothing_else() -> None:
    knows = {"add": 1.0, "chain": 0.5}
    teacher = begun(Readable(knows=lambda skill, difficulty: knows[skill]))
    assert taught(teacher.act({}, {})) == {"chain None": 10}
    assert teacher.yields == {"scored": 40, "chosen": 10}


def test_where_nothing_can_be_learnt_the_lesson_is_even() -> None:
    teacher = begun(Readable(knows=lambda skill, difficulty: 0.0))
    assert taught(teacher.act({}, {})) == {"add None": 5, "chain None": 5}
    assert teacher.yields["chosen"] == 0


def test_influence_asks_for_one_update_on_each_candidate() -> None:
    context = Readable(effect=lambda group: float(group[0].skills[0] == "chain") - 5.0)
    lesson = begun(context, score="influence", reference=4, share=1.0).act({}, {})
    assert taught(lesson) == {"chain None": 10}
    assert {len(group) for group in context.asked[0]} == {1}


def test_teaching_scores_a_candidate_by_the_exam_that_follows_it() -> None:
    class Listener(Readable):
        """Solves what comes after a candidate that was made fourth or later."""

        def probe(self, examples: list[Example], kind: str) -> Any:
            self.pay(2 * len(examples))
            self.asked.append(examples)
            return np.array([int(e.prompt.split("right")[0].split()[2]) >= 4 for e in examples], np.float64)

    context = Listener()
    teacher = begun(context, score="teaching", exam=2, between=" | ", quota=4, candidates=2)
    lesson = teacher.act({}, {})
    assert teacher.yields == {"scored": 8, "chosen": 4}
    assert all(int(e.prompt.split()[2]) >= 4 for e in lesson)
    (tried,) = context.asked
    assert len(tried) == 16
    assert all(e.prompt.split(" | ")[1].split()[0] == e.skills[0] for e in tried), "related problems are of one skill"
    exams = {skill: [e.prompt.split(" | ")[1] for e in tried if e.skills[0] == skill] for skill in ("add", "chain")}
    assert all(len(set(problems)) == 2 for problems in exams.values()), "one exam for all candidates of a skill"
    assert context.budget.spent == 2 * 16


def test_a_student_that_takes_no_context_is_one_sentence() -> None:
    context = Readable()
    context.letters = 12
    with pytest.raises(SettingError, match="cannot read a solved example and a problem together"):
        begun(context, score="teaching").act({}, {})
    assert context.budget.spent == 0, "nothing was asked"


@pytest.mark.parametrize("score", ["learnability", "influence", "teaching"])
def test_probing_keeps_within_its_share(score: str) -> None:
    context = Readable(tokens=3000, effect=lambda group: 1.0)
    teacher = begun(context, score=score, share=0.2, quota=40, reference=4)
    for _ in range(20):
        teacher.act({}, {})
    assert 0 < context.budget.spent <= 600


def test_candidates_that_the_screen_refuses_are_left_out_and_paid() -> None:
    asked: list[int] = []

    def probe(some: Sequence[int]) -> Any:
        asked.append(len(some))
        if any(i in (3, 4) for i in some):
            raise RefusedError("examples: some would not pass the screen")
        return np.array(some, np.float64)

    kept, scores = passed(probe, list(range(8)))
    assert kept == scores.tolist() == [0, 1, 2, 5, 6, 7]
    assert asked == [8, 4, 2, 2, 1, 1, 4, 2, 1, 1, 2]
    assert passed(probe, [])[0] == []


@pytest.mark.usefixtures("toys")
def test_a_sealed_problem_among_the_candidates_stops_nobody(server: Server) -> None:
    """The model copies what the feedback split asks: the screen refuses, the rest is scored."""
    env = TeachingEnv("open-ended", runner=Runner(Store()), **TOYS | {"budget": {"student_tokens": 50_000}})
    sealed = [p.prompt for p in env.setting.exam_items("feedback") if p.skills[0] == "long"]

    def leaking(turn: ScriptedTurn) -> str:
        if (turn.schema or {}).get("title") != "Proposal":
            return backwards(turn)
        wanted = json.loads(backwards(turn))
        if len(blocks(turn.messages[0]["content"])["references"][0]["question"]) == 6:
            wanted["questions"][0] = sealed[turn.seed % len(sealed)]
        return json.dumps(wanted)

    server.script = leaking
    chat = {"base_url": server.base_url, "model": "scripted"}
    teacher = registry.build(
        "teacher",
        "best-of",
        {"chat": chat, "score": "influence", "quota": 6, "candidates": 2, "reference": 4, "share": 1.0},
    )
    env.reset(seed=0)
    teacher.begin(Context(env))
    lesson = teacher.act({}, {})
    assert 0 < teacher.yields["scored"] < teacher.yields["examples"]
    assert lesson


ENGINED: dict[str, dict[str, Any]] = {
    "best-of": {"quota": 12, "candidates": 2, "samples": 2},
    "influence": {"group": 2, "reference": 4},
    "accel": {"items": 2, "buffer": 4},
    "deliberate-practice": {"added": 12, "first": 12, "candidates": 2, "exemplars": 2},
}


@pytest.mark.parametrize("name", ENGINED)
def test_a_language_model_may_make_the_candidates(name: str, server: Server) -> None:
    """Each on a real student: what is taught is what the model wrote, and nearly all of it is right."""
    server.script = arithmetic
    model = {"chat": {"base_url": server.base_url, "model": "scripted"}, "engine": {"rounds": 2}}
    teacher = registry.build("teacher", name, ENGINED[name] | model)
    env = TeachingEnv("open-ended", runner=Runner(Store()), **LONG | {"lesson_size": 16})
    steps = run(env, teacher, seed=0).steps
    kept = sum(step.kept for step in steps)
    assert kept >= 8
    assert sum(step.judged.get("right", 0) for step in steps) / kept > 0.9
    assert teacher.yields["consistent"] > 0


@pytest.mark.usefixtures("toys")
def test_what_the_student_is_least_sure_of_stands_in_the_next_prompt(server: Server) -> None:
    """Cheap guidance: candidates of the lesson before, of the highest scores, are the references of the next."""
    chat = {"base_url": server.base_url, "model": "scripted"}
    args = {"signal": "loss", "first": 4, "added": 4, "exemplars": 1, "candidates": 2, "trim": 0.0, "unguided": 0.0}
    teacher = registry.build("teacher", "deliberate-practice", args | {"chat": chat})
    scored: list[Example] = []
    env = TeachingEnv("open-ended", runner=Runner(Store()), **TOYS | {"budget": {"student_tokens": 50_000}})
    env.reset(seed=0)
    context = Context(env)
    ask = context.probe
    context.probe = lambda some, kind: (scored.extend(some), ask(some, kind))[1]  # type: ignore[method-assign]
    teacher.begin(context)
    for _ in range(2):
        teacher.act({}, {})
    first, before = list(scored), len(server.heard)
    teacher.act({}, {})
    later = [b["messages"][0]["content"] for b in server.heard[before:]]
    shown = [blocks(p)["references"] for p in later if "design" in p]
    assert shown
    assert all(len(references) == 1 for references in shown)
    assert {r["question"] for references in shown for r in references} <= {e.prompt for e in first}


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        ("best-of", {"score": "luck"}, "score is 'luck'; give one of learnability, influence, teaching"),
        ("best-of", {"samples": 1}, "samples is 1; give a whole number of at least 2"),
        ("best-of", {"temperature": 0.0}, "at 0 all are the same"),
        ("best-of", {"engine": {}}, "engine is given and chat is not"),
        ("deliberate-practice", {"exemplars": 2}, "exemplars is 2; leave it out, or give a chat"),
        ("accel", {"chat": {"model": "m"}}, "base_url is missing"),
    ],
)
def test_bad_arguments(name: str, args: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        registry.build("teacher", name, args)
