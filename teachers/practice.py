"""``deliberate-practice``: of many candidates, teach those that the student is least sure of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from dataenv.errors import BudgetSpentError
from dataenv.lessons.engines import Request
from students.base import FORWARD_BACKWARD
from tasks.images.denoiser import STEPS
from tasks.records import Example
from teachers.base import Floats, require, require_share, require_whole, with_floor
from teachers.drawing import DrawingTeacher
from teachers.lessons import Question, Source, Steered, passed, question_of

if TYPE_CHECKING:
    from dataenv.episode.context import Context

Ints = npt.NDArray[np.int64]
LEAST = -1e300
"""In place of minus infinity, which times zero is no number."""
ROUNDS = 8
"""Times that the generator is asked again for what it made twice."""


class Steer(NamedTuple):
    """How a task's generator is steered; see ``Context.draw``."""

    omega: float = 0.0
    scale: float = 0.0
    checked: bool = True


def _steer(given: Mapping[str, Any]) -> Steer:
    """The teacher's argument ``steer``.

    Raises:
        ValueError: If it names something else, or a value is none.
    """
    for name, value in given.items():
        require(name in Steer._fields, f"steer.{name}", value, f"give some of {', '.join(Steer._fields)}")
        if name == "checked":
            require(isinstance(value, bool), "steer.checked", value, "give true or false")
        else:
            number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < np.inf
            require(number, f"steer.{name}", value, "give a finite number >= 0")
    return Steer(**given)


