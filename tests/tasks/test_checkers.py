"""Checkers: strict and lenient, hostile text, and a child process that may hang."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dataenv.checks.common import HOSTILE
from tasks.checkers import CHECKERS, Gold, Patience, child, make_checker
from tasks.jsonl import Jsonl
from tasks.records import Example, Grade

OPTIONS = {"A": "Paris", "B": "Rome", "C": "New York"}


def verdict(name: str, gold: Gold, said: str, **args: Any) -> tuple[bool, bool | None]:
    grade = make_checker(name, **args)(gold, said)
    assert grade.error is None
    return grade.correct, grade.lenient


@pytest.mark.parametrize(
    ("answer", "said", "strict", "lenient"),
    [
        ("72", " 72\n", True, True),
        ("72", "+72.0", True, True),
        ("72", "144/2", True, True),
        ("1,234", "1234", True, True),
        ("-0.5", "−1/2", True, True),
        ("0.5", ".5", True, True),
        ("300", "3e2", True, True),
        ("72", "The answer is 72.", False, True),
        ("72", "72 apples", False, True),
        ("72", "72 of 100", False, False),
        ("72", "x=-72", False, False),
        ("5", "3-5", False, True),
        ("18", "$18.00", False, True),
        ("1/3", "0.333", False, False),
        ("72", "7,2", False, False),
        ("72", "1e999999999", False, False),
        ("72", "72/0", False, False),
        ("72", "²½٣", False, False),
    ],
)
def test_number(answer: str, said: str, strict: bool, lenient: bool) -> None:
    assert verdict("number", Gold(answer), said) == (strict, lenient)


def test_tolerance_is_relative_above_one() -> None:
    assert verdict("number", Gold("1/3"), "0.333", tolerance=1e-3) == (True, True)
    assert verdict("number", Gold("1000"), "1000.9", tolerance=1e-3) == (True, True)
    assert verdict("number", Gold("1000"), "1001.1", tolerance=1e-3) == (False, False)


@pytest.mark.parametrize(
    ("said", "strict", "lenient"),
    [
        *((said, True, True) for said in ("B", "b", "(B)", "B.", "B)", "Rome", "rome.")),
        *((said, False, True) for said in ("The answer is B", "A or B", "It is Rome", "B. Rome")),
        *((said, False, False) for said in ("A", "B or A", "Rome or Paris", "", "romea")),
    ],
)
def test_choice(said: str, strict: bool, lenient: bool) -> None:
    assert verdict("choice", Gold("B", OPTIONS), said) == (strict, lenient)


def test_exact() -> None:
    assert verdict("exact", Gold("Yes"), " Yes ") == (True, True)
    assert verdict("exact", Gold("Yes"), "yes") == (False, True)
    assert verdict("exact", Gold("Yes"), "yes", fold_case=True) == (True, True)
    assert verdict("exact", Gold("blue whale"), "A Blue-whale!") == (False, True)
    assert verdict("exact", Gold("cat"), "concatenate") == (False, False)
    assert verdict("exact", Gold("+"), "1+2") == (False, True)


def test_marker_forgives_what_stands_before_and_asks_for_itself() -> None:
    assert verdict("number", Gold("72"), "48/2=24 #### 72", marker="####") == (True, True)
    assert verdict("number", Gold("72"), "72", marker="####") == (False, True)
    assert verdict("number", Gold("72"), "72 #### 71", marker="####") == (False, False)


def test_regex_hangs_and_goes_on() -> None:
    slow = Gold("a", pattern="(a+)+$")
    assert verdict("regex", Gold("a", pattern="[ab]+"), "abba") == (True, True)
    assert verdict("regex", Gold("a", pattern="[ab]+"), "so abba") == (False, True)
    before = running()
    grade = make_checker("regex", deadline=0.3)(slow, "a" * 60 + "b")
    assert grade == Grade(correct=False, error="regex took longer than 0.3 s")
    assert running() == before  # it gave up by itself and need not be started anew
    assert verdict("regex", slow, "aaa") == (True, True)
    broken = make_checker("regex")(Gold("a", pattern="("), "a")
    assert not broken.correct
    assert "unterminated" in str(broken.error)


def running() -> list[int]:
    """The children of this process that are there."""
    return [c._process.pid for c in child._CHILDREN._all if c._process is not None]


SLOW = Gold("a", pattern=r"\s*(\d+\s*)+"), "1" * 28 + "!"
"""An innocent pattern that takes longer than anybody waits."""


def test_a_batch_has_a_total_of_time() -> None:
    check, patience = make_checker("regex"), Patience(0.5)
    grades = [check(*SLOW, patience) for _ in range(12)]
    slow = [g for g in grades if g.error == "regex took longer than 0.2 s"]
    assert 2 <= len(slow) <= 6
    assert {g.error for g in grades[len(slow) :]} == {
        "not checked: earlier responses of this batch took longer than 0.5 s"
    }
    assert check(Gold("", pattern="a"), "a").correct  # the next batch begins anew


def test_what_is_easy_is_free() -> None:
    check, patience = make_checker("regex"), Patience(0.01)
    assert all(check(Gold("", pattern="a+"), "aaa", patience).correct for _ in range(50))


def test_nobody_waits_for_the_slow_question_of_another() -> None:
    children = child.Children(2)
    question = {"op": "regex", "pattern": "a", "said": "a", "fold_case": False}
    slow = question | {"pattern": r"(\d+\s*)+", "said": "1" * 40 + "!", "seconds": 60.0}
    try:
        waiting = threading.Thread(target=children.ask, args=(slow, 6.0))
        waiting.start()
        time.sleep(0.2)
        assert children.ask(question, 5)["strict"]
        assert waiting.is_alive()
        waiting.join()
    finally:
        children.close()


@pytest.mark.parametrize(
    ("answer", "said", "strict", "lenient"),
    [
        ("1/2", "0.5", True, True),
        ("1/2", r"so it is \boxed{\frac{1}{2}}", True, True),
        ("x+1", "$1+x$", True, True),
        ("72", "the answer is 72 apples", False, True),
        ("72", "73", False, False),
        ("72", "", False, False),
    ],
)
def test_math_verify(answer: str, said: str, strict: bool, lenient: bool) -> None:
    pytest.importorskip("math_verify")
    assert verdict("math-verify", Gold(answer), said) == (strict, lenient)


def test_math_verify_hangs_and_goes_on() -> None:
    pytest.importorskip("math_verify")
    grade = make_checker("math-verify", deadline=1)(Gold("72"), "9**9**9**9")
    assert grade.error == "math-verify took longer than 1 s"
    assert verdict("math-verify", Gold("72"), "72") == (True, True)


def test_a_child_that_was_killed_is_an_error_once() -> None:
    mine = child.Child()
    question = {"op": "regex", "pattern": "a", "said": "a", "fold_case": False}
    try:
        assert mine.ask(question, 5).items() >= {"strict": True, "lenient": True}.items()
        assert mine._process is not None
        os.kill(mine._process.pid, signal.SIGKILL)
        assert "was lost" in mine.ask(question, 5)["error"]
        assert mine.ask(question, 5).items() >= {"strict": True, "lenient": True}.items()
    finally:
        mine.close()


def test_threads_share_the_child() -> None:
    said: list[bool] = []
    check = make_checker("regex")
    work = [
        threading.Thread(target=lambda i=i: said.append(check(Gold("", pattern=str(i)), str(i)).correct))
        for i in range(8)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert said == [True] * 8


@pytest.mark.parametrize("name", CHECKERS)
def test_nothing_breaks_a_checker(name: str) -> None:
    if name == "math-verify":
        pytest.importorskip("math_verify")
    check = make_checker(name, deadline=1)
    for text in (*HOSTILE, "(" * 50_000, "1," * 50_000):
        grade = check(Gold("B", OPTIONS, "B"), text)
        assert not grade.correct


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("exakt", {}, "checker is 'exakt'"),
        ("number", {"tolerance": -1}, "tolerance"),
        ("regex", {"deadline": 0}, "deadline"),
    ],
)
def test_refused(name: str, args: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_checker(name, **args)


def test_a_slow_checker_ends_as_errors_and_not_as_wrong_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a whole exam and of a whole lesson: what the time does not reach is an error, and of no verdict."""
    rows = [
        {"question": f"Q: {a:02d} and {b:02d} =", "answer": f"{a} {b}", "pattern": SLOW[0].pattern}
        for a in range(10)
        for b in range(10)
    ]
    path = tmp_path / "slow.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = Jsonl(str(path), checker="regex", natural=False)
    monkeypatch.setattr(Patience.__init__, "__defaults__", (0.4,))
    problems = task.split("test")
    assert len(problems) > 12
    first, *others = task.grades([(p, SLOW[1] if i else "12 3") for i, p in enumerate(problems)])
    assert first.correct
    assert all(grade.error for grade in others)
    lesson = [Example(prompt=p.prompt, response=SLOW[1] if i else "12 3") for i, p in enumerate(problems)]
    assert task.judges(lesson) == [True, *(None for _ in others)]
