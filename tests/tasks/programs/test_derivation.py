"""Derivations: descriptions worked out by hand, and when two descriptions ask the same thing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.programs.derivation import Derivation, read


@pytest.mark.parametrize(
    ("prompt", "code", "given", "value"),
    [
        ("v: first 3=", "v[:3]", [4, 5, 6, 7], [4, 5, 6]),
        ("s: from 1 to 9=", "s[1:9]", "monday", "onday"),
        ("v: every 2 from 1=", "v[1::2]", [4, 5, 6, 7], [5, 7]),
        ("v: each x*2+1=", "[x*2+1 for x in v]", [4, 5], [9, 11]),
        ("v: keep x>3=", "[x for x in v if x>3]", [4, 2, 5], [4, 5]),
        ("w: keep with a and size>2=", "[x for x in w if 'a' in x and len(x)>2]", ["ab", "cat", "dog"], ["cat"]),
        ("v: sum; plus 4=", "sum(v)+4", [1, 2], 7),
        ("v: count 3; times 2=", "v.count(3)*2", [3, 1, 3], 4),
        ("v: sort by x%7=", "sorted(v,key=lambda x:x%7)", [8, 6, 15], [8, 15, 6]),
        ("v: sort down by abs(x-5)=", "sorted(v,key=lambda x:abs(x-5),reverse=True)", [4, 9, 5], [9, 4, 5]),
        ("n: if n>5 n*2 else n+3=", "n*2 if n>5 else n+3", 5, 8),
        ("n: plus 3; times 4; mod 7=", "(n+3)*4%7", 5, 4),
        ("n: square; minus 3=", "n**2-3", 5, 22),
        ("s: replace a by b=", "s.replace('a','b')", "banana", "bbnbnb"),
        ("t: split ;; sum; plus 2=", "sum(map(int,t.split(';')))+2", "3;4", 9),
        ("t: split -; each x+1=", "[x+1 for x in map(int,t.split('-'))]", "3-4", [4, 5]),
        ("v: dict x to x*3=", "{x:x*3 for x in v}", [1, 2], {1: 3, 2: 6}),
        ("d: get k or 7=", "d.get('k',7)", {"a": 1}, 7),
        ("m: rows to sum*4=", "[sum(r)*4 for r in m]", [[1, 2], [3]], [12, 12]),
        ("m: flat x+1=", "[x+1 for r in m for x in r]", [[1, 2], [3]], [2, 3, 4]),
        ("n: f(0)=2, f(n)=f(n-1)*3+1=", "2 if n<1 else f(n-1)*3+1", 2, 22),
        ("v: keep x>3; each x*2; sum=", "sum(x*2 for x in v if x>3)", [4, 2, 5], 18),
        ("v: keep x>3; size=", "len([x for x in v if x>3])", [4, 2, 5], 2),
        ("v: each x*2; keep x>3=", "[x for x in [x*2 for x in v] if x>3]", [1, 2], [4]),
        ("v: sort; first 2=", "sorted(v)[:2]", [4, 2, 5], [2, 4]),
        ("v: 3,1,4>5,3,6 7,2>9,4=", "[x+2 for x in v]", [1], [3]),
    ],
)
def test_descriptions_worked_out_by_hand(prompt: str, code: str, given: object, value: object) -> None:
    asked = read(prompt)
    assert asked is not None
    assert (asked.code, asked.value(given)) == (code, value)  # type: ignore[arg-type]
    assert read(asked.describe("compact")) == asked
    assert read(asked.describe("english")) == asked


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "=",
        "v: =",
        "v: first 3",
        "q: first 3=",
        "n: first 3=",  # no list
        "v: sum; first 3=",  # a number has no first items
        "t: split ,=",  # gives no plain value
        "n: plus 1; f(0)=2, f(n)=f(n-1)*3+1=",  # a recursion stands alone
        "v: 3>4 5>7=",  # examples of two programs
        "v: 3>3=",  # examples that many programs give
        "v: " + "; ".join(["first 3"] * 7) + "=",
        "v: first 3; " + "9" * 400 + "=",
        "v: erst 3=",
        "v: f\u0131rst 3=",
    ],
)
def test_what_is_no_description_is_not_read(prompt: str) -> None:
    assert read(prompt) is None


def test_two_descriptions_of_one_function_behave_alike() -> None:
    same = [
        ("v: keep x>3; keep x>5=", "v: keep x>5="),
        ("n: plus 2; plus 3=", "n: plus 5="),
        ("v: drop 2; drop 3=", "v: drop 5="),
        ("v: 3,1,4>5,3,6 7,2>9,4=", "v: each x+2="),
    ]
    other = [("v: first 3=", "s: first 3="), ("v: keep x>58=", "v: keep x>59="), ("v: last 15=", "v: last 14=")]
    for one, two in same:
        assert behaviour(one) == behaviour(two), one
    for one, two in other:
        assert behaviour(one) != behaviour(two), one


def behaviour(prompt: str) -> str:
    asked = read(prompt)
    assert asked is not None, prompt
    return asked.behaviour


def test_spaces_do_not_count() -> None:
    assert read("  v:  keep x>3;   sum= ") == read("v: keep x>3; sum=")


def test_what_a_program_is_not_for_has_no_value() -> None:
    asked = read("v: keep x>3; max=")
    assert asked is not None
    assert asked.values([[1], [5, 9], [2]]) == [([5, 9], 9)]


@given(st.text(max_size=60), st.sampled_from("nvswtmd"))
def test_any_text_is_read_or_not(text: str, letter: str) -> None:
    for prompt in (text, f"{letter}: {text}="):
        asked = read(prompt)
        assert asked is None or isinstance(asked, Derivation)