class DeliberatePractice(DrawingTeacher):
    """Deliberate Practice (arXiv 2502.15588, Algorithm 1) for text: examples that the student is unsure of.

    One step is one trigger: under a recipe with ``data="all"``, ``patience`` and ``cooldown`` the student trains on all
    examples so far until it stalls, and then ``added`` more come. In the paper a diffusion model is *guided* towards
    images x with probability proportional to exp(omega H(x)), H the entropy of the student's prediction (section 3).
    Text has no such gradient, so ``candidates`` times as many examples are made unguided, scored by the student as it
    is *now*, and resampled in those proportions: the same law, the nearer the more candidates there are. A task with
    pictures may have a generator that can be guided as in the paper (``steer``); the schedule is the same.

    With ``omega=0`` nothing is scored, and it is static generation under the same schedule: the paper finds the same.
    With ``rescore=False`` it is generate-then-prune: candidates for all lessons are made and scored once, by the
    student of the first lesson. Where the purse no longer pays for scoring and a whole step after it, lessons are
    unguided.

    Args:
        first: N, examples of the first lesson, unguided; ``None`` for the environment's ``lesson_size``.
        added: P, examples of each later one; ``None`` as well.
        additions: Later lessons; then the teacher stops.
        candidates: r, candidates scored for each one that is kept.
        omega: Weight of the score, per nat; 0 prefers nothing. Irrelevant to ``top``.
        select: ``resample`` draws without replacement with probabilities proportional to exp(omega score); ``top``
            takes the highest scores, what that becomes for omega without bound.
        signal: What the score is: the student's ``entropy`` on the example, or its ``loss``.
        rescore: Whether candidates are made and scored anew for every lesson: what was hard becomes easy.
        trim: Share of the candidates, those of the highest scores, that is never taken, in [0, 1): outliers, and what
            cannot be learnt at all.
        unguided: Share of a lesson that is not selected.
        cap: Largest share of the selected examples that one skill may have, while others are left.
        prior: How the generator mixes skills, by weight; a skill that is not named weighs 1. ``None``: all the same.
        easy: Share of what the generator makes that has difficulty 0; the rest has the skill's own spread.
        chat: The language model that writes the examples (see ``Writer``): the fields of ``ChatSpec``, or ``local``;
            ``None`` for the task's generator.
        engine: Further fields of ``EngineSpec``.
        exemplars: With a chat, how many of a skill's candidates of the lesson before, those of the highest scores,
            the prompt for new ones shows: the cheap guidance of a generator that is no diffusion model. 0 for
            references of the task's own. With it, ``candidates=1`` and ``trim=0`` guide without selecting.
        steer: For tasks whose generator can be steered (``Context.draw``), as a mapping: ``omega``, how far the present
            student guides each step of the sampler, as in the paper; with more than 0 there are no candidates.
            ``scale``, of classifier-free guidance. ``checked``, whether an independent classifier confirms labels.
            ``None`` for the task's own ``generate``.

    Attributes:
        yields: Counts of each stage of the engine.
    """

    name: ClassVar[str] = "deliberate-practice"
    level: ClassVar[Literal["open-ended"]] = "open-ended"

    def __init__(
        self,
        first: int | None = None,
        added: int | None = None,
        additions: int = 7,
        candidates: int = 8,
        omega: float = 3.0,
        select: Literal["resample", "top"] = "resample",
        signal: Literal["entropy", "loss"] = "entropy",
        rescore: bool = True,
        trim: float = 0.05,
        unguided: float = 0.1,
        cap: float = 1.0,
        prior: Mapping[str, float] | None = None,
        easy: float = 0.0,
        chat: Mapping[str, Any] | str | None = None,
        engine: Mapping[str, Any] | None = None,
        exemplars: int = 0,
        steer: Mapping[str, Any] | None = None,
    ) -> None:
        for field, value in (("first", first), ("added", added), ("additions", additions), ("candidates", candidates)):
            require_whole(field, 1 if value is None else value)
        require(0.0 <= omega < np.inf, "omega", omega, "give a finite number >= 0, or select='top'")
        require(select in ("resample", "top"), "select", select, "give 'resample' or 'top'")
        require(signal in ("entropy", "loss"), "signal", signal, "give 'entropy' or 'loss'")
        require(0.0 <= trim < 1.0, "trim", trim, "give a number in [0, 1)")
        require(candidates * (1 - trim) >= 1, "candidates", candidates, f"with trim {trim} too few are left; give more")
        for skill, weight in (prior or {}).items():
            require(0.0 <= weight < np.inf, f"prior.{skill}", weight, "give a finite number >= 0")
        self.first, self.added, self.additions, self.candidates = first, added, additions, candidates
        self.omega, self.select, self.signal, self.rescore, self.trim = omega, select, signal, rescore, trim
        self.unguided, self.cap = require_share("unguided", unguided), require_share("cap", cap)
        self.prior, self.easy = dict(prior or {}), require_share("easy", easy)
        require(exemplars >= 0, "exemplars", exemplars, "give 0 or more")
        require(exemplars == 0 or chat is not None, "exemplars", exemplars, "leave it out, or give a chat")
        self.exemplars = exemplars
        require(steer is None or chat is None, "steer", steer, "leave it out, or the chat")
        self.steer = _steer(steer) if steer is not None else None
        super().__init__(chat, engine)

    def begin(self, context: Context) -> None:
        """Forget the episode before.

        Raises:
            ValueError: If the prior names a skill that the task does not have, or lessons are longer than allowed.
        """
        for skill in self.prior:
            require(skill in context.skills, "prior", skill, f"the task has {', '.join(context.skills)}")
        self._mixture = with_floor([self.prior.get(skill, 1.0) for skill in context.skills], 0.0)
        self._first, self._added = self.first or context.lesson_size, self.added or context.lesson_size
        super().begin(context)
        self._guided: Steered | None = None
        if self.steer is not None:
            how = self.steer
            self._source = Steered(context, 0.0, how.scale, how.checked)
            self._guided = Steered(context, how.omega, how.scale, how.checked) if how.omega else None
            self.yields = self._source.yields
            if self._guided is not None:
                self._guided.yields = self.yields
        self._lessons = 0
        self._taught: set[Question] = set()
        self._stock: list[Example] = []
        self._unsure: dict[str, tuple[Example, ...]] = {}

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> tuple[Example, ...]:
        """The first lesson unguided, then those that the student is unsure of, and at last nothing."""
        if self._lessons > self.additions:
            return ()
        lesson = self._draw(self._first) if self._lessons == 0 else self._addition()
        self._lessons += 1
        self._taught.update(map(question_of, lesson))
        return tuple(lesson)

    def most_requests(self, lesson_size: int) -> int:
        """Requests that a lesson takes at the most, without repair turns and retries; for ``dataenv plan``."""
        added = (self.added or lesson_size) * (1 if self.rescore else self.additions)
        made = max(self.first or lesson_size, (self.candidates + 1) * added)
        return self._requests_for(made)

    def _addition(self) -> list[Example]:
        if self.rescore:
            return self._select(self._added)
        if self._lessons == 1:
            made = self._select(self._added * self.additions)
            self._stock = [made[i] for i in self._context.rng.permutation(len(made))]
        lesson, self._stock = self._stock[: self._added], self._stock[self._added :]
        return lesson

    def _select(self, n: int) -> list[Example]:
        """``n`` examples of which all but the unguided share are resampled by the present student's scores."""
        guided = n - round(self.unguided * n)
        if self._guided is not None and self._can_guide(guided):
            picked = self._draw(guided, self._guided)
            return picked + self._draw(n - len(picked), besides=set(map(question_of, picked)))
        blind = self.omega == 0 and self.select == "resample"
        candidates = [] if blind else self._draw(self.candidates * guided)
        scored = None if blind else self._score(candidates)
        if scored is None:
            return self._draw(n)
        candidates, scores = scored
        self._guide(candidates, scores)
        omega = np.inf if self.select == "top" else self.omega
        order = preference(scores, omega, self.trim, self._context.rng)
        picked = take([candidates[i] for i in order], guided, max(1, round(self.cap * guided)))
        return picked + self._draw(n - len(picked), besides=set(map(question_of, picked)))

    def _guide(self, candidates: Sequence[Example], scores: Floats) -> None:
        """Keep what the next prompts show: of each skill those that the student is least sure of, without outliers."""
        if not self.exemplars:
            return
        order = preference(scores, np.inf, self.trim, self._context.rng)
        for skill in self._context.skills:
            found = [candidates[i] for i in order if candidates[i].skills[0] == skill]
            if found:
                self._unsure[skill] = tuple(found[: self.exemplars])

    def _score(self, candidates: Sequence[Example]) -> tuple[list[Example], Floats] | None:
        """The present student's uncertainty about each item; ``None`` if the purse should not pay for it."""
        budget = self._context.budget
        if budget.remaining < budget.step_price + budget.example_price * len(candidates):
            return None
        try:
            return passed(lambda some: self._context.probe(some, self.signal), candidates)
        except BudgetSpentError:  # they are longer than is usual
            return None

    def _can_guide(self, n: int) -> bool:
        """Whether the purse pays for so many guided examples, and for a whole step after it."""
        budget = self._context.budget
        return budget.remaining >= budget.step_price + FORWARD_BACKWARD * STEPS * budget.example_price * n

    def _draw(self, n: int, source: Source | None = None, besides: Set[Question] = frozenset()) -> list[Example]:
        """``n`` examples from the prior in random order, none of them taught; fewer where the generator has no more."""
        made: dict[Question, Example] = {}
        rng, known = self._context.rng, self._taught | besides
        for _ in range(ROUNDS if self._engine is None else 1):  # an engine has rounds of its own
            counts, wanted = deal(self._mixture, n - len(made), rng), list[Request]()
            for skill, count in zip(self._context.skills, counts.tolist(), strict=True):
                easy, shown = int(rng.binomial(count, self.easy)), self._unsure.get(skill, ())
                wanted += [Request(skill, count - easy, None, shown), Request(skill, easy, 0.0)]
            drawn = [example for examples in (source or self._source).make(wanted) for example in examples]
            made |= {question_of(e): e for e in drawn if question_of(e) not in known}
            if len(made) == n:
                break
        fresh = list(made.values())
        return [fresh[i] for i in rng.permutation(len(fresh))]


