"""Checkers: whether a response is the answer (strict), and whether only its form is wrong (lenient).

``exact``, ``number`` and ``choice`` compare texts here; ``regex`` and ``math-verify`` run what somebody else wrote, so
they work in a child process that is killed when it takes too long. A checker never raises: what it cannot decide is a
``Grade`` with an ``error``, which is no wrong answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tasks.checkers import text
from tasks.checkers.child import ask
from tasks.records import Grade

CHECKERS = ("exact", "number", "choice", "regex", "math-verify")


class Gold(NamedTuple):
    """What a response is compared with.

    Attributes:
        answer: The final answer; for ``choice`` the label of the right option.
        options: For ``choice``: the text of each option by its label, such as ``{"A": "Paris", "B": "Rome"}``.
        pattern: For ``regex``: a regular expression of Python's ``re``.
    """

    answer: str
    options: Mapping[str, str] = {}
    pattern: str = ""


Check = Callable[[Gold, str], Grade]


def make_checker(
    name: str, *, fold_case: bool = False, tolerance: float = 1e-6, deadline: float = 5.0, marker: str = ""
) -> Check:
    """A checker by name.

    Args:
        name: One of ``CHECKERS``.
        fold_case: Whether ``exact`` and ``regex`` take upper and lower case for the same.
        tolerance: Largest difference that ``number`` allows, relative to the answer where that is above 1; 0 or more.
        deadline: Seconds after which ``regex`` and ``math-verify`` give up on one response.
        marker: What stands before the final answer, such as ``####``; whatever comes before its last occurrence is not
            looked at, and a response without it is not right. Empty: the whole response is the answer.

    Raises:
        ValueError: If there is no such checker, or an argument is out of range.
    """
    if name not in CHECKERS:
        raise ValueError(f"checker is {name!r}; give one of {', '.join(CHECKERS)}")
    if not 0 <= tolerance < float("inf"):
        raise ValueError(f"tolerance is {tolerance}; give a number of at least 0")
    if not deadline > 0:
        raise ValueError(f"deadline is {deadline}; give seconds above 0")
    flags: dict[str, bool] = {"fold_case": fold_case}
    compare: dict[str, Check] = {
        "exact": lambda gold, said: _verdict(*text.exact(gold.answer, said, fold_case)),
        "number": lambda gold, said: _verdict(*text.number(gold.answer, said, tolerance)),
        "choice": lambda gold, said: _verdict(*text.choice(gold.answer, said, gold.options)),
        "regex": lambda gold, said: _asked({"op": "regex", "pattern": gold.pattern, "said": said, **flags}, deadline),
        "math-verify": lambda gold, said: _asked({"op": "math-verify", "gold": gold.answer, "said": said}, deadline),
    }
    chosen = compare[name]
    return (lambda gold, said: _after(marker, chosen, gold, said)) if marker else chosen


def _after(marker: str, check: Check, gold: Gold, said: str) -> Grade:
    """Compare what follows the last marker; without one, only the lenient score can be earned."""
    _, found, final = said.rpartition(marker)
    grade = check(gold, final if found else said)
    return grade.model_copy(update={"correct": grade.correct and bool(found)})


def _verdict(strict: bool, lenient: bool) -> Grade:
    return Grade(correct=strict, lenient=strict or lenient)


def _asked(question: Mapping[str, object], deadline: float) -> Grade:
    """The child's verdict, or why there is none."""
    reply = ask(question, deadline)
    if "error" in reply:
        return Grade(correct=False, error=str(reply["error"]))
    return _verdict(bool(reply["strict"]), bool(reply["lenient"]))
