"""``self-improve``: nothing is taught that the student did not say and the verifier did not find right."""

from __future__ import annotations

from typing import Any

import pytest

from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.episode.loop import run
from tasks.records import Example
from teachers.self_improve import SelfImprove
from tests.teachers.fakes import Fake, taught
from tests.tiny import TINY


def begun(context: Any, **args: Any) -> SelfImprove:
    teacher = SelfImprove(**args)
    teacher.begin(context)
    return teacher


def test_right_answers_are_taught_once_and_wrong_ones_never() -> None:
    teacher = begun(Fake(knows=lambda skill, _: float(skill == "add")))
    lesson = teacher.act({}, {})
    assert taught(lesson) == {"add None": 20}
    assert {e.origin for e in lesson} == {"self-improve"}
    assert len({e.prompt for e in lesson}) == len(lesson)
    assert (teacher.sampled, teacher.kept) == (160, 20)


def test_a_student_that_is_never_right_is_given_up() -> None:
    teacher = begun(Fake(knows=lambda *_: 0.0))
    assert teacher.act({}, {}) == []
    assert teacher.kept == 0


def test_gold_is_added_only_where_asked() -> None:
    lesson = begun(Fake(knows=lambda *_: 0.0), gold=0.5).act({}, {})
    assert taught(lesson) == {"add None": 10, "chain None": 10}
    assert {e.origin for e in lesson} == {"engine"}


def test_sampling_takes_its_share_of_the_purse_and_no_more() -> None:
    context = Fake(tokens=3000)
    teacher = begun(context, share=0.1)
    lessons = []
    while context.budget.remaining >= 1000:
        lessons.append(teacher.act({}, {}))
        context.pay(1000)
    assert 200 <= teacher._allowance.spent <= 300
    assert all(lessons)


def test_an_empty_purse_repeats_the_last_lesson() -> None:
    context = Fake(knows=lambda *_: 1.0)
    teacher = begun(context)
    first = teacher.act({}, {})
    context.pay(context.budget.remaining)
    assert sorted(teacher.act({}, {}), key=repr) == sorted(first, key=repr)


def test_a_real_student_is_taught_its_own_right_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    env = TeachingEnv("open-ended", **TINY)
    said: dict[str, set[str]] = {}
    sound = Context.sample

    def listen(self: Context, prompts: list[str], *rest: Any) -> list[list[str]]:
        answers = sound(self, prompts, *rest)
        for prompt, given in zip(prompts, answers, strict=True):
            said.setdefault(prompt, set()).update(given)
        return answers

    monkeypatch.setattr(Context, "sample", listen)
    taught_own: list[Example] = []
    episode = run(env, SelfImprove(gold=0.5), seed=0)
    for name in episode.snapshot.lessons:
        taught_own += [e for e in env.runner.store.lesson(name) if e.origin == "self-improve"]
    assert said
    assert all(e.response in said[e.prompt] and env.task.judge(e) for e in taught_own)
    assert sum(step.judged.get("wrong", 0) for step in episode.steps) == 0
    assert 0 < env.snapshot().probes <= TINY["budget"]["student_tokens"] / 3


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"samples": 0}, "samples is 0; give a whole number of at least 1"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"share": 1.5}, "share is 1.5"),
        ({"gold": -0.1}, "gold is -0.1"),
    ],
)
def test_arguments_out_of_range_are_refused(args: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SelfImprove(**args)
