"""What is computed outside of the sandbox is what Python computes, and nothing else is computed."""

from __future__ import annotations

import ast
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.code.expressions import UnsupportedExpressionError, bind, check, compute

NUMBERS = st.integers(-20, 20)
LEAVES = st.one_of(NUMBERS.map(repr), st.sampled_from(["True", "None", "'ab'", "[1, 2]", "(3,)", "{1, 2}", "{'a': 1}"]))


def expressions() -> st.SearchStrategy[str]:
    return st.recursive(
        LEAVES,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%", "<", "==", "in", "and", "or"]), inner).map(
                lambda parts: f"({' '.join(parts)})"
            ),
            inner.map(lambda e: f"(not {e})"),
            st.tuples(st.sampled_from(["len", "sorted", "set", "abs", "str", "list", "any"]), inner).map(
                lambda parts: f"{parts[0]}({parts[1]})"
            ),
            st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
            st.tuples(inner, inner).map(lambda parts: f"{parts[0]}[{parts[1]}]"),
            inner.map(lambda e: f"[a * 2 for a in {e} if a]"),
        ),
        max_leaves=6,
    )


def outcome(function: Any) -> Any:
    try:
        return function()
    except UnsupportedExpressionError:
        raise
    except Exception as error:
        return type(error)


@given(expressions())
def test_it_is_what_python_computes(text: str) -> None:
    node = ast.parse(text, mode="eval").body
    check(node)
    try:
        ours = outcome(lambda: compute(node))
    except UnsupportedExpressionError:
        assert "%" in text, "only a text with % is refused here"
        return
    theirs = outcome(lambda: eval(compile(ast.Expression(node), "", "eval")))  # our own small expressions
    assert (type(ours), repr(ours)) == (type(theirs), repr(theirs))


@pytest.mark.parametrize(
    "text",
    ["open('x')", "__import__('os')", "(1).__class__", "a", "lambda: 1", "f'{1}'", "x := 1", "[*a]", "len.__self__",
     "math.factorial(9)", "a.sort()", "sorted([1], key=len)", "...", "1 if (yield) else 2", "v0 is v0", "1 @ 2",
     "1 << 2", "{**{}}", "print(1)", "eval('1')", "math.os"],
)  # fmt: skip
def test_other_expressions_are_refused(text: str) -> None:
    tree = ast.parse(f"({text})", mode="eval").body
    with pytest.raises(UnsupportedExpressionError):
        check(tree, ["v0"])


@pytest.mark.parametrize(
    "text",
    ["9 ** 9 ** 9", "'a' * 10 ** 9", "[0] * 10 ** 8", "list(range(10 ** 9))", "(1 + 1) ** 10 ** 8", "10 ** 9 * [1]",
     "[a for a in range(10 ** 6) for b in range(10 ** 6)]", "'%999999999d' % 1", "sum([[0] * 1000] * 1000, [])"],
)  # fmt: skip
def test_what_grows_is_refused(text: str) -> None:
    tree = ast.parse(text, mode="eval").body
    check(tree)
    with pytest.raises((UnsupportedExpressionError, TypeError)):
        compute(tree)


def test_names_and_floats() -> None:
    tree = ast.parse("math.isclose(v0, math.pi, rel_tol=1e-3) and isinstance(v1, dict)", mode="eval").body
    check(tree, ["v0", "v1"])
    assert compute(tree, {"v0": 3.1417, "v1": {}}) is True
    assert compute(tree, {"v0": 3.2, "v1": {}}) is False
    assert math.isinf(compute(ast.parse("float('inf')", mode="eval").body))
    target = ast.parse("i, (a, b) = x").body[0].targets[0]  # type: ignore[attr-defined]
    assert bind(target, (1, (2, 3))) == {"i": 1, "a": 2, "b": 3}
    with pytest.raises(ValueError, match=r"values to unpack|shorter"):
        bind(target, (1, (2,)))
