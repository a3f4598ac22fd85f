"""``stat-syn``: a language model finds the skills that mistakes lack, and writes new problems that need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from teachers.chat.synthesis import Want
from teachers.llm.synthesizer import Shape, Synthesizer
from teachers.profile import Detect, Diagnosis, Profile, diagnosed, difficult_problems, require_profile, times

if TYPE_CHECKING:
    from dataenv.episode.context import Context
    from dataenv.episode.profiles import SkillProfile


class StatSyn(Synthesizer):
    """STAT-Syn of Skill-Targeted Adaptive Training (arXiv 2510.10023, section 3).

    Stage 1: difficult questions; stage 2: for each, the model says which skills of the task's closed list are missing,
    three at the most (``teachers.profile``). Stage 3: for each question and each skill that it lacks, three references
    that need the skill give two new questions; ``Synthesizer`` says which are kept. The pairs are gone through
    in a random order, again and again, with other references each time. A question that stands for several, because
    the observation does not show all mistakes, gives its pairs as often.

    Args:
        chat: The fields of ``ChatSpec``, or ``local``.
        profile: ``step`` profiles the student anew at every step (ConSyn in the paper); ``once`` before the first.
        diagnosis: Who finds the missing skills: the model (``chat``), or the task's own rules (``task``).
        difficult: Questions that are diagnosed at the most, drawn from those shown (for ``consistency``: that are
            asked); the paper has 500.
        detect: How a difficult question is found: wrong, says the ``verifier``; or by the ``consistency`` of five
            answers, which are paid from the purse.
        **shape: Of a lesson; see ``Synthesizer``.

    Attributes:
        yields: Besides the others: ``errors``, ``diagnosed``, ``pairs``.
        profiles: Every missing-skill profile of this episode.
    """

    name: ClassVar[str] = "stat-syn"

    def __init__(
        self,
        chat: Mapping[str, Any] | str,
        profile: Profile = "step",
        diagnosis: Diagnosis = "chat",
        difficult: int = 32,
        detect: Detect = "verifier",
        **shape: Unpack[Shape],
    ) -> None:
        super().__init__(chat, **shape)
        require_profile(detect, diagnosis, profile, difficult, chat)
        self.profile, self.diagnosis, self.difficult, self.detect = profile, diagnosis, difficult, detect

    def begin(self, context: Context) -> None:
        """No profile yet."""
        super().begin(context)
        self._pairs: list[str] | None = None
        self._next = 0
        self.profiles: list[SkillProfile] = []

    def look(self, observation: dict[str, Any]) -> None:
        """The missing skill of every (question, skill) pair; the last profile's, where nothing can be found out now.

        That is so if the purse pays no look, or no diagnosis comes.
        """
        if self._pairs is not None and self.profile == "once":
            return
        context = self._context
        errors = difficult_problems(context, observation, self.detect, self.difficult)
        chat = self.chat if self.diagnosis == "chat" else None
        found = None if errors is None else diagnosed(context, errors, chat, self.yields, self.profiles)
        if found is None:
            return
        repeated = times([weight for _, weight in found])
        pairs = [skill for (skills, _), n in zip(found, repeated, strict=True) for skill in skills * n]
        self._pairs, self._next = [pairs[i] for i in context.rng.permutation(len(pairs))], 0

    def most_requests(self, lesson_size: int) -> int:
        """See ``Synthesizer``; the diagnoses come on top."""
        return super().most_requests(lesson_size) + (self.difficult if self.diagnosis == "chat" else 0)

    def wants(self, n: int) -> list[Want]:
        """The next pairs."""
        pairs = self._pairs or []
        chosen = [pairs[(self._next + i) % len(pairs)] for i in range(min(n, len(pairs)))]
        self._next += len(chosen)
        return [
            Want((skill,), self._items(self.references, skill), "teachers.chat:propose.j2", data={"skill": skill})
            for skill in chosen
        ]
