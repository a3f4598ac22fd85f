"""``influence``: try one update on each of many small groups, and teach more of the kind that helped most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachers.base import Floats, require, require_share, require_whole, with_floor
from teachers.drawing import DrawingTeacher
from teachers.lessons import Allowance, Source, passed, shuffled

if TYPE_CHECKING:
    from dataenv.episode.context import Context
    from tasks.records import Example


class Influence(DrawingTeacher):
    """One-step influence (Montessori-Instruct, arXiv 2410.14208, section 3) as a choice among the engine's groups.

    Before every lesson, groups of fresh examples are made, in rounds of one group a skill, and ``context.influence``
    says how much one update on each lowers the loss on a reference of fresh examples, evenly over the skills. The best
    groups are taught themselves, filled up with fresh examples of their skills, and a floor of all skills.

    There, influence makes preference pairs that train a teacher model (DPO). Here there is no teacher model: this is
    best-of-r, and the engine is asked for more of a skill where the model would have learnt to write more of it. There
    single instructions are scored, here groups, for a group of m costs one job and not m. The groups are ranked, and
    the sign is not used: with carried moments every step moves along the old ones too, which adds much the same to all.

    Args:
        group: Examples in a group; its update sees each once.
        reference: Examples in the reference (256 in the paper).
        keep: Share of the groups that is taught, in (0, 1]; at least one is.
        floor: Share of a lesson dealt out evenly over the skills.
        share: The most of the purse that goes into probing, in [0, 1], spread over the lessons. Where what is left does
            not pay for a group of every skill the lesson is stratified: to rank a few skills would starve the others.
        chat: The language model that writes the groups (see ``Writer``): the fields of ``ChatSpec``, or ``local``;
            ``None`` for the task itself. The reference is always the task's.
        engine: Further fields of ``EngineSpec``.

    Attributes:
        yields: Counts of each stage of the engine.
    """

    name: ClassVar[str] = "influence"

    def __init__(
        self,
        group: int = 16,
        reference: int = 128,
        keep: float = 0.5,
        floor: float = 0.2,
        share: float = 1 / 3,
        chat: Mapping[str, Any] | str | None = None,
        engine: Mapping[str, Any] | None = None,
    ) -> None:
        for field, value in (("group", group), ("reference", reference)):
            require_whole(field, value)
        require(0.0 < keep <= 1.0, "keep", keep, "give a number in (0, 1]")
        self.group, self.reference, self.keep = group, reference, keep
        self.floor, self.share = require_share("floor", floor), require_share("share", share)
        super().__init__(chat, engine)

    def begin(self, context: Context) -> None:
        """Forget the episode before."""
        super().begin(context)
        self._allowance = Allowance(context, self.share)
        self._own = self._source if self._engine is None else Source(context)

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Example]:
        """Probe, and teach the best."""
        groups = self._candidates()
        found = None
        if groups:
            reference = self._own.stratified(self.reference)
            ask = lambda some: self._context.influence([e for _, e in some], reference)  # noqa: E731
            found = self._allowance.spend(lambda: passed(ask, groups))
        return self._source.stratified() if found is None else self._lesson(*found)

    def most_requests(self, lesson_size: int) -> int | None:
        """None without a chat; with one, the share of the purse bounds the groups, and no lesson's size does.

        For ``dataenv plan``.
        """
        return 0 if self._engine is None else None

    def _candidates(self) -> list[tuple[int, list[Example]]]:
        """As many groups as this step's allowance pays for, each with the number of its skill; skills take turns."""
        context = self._context
        example = context.budget.example_price
        reference, each = self.reference * example, (3 * self.group + self.reference) * example
        k = len(context.skills)
        if self._allowance.left < reference + k * each:
            return []
        n = max(k, int((self._allowance.for_this_step - reference) // each))
        turns = [skill for _ in range(-(-n // k)) for skill in context.rng.permutation(k).tolist()]
        made = [(skill, self._source.draw(context.skills[skill], self.group)) for skill in turns[:n]]
        return [(skill, examples) for skill, examples in made if examples]

    def _lesson(self, groups: list[tuple[int, list[Example]]], found: Floats) -> list[Example]:
        """The best groups themselves, fresh examples of their skills, and the floor."""
        context = self._context
        even = round(self.floor * context.lesson_size)
        room = context.lesson_size - even
        most = min(max(1, round(self.keep * len(groups))), room // self.group)
        best = [groups[i] for i in np.argsort(-found, kind="stable")[:most]]
        shares = np.bincount([skill for skill, _ in best], minlength=len(context.skills)).astype(np.float64)
        measured = [e for _, examples in best for e in examples]
        more = self._source.lesson(with_floor(shares, 0.0), room - len(measured))
        return shuffled([*measured, *more, *self._source.stratified(even)], context.rng)
