"""Checkers: whether a response is the answer (strict), and whether only its form is wrong (lenient).

``exact``, ``number`` and ``choice`` compare texts here; ``regex`` and ``math-verify`` run what somebody else wrote, so
they work in a child process that is killed when it takes too long. A checker never raises: what it cannot decide is a
``Grade`` with an ``error``, which is no wrong answer.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tasks.checkers import expressions, text
from tasks.checkers.child import ask
from tasks.records import Grade

CHECKERS = ("exact", "number", "choice", "regex", "math-verify")
DEADLINES = {"regex": 0.2, "math-verify": 5.0}
"""Seconds for one response, unless they are given: of computing for ``regex``, of waiting for ``math-verify``."""
EASY, TOTAL = 0.05, 30.0
"""Seconds of computing for a response that are free, and how many all responses of a batch may take beyond that."""


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


class Patience:
    """The time that the responses of one batch may take together.

    Args:
        seconds: Of computing beyond ``EASY`` for each.
    """

    def __init__(self, seconds: float = TOTAL) -> None:
        self.seconds = self.left = seconds

    def ask(self, question: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """What the child says, or that the time is used up."""
        if self.left <= 0:
            return {"error": f"not checked: earlier responses of this batch took longer than {self.seconds:g} s"}
        reply = ask(question, deadline)
        self.left -= max(0.0, float(reply.get("seconds", 0.0)) - EASY)
        return reply


_Compare = Callable[[Gold, str, Patience], Grade]


class Checker:
    """Compares responses with golds; made by ``make_checker``."""

    def __init__(self, compare: _Compare, marker: str) -> None:
        self._compare, self._marker = compare, unicodedata.normalize("NFC", marker)

    def __call__(self, gold: Gold, said: str, patience: Patience | None = None) -> Grade:
        """The verdict on one response.

        Args:
            gold: What it is compared with.
            said: The response.
            patience: Of the batch that the response is one of; without it, it is alone.
        """
        said, patience = unicodedata.normalize("NFC", said), patience or Patience()
        if not self._marker:
            return self._compare(gold, said, patience)
        _, found, final = said.rpartition(self._marker)  # without a marker, only the lenient score can be earned
        grade = self._compare(gold, final if found else said, patience)
        return grade.model_copy(update={"correct": grade.correct and bool(found)})


def make_checker(
    name: str,
    *,
    fold_case: bool = False,
    tolerance: float | None = None,
    deadline: float | None = None,
    marker: str = "",
) -> Checker:
    """A checker by name.

    Args:
        name: One of ``CHECKERS``.
        fold_case: Whether ``exact`` and ``regex`` take upper and lower case for the same.
        tolerance: Largest difference that ``number`` allows (and ``math-verify``, where both answers are plain
            numbers), relative to the answer where that is above 1; 0 or more. ``None``: whole numbers are exact, and
            decimals nearly so (``text.room``).
        deadline: Seconds after which ``regex`` and ``math-verify`` give up on one response; ``None`` for ``DEADLINES``.
        marker: What stands before the final answer, such as ``####``; whatever comes before its last occurrence is not
            looked at, and a response without it is not right. Empty: the whole response is the answer.

    Raises:
        ValueError: If there is no such checker, or an argument is out of range.
    """
    if name not in CHECKERS:
        raise ValueError(f"checker is {name!r}; give one of {', '.join(CHECKERS)}")
    if tolerance is not None and not 0 <= tolerance < float("inf"):
        raise ValueError(f"tolerance is {tolerance}; give a number of at least 0")
    if deadline is not None and not 0 < deadline < float("inf"):
        raise ValueError(f"deadline is {deadline}; give seconds above 0")
    seconds = DEADLINES.get(name, 0.0) if deadline is None else deadline
    compare: dict[str, _Compare] = {
        "exact": lambda gold, said, _: _verdict(*text.exact(gold.answer, said, fold_case)),
        "number": lambda gold, said, _: _verdict(*text.number(gold.answer, said, tolerance)),
        "choice": lambda gold, said, _: _verdict(*text.choice(gold.answer, said, gold.options)),
        "regex": lambda gold, said, patience: _regex(gold, said, fold_case, seconds, patience),
        "math-verify": lambda gold, said, patience: _math(gold, said, tolerance, seconds, patience),
    }
    return Checker(compare[name], marker)


def _verdict(strict: bool, lenient: bool) -> Grade:
    return Grade(correct=strict, lenient=strict or lenient)


def _regex(gold: Gold, said: str, fold_case: bool, seconds: float, patience: Patience) -> Grade:
    pattern = unicodedata.normalize("NFC", gold.pattern)
    question = {"op": "regex", "pattern": pattern, "said": said, "fold_case": fold_case, "seconds": seconds}
    # The child ends by itself after some computing; where a machine is busy, that may take longer by the clock.
    return _asked(patience.ask(question, max(5.0, 10 * seconds)))


def _math(gold: Gold, said: str, tolerance: float | None, seconds: float, patience: Patience) -> Grade:
    """What texts decide is decided here, and only the rest by ``math_verify``."""
    said, right = expressions.latex(said[-expressions.LONGEST :]), expressions.latex(gold.answer)
    answer, final = expressions.last_box(right) or right, expressions.last_box(said)
    decided = expressions.settled(answer, final, tolerance) if final is not None else None
    if decided is not None:
        return _verdict(*decided)
    places = expressions.places(answer, final or "")
    question = {"op": "math-verify", "gold": answer, "final": final, "said": said, "places": places}
    return _asked(patience.ask(question, seconds))


def _asked(reply: Mapping[str, Any]) -> Grade:
    """The child's verdict, or why there is none."""
    if "error" in reply:
        return Grade(correct=False, error=str(reply["error"]))
    return _verdict(bool(reply["strict"]), bool(reply["lenient"]))
