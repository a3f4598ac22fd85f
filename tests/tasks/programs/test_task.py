"""The task: splits, checker, judge, generator, and the same problems in natural English."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from tasks.programs import Programs
from tasks.programs.skills import CATALOGUE, UNTAUGHT
from tasks.programs.task import SEALED, TRANSFER
from tasks.records import SPLITS, Example, stream

TASK = Programs()
NAMES = [skill.name for skill in CATALOGUE]


def test_splits_hold_equally_many_of_each_skill_and_part() -> None:
    for split, count in SEALED.items():
        problems = TASK.split(split)
        assert Counter(p.skills[0] for p in problems) == dict.fromkeys(NAMES, count)
    suites = Counter(p.suite for p in TASK.split("transfer"))
    assert suites == {suite: TRANSFER * len(rows) for suite, rows in UNTAUGHT.items()}


def test_no_two_sealed_problems_ask_the_same() -> None:
    problems = [p for split in SPLITS for p in TASK.split(split)]
    assert len({TASK.identity(p.prompt) for p in problems}) == len(problems)


@pytest.mark.parametrize("skill", CATALOGUE, ids=NAMES)
def test_lessons_are_right_and_ask_nothing_sealed(skill: object) -> None:
    name = skill.name  # type: ignore[attr-defined]
    made = TASK.generate(name, 60, stream(0, "made"))
    assert not {TASK.identity(e.prompt) for e in made} & TASK.sealed
    assert TASK.judges(made) == [True] * 60
    assert [TASK.solve(e.prompt) for e in made] == [(name, e.response) for e in made]


def test_parts_of_a_skill_are_taught_alone() -> None:
    made = TASK.generate_subskill("comp", "map and aggregate", 20, stream(0, "part"))
    assert all(e.skills == ("comp", "map", "agg") for e in made)
    assert TASK.subskills("recur") == ("all",)


def test_difficulty_bounds_constants() -> None:
    assert largest(0.0) <= 20 < largest(1.0)


def largest(difficulty: float) -> int:
    """The largest constant of many that are added to a number."""
    made = TASK.generate("map", 200, stream(0, "easy"), difficulty)
    found = [re.fullmatch(r"v: each x\+([0-9]+)=", e.prompt) for e in made]
    return max(int(prompt[1]) for prompt in found if prompt is not None)


def test_prior_has_the_shares_that_are_known() -> None:
    task = Programs(skills=["map", "sort", "slice"], known={"map": 3, "sort": 1})
    counts = Counter(e.skills[0] for e in task.prior(400, stream(0, "prior")))
    assert set(counts) == {"map", "sort"}
    assert counts["map"] / 400 == pytest.approx(0.75, abs=0.06)


def test_english_asks_the_same_problems() -> None:
    english = Programs(style="english")
    for split in SPLITS:
        for ours, theirs in zip(TASK.split(split), english.split(split), strict=True):
            assert (ours.id, ours.answer) == (theirs.id, theirs.answer)
            assert TASK.identity(ours.prompt) == TASK.identity(theirs.prompt)
    assert english.fingerprint != TASK.fingerprint


@pytest.mark.usefixtures("needs_sandbox")
def test_a_grade_names_the_inputs_that_fail() -> None:
    problem = next(p for p in TASK.split("feedback") if p.skills[0] == "slice")
    right, wrong = TASK.grades([(problem, problem.answer), (problem, problem.prompt[0])])
    assert right.correct
    assert right.parts is not None
    assert all(right.parts.values())
    assert not wrong.correct
    assert wrong.parts is not None
    assert not all(wrong.parts.values())
    assert wrong.parts.keys() == right.parts.keys()
    assert next(iter(wrong.parts)).startswith("1: f(")


@pytest.mark.usefixtures("needs_sandbox")
def test_examples_from_outside_are_judged_by_their_own_tests() -> None:
    tests = json.dumps({"tests": [{"args": [[1, 2]], "value": 3}]})
    examples = [
        Example(prompt="add up", response="lambda v: sum(v)", check=tests),
        Example(prompt="add up", response="lambda v: max(v)", check=tests),
        Example(prompt="add up", response="lambda v: sum(v)"),
        Example(prompt="v: sum; plus 4=", response="4+sum(v)", check=tests),  # what is described counts
    ]
    assert TASK.judges(examples) == [True, False, None, True]
    assert TASK.verify(examples[0], "lambda v: v[0]+v[1]") is True
    assert TASK.verify(examples[0], "lambda v: v[0]") is False


@pytest.mark.usefixtures("needs_sandbox")
def test_two_programs_are_the_same_if_they_give_the_same() -> None:
    example = Example(prompt="v: first 3=", response="v[:3]")
    assert TASK.same(example, "v[0:3]")
    assert TASK.same(example, " v[ : 3 ]")
    assert not TASK.same(example, "v[:4]")
    assert not TASK.same(example, "v[:3")
    wrong = example.model_copy(update={"response": "v[:4]"})
    assert TASK.same(wrong, "v[0:4]")  # be they right or not
    assert not TASK.same(wrong, "v[:3]")
    assert not TASK.same(example.model_copy(update={"response": "1/0"}), "2/0")


def test_what_is_no_problem_is_a_checkers_error() -> None:
    problem = TASK.split("feedback")[0].model_copy(update={"prompt": "what is love?"})
    grade = TASK.grade(problem, "v")
    assert grade.error is not None
    assert grade.error.startswith("problem 'feedback/slice/0' is no description")


def test_bad_arguments_are_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"^style is 'french'; give one of compact, english$"):
        Programs(style="french")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^skills has 'pipe', which needs 'sort'"):
        Programs(skills=["pipe"])
