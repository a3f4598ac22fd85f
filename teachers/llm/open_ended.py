"""``open-ended``: a language model reads the student's mistakes one by one, and writes examples against each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, create_model

from tasks.records import Example, Record
from teachers.base import Level, Teacher, require
from teachers.chat.prompts import render
from teachers.chat.spec import Ask
from teachers.chat.synthesis import NewQuestion, Want, sifted
from teachers.engines.writer import Writer, engine_spec
from teachers.lessons import Source, shuffled
from teachers.profile import stands_for, times

if TYPE_CHECKING:
    from dataenv.episode.context import Context


class OpenEndedPolicy(Teacher):
    """The language-model policy and engine of DataEnvGym's Open-Ended (arXiv 2410.06215, section 2.2).

    For each of some mistakes the model says what is lacking and specifies examples, one question each. Each question is
    then solved several times, and kept where enough solutions agree. Nothing in it names a skill.

    Args:
        chat: The fields of ``ChatSpec``, or ``local``.
        state: Whether the prompts show the student's mistakes (problem, response, right answer). Without, they show as
            many solved examples of the task's own (problem, right answer), drawn evenly over its skills.
        errors: Mistakes, or examples, that are shown at a step, one a prompt.
        specs: Questions that are asked for each.
        engine: Further fields of ``EngineSpec``: how questions are solved and what is kept.

    Attributes:
        yields: ``shown``, and the engine's counts.
        chat: The chat of this episode.
    """

    name: ClassVar[str] = "open-ended"
    level: ClassVar[Level] = "open-ended"

    def __init__(
        self,
        chat: Mapping[str, Any] | str,
        state: bool = True,
        errors: int = 16,
        specs: int = 2,
        engine: Mapping[str, Any] | None = None,
    ) -> None:
        require(isinstance(state, bool), "state", state, "give true or false")
        for field, value in (("errors", errors), ("specs", specs)):
            require(value >= 1, field, value, "give 1 or more")
        self._spec, self.state, self.errors, self.specs = engine_spec(chat, engine), state, errors, specs

    def begin(self, context: Context) -> None:
        """A new engine and its chat."""
        self._context, self._solved = context, Source(context)
        self._engine = Writer(context, self._spec, self.name)
        self.chat = self._engine.chat
        self.yields: Counter[str] = self._engine.yields

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> tuple[Example, ...]:
        """The next lesson; empty if nothing is wrong, or no example was kept."""
        shown = self._shown(observation)
        questions = self._asked(shown)
        lesson = [example for examples in self._engine.answered(questions) for example in examples]
        self.yields.update(shown=len(shown), examples=len(lesson))
        return tuple(lesson)

    def most_requests(self, lesson_size: int) -> int:
        """Requests that a lesson takes at the most, without repair turns and retries; for ``dataenv plan``."""
        return self.errors * (1 + self.specs * self._spec.solutions)

    def _shown(self, observation: Mapping[str, Any]) -> list[dict[str, str]]:
        """What each prompt shows. Without state nothing of the student is among it.

        Mistakes are drawn in proportion to all that were made, those that the observation leaves out among them.
        """
        if not self.state:
            return [{"problem": e.prompt, "right": e.response} for e in self._solved.stratified(self.errors)]
        errors = observation["errors"]
        repeated = np.repeat(np.arange(len(errors)), times(stands_for(self._context, errors, observation["wrong"])))
        drawn = dict.fromkeys(shuffled(repeated.tolist(), self._context.rng))
        chosen = [errors[i] for i in drawn][: self.errors]
        return [{"problem": e["prompt"], "student": e["response"], "right": e["answer"]} for e in chosen]

    def _asked(self, shown: Sequence[Mapping[str, str]]) -> list[NewQuestion]:
        """Questions of use against each, without copies of what was shown and of each other."""
        rng, schema = self._context.rng, _specs(self.specs)
        asks = []
        for one in shown:
            prompt = render("teachers.llm:open_ended.j2", rng, shown=one, state=self.state, specs=self.specs)
            asks.append(Ask(prompt, schema))
        form = Want((), tuple(self._solved.stratified(self._spec.references)))
        replies = self.chat.ask_many(asks)
        said = [NewQuestion(spec.question.strip(), form) for reply in replies if reply.ok for spec in reply.value.specs]
        return sifted(said, {one["problem"].strip() for one in shown}, len(asks) * self.specs, self.yields)


class Spec(Record):
    """One example that is wanted."""

    design: str
    question: str


class Specs(Record):
    """The reply, without how many there are."""

    lacks: str
    specs: tuple[Spec, ...]


@cache
def _specs(count: int) -> type[Specs]:
    """The schema of so many specifications."""
    exact: Any = Annotated[tuple[Spec, ...], Field(min_length=count, max_length=count)]
    return create_model("Specs", __base__=Specs, specs=(exact, ...))
