"""New problems for a skill, by a language model: propose, solve several times, keep what the solutions agree on.

Stage 3 of STAT-Syn (arXiv 2510.10023, section 3 and appendix): three solved references and one skill give new
questions; each is solved three times; its consistency is the size of the largest group of equal answers; questions of
consistency 2 or more are kept, with the solutions of that group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any

import numpy as np
from pydantic import Field, create_model

from tasks.records import Example, Record
from teachers.chat.client import Chat
from teachers.chat.prompts import cleaned, render
from teachers.chat.spec import Ask

LONGEST = 4096
"""Characters of a question or a solution: what the open-ended action space holds."""


class Solution(Record):
    """A worked solution, and the answer that it comes to."""

    solution: str
    answer: str


class Proposal(Record):
    """New questions, after thinking about them: how the references use the skill, then a design, as in the paper."""

    relation: str
    design: str
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Want:
    """What new questions are wanted for.

    Attributes:
        skill: What they are to train.
        references: Solved examples that need it.
        more: What else the template of the proposal is given.
    """

    skill: str
    references: tuple[Example, ...]
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """A new question, unsolved."""

    text: str
    want: Want


@cache
def _proposal(questions: int) -> type[Proposal]:
    """The schema of so many questions, which is part of what is sent."""
    exact: Any = Annotated[tuple[str, ...], Field(min_length=questions, max_length=questions)]
    return create_model("Proposal", __base__=Proposal, questions=(exact, ...))


def propose(
    chat: Chat,
    wants: Sequence[Want],
    questions: int,
    rng: np.random.Generator,
    sample: int = 0,
    template: str = "teachers.chat:propose.j2",
) -> list[Question]:
    """New questions, ``questions`` for each want at the most; in the order of the wants.

    Args:
        chat: Who is asked.
        wants: What is wanted.
        questions: How many of each.
        rng: Where nonces are drawn from.
        sample: Tells apart rounds that ask the same.
        template: Of the prompt.
    """
    schema = _proposal(questions)
    asks = []
    for want in wants:
        shown = [{"question": e.prompt, "solution": e.response} for e in want.references]
        prompt = render(
            template, rng, longest=LONGEST, skill=want.skill, references=shown, questions=questions, **want.more
        )
        asks.append(Ask(prompt, schema, sample))
    replies = chat.ask_many(asks)
    return [
        Question(text, want)
        for want, reply in zip(wants, replies, strict=True)
        if reply.ok
        for text in reply.value.questions
        if usable(text)
    ]


def solve(chat: Chat, questions: Sequence[Question], solutions: int, rng: np.random.Generator) -> list[list[Solution]]:
    """Independent solutions of each question, ``solutions`` at the most: fewer where a reply came to nothing."""
    asks = []
    for question in questions:
        shown = [{"question": e.prompt, "solution": e.response} for e in question.want.references]
        prompt = render("teachers.chat:solve.j2", rng, longest=LONGEST, question=question.text, references=shown)
        asks += [Ask(prompt, Solution, sample) for sample in range(solutions)]
    replies = chat.ask_many(asks)
    groups = [replies[i : i + solutions] for i in range(0, len(replies), solutions)]
    return [[r.value for r in group if r.ok and usable(r.value.solution)] for group in groups]


def agreeing(solutions: Sequence[Solution], least: int) -> list[Solution]:
    """The largest group of solutions with equal answers, if it has ``least`` members; of two as large, neither.

    Answers are equal up to case and spaces.
    """
    sizes = Counter(_answer(s) for s in solutions).most_common(2)
    if not sizes or sizes[0][1] < least or (len(sizes) > 1 and sizes[1][1] == sizes[0][1]):
        return []
    return [s for s in solutions if _answer(s) == sizes[0][0]]


def _answer(solution: Solution) -> str:
    return " ".join(solution.answer.split()).casefold()


def usable(text: str) -> bool:
    """Whether a text can be taught: there is some, not too much, and nothing in it that no screen would show."""
    return len(text.strip()) > 0 and text == cleaned(text, LONGEST)
