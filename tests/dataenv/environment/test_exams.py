"""What a teacher sees of an exam: whole texts, found again by their id, and how many problems were wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.environment.exams import cut, grade
from dataenv.episode.context import Context
from dataenv.errors import SettingError
from dataenv.execution.jobs import Answers
from dataenv.setting import make_setting
from students.base import Asked, Decoding
from tasks.records import Example
from tasks.tools.checking import call_score, score_of_counts
from teachers.profile import stands_for
from teachers.stat_sel import StatSelPool
from tests.toys import Parrot

INSTRUCTION = "Answer step by step, check each step twice, and write the number last. ".ljust(300, ".")
WRONG = "a step that leads nowhere; ".ljust(590, "x") + " so 7 end"


class Lost(Parrot):
    """Writes a long answer to everything, which is always wrong."""

    name = "lost"

    def answer(self, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        return [WRONG for _ in asked]

    def tokens(self, example: Example) -> int:
        return len(example.prompt) + len(example.response)

    def refuse(self, example: Example) -> str | None:
        return None


class OwnWords(Lost):
    """Right by the checker, in words of its own."""

    name = "own-words"

    def answer(self, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        return [f"I take {seed % 7} looks and see #### {sum(map(int, re.findall(r'[0-9]+', a.text)))}" for a in asked]


@pytest.fixture
def worked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Questions behind one instruction, with worked answers; ``b`` has more feedback problems than ``a``."""
    for name, student in (("lost", Lost), ("own-words", OwnWords)):
        dataenv.register("student", name, student)
    rows = [
        {
            "question": f"{INSTRUCTION} What is {i} plus {i + 3}?",
            "answer": f"{i} plus {i + 3} makes {2 * i + 3}".ljust(600) + f"#### {2 * i + 3}",
            "skill": "a" if i % 4 == 0 else "b",
        }
        for i in range(400)
    ]
    path = tmp_path / "worked.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return {
        "task": "jsonl",
        "task_args": {"path": str(path), "natural": False, "marker": "####", "checker": "number"},
        "student": "lost",
        "engine": "pool",
        "lesson_size": 32,
        "warm_start": {"examples": 0},
        "mastery": 1.0,
        "items": {"feedback": 40, "selection": 10, "test": 10, "transfer": 0},
        "budget": {"student_tokens": 10**8},
    }


@pytest.mark.parametrize("level", ["open-ended", "skill-list", "skill-tree"])
def test_texts_reach_teachers_whole_and_problems_are_found_by_id(level: str, worked: dict[str, Any]) -> None:
    env = TeachingEnv(level, **worked)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    problems = {p.id: p for p in env.setting.exam_items("feedback")}
    context = Context(env)
    wrong = [sum(p.skills[0] == skill for p in problems.values()) for skill in context.skills]
    np.testing.assert_array_equal(observation["wrong"], np.array(wrong, np.float32))
    assert len(observation["errors"]) == len({e["id"] for e in observation["errors"]}) == sum(min(20, n) for n in wrong)
    for error in observation["errors"]:
        problem = problems[error["id"]]
        assert (error["prompt"], error["answer"], error["response"]) == (problem.prompt, problem.answer, WRONG)
        assert context.describe(error) == (problem.skills[0], problem.difficulty)
        assert context.diagnose(error) == problem.skills


def test_problems_of_one_wording_keep_apart(worked: dict[str, Any]) -> None:
    """Two feedback problems may read alike (their images differ, say): the id says which one it was."""
    env = TeachingEnv("open-ended", **worked)
    env.reset(seed=0)
    context = Context(env)
    one, other = list(env.setting.exam_items("feedback"))[:2]
    context._feedback[other.id] = other.model_copy(update={"prompt": one.prompt, "difficulty": 0.7})
    assert context.describe({"id": other.id, "prompt": one.prompt})[1] == 0.7
    assert context.describe({"id": one.id, "prompt": one.prompt})[1] == one.difficulty
    for strange, said in (({"prompt": one.prompt}, "missing"), ({"id": "test/1"}, "'test/1'")):
        with pytest.raises(SettingError, match=rf"error\['id'\] is {said}; give one of observation"):
            context.describe(strange)


def test_how_many_and_how_long_is_the_settings_word(worked: dict[str, Any]) -> None:
    plain, few = (
        make_setting(worked),
        make_setting(worked | {"shown": {"errors": 2, "characters": 100}}),
    )
    assert "shown" not in plain.model_dump(mode="json"), "a Setting that shows the usual keeps its name"
    assert plain.digest != few.digest
    env = TeachingEnv("skill-list", setting=few)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert len(observation["errors"]) == 4
    assert observation["wrong"].sum() == len(env.setting.exam_items("feedback"))
    for error in observation["errors"]:
        assert len(error["response"]) == 100
        assert error["response"].endswith(f" [... cut, {len(WRONG)} characters in all]")
        Context(env).describe(error)


