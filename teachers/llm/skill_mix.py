"""``skill-mix``: a language model writes problems that need two skills at once, drawn blindly."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from teachers.base import require, require_whole
from teachers.chat.synthesis import Want
from teachers.llm.synthesizer import Shape, Synthesizer

if TYPE_CHECKING:
    from dataenv.episode.context import Context


class SkillMix(Synthesizer):
    """Instruct-SkillMix (arXiv 2408.14774), a blind control: k random skills a question, k = 2 in the paper.

    There a strong model first names the skills; here they are the task's. Each question comes with references of each
    of its skills, and is solved and filtered as ``Synthesizer`` says, which the paper does not do.

    Args:
        chat: The fields of ``ChatSpec``, or ``local``.
        k: Skills that a question is to need.
        **shape: Of a lesson; see ``Synthesizer``; ``references`` are those of each skill.
    """

    name: ClassVar[str] = "skill-mix"

    def __init__(self, chat: Mapping[str, Any] | str, k: int = 2, **shape: Unpack[Shape]) -> None:
        super().__init__(chat, **shape)
        require_whole("k", k)
        self.k = k

    def begin(self, context: Context) -> None:
        """See Teacher.

        Raises:
            ValueError: If the task has fewer than k skills.
        """
        super().begin(context)
        require(self.k <= len(context.skills), "k", self.k, f"the task has {len(context.skills)} skills")
        self._tuples = list(combinations(context.skills, self.k))

    def wants(self, n: int) -> list[Want]:
        """``n`` random combinations."""
        chosen = [self._tuples[i] for i in self._context.rng.integers(len(self._tuples), size=n).tolist()]
        return [
            Want(
                skills,
                tuple(item for skill in skills for item in self._items(self.references, skill)),
                "teachers.llm:skill_mix.j2",
                data={"skills": skills},
            )
            for skills in chosen
        ]
