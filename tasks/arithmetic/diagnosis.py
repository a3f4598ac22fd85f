"""Which skills a wrong answer lacks: a missing-skill profile without a language model (compare STAT, section 3).

Columns tell carrying from the addition table, and the written intermediate result tells the steps of a chain apart.
"""

from __future__ import annotations

import re

import numpy as np

from tasks.arithmetic.grammar import COLON, WIDTH, Digits, Question, compute, read
from tasks.arithmetic.skills import borrows, carries
from tasks.records import Problem

_RESULT = re.compile(rf"[0-9]{{{WIDTH}}}", re.ASCII)


def diagnose(problem: Problem, response: str) -> tuple[str, ...]:
    """The missing skills of a response, most basic first; none where it is right.

    Nothing can be read out of a response that is not even a number of three digits (for a chain: two, with a colon
    between), so that lacks all skills of the problem.
    """
    text = response.strip(" ")
    question = read(problem.prompt)
    if text == problem.answer:
        return ()
    if question is None:
        return _basic_first(problem.skills)
    if len(question.operators) == 1:
        return _single(problem.skills, question, text)
    return _chain(problem.skills, question, text)


def _basic_first(skills: tuple[str, ...]) -> tuple[str, ...]:
    return skills[1:] + skills[:1]


def _single(skills: tuple[str, ...], question: Question, text: str) -> tuple[str, ...]:
    """Carried (borrowed) columns blame carrying, the others the more basic skill that the problem needs too."""
    if len(skills) == 1 or not _RESULT.fullmatch(text):
        return _basic_first(skills)
    a, b = (_row(x) for x in question.operands)
    out = (carries if question.operators == "+" else borrows)(a, b)[0]
    touched = out | np.concatenate([[False], out[:-1]])
    wrong = np.array([given != gold for given, gold in zip(text, question.answer(), strict=True)])
    missing = []
    if (wrong & ~touched).any():
        missing.append(skills[1])
    if (wrong & touched).any():
        missing.append(skills[0])
    return tuple(missing)


def _chain(skills: tuple[str, ...], question: Question, text: str) -> tuple[str, ...]:
    """Each step is judged on what the student itself wrote before it."""
    chain, first, second = skills[0], skills[1], skills[-1]
    middle, colon, final = text.partition(COLON)
    if not (colon and _RESULT.fullmatch(middle) and _RESULT.fullmatch(final)):
        return (chain,) if text.strip(COLON) in (*question.steps(), "".join(question.steps())) else _basic_first(skills)
    missing = []
    if middle != question.steps()[0]:
        missing.append(first)
    if final != compute(question.operators[1], middle, question.operands[2]) and second not in missing:
        missing.append(second)
    return tuple(missing)


def _row(text: str) -> Digits:
    return np.array([[int(c) for c in text]], dtype=np.int64)
