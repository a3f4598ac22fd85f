"""``best-of``: of many candidates, teach those that a metered look at the student finds worth most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from dataenv.errors import SettingError
from tasks.records import Example
from teachers.accel import learnability
from teachers.base import Floats, require, require_share, require_whole
from teachers.drawing import DrawingTeacher
from teachers.lessons import Allowance, Question, Source, as_asked, passed, question_of, shuffled

if TYPE_CHECKING:
    from dataenv.episode.context import Context

Score = Literal["learnability", "influence", "teaching"]
SCORES: tuple[Score, ...] = ("learnability", "influence", "teaching")


class BestOf(DrawingTeacher):
    """Candidates evenly over the skills, one score each, and the best of them.

    With a ``chat`` they are a language model's: valid first (enough solutions agree, see ``Writer``), then:

    * ``learnability``: ``p (1 - p) n / (n - 1)`` of n answers of the student (SFL, arXiv 2408.15099; the selection that
      R-Zero, arXiv 2508.05004, and SPICE, arXiv 2510.24684, reward a challenger for). There is no challenger to be
      trained here, so it is best-of-r. An answer is right if it is the candidate's response to the letter. What is
      always right or always wrong is not taught.
    * ``influence``: how much one update on the candidate alone lowers the loss on a reference of the task's own
      (Montessori-Instruct, arXiv 2410.14208, section 3; there it makes preference pairs for a trained teacher).
    * ``teaching``: how often the student solves related problems of the task's own with the candidate before them in
      its context (learning by teaching, arXiv 2406.14629, M1: a rationale is worth what a student makes of it). All
      candidates of a skill sit the same exam. With ``engine.kept`` above 1 a question has several rationales, and the
      best of them stands for it.

    Every look is paid from the purse. A question is taught once. What is missing, and the floor, are fresh examples.

    Args:
        score: What a candidate is worth.
        chat: The language model that writes the candidates: the fields of ``ChatSpec``, or ``local``; ``None`` for the
            task itself.
        engine: Further fields of ``EngineSpec``.
        candidates: r, candidates for each place in the lesson, as far as ``share`` pays for scoring them.
        samples: Answers to each candidate; of ``learnability``.
        temperature: Of these answers.
        reference: Examples in the reference; of ``influence``.
        exam: Problems that each candidate is tried on; of ``teaching``.
        between: What stands between the solved candidate and such a problem.
        quota: Examples of a lesson; ``None`` for the Setting's ``lesson_size``.
        floor: Share of a lesson dealt out evenly over the skills.
        share: The most of the purse that goes into scoring, in [0, 1]. Where it does not pay for a candidate of every
            skill the lesson is stratified.

    Attributes:
        yields: ``scored`` and ``chosen`` candidates, and the engine's counts.
    """

    name: ClassVar[str] = "best-of"

    def __init__(
        self,
        score: Score = "learnability",
        chat: Mapping[str, Any] | str | None = None,
        engine: Mapping[str, Any] | None = None,
        candidates: int = 4,
        samples: int = 8,
        temperature: float = 1.0,
        reference: int = 64,
        exam: int = 4,
        between: str = "\n\n",
        quota: int | None = None,
        floor: float = 0.2,
        share: float = 1 / 3,
    ) -> None:
        require(score in SCORES, "score", score, f"give one of {', '.join(SCORES)}")
        for field, value, least in (
            ("candidates", candidates, 1),
            ("samples", samples, 2),
            ("reference", reference, 1),
            ("exam", exam, 1),
            ("quota", 1 if quota is None else quota, 1),
        ):
            require_whole(field, value, least)
        require(
            0.0 < temperature < np.inf, "temperature", temperature, "give a finite number > 0; at 0 all are the same"
        )
        self.score, self.candidates, self.samples, self.temperature = score, candidates, samples, temperature
        self.reference, self.exam, self.between, self.quota = reference, exam, between, quota
        self.floor, self.share = require_share("floor", floor), require_share("share", share)
        super().__init__(chat, engine)

    def begin(self, context: Context) -> None:
        """Forget the episode before."""
        super().begin(context)
        self._allowance, self._own = Allowance(context, self.share), Source(context)

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Example]:
        """Make candidates, score them, teach the best."""
        n = self.quota or self._context.lesson_size
        room = n - round(self.floor * n)
        best = self._best(room)
        return shuffled([*best, *self._source.stratified(n - len(best))], self._context.rng)

    def most_requests(self, lesson_size: int) -> int:
        """Requests that a lesson takes at the most, without repair turns and retries; for ``dataenv plan``."""
        return self._requests_for((self.candidates + 1) * (self.quota or lesson_size))

    def _best(self, room: int) -> list[Example]:
        """At the most ``room`` of the candidates, the best first, one for each question."""
        count = min(self.candidates * room, self._affordable())
        if count < len(self._context.skills):
            return []
        ask, made = self._asked(self._source.stratified(count))
        found = self._allowance.spend(lambda: passed(ask, made))
        if found is None:
            return []
        kept, scores = found
        least = 0.0 if self.score == "learnability" else -np.inf
        order = [i for i in np.argsort(-scores, kind="stable") if scores[i] > least]
        best: dict[Question, Example] = {}
        for i in order:
            best.setdefault(question_of(kept[i]), kept[i])
        chosen = list(best.values())[:room]
        self.yields.update(scored=len(kept), chosen=len(chosen))
        return chosen

    def _affordable(self) -> int:
        """Candidates whose scores this step's allowance pays for."""
        budget, allowed = self._context.budget, self._allowance.for_this_step
        if self.score == "learnability":
            return int(allowed // (self.samples * budget.answer_price))
        if self.score == "influence":
            reference = self.reference * budget.example_price
            return max(0, int((allowed - reference) // (3 * budget.example_price + reference)))
        return int(allowed // (self.exam * (budget.answer_price + budget.example_price)))

    def _asked(self, made: list[Example]) -> tuple[Callable[[Sequence[Example]], Floats], list[Example]]:
        """How candidates are scored at this step, and which candidates can be scored."""
        if self.score == "learnability":
            return self._learnability, made
        if self.score == "influence":
            reference = self._own.stratified(self.reference)
            return lambda some: self._context.influence([[e] for e in some], reference), made
        exams = {skill: self._own.draw(skill, self.exam) for skill in self._context.skills}
        tried = {e: [self._shown(e, problem) for problem in exams[e.skills[0]]] for e in made}
        return lambda some: self._teaching(some, tried), self._fit(made, tried)

    def _learnability(self, some: Sequence[Example]) -> Floats:
        answers = self._context.sample(as_asked(some), self.samples, self.temperature)
        pairs, same = zip(some, answers, strict=True), self._context.same
        return np.array([learnability([same(e, answer) for answer in given]) for e, given in pairs])

    def _fit(self, made: list[Example], tried: Mapping[Example, list[Example]]) -> list[Example]:
        """The candidates that the student can read with each exam problem; a SettingError if there are none."""
        fit = [e for e in made if tried[e] and all(self._context.readable(tried[e]))]
        if made and not fit:
            raise SettingError(
                "score is 'teaching', and this student cannot read a solved example and a problem together (too "
                "long, or letters it does not have); give another score, another 'between', or a longer context"
            )
        return fit

    def _teaching(self, some: Sequence[Example], tried: Mapping[Example, list[Example]]) -> Floats:
        """Accuracy on its skill's exam with each candidate in the context."""
        right = iter(self._context.probe([problem for e in some for problem in tried[e]], "accuracy").tolist())
        return np.array([np.mean([next(right) for _ in tried[e]]) for e in some])

    def _shown(self, example: Example, problem: Example) -> Example:
        """A problem with a solved example before it."""
        return problem.model_copy(
            update={"prompt": f"{example.prompt}{example.response}{self.between}{problem.prompt}"}
        )
