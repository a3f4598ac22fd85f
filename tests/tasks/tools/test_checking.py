"""What a plan is worth: several right plans, guesses that are found out, needless calls, and the score of calls."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasks.records import Grade
from tasks.tools import Tools, call_score
from tasks.tools.checking import CallScore, judge_plan, written
from tasks.tools.plan import Plan, Refusal, read_plan
from tasks.tools.world import worlds

TASK = Tools()


def gold(prompt: str) -> Plan:
    solved = TASK.solve(prompt)
    assert solved is not None, prompt
    plan = read_plan(solved[1])
    assert not isinstance(plan, Refusal)
    return plan


def written_as(*calls: tuple[str, dict[str, Any]]) -> str:
    return json.dumps([{"tool": tool, "args": args} for tool, args in calls])


def event(tool: str, title: str, day: str = "", hour: Any = None) -> tuple[str, dict[str, Any]]:
    return tool, {"title": title} | ({"day": day, "hour": hour} if day else {})


def trip(start: str, end: str) -> tuple[str, dict[str, Any]]:
    return "travel_time", {"from": start, "to": end}


def price(good: str, city: str) -> tuple[str, dict[str, Any]]:
    return "lookup", {"good": good, "column": "price", "city": city}


def work(left: Any, operation: str, right: Any) -> tuple[str, dict[str, Any]]:
    return "calculate", {"left": left, "operation": operation, "right": right}


REPLACE = "swap gym party friday 9"
RIGHT = [
    (REPLACE, [event("cancel_event", "gym"), event("add_event", "party", "friday", 9)]),
    (REPLACE, [event("add_event", "party", "friday", 9), event("cancel_event", "gym")]),
    ("shift gym friday 9", [event("cancel_event", "gym"), event("add_event", "gym", "friday", 9)]),
    ("convert 3 km m", [work(3, "times", 1000)]),
    ("cost 5 nuts oslo", [price("nuts", "oslo"), work("$1", "times", 5)]),
    ("cost 2 nuts oslo", [price("nuts", "oslo"), work("$1", "plus", "$1")]),
    ("via oslo rome bern", [trip("rome", "bern"), trip("oslo", "rome"), work("$2", "plus", "$1")]),
    ("travel oslo rome in hours", [trip("oslo", "rome"), work("$1", "over", 60)]),
    ("work 3 plus 4", [work(4, "plus", 3)]),
    ("write memo red", [("write_file", {"content": "red", "file": "memo"})]),
]


@pytest.mark.parametrize(("prompt", "calls"), RIGHT)
def test_several_plans_are_right(prompt: str, calls: list[Any]) -> None:
    verdict = judge_plan(gold(prompt), written_as(*calls))
    assert verdict.right, verdict
    assert all(verdict.wanted)
    assert all(verdict.given)


MINUTES = int(worlds()[0].trips["oslo", "rome"])
WRONG = [
    ("way oslo rome", [trip("rome", "oslo")], "answer"),
    ("way oslo rome", [work(MINUTES, "plus", 0)], "answer"),  # right in one world: it was guessed
    ("cost 5 nuts oslo", [price("nuts", "oslo")], "answer"),
    ("cost 5 nuts oslo", [price("nuts", "oslo"), work("$1", "times", 6)], "answer"),
    ("cost 5 nuts oslo", [work(5, "times", 5), price("nuts", "oslo")], "answer"),
    ("write memo red", [("write_file", {"file": "memo", "content": "blue"})], "state"),
    (REPLACE, [event("cancel_event", "gym")], "state"),
    ("way oslo rome", [trip("oslo", "rome"), event("cancel_event", "gym")], "state"),
    ("gap nuts oslo rome", [price("nuts", "rome"), price("nuts", "oslo"), work("$1", "minus", "$2")], "answer"),
]


@pytest.mark.parametrize(("prompt", "calls", "part"), WRONG)
def test_what_comes_to_something_else_is_wrong(prompt: str, calls: list[Any], part: str) -> None:
    solved = TASK.solve(prompt)
    assert solved is not None
    problem = TASK.split("feedback")[0].model_copy(update={"answer": solved[1]})
    grade = TASK.grade(problem, written_as(*calls))
    assert not grade.correct
    assert grade.lenient is False
    assert grade.parts is not None
    assert {name for name in ("state", "answer") if not grade.parts[name]} == {part}


def test_a_needless_call_is_forgiven_by_the_lenient_grade_alone() -> None:
    problem = TASK.split("feedback")[0].model_copy(update={"answer": _answer("cost 5 nuts oslo")})
    calls = [trip("oslo", "rome"), price("nuts", "oslo"), work(5, "times", "$2")]
    grade = TASK.grade(problem, written_as(*calls))
    assert (grade.correct, grade.lenient) == (False, True)
    assert grade.parts == {
        "wanted 1 lookup": True,
        "wanted 2 calculate": True,
        "given 1 travel_time": False,
        "given 2 lookup": True,
        "given 3 calculate": True,
        "state": True,
        "answer": True,
    }


def test_a_look_is_needless_where_something_is_to_be_done_alone() -> None:
    verdict = judge_plan(
        gold("write memo red"), written_as(("write_file", {"file": "memo", "content": "red"}), trip("oslo", "rome"))
    )
    assert verdict.reached
    assert verdict.given == (True, False)


def test_the_parts_of_a_plan_that_cannot_be_read_name_the_reason() -> None:
    problem = TASK.split("feedback")[0].model_copy(update={"answer": _answer("way oslo rome")})
    assert TASK.grade(problem, "oslo rome").parts == {"wanted 1 travel_time": False, "plan: not-json": False}
    calls = written_as(event("cancel_event", "party"), trip("oslo", "rome"))
    expected = {"wanted 1 travel_time": True, "given 1 cancel_event": False, "given 2 travel_time": True}
    assert TASK.grade(problem, calls).parts == expected | {"plan: nothing-there": False}


def test_correct_is_whether_all_parts_are() -> None:
    answers = [written_as(*calls) for _, calls in RIGHT] + [written_as(*calls) for _, calls, _ in WRONG] + ["", "[]"]
    seen = set()
    for problem in TASK.split("feedback")[::40]:
        for answer in (*answers, problem.answer):
            grade = TASK.grade(problem, answer)
            assert grade.parts
            assert grade.correct == all(grade.parts.values())
            seen.add(grade.correct)
    assert seen == {True, False}


def test_precision_recall_and_f1_worked_out_by_hand() -> None:
    """Two plans: three calls of which two were wanted, of three wanted; and nothing that can be read, of two wanted."""
    one = {
        "wanted 1 a": True,
        "wanted 2 a": True,
        "wanted 3 b": False,
        "given 1 a": True,
        "given 2 a": True,
        "given 3 c": False,
    }
    grades = [Grade(correct=False, parts=one), Grade(correct=False, parts={"wanted 1 a": False, "wanted 2 b": False})]
    score = call_score(grades)
    assert (score.precision, score.recall) == (2 / 3, 2 / 5)
    assert score.f1 == pytest.approx(0.5)
    assert call_score([]) == CallScore(0.0, 0.0, 0.0)


def test_calls_are_compared_with_what_they_refer_to() -> None:
    """The same calls in another order, with other numbers of references, are the same calls."""
    a = read_plan(written_as(trip("oslo", "rome"), trip("rome", "bern"), work("$1", "plus", "$2")))
    b = read_plan(written_as(trip("rome", "bern"), trip("oslo", "rome"), work("$1", "plus", "$2")))
    c = read_plan(written_as(trip("rome", "bern"), trip("oslo", "rome"), work("$1", "minus", "$2")))
    assert not isinstance(a, Refusal)
    assert not isinstance(b, Refusal)
    assert not isinstance(c, Refusal)
    assert sorted(map(repr, written(a))) == sorted(map(repr, written(b)))
    assert sorted(map(repr, written(a)))[0] != sorted(map(repr, written(c)))[0]


def _answer(prompt: str) -> str:
    solved = TASK.solve(prompt)
    assert solved is not None
    return solved[1]
