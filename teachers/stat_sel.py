"""``stat-sel``, ``con-sel`` and ``stat-sel-pool``: find the skills that mistakes lack, and teach what needs them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from tasks.errors import UnsupportedError
from tasks.records import Example
from teachers.base import Floats, Level, Teacher, as_action, require, require_share, with_floor
from teachers.chat.client import Chat
from teachers.chat.spec import make_spec
from teachers.chat.synthesis import rewritten
from teachers.lessons import Question, pool_or_made, question_of, shuffled
from teachers.profile import (
    ASKED,
    Detect,
    Diagnosis,
    Profile,
    diagnosed,
    difficult_problems,
    missing_skills,
    require_profile,
)

if TYPE_CHECKING:
    from dataenv.episode.context import Context
    from dataenv.episode.profiles import SkillProfile


class StatSel(Teacher):
    """STAT-Sel of Skill-Targeted Adaptive Training (arXiv 2510.10023, section 3), as a mixture over skills.

    Stage 1 finds difficult questions, stage 2 the skills that the answers to them lack (``teachers.profile``); the
    missing-skill profile is ``w_s``, the number of difficult questions that lack skill s. Stage 3: for every such
    question and every skill that it lacks the paper draws a few training items with that skill, which in closed form
    is ``sampling_law``.

    The lesson is not drawn from the pool but made by the engine, in the mixture that the law implies over primary
    skills. A pool is soon smaller than an episode's lessons together; repeated examples cost more than a mixture wins,
    and ``stratified``, with which this is compared, has fresh ones as well. Under ``engine = "pool"`` in the Setting
    the same mixture is drawn from the pool without replacement, and a skill whose items are used up starts again. Where
    a task has no pool, every item is taken to need one skill, and the mixture is the profile. ``stat-sel-pool`` draws
    the items themselves.

    The profile is made once, from the untaught student's errors, as in the paper.

    Args:
        floor: Share of the profile dealt out evenly. Diagnoses are noisy: the paper's overlap with those of another
            LLM in 43 % of the skills.
        detect: How a difficult question is found: wrong, says the ``verifier``; or by the ``consistency`` of five
            answers, which are paid from the purse.
        diagnosis: Who finds the missing skills: the ``task``'s own rules, or a model (``chat``).
        difficult: Questions that are diagnosed (for ``consistency``: asked) at the most; ``None`` for all that the
            observation shows where that costs nothing, and else 128.
        chat: The fields of ``ChatSpec``, for ``diagnosis="chat"``.

    Attributes:
        yields: ``errors``, ``diagnosed`` and ``pairs`` (of a question and a skill) in this episode.
        profiles: Every missing-skill profile of this episode.
        chat: The chat of this episode; ``None`` without.
    """

    name: ClassVar[str] = "stat-sel"

    def __init__(
        self,
        floor: float = 0.1,
        detect: Detect = "verifier",
        diagnosis: Diagnosis = "task",
        difficult: int | None = None,
        chat: Mapping[str, Any] | str | None = None,
    ) -> None:
        require_profile(detect, diagnosis, "once", difficult, chat)
        self.floor, self.detect = require_share("floor", floor), detect
        self.difficult = difficult or (ASKED if diagnosis == "chat" else None)
        self._spec = make_spec(chat) if chat is not None and diagnosis == "chat" else None
        self._mixture: Floats | None = None

    def begin(self, context: Context) -> None:
        """Forget the profile of the episode before."""
        self._context, self._mixture = context, None
        self.chat = Chat.of(self._spec, context) if self._spec else None
        self.yields: Counter[str] = Counter()
        self.profiles: list[SkillProfile] = []
        try:
            self._pool = [example.skills for example in context.pool()]
        except UnsupportedError:
            self._pool = [(skill,) for skill in context.skills]

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """The mixture of the first profile."""
        if self._mixture is None:
            return self._profiled(observation)
        return as_action(self._mixture)

    def most_requests(self, lesson_size: int) -> int:
        """Requests that a lesson takes at the most, without repair turns and retries; for ``dataenv plan``."""
        return self.difficult or ASKED if self._spec else 0

    def _profiled(self, observation: dict[str, Any]) -> npt.NDArray[np.float32]:
        """The mixture of the present profile; the last mixture if no profile can be made now."""
        # None can be made if the purse pays no look or no diagnosis comes. A first mixture without one is even, and is
        # not kept.
        context, skills = self._context, self._context.skills
        errors = difficult_problems(context, observation, self.detect, self.difficult)
        found = None if errors is None else diagnosed(context, errors, self.chat, self.yields, self.profiles)
        if found is None and self._mixture is not None:
            return as_action(self._mixture)
        profile = with_floor(missing_skills(found or (), skills), self.floor)
        law = sampling_law(dict(zip(skills, profile.tolist(), strict=True)), self._pool)
        mixture = dict.fromkeys(skills, 0.0)
        for needed, probability in zip(self._pool, law.tolist(), strict=True):
            if needed:
                mixture[needed[0]] += probability
        target = with_floor(list(mixture.values()), 0.0)
        self._mixture = None if found is None else target
        return as_action(target)


class ConSel(StatSel):
    """``stat-sel`` profiled anew at every step: what the paper calls continual learning (ConSel)."""

    name: ClassVar[str] = "con-sel"

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """The mixture of the present profile."""
        return self._profiled(observation)


class StatSelPool(Teacher):
    """STAT-Sel as published: items of the pool, drawn by ``sampling_law``, with solutions that a model rewrote.

    A lesson repeats no item; lessons may. Where a task has no pool, one is made of its generator at the beginning.

    Args:
        profile: ``once`` profiles the untaught student (STAT-Sel in the paper); ``step`` anew before every lesson
            (ConSel).
        detect: See ``StatSel``.
        diagnosis: See ``StatSel``.
        difficult: See ``StatSel``.
        floor: See ``StatSel``.
        rewrites: Solutions of each item that a model writes, of which those are taught that agree (two at the least);
            an item without such keeps its own. 0 teaches the pool's own, and needs no model; the paper has 3.
        quota: Examples of a lesson; ``None`` for the Setting's ``lesson_size``.
        chat: The fields of ``ChatSpec``, for ``diagnosis="chat"`` or rewrites.

    Attributes:
        yields: ``errors``, ``diagnosed``, ``pairs``, ``questions`` (items), ``solved`` (solutions),
            ``consistent`` (items) and ``examples``.
        profiles: Every missing-skill profile of this episode.
        chat: The chat of this episode; ``None`` without.
    """

    name: ClassVar[str] = "stat-sel-pool"
    level: ClassVar[Level] = "open-ended"

    def __init__(
        self,
        profile: Profile = "step",
        detect: Detect = "verifier",
        diagnosis: Diagnosis = "task",
        difficult: int | None = None,
        floor: float = 0.1,
        rewrites: int = 0,
        quota: int | None = None,
        chat: Mapping[str, Any] | str | None = None,
    ) -> None:
        require_profile(detect, diagnosis, profile, difficult, chat)
        require(rewrites == 0 or rewrites >= 2, "rewrites", rewrites, "give 0, or 2 or more, so that two can agree")
        require(rewrites == 0 or chat is not None, "chat", chat, "give the fields of a ChatSpec, or rewrites=0")
        require(quota is None or quota >= 1, "quota", quota, "give 1 or more, or leave it out")
        self.profile, self.detect, self.diagnosis = profile, detect, diagnosis
        self.difficult = difficult or (ASKED if diagnosis == "chat" else None)
        self.floor, self.rewrites, self.quota = require_share("floor", floor), rewrites, quota
        self._spec = make_spec(chat) if chat is not None else None

    def begin(self, context: Context) -> None:
        """Forget the profile of the episode before."""
        self._context = context
        self._law: Floats | None = None
        self.chat = Chat.of(self._spec, context) if self._spec else None
        self.yields: Counter[str] = Counter()
        self.profiles: list[SkillProfile] = []
        self._pool = pool_or_made(context)

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> tuple[Example, ...]:
        """The next lesson."""
        law = self._law
        if law is None or self.profile == "step":
            law = self._profiled(observation)
        quota, rng = self.quota or self._context.lesson_size, self._context.rng
        if self.rewrites and self.chat:
            lesson = self._rewritten(self.chat, draw_without_replacement(self._pool, law, len(self._pool), rng), quota)
        else:
            lesson = draw_without_replacement(self._pool, law, quota, rng)
        self.yields["examples"] += len(lesson)
        return tuple(lesson)

    def most_requests(self, lesson_size: int) -> int:
        """Requests that a lesson takes at the most, without repair turns and retries; for ``dataenv plan``."""
        diagnoses = self.difficult or ASKED if self.diagnosis == "chat" else 0
        return diagnoses + self.rewrites * (self.quota or lesson_size)

    def _rewritten(self, chat: Chat, items: Sequence[Example], quota: int) -> list[Example]:
        """As many of the items, in their order, as fill the lesson with their solutions."""
        rng, kept, at = self._context.rng, dict[tuple[Question, str], Example](), 0
        while len(kept) < quota and at < len(items):
            some = items[at : at - (len(kept) - quota) // self.rewrites]
            at += len(some)
            for item, found in zip(
                some, rewritten(chat, some, self.rewrites, rng, self.yields, self.name), strict=True
            ):
                kept |= {(question_of(e), e.response): e for e in found or [item]}
        return shuffled(list(kept.values())[:quota], rng)

    def _profiled(self, observation: Mapping[str, Any]) -> Floats:
        """The law of the present profile; the last law if no profile can be made now (see ``StatSel``)."""
        context = self._context
        errors = difficult_problems(context, observation, self.detect, self.difficult)
        chat = self.chat if self.diagnosis == "chat" else None
        found = None if errors is None else diagnosed(context, errors, chat, self.yields, self.profiles)
        if found is None and self._law is not None:
            return self._law
        profile = with_floor(missing_skills(found or (), context.skills), self.floor)
        law = sampling_law(dict(zip(context.skills, profile.tolist(), strict=True)), [e.skills for e in self._pool])
        self._law = None if found is None else law
        return law


def draw_without_replacement(pool: Sequence[Example], law: Floats, n: int, rng: np.random.Generator) -> list[Example]:
    """``n`` items one after the other, each time by the law among those that are left; fewer where it has fewer.

    Args:
        pool: The items.
        law: ``(items,)``, non-negative; an item of weight 0 is never drawn.
        n: Not negative.
        rng: Where every draw comes from.
    """
    with np.errstate(divide="ignore"):
        keys = np.log(law) + rng.gumbel(size=len(law))  # Gumbel-top-k (arXiv 1903.06059) is such a draw
    order = np.argsort(-keys, kind="stable")[:n]
    return [pool[i] for i in order.tolist() if law[i] > 0]


def sampling_law(profile: Mapping[str, float], pool_skills: Sequence[Sequence[str]]) -> Floats:
    """STAT-Sel's law over a pool: ``Pr(x)`` proportional to the sum over s in skills(x) of ``w_s / |Map[s]|``.

    ``Map[s]`` holds the pool's items that need s. It is what one gets by drawing, for each error and each skill that it
    lacks, equally many items from that skill's map.

    Args:
        profile: ``w_s``; skills that are not in it weigh nothing.
        pool_skills: The skills of each of n items.

    Returns:
        ``(n,)``, sums to 1; uniform where no item needs a skill that is missing.
    """
    sizes = Counter(skill for needed in pool_skills for skill in set(needed))
    weights = [sum(profile.get(s, 0.0) / sizes[s] for s in sorted(set(needed))) for needed in pool_skills]
    return with_floor(weights, 0.0)
