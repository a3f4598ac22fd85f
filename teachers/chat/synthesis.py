"""New problems by a language model: propose, solve several times, keep what the solutions agree on.

Stage 3 of STAT-Syn (arXiv 2510.10023, section 3 and appendix), and with other prompts what every teacher in
``teachers.llm`` is made of: a *want* gives new questions; each is solved three times; its consistency is the size of
the largest group of equal answers; questions of consistency 2 or more are kept, with the solutions of that group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, create_model

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


class QuestionProposal(Record):
    """New questions, after thinking about them: how the references use the skill, then a design, as in the paper."""

    model_config = ConfigDict(title="Proposal")  # as it is sent, and as stored replies have it

    relation: str
    design: str
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Want:
    """What new questions are wanted for, and how they are asked for.

    Attributes:
        skills: What they are to train, the primary one first.
        references: Solved examples, shown in both prompts. Nothing is asked for a want without any.
        template: Of the prompt that asks for them; see ``teachers.chat.prompts.render``. It is given ``references``,
            ``questions`` (how many) and ``data``. Not needed where the question is given.
        form: The reply's schema, whose ``questions`` will hold so many.
        data: Further values of the template.
        given: In place of asking, a question that is there already.
        reworded: Whether a known problem is asked for in other words: then only a copy of a question is a
            near-duplicate (``teachers.engines.signature.Seen``).
    """

    skills: tuple[str, ...]
    references: tuple[Example, ...]
    template: str = ""
    form: type[BaseModel] = QuestionProposal
    data: Mapping[str, Any] = field(default_factory=dict)
    given: str | None = None
    reworded: bool = False


@dataclass(frozen=True)
class NewQuestion:
    """A new question, unsolved."""

    text: str
    want: Want


@cache
def _exact(form: type[BaseModel], questions: int) -> type[BaseModel]:
    """The schema of so many questions, which is part of what is sent."""
    exact: Any = Annotated[tuple[str, ...], Field(min_length=questions, max_length=questions)]
    return create_model(form.model_config.get("title") or form.__name__, __base__=form, questions=(exact, ...))


def propose(
    chat: Chat,
    wants: Sequence[Want],
    questions: int,
    rng: np.random.Generator,
    yields: Counter[str],
    sample: int = 0,
) -> list[NewQuestion]:
    """New questions, ``questions`` for each want at the most, none twice and none a reference; in the wants' order.

    What was asked for and did not come of it is counted, so that ``asked`` = ``no-reply`` + ``copies`` + ``unusable`` +
    the questions; one that is given is asked for and comes.

    Args:
        chat: Who is asked.
        wants: What is wanted.
        questions: How many of each.
        rng: Where nonces are drawn from.
        yields: ``asked``, ``no-reply``, ``copies`` and ``unusable`` are added to it, all in questions.
        sample: Tells apart rounds that ask the same.
    """
    asking = [want for want in wants if want.references and want.given is None]
    asks = []
    for want in asking:
        data = {"references": _shown(want.references), "questions": questions} | dict(want.data)
        asks.append(Ask(render(want.template, rng, longest=LONGEST, **data), _exact(want.form, questions), sample))
    replies = chat.ask_many(asks)
    known = {e.prompt for want in wants for e in want.references}
    said = [
        NewQuestion(text, want)
        for want, reply in zip(asking, replies, strict=True)
        if reply.ok
        for text in reply.value.questions
    ]
    given = [NewQuestion(want.given, want) for want in wants if want.references and want.given is not None]
    yields["asked"] += len(given)
    return sifted(said, known, questions * len(asks), yields, given)


def sifted(
    said: Sequence[NewQuestion], known: Set[str], asked: int, yields: Counter[str], given: Sequence[NewQuestion] = ()
) -> list[NewQuestion]:
    """The questions that can be used, without those that are known and none twice, and the given ones.

    Args:
        said: Of all replies.
        known: Texts that are no new questions.
        asked: Questions that were asked for; those that are not in ``said`` are without a reply.
        yields: See ``propose``.
        given: Not sifted.
    """
    can = [question for question in said if usable(question.text)]
    new = [*(question for question in can if question.text not in known), *given]
    fresh = list({question.text: question for question in new}.values())
    copies = len(can) + len(given) - len(fresh)
    yields.update({"asked": asked, "no-reply": asked - len(said), "unusable": len(said) - len(can), "copies": copies})
    return fresh


def solve(
    chat: Chat, questions: Sequence[NewQuestion], solutions: int, rng: np.random.Generator, yields: Counter[str]
) -> list[list[Solution]]:
    """Independent solutions of each question, ``solutions`` at the most: fewer where a reply came to nothing.

    Those that did not come, or cannot be used, are added to ``yields`` as ``unsolved``.
    """
    asks = []
    for question in questions:
        shown = _shown(question.want.references)
        prompt = render("teachers.chat:solve.j2", rng, longest=LONGEST, question=question.text, references=shown)
        asks += [Ask(prompt, Solution, sample) for sample in range(solutions)]
    replies = chat.ask_many(asks)
    groups = [replies[i : i + solutions] for i in range(0, len(replies), solutions)]
    made = [[r.value for r in group if r.ok and usable(r.value.solution)] for group in groups]
    yields["unsolved"] += len(asks) - sum(map(len, made))
    return made


def agreed(
    chat: Chat,
    questions: Sequence[NewQuestion],
    solutions: int,
    agree: int,
    rng: np.random.Generator,
    yields: Counter[str],
    origin: str,
) -> list[list[Example]]:
    """Solve, and keep what the solutions agree on: the examples of each question, none where too few agree.

    Args:
        chat: Who is asked.
        questions: To be solved.
        solutions: Of each.
        agree: How many of them must agree; see ``agreeing``.
        rng: Where nonces are drawn from.
        yields: ``questions``, ``solved`` and ``unsolved`` (solutions) and ``consistent`` (questions) are added to it.
        origin: Of the examples.
    """
    made = solve(chat, questions, solutions, rng, yields)
    consistent = [agreeing(found, agree) for found in made]
    yields.update(questions=len(questions), solved=sum(map(len, made)), consistent=sum(map(bool, consistent)))
    return [
        [Example(prompt=q.text, response=s.solution, skills=q.want.skills, origin=origin) for s in found]
        for q, found in zip(questions, consistent, strict=True)
    ]


def rewritten(
    chat: Chat,
    items: Sequence[Example],
    solutions: int,
    rng: np.random.Generator,
    yields: Counter[str],
    origin: str,
    agree: int = 2,
) -> list[list[Example]]:
    """New solutions of items of a pool, of which ``agree`` agree at the least; none of an item where that is not so.

    An item is shown as its own reference, so that its form is kept and its answer is known. What differs is kept too,
    where solutions agree against the pool: whether a response is right is the task's to judge.
    """
    questions = [NewQuestion(item.prompt, Want(item.skills, (item,), given=item.prompt)) for item in items]
    yields["asked"] += len(questions)
    return agreed(chat, questions, solutions, agree, rng, yields, origin)


def _shown(examples: Sequence[Example]) -> list[dict[str, str]]:
    return [{"question": e.prompt, "solution": e.response} for e in examples]


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
