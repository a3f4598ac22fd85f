"""``reflection``: another teacher's lesson is criticised and revised once by a language model, and then taught."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from dataenv.episode.teacher import TeacherLike, build_teacher
from dataenv.lessons.screen import as_example
from tasks.records import Example, Record
from teachers.base import Level, Teacher, require
from teachers.chat.client import Chat
from teachers.chat.prompts import render
from teachers.chat.spec import Ask, Reply, make_spec
from teachers.chat.synthesis import LONGEST, usable

if TYPE_CHECKING:
    from dataenv.episode.context import Context
    from dataenv.episode.teacher import Transition


class Revision(Record):
    """The reply: what is wrong or weak, and the example as it should be."""

    critique: str
    question: str
    solution: str


class Reflection(Teacher):
    """An operator over any teacher that brings its examples: each is criticised and revised once before it is taught.

    Self-Refine (arXiv 2303.17651) with one round, on training data. A revision is taken as it is, and nothing filters
    it afterwards: whether it mends more than it breaks is what the counts of right and wrong examples in a run's rows
    show. An example without a revision that can be used is taught as it was.

    Args:
        chat: The fields of ``ChatSpec``: who revises.
        teacher: A registered teacher of the level open-ended.
        args: Its arguments; its own ``chat`` among them, where it needs one.

    Attributes:
        yields: ``offered`` examples, of which ``revised``, ``unchanged`` and ``unusable``; those of the teacher inside
            are ``inner.yields``.
        inner: The teacher inside.
        chat: The chat of this episode that revises.
    """

    name: ClassVar[str] = "reflection"
    level: ClassVar[Level] = "open-ended"

    def __init__(
        self, chat: Mapping[str, Any] | str, teacher: str = "embed-sel", args: Mapping[str, Any] | None = None
    ) -> None:
        self._spec = make_spec(chat)
        self.inner: TeacherLike = build_teacher(teacher, args)
        level = self.inner.level
        require(level == "open-ended", "teacher", teacher, f"its level is {level}; give one that brings its examples")
        self.prior_compute = self.inner.prior_compute
        self._asks_inside = any((args or {}).get(name) is not None for name in ("chat", "engine"))

    def begin(self, context: Context) -> None:
        """Begin both."""
        self._context, self.chat = context, Chat.of(self._spec, context)
        self.yields: Counter[str] = Counter()
        self.inner.begin(context)

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> tuple[Any, ...]:
        """The inner teacher's lesson, revised."""
        lesson = [as_example(offer) or offer for offer in self.inner.act(observation, info)]
        examples = [example for example in lesson if isinstance(example, Example)]
        asks = []
        for example in examples:
            shown = {"question": example.prompt, "solution": example.response}
            prompt = render("teachers.llm:reflection.j2", self._context.rng, longest=LONGEST, example=shown)
            asks.append(Ask(prompt, Revision))
        revised = map(self._revised, examples, self.chat.ask_many(asks))
        # What is no example goes on as it is: the environment's screen counts it.
        return tuple(next(revised) if isinstance(offer, Example) else offer for offer in lesson)

    def most_requests(self, lesson_size: int) -> int | None:
        """Requests that a lesson takes at the most, without repair turns and retries; for ``dataenv plan``.

        The longest lesson that the environment takes is twice ``lesson_size``. None where the teacher inside asks a
        language model as well and does not say how often.
        """
        inner = self.inner.most_requests(lesson_size)
        return None if inner is None and self._asks_inside else 2 * lesson_size + (inner or 0)

    def learn(self, transition: Transition) -> None:
        """Tell the teacher inside."""
        self.inner.learn(transition)

    def _revised(self, example: Example, reply: Reply) -> Example:
        self.yields["offered"] += 1
        if not (reply.ok and usable(reply.value.question) and usable(reply.value.solution)):
            self.yields["unusable"] += 1
            return example
        after = example.model_copy(update={"prompt": reply.value.question, "response": reply.value.solution})
        self.yields["unchanged" if after == example else "revised"] += 1
        return after
