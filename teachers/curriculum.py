"""Fixed orders: ``curriculum`` over examples, ``skill-curriculum`` over skills, ``cyclical``, ``easy-to-hard``.

They look at the untaught student at most, and then keep to a plan; adaptive teachers have to beat them.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from tasks.errors import UnsupportedError
from teachers.base import Floats, Level, Teacher, as_action, require, require_share, require_whole, with_floor
from teachers.lessons import Allowance, Source, shuffled

if TYPE_CHECKING:
    from dataenv.episode.context import Context
    from tasks.records import Example

Order = Literal["easy", "hard"]
ORDERS = ("easy", "hard")
Measure = Literal["loss", "length", "compression", "diversity"]
MEASURES = ("loss", "length", "compression", "diversity")
STAGES = 4
"""Of difficulty in one lesson of ``easy-to-hard``, where its order is kept."""


class Curriculum(Teacher):
    """Examples by the loss of the untaught student, with linear pacing (Skill-It, arXiv 2307.14430 §4, baselines).

    Lesson i of M is drawn from the first i/M of the pool in that order. Inside a lesson the student's recipe shuffles;
    under ``recipe.order='given'``, which keeps the order, the lesson is handed over in this one. The losses are a probe
    and paid for; of a large pool a sample is looked at, and taught. The other measures read the text alone and cost
    nothing ("Beyond Random Sampling", curricula of pre-training by text metrics); see ``difficulty``.

    Args:
        order: ``easy`` first, or ``hard`` first (the anticurriculum).
        sample: Examples of the pool that are looked at, at the most.
        share: Share of the purse that looking may take; fewer examples are looked at where they cost more.
        by: What says how hard an example is: ``loss``, ``length``, ``compression`` or ``diversity``.
    """

    name: ClassVar[str] = "curriculum"
    level: ClassVar[Level] = "open-ended"

    def __init__(self, order: Order = "easy", sample: int = 4096, share: float = 0.2, by: Measure = "loss") -> None:
        require(order in ORDERS, "order", order, "give 'easy' or 'hard'")
        require(by in MEASURES, "by", by, f"give one of {', '.join(MEASURES)}")
        require_whole("sample", sample)
        self.by: Measure = by
        self.order, self.sample, self.share = order, sample, require_share("share", share)

    def begin(self, context: Context) -> None:
        """Look at the pool, or at fresh examples where the task has none, and put it in order."""
        examples, hard = self._looked(context)
        if hard is not None:  # a purse that pays no look leaves the order as it was drawn
            order = np.argsort(hard if self.order == "easy" else -hard, kind="stable")
            examples = [examples[i] for i in order]
        self._ordered, self._rng, self._size = examples, context.rng, context.lesson_size
        self._in_order = context.order == "given"
        self._lessons, self._made = lessons_left(context), 0

    def _looked(self, context: Context) -> tuple[list[Example], Floats | None]:
        """Examples and their difficulty, which is ``None`` if the purse does not pay for the measurement."""
        if self.by != "loss":
            examples = _some(context, self.sample)
            return examples, difficulty(examples, self.by)
        allowance = Allowance(context, self.share)
        n = min(self.sample, int(allowance.left // context.budget.example_price))
        examples = _some(context, max(1, n))
        return examples, allowance.spend(lambda: context.probe(examples, "loss"))

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Sequence[Example]:
        """A lesson out of the part of the pool that is open by now, without repetition."""
        self._made += 1
        open_now = max(1, math.ceil(len(self._ordered) * min(1.0, self._made / self._lessons)))
        picked = shuffled(range(open_now), self._rng)[: self._size]
        return [self._ordered[i] for i in (sorted(picked) if self._in_order else picked)]


class SkillCurriculum(Teacher):
    """Skills one after the other, by the untaught student's loss, earlier ones mixed back in (Skill-It, §4, baselines).

    Args:
        order: ``easy`` first, or ``hard`` first.
        mix_back: Share of a lesson that goes to the skills of earlier stages.
    """

    name: ClassVar[str] = "skill-curriculum"

    def __init__(self, order: Order = "easy", mix_back: float = 0.4) -> None:
        require(order in ORDERS, "order", order, "give 'easy' or 'hard'")
        self.order, self.mix_back = order, require_share("mix_back", mix_back)

    def begin(self, context: Context) -> None:
        """Forget the order of the episode before."""
        self._order: list[int] | None = None
        self._lessons, self._made = lessons_left(context), 0

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """The skill of this stage, and a share of those before it."""
        loss = np.asarray(observation["loss"], np.float64)
        if self._order is None:
            self._order = np.argsort(loss if self.order == "easy" else -loss, kind="stable").tolist()
        k = len(loss)
        stage = min(k - 1, self._made * k // self._lessons)
        self._made += 1
        shares = np.zeros(k)
        earlier = self._order[:stage]
        shares[self._order[stage]] = 1.0 - self.mix_back if earlier else 1.0
        shares[earlier] += self.mix_back / max(1, len(earlier))
        return as_action(shares)


class Cyclical(Teacher):
    """Skills in turn, a block of lessons each, round and round.

    Args:
        block: Skills of one lesson; the cycle moves on by as many.
        floor: Share dealt out evenly, so that nothing is forgotten between two turns.
    """

    name: ClassVar[str] = "cyclical"

    def __init__(self, block: int = 4, floor: float = 0.2) -> None:
        require_whole("block", block)
        self.block, self.floor = block, require_share("floor", floor)

    def begin(self, context: Context) -> None:
        """Start the cycle anew, at a skill that is drawn."""
        self._next = int(context.rng.integers(len(context.skills)))

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """The next skills of the cycle."""
        k = len(observation["accuracy"])
        block = min(self.block, k)
        weights: Floats = np.zeros(k)
        weights[[(self._next + i) % k for i in range(block)]] = 1.0
        self._next = (self._next + block) % k
        return as_action(with_floor(weights, self.floor))


class EasyToHard(Teacher):
    """Every skill equally, at a difficulty that rises from 0 to 1 over the episode.

    All of a lesson is of one difficulty, and the student's recipe shuffles it. Under ``recipe.order='given'``, which
    keeps the order, the difficulty rises inside the lesson too, in a few stages towards that of the next one.

    Where a task's generator takes no difficulty, or a task has only a pool, this is ``stratified``.

    Args:
        order: ``easy`` first, or ``hard`` first.
    """

    name: ClassVar[str] = "easy-to-hard"
    level: ClassVar[Level] = "open-ended"

    def __init__(self, order: Order = "easy") -> None:
        require(order in ORDERS, "order", order, "give 'easy' or 'hard'")
        self.order = order

    def begin(self, context: Context) -> None:
        """Count the lessons that the purse pays."""
        self._context, self._source = context, Source(context)
        self._lessons, self._made = lessons_left(context), 0

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Sequence[Example]:
        """Equally many fresh examples of every skill, at this lesson's difficulty, or rising from there."""
        context = self._context
        each = -(-context.lesson_size // len(context.skills))
        stages = STAGES if context.order == "given" else 1
        lesson: list[Example] = []
        for stage in range(stages):
            rise = min(1.0, (self._made + stage / stages) / max(1, self._lessons - 1))
            difficulty = rise if self.order == "easy" else 1.0 - rise
            n = each * (stage + 1) // stages - each * stage // stages
            made = [e for skill in context.skills for e in self._source.draw(skill, n, difficulty)]
            lesson += shuffled(made, context.rng)
        self._made += 1
        return lesson[: context.lesson_size]


def difficulty(examples: Sequence[Example], by: Measure) -> Floats:
    """How hard examples are by their text alone, prompt and response, ``(n,)``; larger is harder.

    - ``length``: characters.
    - ``compression``: bytes that zlib makes of it over bytes of it: what repeats itself is easy. Of a text of a few
      bytes zlib's own frame is most of that.
    - ``diversity``: distinct words over words (the type-token ratio), in (0, 1]; of characters, where no text has two
      words.
    """
    texts = [f"{e.prompt} {e.response}" if " " in e.prompt else e.prompt + e.response for e in examples]
    if by == "length":
        return np.array([len(text) for text in texts], np.float64)
    if by == "compression":
        raw = [text.encode() for text in texts]
        return np.array([len(zlib.compress(body, 9)) / max(1, len(body)) for body in raw], np.float64)
    parts: list[Sequence[str]] = [text.split() for text in texts]
    if max(map(len, parts), default=0) < 2:
        parts = list(texts)
    return np.array([len(set(part)) / max(1, len(part)) for part in parts], np.float64)


def _some(context: Context, n: int) -> list[Example]:
    """``n`` examples of the pool, if it holds as many, in a random order; fresh ones where there is no pool."""
    try:
        return shuffled(context.pool(), context.rng)[:n]
    except UnsupportedError:
        return Source(context).stratified(n)


def lessons_left(context: Context) -> int:
    """Lessons of ordinary length that the purse still pays; at least 1."""
    return max(1, round(context.budget.remaining / max(1, context.budget.step_price)))
