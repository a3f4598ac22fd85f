"""Which skills, tools and arguments a wrong plan lacks."""

from __future__ import annotations

import pytest

from tasks.records import Problem
from tasks.tools import Tools

TASK = Tools()
COST = "cost 5 nuts oslo"
LOOKUP = '{"tool":"lookup","args":{"good":"nuts","column":"price","city":"oslo"}}'
TIMES = '{"tool":"calculate","args":{"left":5,"operation":"times","right":"$1"}}'


def problem(prompt: str) -> Problem:
    solved = TASK.solve(prompt)
    assert solved is not None
    skills = next(p.skills for p in TASK.split("feedback") if p.skills[0] == solved[0])
    return Problem(id="x", prompt=prompt, answer=solved[1], skills=skills, split="feedback")


@pytest.mark.parametrize(
    ("response", "skills"),
    [
        (f"[{LOOKUP},{TIMES}]", ()),
        ("5 nuts", ("lookup", "calculate", "cost")),
        ("[]", ("lookup", "calculate", "cost")),
        (f"[{LOOKUP}]", ("calculate",)),
        (f"[{LOOKUP.replace('oslo', 'rome')},{TIMES}]", ("lookup",)),
        (f"[{LOOKUP},{TIMES.replace('5', '6')}]", ("calculate",)),
        (f"[{LOOKUP.replace('nuts', 'figs')},{TIMES.replace('times', 'plus')}]", ("lookup", "calculate")),
        (f"[{LOOKUP},{LOOKUP.replace('price', 'stock')},{TIMES.replace('$1', '$2')}]", ("cost",)),  # both, linked badly
    ],
)
def test_missing_skills(response: str, skills: tuple[str, ...]) -> None:
    assert TASK.diagnose(problem(COST), response) == skills


def test_a_tool_without_a_skill_of_its_own_blames_the_composition() -> None:
    asked = problem("swap gym party friday 9")
    assert asked.skills == ("replace", "add_event")
    assert TASK.diagnose(asked, asked.answer.replace("gym", "yoga")) == ("replace",)
    assert TASK.diagnose(asked, asked.answer.replace("friday", "monday")) == ("add_event",)


@pytest.mark.parametrize(
    ("response", "faults"),
    [
        (f"[{LOOKUP},{TIMES}]", []),
        (f"[{LOOKUP}]", [("calculate", "")]),
        (f"[{LOOKUP.replace('oslo', 'rome')},{TIMES.replace('5', '6')}]",
         [("lookup", "city"), ("calculate", "left"), ]),
        (f"[{LOOKUP},{LOOKUP.replace('price', 'stock')},{TIMES.replace('$1', '$2')}]",
         [("calculate", "right"), ("lookup", "")]),
        (f"[{LOOKUP},{TIMES},{TIMES}]", [("calculate", ""), ("calculate", "")]),
        ('[{"tool":"look","args":{}}]', [("", "")]),
    ],
)  # fmt: skip
def test_faults_name_the_tool_and_the_argument(response: str, faults: list[tuple[str, str]]) -> None:
    found = TASK.explain(problem(COST), response)
    assert [(fault.tool, fault.argument) for fault in found] == faults
    assert all(fault.sentence for fault in found)


def test_a_wrong_argument_is_told_with_the_one_that_was_wanted() -> None:
    (fault,) = TASK.explain(problem("way oslo rome"), '[{"tool":"travel_time","args":{"from":"oslo","to":"bern"}}]')
    assert fault.sentence == "travel_time: argument 'to' is bern, and rome was wanted"
    (fault,) = TASK.explain(problem("way oslo rome"), '[{"tool":"travel_time","args":{"from":"oslo"}}]')
    assert fault.sentence == "call 1 (travel_time) lacks the argument 'to'; give it"


def test_a_fault_can_be_printed_whatever_was_written() -> None:
    (fault,) = TASK.explain(
        problem("write memo red"), '[{"tool":"write_file","args":{"file":"memo","content":"\\ud800"}}]'
    )
    assert fault.sentence.isascii()
