"""``self-improve``: the student is taught those of its own answers that turn out right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tasks.records import Example
from teachers.base import Level, Teacher, require, require_share, require_whole
from teachers.lessons import Allowance, Source, as_asked, question_of, shuffled

if TYPE_CHECKING:
    from dataenv.episode.context import Context


class SelfImprove(Teacher):
    """Sample, verify, train: STaR without rationalisation (arXiv 2203.14465), ReST-EM (arXiv 2312.06585, section 3).

    Prompts are made by the engine, equally many of each skill; the student answers each several times; the answers
    that a verifier finds right are the next lesson, one of each question, in the student's own words. **It assumes a
    perfect verifier**, as both papers do: here the engine's own response, and the task says which answers come to the
    same (``context.same``). Where an answer is a word or a number, no text is taught that the engine would not have
    given; what is the student's own is then only *which* questions are taught, those it can already answer now and
    then. Both papers train from the base model in each round, which here is the Setting's ``recipe.start = "base"``.

    Nothing else fills a lesson up: where few answers survive they are repeated more often, for an update costs what it
    costs. Where no more can be sampled the last lesson is taught again, and where nothing ever survived it stops.

    Args:
        samples: Answers to each prompt.
        temperature: Of the sampling.
        share: The most of the purse that goes into sampling, in [0, 1].
        gold: Examples of the engine's own that every lesson gets besides, evenly over the skills, as a share of
            ``lesson_size`` in [0, 1].

    Attributes:
        sampled: Answers of this episode.
        kept: Those of them that the verifier found right, one a question.
    """

    name: ClassVar[str] = "self-improve"
    level: ClassVar[Level] = "open-ended"

    def __init__(self, samples: int = 4, temperature: float = 1.0, share: float = 1 / 3, gold: float = 0.0) -> None:
        require_whole("samples", samples)
        require(0.0 <= temperature < np.inf, "temperature", temperature, "give a finite number >= 0")
        self.samples, self.temperature = samples, temperature
        self.share, self.gold = require_share("share", share), require_share("gold", gold)

    def begin(self, context: Context) -> None:
        """Forget what was kept in the episode before."""
        self._context, self._source, self._allowance = context, Source(context), Allowance(context, self.share)
        self._lesson: list[Example] = []
        self.sampled = self.kept = 0

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Example]:
        """Sample and verify; teach what survives."""
        context = self._context
        price = context.budget.answer_price * self.samples
        found = self._verified(min(int(self._allowance.for_this_step // price), context.lesson_size))
        self._lesson = found or self._lesson
        gold = self._source.stratified(round(self.gold * context.lesson_size)) if self.gold else []
        return shuffled([*self._lesson, *gold], context.rng)

    def _verified(self, n: int) -> list[Example]:
        """The questions among ``n`` new ones that the student answers rightly at least once, with that answer."""
        asked = {question_of(e): e for e in self._source.stratified(n)} if n else {}
        texts = as_asked(asked.values())
        answers = self._allowance.spend(lambda: self._context.sample(texts, self.samples, self.temperature))
        if not answers:
            return []
        right = []
        pairs = [(e, answer) for e, given in zip(asked.values(), answers, strict=True) for answer in given]
        same = iter(self._context.sames(pairs))
        for e, given in zip(asked.values(), answers, strict=True):
            answer = next((answer for answer, so in [(a, next(same)) for a in given] if so), None)
            if answer is not None:
                right.append(e.model_copy(update={"response": answer, "origin": self.name}))
        self.sampled += len(answers) * self.samples
        self.kept += len(right)
        return right
