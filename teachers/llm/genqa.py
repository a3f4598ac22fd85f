"""``genqa``: a language model lists many kinds of problems, takes one by its number, and writes such a problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from tasks.records import Record
from teachers.base import require_whole
from teachers.chat.synthesis import Want
from teachers.llm.synthesizer import Shape, Synthesizer


class Listed(Record):
    """The reply: many topics, the one that was taken, and problems of it."""

    topics: tuple[str, ...]
    chosen: str
    questions: tuple[str, ...]


class GenQA(Synthesizer):
    """GenQA (arXiv 2406.10323), a blind control: one hand-written *generator prompt* a domain, and chance.

    Asked plainly for a problem a model writes the same few again and again; asked to list many topics first and to take
    the one with a number that is given, it does not. Domains are the task's skills, taken in turn. A few references
    show the form that is wanted, which the paper's chat data do not need; problems are solved and filtered as
    ``Synthesizer`` says.

    Args:
        chat: The fields of ``ChatSpec``, or ``local``.
        topics: Topics in the list.
        **shape: Of a lesson; see ``Synthesizer``.
    """

    name: ClassVar[str] = "genqa"

    def __init__(self, chat: Mapping[str, Any] | str, topics: int = 30, **shape: Unpack[Shape]) -> None:
        super().__init__(chat, **shape)
        require_whole("topics", topics)
        self.topics = topics

    def wants(self, n: int) -> list[Want]:
        """``n`` topics by number, the skills in turn."""
        rng, skills = self._context.rng, self._context.skills
        turn = [skills[i] for i in rng.permutation(len(skills)).tolist()]
        wants = []
        for i in range(n):
            skill = turn[i % len(turn)]
            data = {"skill": skill, "topics": self.topics, "number": 1 + int(rng.integers(self.topics))}
            wants.append(Want((skill,), self._items(self.references, skill), "teachers.llm:genqa.j2", Listed, data))
        return wants