def test_a_text_is_cut_to_its_length_and_says_so() -> None:
    assert cut("x" * 64, 64) == "x" * 64
    assert cut("x" * 65, 64) == "x" * 32 + " [... cut, 65 characters in all]"
    for length in (65, 1000, 10**7):
        found = cut("x" * length, 64)
        assert len(found) == 64
        assert f"{length} characters" in found


def test_a_profile_counts_what_was_wrong_and_not_what_was_shown(worked: dict[str, Any]) -> None:
    """``b`` is wrong more often than ``a``, and as many mistakes of it are shown; the paper's profile counts all."""
    rare = worked | {"items": worked["items"] | {"feedback": 60}, "shown": {"errors": 5}}
    env = TeachingEnv("open-ended", **rare)
    observation, info = env.reset(seed=0)
    context = Context(env)
    there = dict(zip(context.skills, observation["wrong"].tolist(), strict=True))
    weights = stands_for(context, observation["errors"], observation["wrong"])
    for skill, n in there.items():
        pairs = zip(observation["errors"], weights, strict=True)
        assert sum(w for e, w in pairs if context.describe(e)[0] == skill) == pytest.approx(n)
    teacher = StatSelPool(floor=0.0)
    teacher.begin(context)
    teacher.act(observation, info)
    assert teacher._law is not None
    sizes = {s: sum(s in e.skills for e in teacher._pool) for s in context.skills}
    law = dict(zip((e.skills[0] for e in teacher._pool), teacher._law.tolist(), strict=True))
    for skill, n in there.items():
        assert law[skill] * sizes[skill] == pytest.approx(n / sum(there.values()), rel=1e-6)


def test_right_in_words_of_its_own_is_right_for_probes_and_teachers(worked: dict[str, Any]) -> None:
    """The exam, the probe and every teacher that verifies agree; wrong labels stay what they are."""
    fields = worked | {"student": "own-words", "mastery": 1.0, "budget": {"student_tokens": 10**6}}
    env = TeachingEnv("open-ended", **fields)
    seen, info = env.reset(seed=0)
    context = Context(env)
    pool = list(context.pool())[:20]
    assert float(seen["score"][0]) == 1.0
    assert context.probe(pool, "accuracy").tolist() == [1.0] * 20
    labelled = [e.model_copy(update={"response": "so #### 1"}) for e in pool]
    assert context.probe(labelled, "accuracy").tolist() == [0.0] * 20, "a wrong label is not mended by the checker"
    assert all(context.same(wrong, "it is #### 1") for wrong in labelled)
    found: dict[str, Any] = {}
    for name in ("self-improve", "hard-only", "best-of", "accel"):
        env = TeachingEnv("open-ended", **fields)
        seen, info = env.reset(seed=0)
        found[name] = dataenv.registry.build("teacher", name, None)
        found[name].begin(Context(env))
        lesson = found[name].act(seen, info)
        if name == "self-improve":
            assert lesson
            assert all("looks and see" in e.response for e in lesson), "it teaches the student's own rationale"
    assert found["self-improve"].kept > 0
    assert found["hard-only"].failed == 0
    assert found["best-of"].yields["chosen"] == 0, "what is always right teaches nothing"


@pytest.mark.usefixtures("needs_sandbox")
def test_the_part_that_fails_is_known_to_the_board_and_to_no_teacher() -> None:
    items = {"feedback": 1, "selection": 1, "test": 1, "transfer": 0}
    budget = {"student_tokens": 10**6}
    setting = make_setting({"task": "programs", "student": "pocket", "items": items, "budget": budget})
    problems = setting.exam_items("feedback")
    said = tuple(problem.answer if i else "v" for i, problem in enumerate(problems))
    found = grade(setting, "feedback", Answers(responses=said, losses=tuple(0.0 for _ in said)))
    assert list(found.failing) == [problems[0].id]
    assert found.failing[problems[0].id].startswith("1: f(")


def test_an_exam_counts_the_kinds_of_parts_that_its_task_names() -> None:
    setting = make_setting(
        {"task": "tools", "student": "piece-pocket", "items": {"feedback": 2, "selection": 2, "test": 3}}
    )
    task, problems = setting.built_task, setting.exam_items("test")
    said = [problem.answer if i % 2 else "[]" for i, problem in enumerate(problems)]
    found = grade(setting, "test", Answers(responses=tuple(said)))
    grades = [task.grade(problem, answer) for problem, answer in zip(problems, said, strict=True)]
    assert score_of_counts(found.part_counts) == call_score(grades)
    right, of = found.part_counts["wanted"]
    assert 0 < right < of
    plain = make_setting({})
    assert grade(plain, "test", Answers(responses=("",) * len(plain.exam_items("test")))).part_counts == {}
