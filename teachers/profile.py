"""Missing-skill profiles: which problems are difficult for the student, and which skills its answers lack.

Stages 1 and 2 of STAT (arXiv 2510.10023, section 3). Where the paper asks a process reward model which questions are
difficult, there are two ways here: the verifier (the observation's errors), or the consistency of the student's own
answers, which needs no right answer, and which the paper measures beside its reward model. Where the paper asks a
language model what is missing, the task's own rules (``context.diagnose``) may stand in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, create_model

from dataenv.episode.profiles import KEPT, SkillProfile
from tasks.records import Example, Record
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
Difficult = tuple[Error, float]
"""A difficult problem, and how many such problems it stands for."""
Lacks = tuple[tuple[str, ...], float]
"""The skills that the answer to a difficult problem lacks, and how many such problems it stands for."""

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
    context: Context, observation: Mapping[str, Any], detect: Detect, most: int | None
) -> list[Difficult] | None:
    """Stage 1: feedback problems that are difficult for the present student, with an answer of its own to each.

    Args:
        context: Of the episode.
        observation: Its errors are what ``verifier`` draws from. It shows the first few of each skill, equally many at
            the most, so by themselves they would make a skill that is wrong half the time weigh as much as one that is
            always wrong. ``wrong`` says how many there are, and each error found stands for its share of them.
        detect: How. ``consistency`` asks ``most`` problems ``SAMPLES`` times each at temperature 1, paid from the
            purse; difficult are those whose most common answer occurs fewer than ``CONSISTENT`` times, and that answer
            (of several, the first) is the one that is looked at. Answers are equal where the task takes them for the
            same (``context.same``).
        most: Problems that are returned (``verifier``; ``None`` for all) or asked (``consistency``).

    Returns:
        ``id``, ``prompt`` and ``response`` of each, and all else that the observation says of it, with how many
        problems it stands for; ``None`` where asking would leave less in the purse than the next lesson is likely to
        cost.
    """
    if detect == "verifier":
        shown: Sequence[Error] = observation["errors"]
        if most is not None:
            shown = [shown[i] for i in sorted(context.rng.permutation(len(shown))[:most].tolist())]
        return list(zip(shown, stands_for(context, shown, observation["wrong"]), strict=True))
    budget, asked = context.budget, most or ASKED
    if budget.remaining < budget.step_price + budget.answer_price * SAMPLES * asked:
        return None
    found: list[Difficult] = []
    for id_, prompt, answers in context.feedback_answers(asked, SAMPLES):
        response, times = most_common(context, prompt, answers)
        if times < CONSISTENT:
            found.append(({"id": id_, "prompt": prompt, "response": response}, 1.0))
    return found


def stands_for(context: Context, errors: Sequence[Error], wrong: npt.ArrayLike) -> list[float]:
    """How many wrongly answered problems each of some errors stands for, so that those of a skill sum to all of them.

    Args:
        context: Knows which skill a problem was asked under.
        errors: Some of the observation's.
        wrong: ``(skills,)``, how many there are.

    Returns:
        One number each, 1 or more; 1 where all errors of the skill are among them.
    """
    asked = [context.describe(error)[0] for error in errors]
    there, all_ = Counter(asked), dict(zip(context.skills, np.asarray(wrong, np.float64).tolist(), strict=True))
    return [max(1.0, all_[skill] / there[skill]) for skill in asked]


def times(weights: Sequence[float]) -> list[int]:
    """Whole numbers in place of some weights, each rounded up or down so that no running sum is off by more than half.

    Args:
        weights: Not negative; all 1 gives all 1.
    """
    ends = np.floor(np.cumsum([0.0, *weights]) + 0.5).astype(int)
    return [int(n) for n in np.diff(ends)]


def most_common(context: Context, prompt: str, answers: Sequence[str]) -> tuple[str, int]:
    """The most common of some answers, in the words of its first, and how many come to the same."""
    groups: dict[str, int] = {}
    for answer in answers:
        like = (known for known in groups if context.same(Example(prompt=prompt, response=known), answer))
        known = next(like, answer)
        groups[known] = groups.get(known, 0) + 1
    return max(groups.items(), key=itemgetter(1))


def diagnosed(
    context: Context,
    errors: Sequence[Difficult],
    chat: Chat | None,
    yields: Counter[str],
    profiles: list[SkillProfile],
) -> list[Lacks] | None:
    """Stage 2: what each error lacks, of the task's closed list; by the task's rules where there is no chat.

    The profile that this makes is put down in ``profiles``. Beside that of a model stands that of the task's rules for
    the same errors, which costs nothing and is not taught by.

    Returns:
        Nothing missing, where a model says nothing that can be used, or the rules find nothing; ``None``, where no
        model was there to say anything, so that nothing is known.
    """
    ruled = [context.diagnose(error) for error, _ in errors]
    said = ruled if chat is None else _asked(context, [error for error, _ in errors], chat)
    if said is None:
        yields["errors"] += len(errors)
        return None
    found = _lacking(said, errors)
    yields.update(errors=len(found), diagnosed=sum(bool(skills) for skills, _ in found))
    yields["pairs"] += sum(len(skills) for skills, _ in found)
    profiles.append(profile_of(context, errors, found, "task" if chat is None else "chat"))
    if chat is not None:
        profiles.append(profile_of(context, errors, _lacking(ruled, errors), "task", used=False))
    return found


def _lacking(said: Sequence[Sequence[str]], errors: Sequence[Difficult]) -> list[Lacks]:
    return [(tuple(dict.fromkeys(skills)), weight) for skills, (_, weight) in zip(said, errors, strict=True)]


def profile_of(
    context: Context, errors: Sequence[Difficult], found: Sequence[Lacks], diagnoser: str, used: bool = True
) -> SkillProfile:
    """The record of a profile.

    Args:
        context: Of the episode.
        errors: Each that was diagnosed.
        found: What each of them lacks, in the same order.
        diagnoser: Who said so.
        used: Whether it is taught by.
    """
    weights = zip(context.skills, missing_skills(found, context.skills).tolist(), strict=True)
    each = ((error["id"], skills) for (error, _), (skills, _) in zip(errors, found, strict=True))
    return SkillProfile(
        step=context.step,
        diagnoser=diagnoser,
        used=used,
        problems=len(errors),
        missing={skill: weight for skill, weight in weights if weight},
        lacks=dict(islice(each, KEPT)) if context.step == 0 else {},
    )


def missing_skills(found: Sequence[Lacks], skills: Sequence[str]) -> Floats:
    """The missing-skill profile ``w``: how many difficult problems lack each skill.

    Args:
        found: What each lacks, and how many it stands for. Names that are not in ``skills`` count nowhere.
        skills: The k skills, in order.

    Returns:
        ``(k,)``, non-negative.
    """
    row = {skill: i for i, skill in enumerate(skills)}
    profile = np.zeros(len(skills))
    for lacks, weight in found:
        for skill in set(lacks) & row.keys():
            profile[row[skill]] += weight
    return profile


def _asked(context: Context, errors: Sequence[Error], chat: Chat) -> list[tuple[str, ...]] | None:
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
