"""Attempts: a problem answered several times (avg@k, pass@k), counted without bias."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataenv.attempts import Attempts
from dataenv.environment.env import TeachingEnv
from dataenv.environment.exams import exam_of, grade
from dataenv.errors import SettingError
from dataenv.execution.jobs import Answers, Exam
from dataenv.leaderboard.rows import Row, TestExam
from dataenv.leaderboard.scoring import closing_job, graded_exams
from dataenv.leaderboard.statistics.formulas import score
from dataenv.setting import make_setting
from tests.tiny import TINY

WARM = {"temperature": 1.0, "max_tokens": 12}


@given(st.integers(1, 8), st.data())
def test_pass_at_k_is_the_share_of_sets_that_hold_a_right_answer(samples: int, data: st.DataObject) -> None:
    k, right = data.draw(st.integers(1, samples)), data.draw(st.integers(0, samples))
    flags = [True] * right + [False] * (samples - right)
    sets = [any(some) for some in itertools.combinations(flags, k)]
    attempts = Attempts(samples=samples, score="pass", k=k)
    assert (attempts.worth(right), attempts.out_of) == (sum(sets), len(sets))


@given(st.integers(1, 64), st.integers(1, 64), st.integers(0, 64))
def test_pass_at_k_is_the_product_of_the_paper(samples: int, k: int, right: int) -> None:
    """The form in which Chen et al. (2021) compute it; the chance of no right answer in k draws without replacement."""
    samples, right = max(samples, k), min(right, max(samples, k))
    if Fraction(samples, 1) ** min(k, samples - k) > 10**12:
        return
    wrong = Fraction(1)
    for drawn in range(k):
        wrong *= Fraction(max(0, samples - right - drawn), samples - drawn)
    attempts = Attempts(samples=samples, score="pass", k=k)
    assert Fraction(attempts.worth(right), attempts.out_of) == 1 - wrong


def test_names_and_worths() -> None:
    assert (Attempts().name, Attempts().out_of, Attempts().worth(1)) == ("", 1, 1)
    assert (Attempts(samples=4).name, Attempts(samples=4).out_of) == ("avg@4", 4)
    any_of = Attempts(samples=4, score="pass")
    assert (any_of.name, any_of.out_of, [any_of.worth(c) for c in range(5)]) == ("pass@4", 1, [0, 1, 1, 1, 1])
    assert Attempts(samples=8, score="pass", k=2).name == "pass@2 of 8 samples"


@pytest.mark.parametrize(
    ("exam", "decoding", "said"),
    [
        ({"samples": 4}, {}, "decoding.temperature above 0"),
        ({"samples": 4, "k": 2}, WARM, "only score = 'pass' has one"),
        ({"samples": 2, "score": "pass", "k": 3}, WARM, "more than exam.samples"),
        ({"samples": 1000, "score": "pass", "k": 500}, WARM, "fewer samples"),
        ({"samples": 0}, WARM, "exam.samples"),
        ({"attempts": 2}, WARM, "exam.attempts"),
    ],
)
def test_what_makes_no_exam_is_refused(exam: dict[str, Any], decoding: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        make_setting({"exam": exam, "decoding": decoding or {"max_tokens": 12}})


def test_a_setting_that_does_not_say_keeps_its_name() -> None:
    plain = make_setting(TINY)
    assert "exam" not in plain.model_dump(mode="json")
    assert make_setting(TINY | {"exam": {"samples": 1}}).digest == plain.digest
    assert "samples" not in exam_of(plain, "test").model_dump(mode="json")


def test_every_exam_but_feedback_is_asked_often() -> None:
    setting = make_setting(TINY | {"decoding": WARM, "exam": {"samples": 3}})
    assert [exam_of(setting, split).samples for split in ("feedback", "selection", "test", "transfer")] == [1, 3, 3, 3]
    more = exam_of(setting, "test").model_copy(update={"samples": 5})
    assert more.seeds[:3] == exam_of(setting, "test").seeds
    assert len(set(more.seeds)) == 5
    assert Exam(name="test", prompts=(), seed=7).seeds == (7,)


def answers_of(setting: Any, split: Any, right: list[list[int]]) -> Answers:
    """Gold answers where ``right`` says 1, and none elsewhere; a list of samples a problem."""
    items = setting.exam_items(split)
    said = [p.answer if one else "" for p, row in zip(items, right, strict=True) for one in row]
    return Answers(responses=tuple(said))


@pytest.mark.parametrize(
    ("exam", "worth", "out_of"),
    [
        ({"samples": 3}, lambda c: c, 3),
        ({"samples": 3, "score": "pass"}, lambda c: int(c > 0), 1),
        ({"samples": 3, "score": "pass", "k": 2}, lambda c: [0, 2, 3, 3][c], 3),
    ],
)
def test_points_are_counted_by_problem_and_skill(exam: dict[str, Any], worth: Any, out_of: int) -> None:
    setting = make_setting(TINY | {"decoding": WARM, "exam": exam})
    items = setting.exam_items("test")
    rng = np.random.default_rng(0)
    right = rng.integers(2, size=(len(items), 3)).tolist()
    found = grade(setting, "test", answers_of(setting, "test", right))
    assert found.points == tuple(worth(sum(row)) for row in right)
    assert found.answers == tuple(bool(one) for row in right for one in row)
    assert found.n.sum() == len(items) * out_of
    by_skill: dict[str, list[float]] = {}
    for problem, row in zip(items, right, strict=True):
        by_skill.setdefault(problem.skills[0], []).append(worth(sum(row)) / out_of)
    assert found.score == pytest.approx(np.mean([np.mean(row) for row in by_skill.values()]))


@pytest.mark.parametrize("exam", [{"samples": 3}, {"samples": 3, "score": "pass", "k": 2}])
def test_an_episode_and_its_row(exam: dict[str, Any]) -> None:
    """Rewards, steps and the row's exams count the same answers; a real student samples different ones."""
    env = TeachingEnv("skill-list", **TINY, decoding=WARM, exam=exam)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    out_of = env.setting.exam.out_of
    assert sum(env.history[-1].selection.n) == len(env.setting.exam_items("selection")) * out_of
    assert sum(env.history[-1].feedback.n) == len(env.setting.exam_items("feedback"))
    outcome = env.runner.run(closing_job(env.setting, env.state))
    responses = outcome.answers["test"].responses
    assert any(len(set(responses[at : at + 3])) > 1 for at in range(0, len(responses), 3))
    held = TestExam.model_validate(graded_exams(env.setting, outcome)["test"])
    assert sum(held.n) == len(env.setting.exam_items("test"))
    assert score(held).n == sum(held.n) * out_of
    assert score(held).value == pytest.approx(grade(env.setting, "test", outcome.answers["test"]).score)
    broken = held.model_dump() | {"by_skill": [k + 1 for k in held.by_skill]}
    with pytest.raises(ValueError, match="by_skill"):
        TestExam.model_validate(broken)


def test_a_row_of_before_reads_and_writes_as_it_did() -> None:
    exam = {"correct": "0110", "n": [2, 2], "by_skill": [1, 1], "grader_errors": 0, "lenient": None}
    assert list(TestExam.model_validate(exam).model_dump()) == list(exam)
    assert Row.model_fields["transfer"].default is None
