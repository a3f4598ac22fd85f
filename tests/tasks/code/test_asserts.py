"""Published tests are taken apart into calls and what must hold; what cannot be is said, and never guessed."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.code.asserts import cases_of_asserts, cases_of_check, literal
from tasks.code.grading import holds
from tasks.code.records import CodeCase
from tasks.sandbox.encoding import decode

PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.dictionaries(st.text(max_size=3), inner)
    ),
    max_leaves=6,
)


def arguments(case: CodeCase) -> list[Any]:
    return [[decode(part) for part in call] for call in case.calls]


def check_text(*lines: str) -> str:
    return "def check(candidate):\n" + "".join(f"    {line}\n" for line in lines)


@given(st.lists(PLAIN, max_size=3), PLAIN)
def test_inputs_and_value_of_a_simple_assert(given: list[Any], value: Any) -> None:
    shown = ", ".join(ast.unparse(literal(part)) for part in given)
    [case], others = cases_of_asserts([f"assert f({shown}) == {ast.unparse(literal(value))}"], "f")
    assert others == []
    assert repr(arguments(case)) == repr([given])
    assert holds(case, [value]) is (value == value)
    assert not holds(case, ["something else"])


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("assert abs(f(1) - 0.5) < 1e-6", 0.5000001, 0.6),
        ("assert f(1) is True", True, 1),
        ("assert f(1) is not None", 0, None),
        ("assert f(1)", [0], []),
        ("assert not f(1)", 0, 1),
        ("assert set(f(1)) == {1, 2}", [2, 1, 1], [1]),
        ("assert sorted(f(1)) == sorted([3, 1])", (1, 3), (1, 1)),
        ("assert tuple(f([1] * 2)) == (1, 2)", [1, 2], 5),
        ("assert f(1) == 2 == f(2)", 2, 3),
        ("assert f(1) in (2, 3), 'a message'", 3, 4),
        ("assert all(abs(a - b) < 1e-3 for a, b in zip(f(1), [1.0, 2.0]))", [1.0, 2.0001], [1.0, 2.1]),
        ("import math\nassert math.isclose(f(2), math.pi, rel_tol=1e-3)", 3.1416, 3.0),
        ("x = [1, 2]\nassert f(x)[0] == x[1]", [2], [1]),
        ("assert len(f('a')) == 2 and f('a')[0] < 'b'", "ab", "bb"),
    ],
)
def test_forms(text: str, right: Any, wrong: Any) -> None:
    [case], others = cases_of_asserts([text], "f")
    assert others == []
    assert holds(case, [right] * len(case.calls))
    assert not holds(case, [wrong] * len(case.calls))


@pytest.mark.parametrize(
    "text",
    ["assert A().f(1) == 2", "assert f(n=1) == 2", "assert f(f(1)) == 2", "assert f(open('x')) == 1",
     "assert g(1) == 2",
     "x = f(1); x.sort(); assert x == [1]", "for i in range(9 ** 9):\n    assert f(i)", "assert np.allclose(f(1), 2)",
     "while True:\n    assert f(1)", "assert [f(i) for i in (1, 2)] == [1, 2]", "assert f(1) is f(1)", "assert True",
     "assert 1 == 2", "no python at all", "", "x = 5\nassert [x for x in (1, 2)] == f(1)", "assert f(lambda: 1) == 2"],
)  # fmt: skip
def test_what_is_not_taken_apart_is_given_back(text: str) -> None:
    assert cases_of_asserts([text], "f") == ([], [text])


def test_a_check_with_loops_names_and_several_calls() -> None:
    text = "METADATA = {}\n" + check_text(
        '"""Words."""', "import math", "for x in range(2, 4):", "    assert candidate(x, x + 1) == str(x)", "y = 7",
        "found = candidate(y)", "assert found == 1 and found < candidate(0)", "assert True, 'for all'",
    )  # fmt: skip
    cases, whole = cases_of_check(text, "f")
    assert whole
    assert [(arguments(case), case.part) for case in cases] == [
        ([[2, 3]], "test 1"), ([[3, 4]], "test 2"), ([[7], [7], [0]], "test 3")
    ]  # fmt: skip
    assert holds(cases[0], ["2"])
    assert holds(cases[2], [1, 1, 5])
    assert not holds(cases[2], [1, 1, 1])


def test_a_check_that_is_taken_apart_in_part() -> None:
    """What stands behind a statement that may change things is left to the sandbox; an assert changes nothing."""
    cases, whole = cases_of_check(check_text("assert candidate(1) == 2", "assert helper(candidate(2))"), "f")
    assert ([case.holds for case in cases], whole) == (["v0 == 2"], False)
    text = check_text("x = [1]", "assert candidate(x) == 2", "x.append(2)", "assert candidate(x) == 3")
    cases, whole = cases_of_check(text, "f")
    assert ([arguments(case) for case in cases], whole) == ([[[[1]]]], False)
    for text in ("", "x = 1", "def check(a, b):\n    pass", "def check(candidate)", check_text("while 1:", "    pass")):
        assert cases_of_check(text, "f") == ([], False)


def test_evalplus_compares_with_room_for_floats() -> None:
    tests = check_text(
        "inputs = [[1, [2.0]], [3, []]]", "results = [0.5, None]",
        "for i, (inp, exp) in enumerate(zip(inputs, results)):", "    assertion(candidate(*inp), exp, 0)",
    )  # fmt: skip
    cases, whole = cases_of_check("def assertion(out, exp, atol):\n    assert out == exp\n" + tests, "f")
    assert whole
    assert [arguments(case) for case in cases] == [[[1, [2.0]]], [[3, []]]]
    assert holds(cases[0], [0.5 + 1e-8])
    assert not holds(cases[0], [0.5001])
    assert not holds(cases[1], [0.5])
    assert cases_of_check("def assertion(a, b, c):\n    pass\n" + tests, "f") == ([], False), "another one"
