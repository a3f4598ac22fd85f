"""Solution signatures: two questions that are worked out in the same way from the same numbers are one question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasks.records import digest

_NUMBER = re.compile(r"\d+(?:[.,/]\d+)*")
_STEP = re.compile(r"\d+(?:[.,/]\d+)*|[^\w\s.,;:!?'\"()…]")  # a number, or a sign that is no punctuation
_WORD = re.compile(r"\w+")


def signature(skills: Sequence[str], question: str, solution: str) -> str:
    """Names what a question asks, whatever words it asks it in.

    It holds the skills, the numbers of the question in any order, and the numbers and signs of the solution in theirs.
    So other names and other units make no new question, and other numbers do. Where a text holds no number its words
    stand for them, without case: then only a copy is a near-duplicate. Self-play teachers remember what they made by
    its solutions for the same reason (R-Diverse): to a distance between texts a new story is a new problem.
    """
    numbers = sorted(_NUMBER.findall(question)) or sorted(_WORD.findall(question.casefold()))
    steps = _STEP.findall(solution) if _NUMBER.search(solution) else _WORD.findall(solution.casefold())
    return digest([list(skills), numbers, steps])
