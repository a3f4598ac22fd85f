"""reasoning: questions of its own for every split, verifiers that are asked, a lenient score."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any

import pytest

from dataenv import registry
from dataenv.errors import SettingError
from tasks.base import Task
from tasks.reasoning import FAMILIES, SEALED, Reasoning
from tasks.records import SPLITS, Example, Problem, stream

pytest.importorskip("reasoning_gym")


@lru_cache
def whole() -> Reasoning:
    return Reasoning()


def test_every_split_has_questions_of_its_own() -> None:
    task = whole()
    parts = [{task.identity(p.prompt) for p in task.split(name)} for name in SPLITS]
    parts.append({task.identity(e.prompt) for e in task.pool()})
    assert len(FAMILIES) >= 10
    assert [len(task.split(name)) for name in SEALED] == [n * len(FAMILIES) for n in SEALED.values()]
    assert [len(part) for part in parts[:3]] == [n * len(FAMILIES) for n in SEALED.values()]
    assert all(a.isdisjoint(b) for a, b in itertools.combinations(parts, 2))


def test_short_prompts_and_answers_that_are_no_constant() -> None:
    for family in whole().skills:
        taught = [e for e in whole().pool() if e.skills == (family,)]
        assert max(len(e.prompt) for e in taught) <= 205
        assert max(len(e.response) for e in taught) <= 12
        answers = [e.response for e in taught]
        assert max(map(answers.count, answers)) < 0.4 * len(answers), family


def test_near_seeds_share_next_to_nothing() -> None:
    """The package seeds item i with seed + i, so that its own data sets of near seeds are the same questions."""
    made = [{e.prompt for e in whole().generate("simple_equations", 200, stream(seed, "t"))} for seed in (1, 2)]
    assert [len(part) for part in made] == [200, 200]
    assert len(made[0] & made[1]) < 20


def test_judge_believes_no_one_but_the_verifier() -> None:
    task = whole()
    for difficulty in (None, 0.0, 1.0):
        for family in task.skills:
            for example in task.generate(family, 3, stream(5, "judge"), difficulty):
                assert task.judge(example) is True
                assert task.judge(example.model_copy(update={"response": "no"})) is False
                assert task.judge(example.model_copy(update={"origin": "llm"})) is None
                assert task.judge(example.model_copy(update={"prompt": "What is 1 + 1?"})) is None
    for origin in (
        "reasoning/gcd/9999/5",
        "reasoning/calendar_arithmetic/3/5",
        "reasoning/gcd//" + "9" * 19,
        "reasoning/x//1",
    ):
        assert task.judge(Example(prompt="x", response="x", origin=origin)) is None


def asked(family: str, task: Task | None = None) -> Problem:
    return next(p for p in (task or whole()).split("test") if p.skills == (family,))


@pytest.mark.parametrize("family", FAMILIES)
def test_strict_and_lenient(family: str) -> None:
    problem = asked(family)
    right, wordy, wrong = (
        whole().grade(problem, said)
        for said in (f" {problem.answer}\n", f"I think it is {problem.answer}.", "I cannot tell")
    )
    assert (right.correct, right.lenient) == (True, True)
    assert (wordy.correct, wordy.lenient) == (False, True)
    assert (wrong.correct, wrong.lenient) == (False, False)


def test_a_fraction_that_is_not_simplified_is_not_right() -> None:
    problem = asked("fraction_simplification")
    above, below = map(int, problem.answer.split("/"))
    assert not whole().grade(problem, f"{2 * above}/{2 * below}").lenient


def test_a_verifier_that_raises_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Reasoning(["gcd"])
    problem = asked("gcd", task)

    def broken(answer: str, entry: Any) -> float:
        raise RuntimeError("lost")

    monkeypatch.setattr(task._set("gcd", ""), "score_answer", broken)
    grade = task.grade(problem, problem.answer)
    assert (grade.correct, grade.lenient) == (False, None)
    assert "verifier of gcd raises RuntimeError: lost" in str(grade.error)


def test_a_subset_deals_the_same_questions() -> None:
    few = Reasoning(["gcd", "chain_sum"])
    assert few.skills == ("gcd", "chain_sum")
    assert asked("chain_sum", few).prompt == asked("chain_sum").prompt


def test_difficulty_turns_the_knob() -> None:
    easy, hard = (whole().generate("chain_sum", 30, stream(0, "d"), d) for d in (0.0, 1.0))
    assert max(len(e.prompt) for e in easy) < min(len(e.prompt) for e in hard)


@pytest.mark.parametrize(
    ("families", "words"), [(["gcdd"], "has 'gcdd'"), ([], "is empty"), (["gcd", "gcd"], "names one twice")]
)
def test_refused_families(families: list[str], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        registry.build("task", "reasoning", {"families": families})


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.reasoning.find_spec", lambda name: None)
    with pytest.raises(SettingError, match="needs the package reasoning-gym; pip install"):
        registry.build("task", "reasoning")


def test_same_compares_two_answers_and_judges_neither() -> None:
    task = whole()
    (made,) = task.generate("chain_sum", 1, stream(3, "same"))
    said = made.response
    assert task.same(made, said)
    assert task.same(made, f" {said}.0 ")
    assert not task.same(made, str(int(said) + 1))
    wrong = made.model_copy(update={"response": str(int(said) + 1)})
    assert task.same(wrong, wrong.response), "a wrong answer is the same as itself"
    assert task.same(wrong, f"{wrong.response}.0")
    assert not task.same(wrong, said), "and what is right is not told by it"
    for text in ("", "²", "no number", "9" * 5000):
        odd = made.model_copy(update={"response": text})
        assert task.same(odd, text)
        assert not task.same(odd, said)


def test_same_takes_two_forms_that_the_verifier_takes() -> None:
    """Only of families whose verifier forgives a form is there another one."""
    task = whole()
    (made,) = task.generate("spell_backward", 1, stream(3, "same"))
    assert task.same(made, made.response)
    assert not task.same(made, made.response[::-1] + "x")