def deal(mixture: Floats, n: int, rng: np.random.Generator) -> Ints:
    """How many of ``n`` examples each skill gets: ``mixture * n``, rounded up or down so that the mean is right.

    Systematic sampling: one draw shifts a comb of ``n`` equal teeth over the cumulative mixture, so that a rare skill
    gets its turn now and then, where rounding to the nearest would never teach it.

    Args:
        mixture: ``(k,)``, sums to 1.
        n: Not negative.
        rng: Where the draw comes from.

    Returns:
        ``(k,)``, sums to ``n``.
    """
    edges = np.cumsum(mixture)
    teeth = (np.arange(n) + rng.random()) / max(1, n) * edges[-1]
    return np.bincount(np.searchsorted(edges, teeth, side="right").clip(max=len(mixture) - 1), minlength=len(mixture))


def log_weights(scores: Floats, omega: float) -> Floats:
    """Logarithms of weights proportional to exp(omega score) that sum to 1: log pi of arXiv 2502.15588, section 3.

    Args:
        scores: ``(n,)``, finite, at least one.
        omega: Not negative, finite.

    Returns:
        ``(n,)``, at most 0; minus infinity where a weight is too small for any number.
    """
    with np.errstate(over="ignore"):
        below = np.maximum(scores - scores.max(), LEAST)  # never positive, so exp cannot overflow
        scaled = omega * below
    return np.asarray(scaled - np.log(np.exp(scaled).sum()))


def preference(scores: Floats, omega: float, trim: float, rng: np.random.Generator) -> Ints:
    """Candidates in the order in which they are drawn without replacement, each time proportional to exp(omega score).

    Adding Gumbel noise to log weights and sorting is such a draw (Gumbel-top-k, arXiv 1903.06059).

    Args:
        scores: ``(n,)``, finite.
        omega: Not negative; infinite sorts by score.
        trim: Share of the highest scores that is left out, rounded down, in [0, 1).
        rng: Where every draw comes from.

    Returns:
        Indices into ``scores``, without those left out.
    """
    kept = np.argsort(scores, kind="stable")[: len(scores) - int(trim * len(scores))]
    if not len(kept):
        return kept
    noise = rng.gumbel(size=len(kept))
    keys = scores[kept] if np.isinf(omega) else log_weights(scores[kept], omega) + noise
    return kept[np.lexsort((noise, keys))[::-1]]  # ties are drawn


def take(ordered: Sequence[Example], n: int, cap: int) -> list[Example]:
    """The first ``n`` of which no skill has more than ``cap``; where that is too few, the first passed over too."""
    counts: Counter[str] = Counter()
    within: list[Example] = []
    passed: list[Example] = []
    for example in ordered:
        skill = example.skills[0]
        counts[skill] += 1
        (within if counts[skill] <= cap else passed).append(example)
    return [*within, *passed][:n]
