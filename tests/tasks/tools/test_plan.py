"""Plans: what is read, what is refused and why, and what a run does; whatever the text, nothing is raised."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.tools.plan import (
    LONGEST_PLAN,
    MOST_CALLS,
    REASONS,
    Plan,
    PlanOutcome,
    Refusal,
    ResultOf,
    call,
    read_plan,
    run_plan,
    write_plan,
)
from tasks.tools.toolset import CHOICES, LARGEST, TOOLS
from tasks.tools.world import worlds

WORLD = worlds()[0]
SUM = {"tool": "calculate", "args": {"left": 2, "operation": "plus", "right": 3}}


def plan(*calls: Any) -> str:
    return json.dumps(list(calls))


def with_args(tool: str, **args: Any) -> dict[str, Any]:
    return {"tool": tool, "args": {name.rstrip("_"): value for name, value in args.items()}}


def run(text: str) -> PlanOutcome | Refusal:
    found = read_plan(text)
    return found if isinstance(found, Refusal) else run_plan(found, WORLD)


def answer(text: str) -> Any:
    found = run(text)
    assert isinstance(found, PlanOutcome), found
    return found.answer


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not-json"),
        ("lookup nuts", "not-json"),
        (plan(SUM) + "x", "not-json"),
        ("[NaN]", "not-json"),
        ("[Infinity]", "not-json"),
        ("[" * 3000, "not-json"),
        ("[" * 1500 + "]" * 1500, "not-json not-a-call"),  # where the parser gives up is its own affair
        ('[{"tool":"calculate","tool":"lookup","args":{}}]', "not-json"),
        ("x" * (LONGEST_PLAN + 1), "too-long"),
        ("{}", "not-a-list"),
        ("7", "not-a-list"),
        ("null", "not-a-list"),
        ("[]", "no-calls"),
        (plan(*[SUM] * (MOST_CALLS + 1)), "too-many-calls"),
        ("[7]", "not-a-call"),
        (plan({"tool": "calculate"}), "not-a-call"),
        (plan({**SUM, "why": "because"}), "not-a-call"),
        (plan({"tool": "calculate", "args": [2, 3]}), "not-a-call"),
        (plan({"tool": "eval", "args": {"code": "1"}}), "unknown-tool"),
        (plan({"tool": ["calculate"], "args": {}}), "unknown-tool"),
        (plan({"tool": "__class__", "args": {}}), "unknown-tool"),
        (plan(with_args("calculate", left=2, right=3)), "missing-argument"),
        (plan(with_args("calculate", left=2, operation="plus", right=3, base=10)), "unknown-argument"),
        (plan(with_args("calculate", left="two", operation="plus", right=3)), "wrong-type"),
        (plan(with_args("calculate", left=True, operation="plus", right=3)), "wrong-type"),
        (plan(with_args("calculate", left=None, operation="plus", right=3)), "wrong-type"),
        (plan(with_args("calculate", left=[[2]], operation="plus", right=3)), "wrong-type"),
        (plan(with_args("lookup", good=3, column="price", city="oslo")), "wrong-type"),
        (plan(with_args("lookup", good="gold", column="price", city="oslo")), "unknown-value"),
        (plan(with_args("add_event", title="party", day="monday", hour=24)), "unknown-value"),
        (plan(with_args("add_event", title="party", day="monday", hour=9.5)), "unknown-value"),
        (plan(with_args("calculate", left=10**13, operation="plus", right=3)), "huge-number"),
        ('[{"tool":"calculate","args":{"left":1e999999999,"operation":"plus","right":3}}]', "huge-number"),
        ('[{"tool":"calculate","args":{"left":1e-300,"operation":"plus","right":3}}]', "huge-number"),
        (plan(*[SUM] * 3).replace("2", "9" * 1000), "huge-number"),
        (plan(with_args("join_texts", first="x" * 201, second="y")), "long-text"),
        (plan(with_args("calculate", left="$1", operation="plus", right=3)), "bad-reference"),
        (plan(SUM, with_args("calculate", left="$2", operation="plus", right=3)), "bad-reference"),
        (
            plan(with_args("cancel_event", title="gym"), with_args("join_texts", first="$1", second="y")),
            "bad-reference",
        ),
    ],
)
def test_what_cannot_be_read_has_a_reason(text: str, reason: str) -> None:
    found = read_plan(text)
    assert isinstance(found, Refusal)
    assert found.reason in reason.split()
    assert found.reason in REASONS
    assert found.sentence
    assert len(found.sentence) < 300


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        ([with_args("cancel_event", title="party")], "nothing-there"),
        ([with_args("cancel_event", title="gym"), with_args("cancel_event", title="gym")], "nothing-there"),
        ([with_args("move_file", file="gone", folder="home")], "nothing-there"),
        ([with_args("add_event", title="gym", day="monday", hour=9)], "exists"),
        ([with_args("convert", value=3, from_="km", to="kg")], "unlike-units"),
        ([with_args("calculate", left=3, operation="over", right=0)], "division-by-zero"),
        ([SUM, with_args("convert", value=1, from_="$1", to="kg")], "wrong-type"),
        ([with_args("calculate", left=LARGEST, operation="times", right=LARGEST)], "huge-number"),
        ([with_args("join_texts", first="x" * 101, second="y" * 101)], "long-text"),
        ([with_args("find_day", title="gym"), with_args("convert", value=1, from_="$1", to="km")], "unknown-value"),
    ],
)
def test_what_cannot_be_run_has_a_reason_and_names_the_call(calls: list[Any], reason: str) -> None:
    before = WORLD.copy()
    found = run(plan(*calls))
    assert isinstance(found, Refusal)
    assert found.reason == reason
    assert found.sentence.startswith(f"call {len(calls)} ({calls[-1]['tool']}): ")
    assert before.state == WORLD.state


def test_every_reason_is_met_by_a_test() -> None:
    marks = [m for t in (test_what_cannot_be_read_has_a_reason, test_what_cannot_be_run_has_a_reason_and_names_the_call)
             for m in t.pytestmark]  # type: ignore[attr-defined]  # fmt: skip
    met = {reason for mark in marks for *_, reasons in mark.args[1] for reason in reasons.split()}
    assert met == set(REASONS)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([SUM], 5),
        ([with_args("calculate", left=7, operation="minus", right=9)], -2),
        ([with_args("calculate", left=0.1, operation="plus", right=0.2)], Fraction(3, 10)),
        ([with_args("calculate", left=1, operation="over", right=3)], Fraction(1, 3)),
        ([with_args("convert", value=5, from_="km", to="m")], 5000),
        ([with_args("convert", value=90, from_="minutes", to="hours")], Fraction(3, 2)),
        ([with_args("convert", value=2, from_="mg", to="kg")], Fraction(1, 500_000)),
        ([with_args("join_texts", first="sweet", second="red")], "sweetred"),
        ([SUM, with_args("calculate", left="$1", operation="times", right="$1")], 25),
        ([SUM, with_args("write_file", file="memo", content="$1")], 5),
        ([with_args("cancel_event", title="gym")], None),
        ([with_args("lookup", good="nuts", column="price", city="oslo")], WORLD.table["nuts", "price", "oslo"]),
        ([with_args("travel_time", from_="oslo", to="rome")], WORLD.trips["oslo", "rome"]),
        ([with_args("find_day", title="gym")], WORLD.calendar["gym"][0]),
    ],
)
def test_answers_worked_out_by_hand(calls: list[Any], expected: Any) -> None:
    assert answer(plan(*calls)) == expected


def test_a_run_changes_a_copy_alone() -> None:
    before = WORLD.copy()
    found = run(
        plan(
            with_args("add_event", title="party", day="friday", hour=20),
            with_args("move_event", title="gym", day="monday", hour=7),
            with_args("cancel_event", title="choir"),
            with_args("move_file", file="bills", folder="attic"),
            with_args("write_file", file="memo", content="red"),
            with_args("set_cell", good="nuts", column="price", city="oslo", value=0),
        )
    )
    assert isinstance(found, PlanOutcome)
    calendar, files, table = found.state
    assert isinstance(calendar, dict)
    assert isinstance(files, dict)
    assert isinstance(table, dict)
    assert calendar["party"] == ("friday", 20)
    assert calendar["gym"] == ("monday", 7)
    assert "choir" not in calendar
    assert files["bills"] == ("attic", before.files["bills"][1])
    assert files["memo"] == ("home", "red")
    assert table["nuts", "price", "oslo"] == 0
    assert WORLD.state == before.state


def test_worlds_differ_in_what_a_request_does_not_say() -> None:
    for a, b in ((0, 1), (0, 2), (1, 2)):
        one, other = worlds()[a], worlds()[b]
        assert all(one.calendar[e][0] != other.calendar[e][0] for e in one.calendar)
        assert all(one.files[f][0] != other.files[f][0] for f in one.files)
        assert sum(one.trips[pair] == other.trips[pair] for pair in one.trips if pair[0] != pair[1]) < 10
    assert all(one.trips["oslo", "rome"] != one.trips["rome", "oslo"] for one in worlds())


# Properties

words = st.text("abc$1 é\x00\ud800", max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))
quick = settings(deadline=None, max_examples=150)


@st.composite
def likely_calls(draw: st.DrawFn) -> dict[str, Any]:
    """A call of a tool that exists, most of it of the right types."""
    tool = TOOLS[draw(st.sampled_from(sorted(TOOLS)))]
    fitting = {kind: st.sampled_from(list(values)) for kind, values in CHOICES.items()}
    fitting |= {
        "number": st.integers(-99, 99),
        "hour": st.integers(0, 25),
        "text": st.sampled_from(["gym", "bills", "x"]),
    }
    args = {
        name: draw(st.one_of(fitting.get(kind, scalars), st.sampled_from(["$1", "$2"]), fitting.get(kind, trees)))
        for name, kind in tool.parameters.items()
    }
    return {"tool": tool.name, "args": args}


def comes_to_something(text: str) -> None:
    found = run(text)
    assert isinstance(found, PlanOutcome | Refusal)
    if isinstance(found, Refusal):
        assert found.reason in REASONS
        found.sentence.encode("utf-8", "surrogatepass")


@given(st.text(max_size=60) | trees.map(json.dumps) | st.lists(trees, max_size=10).map(json.dumps))
@quick
def test_no_text_raises(text: str) -> None:
    comes_to_something(text)


@given(st.lists(likely_calls(), max_size=9))
@quick
def test_no_plan_raises(calls: list[Any]) -> None:
    comes_to_something(plan(*calls))


@st.composite
def sound_plans(draw: st.DrawFn) -> Plan:
    """Sums of numbers and of earlier results."""
    made: Plan = ()
    for i in range(draw(st.integers(1, MOST_CALLS))):
        left, right = (draw(st.integers(-99, 99)) for _ in range(2))
        operation = draw(st.sampled_from(["plus", "minus"]))
        earlier = draw(st.sampled_from([left, *map(ResultOf, range(i))]))
        made = (*made, call("calculate", left=earlier, operation=operation, right=right))
    return made


@given(sound_plans())
@quick
def test_a_plan_that_is_written_is_read_back_and_computes_what_python_does(made: Plan) -> None:
    assert read_plan(write_plan(made)) == made
    given_back: list[int] = []
    for c in made:
        args = dict(c.args)
        left = args["left"]
        first = given_back[left.call] if isinstance(left, ResultOf) else int(left)
        right = int(args["right"])  # type: ignore[arg-type]
        given_back.append(first + right if args["operation"] == "plus" else first - right)
    assert answer(write_plan(made)) == given_back[-1]


def test_memory_and_time_are_bounded() -> None:
    """The longest products and texts that eight calls can make are refused long before they are large."""
    growing = [with_args("calculate", left=10**6, operation="times", right=10**6)]
    growing += [with_args("calculate", left=f"${i}", operation="times", right=f"${i}") for i in range(1, 8)]
    texts = [with_args("join_texts", first="x" * 60, second="y" * 60)]
    texts += [with_args("join_texts", first=f"${i}", second=f"${i}") for i in range(1, 8)]
    for calls, reason in ((growing, "huge-number"), (texts, "long-text")):
        found = run(plan(*calls))
        assert isinstance(found, Refusal)
        assert found.reason == reason
        assert found.sentence.startswith("call 2 ")
