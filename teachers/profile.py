"""Missing-skill profiles: which problems are difficult for the student, and which skills its answers lack.

Stages 1 and 2 of STAT (arXiv 2510.10023, section 3). Where the paper asks a process reward model which questions are
difficult, there are two ways here: the verifier (the observation's errors), or the consistency of the student's own
answers, which needs no right answer, and which the paper measures beside its reward model. Where the paper asks a
language model what is missing, the task's own rules (``context.diagnose``) may stand in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, create_model

from tasks.records import Record
from teachers.base import Floats, require
from teachers.chat.client import Chat
from teachers.chat.prompts import render
from teachers.chat.spec import NOBODY, Ask

if TYPE_CHECKING:
    from dataenv.episode.context import Context

Detect = Literal["verifier", "consistency"]
Diagnosis = Literal["task", "chat"]
Profile = Literal["once", "step"]
Error = Mapping[str, str]
Lacks = tuple[Error, tuple[str, ...]]
"""An error, and the skills that it lacks."""

SAMPLES = 5
"""Answers to a problem whose consistency is looked at: the paper's number."""
CONSISTENT = 2
"""A problem is difficult where its most common answer occurs fewer times than this: the paper's number."""
ASKED = 128
"""Problems that are looked at where looking costs something and nobody says how many."""


def require_profile(detect: str, diagnosis: str, profile: str, difficult: int | None, chat: object) -> None:
    """Refuse arguments of a profile; see ``teachers.base.require``."""
    require(detect in ("verifier", "consistency"), "detect", detect, "give 'verifier' or 'consistency'")
    require(diagnosis in ("task", "chat"), "diagnosis", diagnosis, "give 'chat' or 'task'")
    require(profile in ("once", "step"), "profile", profile, "give 'step' or 'once'")
    require(difficult is None or difficult >= 1, "difficult", difficult, "give 1 or more, or leave it out")
    require(diagnosis == "task" or chat is not None, "chat", chat, "give the fields of a ChatSpec, or diagnosis='task'")


def difficult_problems(
    context: Context, shown: Sequence[Error], detect: Detect, most: int | None
) -> list[Error] | None:
    """Stage 1: feedback problems that are difficult for the present student, with an answer of its own to each.

    Args:
        context: Of the episode.
        shown: The observation's errors: what ``verifier`` draws from.
        detect: How. ``consistency`` asks ``most`` problems ``SAMPLES`` times each at temperature 1, paid from the
            purse; difficult are those whose most common answer occurs fewer than ``CONSISTENT`` times, and that answer
            (of several, the first) is the one that is looked at.
        most: Problems that are returned (``verifier``; ``None`` for all) or asked (``consistency``).

    Returns:
        ``prompt`` and ``response`` of each, and all else that the observation says of it; ``None`` where asking would
        leave less in the purse than the next lesson is likely to cost.
    """
    if detect == "verifier":
        if most is None:
            return list(shown)
        return [shown[i] for i in sorted(context.rng.permutation(len(shown))[:most].tolist())]
    budget, asked = context.budget, most or ASKED
    if budget.remaining < budget.step_price + budget.answer_price * SAMPLES * asked:
        return None
    found: list[Error] = []
    for prompt, answers in context.feedback_answers(asked, SAMPLES):
        response, times = Counter(answers).most_common(1)[0]
        if times < CONSISTENT:
            found.append({"prompt": prompt, "response": response})
    return found


def diagnosed(context: Context, errors: Sequence[Error], chat: Chat | None, yields: Counter[str]) -> list[Lacks] | None:
    """Stage 2: what each error lacks, of the task's closed list; by the task's rules where there is no chat.

    Nothing, where a model says nothing that can be used, or the rules find nothing missing; ``None``, where no model
    was there to say anything, so that nothing is known.
    """
    if chat is None:
        said: Sequence[Sequence[str]] | None = [context.diagnose(error) for error in errors]
    else:
        said = _asked(context, errors, chat)
    if said is None:
        yields["errors"] += len(errors)
        return None
    found = [(error, tuple(dict.fromkeys(skills))) for error, skills in zip(errors, said, strict=True)]
    yields.update(errors=len(found), diagnosed=sum(bool(s) for _, s in found), pairs=sum(len(s) for _, s in found))
    return found


def missing_skills(found: Sequence[Lacks], skills: Sequence[str], accuracy: Floats | None = None) -> Floats:
    """The missing-skill profile ``w``: how many errors lack each skill.

    The observation shows only the first few errors of each skill, equally many at the most, so plain counts would make
    a skill that is wrong half the time weigh as much as one that is always wrong. Where accuracies are known, each
    error therefore stands for ``(1 - accuracy) / shown`` of the skill that it was asked under; with all errors shown,
    ``w`` is the paper's count up to a factor.

    Args:
        found: Errors, and what each lacks. Names that are not in ``skills`` count nowhere.
        skills: The k skills, in order.
        accuracy: ``(k,)``, on the problems that the errors are from; each error then says its ``skill``. ``None`` for
            plain counts.

    Returns:
        ``(k,)``, non-negative.
    """
    row = {skill: i for i, skill in enumerate(skills)}
    shown = Counter(error.get("skill") for error, _ in found)
    profile = np.zeros(len(skills))
    for error, lacks in found:
        stands_for = 1.0 if accuracy is None else (1.0 - accuracy[row[error["skill"]]]) / shown[error["skill"]]
        for skill in set(lacks) & row.keys():
            profile[row[skill]] += stands_for
    return profile


def _asked(context: Context, errors: Sequence[Error], chat: Chat) -> list[Sequence[str]] | None:
    """Which skills a model says each error lacks; without a verifier the model does not see the right answer either."""
    schema = _diagnosis(context.skills)
    asks = []
    for error in errors:
        known = "answer" in error
        shown = {"problem": error["prompt"], "student": error["response"]}
        shown |= {"right": error["answer"]} if known else {}
        template = "teachers.chat:diagnose.j2"
        asks.append(Ask(render(template, context.rng, error=shown, skills=context.skills, known=known), schema))
    replies = chat.ask_many(asks)
    if replies and all(reply.outcome in NOBODY for reply in replies):
        return None
    return [reply.value.skills if reply.ok else () for reply in replies]


class Diagnosed(Record):
    """Stage 2's reply, without its closed list."""

    correct: bool
    why: str
    skills: tuple[str, ...]


def _diagnosis(skills: Sequence[str]) -> type[Diagnosed]:
    """The schema of a diagnosis: three skills of a closed list at the most."""
    closed: Any = Annotated[tuple[Literal[tuple(skills)], ...], Field(max_length=3)]  # type: ignore[misc]
    return create_model("Diagnosis", __base__=Diagnosed, skills=(closed, ...))
