"""What teachers that let a model write problems are made of: want, propose, solve and filter, until it is enough."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from tasks.records import Example
from teachers.base import Level, Teacher, require
from teachers.chat.client import Chat
from teachers.chat.spec import make_spec
from teachers.chat.synthesis import Want, agreed, propose
from teachers.engines.signature import Seen
from teachers.lessons import by_needed_skill, pool_or_made

if TYPE_CHECKING:
    from dataenv.episode.context import Context


class Shape(TypedDict, total=False):
    """The arguments that every ``Synthesizer`` takes besides its chat; see there."""

    quota: int | None
    references: int
    questions: int
    solutions: int
    agree: int
    walks: int


class Synthesizer(Teacher):
    """A teacher whose lessons a model writes. One of them says what is wanted (``wants``), and nothing else.

    A walk asks for what is wanted, as much of it as the rest of the lesson can need; every new question is solved
    several times, and kept where enough solutions agree, with the solutions that do, if nothing like it was shown or
    made in this episode (``teachers.engines.signature.Seen``). Walks go on until the lesson is full, the chat's purse
    is spent, or one brings nothing. A lesson of which nothing is left stops the episode.

    Args:
        chat: The fields of ``ChatSpec``, or ``local``.
        quota: Examples of a lesson; ``None`` for the Setting's ``lesson_size``.
        references: Solved examples in the prompts.
        questions: New questions for each want.
        solutions: Solutions of each question.
        agree: How many of them must agree.
        walks: At the most, for a lesson.

    Attributes:
        yields: Counts of each stage in this episode: ``asked`` (questions) = ``no-reply`` + ``copies`` +
            ``unusable`` + ``questions``; ``solved`` and ``unsolved`` (solutions), ``consistent`` (questions),
            ``near-duplicates`` (of them, dropped), ``examples``, and what a teacher adds.
        chat: The chat of this episode; its ``counts`` hold the outcome of every request.
    """

    level: ClassVar[Level] = "open-ended"

    def __init__(
        self,
        chat: Mapping[str, Any] | str,
        quota: int | None = None,
        references: int = 3,
        questions: int = 2,
        solutions: int = 3,
        agree: int = 2,
        walks: int = 8,
    ) -> None:
        for field, value in {"references": references, "questions": questions, "walks": walks}.items():
            require(value >= 1, field, value, "give 1 or more")
        require(1 <= agree <= solutions, "agree", agree, f"give 1 to solutions, which is {solutions}")
        require(quota is None or quota >= 1, "quota", quota, "give 1 or more, or leave it out")
        self._spec, self.quota, self.references, self.questions = make_spec(chat), quota, references, questions
        self.solutions, self.agree, self.walks = solutions, agree, walks

    def begin(self, context: Context) -> None:
        """A new chat, whose replies are kept with the episode's states."""
        self._context, self.chat = context, Chat.of(self._spec, context)
        self.yields: Counter[str] = Counter()
        self._pool = pool_or_made(context)
        self._needing = by_needed_skill(self._pool)
        self._seen = Seen()

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> tuple[Example, ...]:
        """The next lesson; empty if nothing is wanted, or no example was kept."""
        self.look(observation)
        quota, kept = self.quota or self._context.lesson_size, dict[tuple[str, str], Example]()
        for walk in range(self.walks):
            before = len(kept)
            for example in self._walk(-(-(quota - before) // self.questions), walk):
                kept.setdefault((example.prompt, example.response), example)
            if len(kept) >= quota or len(kept) == before:
                break
        self.yields["examples"] += min(quota, len(kept))
        return tuple(kept.values())[:quota]

    def most_requests(self, lesson_size: int) -> int:
        """Requests that a lesson takes at the most, without repair turns and retries; for ``dataenv plan``."""
        wants = -(-(self.quota or lesson_size) // self.questions)
        return self.walks * wants * (1 + self.questions * self.solutions)

    def look(self, observation: dict[str, Any]) -> None:
        """Look at the student, before a lesson."""

    @abstractmethod
    def wants(self, n: int) -> list[Want]:
        """What is wanted next: ``n`` wants at the most, none where there is nothing left to want."""

    def learnt(self, want: Want, examples: Sequence[Example]) -> None:
        """Take note of the result of a question that was wanted."""

    def _walk(self, n: int, walk: int) -> list[Example]:
        rng, wants = self._context.rng, self.wants(n)
        self._seen.show(wants)
        fresh = propose(self.chat, wants, self.questions, rng, self.yields, walk)
        made = agreed(self.chat, fresh, self.solutions, self.agree, rng, self.yields, self.name)
        new = [self._seen.new(question, examples, self.yields) for question, examples in zip(fresh, made, strict=True)]
        for question, examples in zip(fresh, new, strict=True):
            self.learnt(question.want, examples)
        return [example for examples in new for example in examples]

    def _items(self, n: int, skill: str | None = None) -> tuple[Example, ...]:
        """``n`` random items of the pool, or of those that need a skill; fewer where there are fewer."""
        items = self._pool if skill is None else self._needing.get(skill, ())
        return tuple(items[i] for i in self._context.rng.permutation(len(items))[:n].tolist())
