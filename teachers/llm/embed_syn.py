"""``embed-syn``: a language model writes problems like the ones that look most like what was answered wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np

from tasks.embedding import Embedding, nearest
from tasks.records import Example
from teachers.base import require
from teachers.chat.synthesis import Want
from teachers.llm.synthesizer import Shape, Synthesizer
from teachers.profile import Detect, difficult_problems, require_profile, times

if TYPE_CHECKING:
    from dataenv.episode.context import Context


class EmbedSyn(Synthesizer):
    """Embed-Syn, the baseline of STAT-Syn (arXiv 2510.10023, section 4): the same, and no skills.

    For each difficult question, three of the five items of the pool that look most like it are the references for new
    questions. The embedding is that of ``embed-sel``. The difficult questions are gone through in a random order, again
    and again, with other references each time.

    Args:
        chat: The fields of ``ChatSpec``, or ``local``.
        difficult: Questions that are looked at in a step, at the most, drawn from those shown (for ``consistency``:
            that are asked).
        detect: How a difficult question is found: wrong, says the ``verifier``; or by the ``consistency`` of five
            answers, which are paid from the purse.
        neighbours: Items of the pool among which references are drawn.
        **shape: Of a lesson; see ``Synthesizer``.

    Attributes:
        yields: Besides the others: ``errors``.
    """

    name: ClassVar[str] = "embed-syn"

    def __init__(
        self,
        chat: Mapping[str, Any] | str,
        difficult: int = 32,
        detect: Detect = "verifier",
        neighbours: int = 5,
        **shape: Unpack[Shape],
    ) -> None:
        super().__init__(chat, **shape)
        require_profile(detect, "task", "step", difficult, chat)
        require(neighbours >= 1, "neighbours", neighbours, "give 1 or more")
        self.difficult, self.detect, self.neighbours = difficult, detect, neighbours

    def begin(self, context: Context) -> None:
        """Embed the pool."""
        super().begin(context)
        self._embedding = Embedding([example.prompt for example in self._pool])
        self._near: list[list[Example]] = []

    def look(self, observation: dict[str, Any]) -> None:
        """The neighbours of every difficult question; the last ones', where the purse allows no look."""
        context = self._context
        errors = difficult_problems(context, observation, self.detect, self.difficult)
        if errors is None:
            return
        self.yields["errors"] += len(errors)
        queries = self._embedding.embed([error["prompt"] for error, _ in errors])
        repeated = np.repeat(np.arange(len(errors)), times([weight for _, weight in errors]))
        chosen = repeated[context.rng.permutation(len(repeated))]
        order = nearest(self._embedding.vectors, queries)[chosen, : self.neighbours]
        self._near, self._next = [[self._pool[i] for i in row] for row in order.tolist()], 0

    def wants(self, n: int) -> list[Want]:
        """The next difficult questions' neighbours."""
        rng, wants = self._context.rng, []
        for _ in range(min(n, len(self._near))):
            near = self._near[self._next % len(self._near)]
            self._next += 1
            references = tuple(near[i] for i in rng.permutation(len(near))[: self.references].tolist())
            wants.append(Want(references[0].skills, references, "teachers.llm:embed_syn.j2"))
        return wants
