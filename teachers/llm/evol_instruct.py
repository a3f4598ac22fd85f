"""``evol-instruct``: a language model makes problems harder or rarer, a little at a time, round after round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from tasks.records import Example, Record
from teachers.base import require_whole
from teachers.chat.synthesis import Want
from teachers.llm.synthesizer import Shape, Synthesizer

if TYPE_CHECKING:
    from dataenv.episode.context import Context

WAYS = ("constraint", "deepen", "concrete", "steps", "breadth")
"""How a problem evolves: one more condition; a deeper question; a concrete case for a general notion; one more step of
reasoning; or a new problem of the same field, rarer than this one. What stands in the prompt is in its template."""


class Evolved(Record):
    """The reply: what is changed, and the new problems."""

    plan: str
    questions: tuple[str, ...]


@dataclass
class Line:
    """A problem of the pool, what has become of it, and in how many rounds."""

    seed: Example
    now: Example
    rounds: int = 0


class EvolInstruct(Synthesizer):
    """Evol-Instruct (WizardLM, arXiv 2304.12244), a blind control: one way to evolve at random, up to four rounds.

    The paper's eliminator drops what the model cannot answer, or what is no gain; here that is the filter of
    ``Synthesizer``: a problem whose solutions do not agree is dropped, and its line stays where it was. After its last
    round a line starts again from its seed.

    Args:
        chat: The fields of ``ChatSpec``, or ``local``.
        rounds: Times that a problem is evolved.
        seeds: Problems of the pool that are evolved in an episode.
        **shape: Of a lesson; see ``Synthesizer``. Of the ``questions`` of one want the first that is kept goes on.

    Attributes:
        yields: Besides the others: ``evolved`` (questions that took a line a round further).
    """

    name: ClassVar[str] = "evol-instruct"

    def __init__(self, chat: Mapping[str, Any] | str, rounds: int = 4, seeds: int = 64, **shape: Unpack[Shape]) -> None:
        super().__init__(chat, **shape)
        for field, value in {"rounds": rounds, "seeds": seeds}.items():
            require_whole(field, value)
        self.rounds, self.seeds = rounds, seeds

    def begin(self, context: Context) -> None:
        """Draw the seeds."""
        super().begin(context)
        self._lines = [Line(item, item) for item in self._items(self.seeds)]
        self._next = 0

    def wants(self, n: int) -> list[Want]:
        """The next lines, each by a random way."""
        wants = []
        for _ in range(min(n, len(self._lines))):
            at = self._next % len(self._lines)
            self._next += 1
            now = self._lines[at].now
            data = {"way": int(self._context.rng.integers(len(WAYS))), "line": at}
            wants.append(Want(now.skills, (now,), "teachers.llm:evol_instruct.j2", Evolved, data))
        return wants

    def learnt(self, want: Want, examples: Sequence[Example]) -> None:
        """Go on from what was kept."""
        line = self._lines[want.data["line"]]
        if not examples or line.now is not want.references[0]:
            return
        self.yields["evolved"] += 1
        line.now, line.rounds = examples[0], line.rounds + 1
        if line.rounds == self.rounds:
            line.now, line.rounds = line.seed, 0
