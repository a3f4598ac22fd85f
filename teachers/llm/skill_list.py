"""``skill-list``: a language model reads how the student stands in each skill, and deals out the next lesson."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field, create_model

from tasks.records import Example, Record
from teachers.base import Floats, Level, Teacher, as_action, require
from teachers.chat.client import Chat
from teachers.chat.prompts import render
from teachers.chat.spec import Ask, make_spec
from teachers.engines.writer import Writer, engine_spec

if TYPE_CHECKING:
    from dataenv.episode.context import Context


class SkillListPolicy(Teacher):
    """The language-model policy of DataEnvGym's Skill-List (arXiv 2410.06215, section 2.2).

    The model is shown the skills and says how many examples of the next lesson each gets. Without an ``engine`` that is
    a mixture, which the environment's own engine fills (level ``skill-list``); with one, a language model writes the
    examples as well (level ``open-ended``).

    Args:
        chat: The fields of ``ChatSpec``, or ``local``.
        state: Whether the prompt says how the student stands: at the level ``skill-list`` its accuracy in each skill
            and how much it was taught, at ``open-ended`` its mistakes in each. Without, only the skills' names are
            shown; nothing else changes.
        engine: ``None``: the environment's. Else the fields of ``EngineSpec``, ``{}`` for its defaults; its ``chat`` is
            this one, unless it is given.
        quota: Examples of a lesson that the engine writes; ``None`` for the Setting's ``lesson_size``.
        tries: Replies that are asked for until one can be used; where none can, the episode is stopped.

    Attributes:
        yields: ``plans`` (asked for), ``unusable-plans`` (of them); with an engine its counts too.
        chat: The policy's chat of this episode.
    """

    name: ClassVar[str] = "skill-list"

    def __init__(
        self,
        chat: Mapping[str, Any] | str,
        state: bool = True,
        engine: Mapping[str, Any] | None = None,
        quota: int | None = None,
        tries: int = 3,
    ) -> None:
        require(isinstance(state, bool), "state", state, "give true or false")
        require(tries >= 1, "tries", tries, "give 1 or more")
        require(quota is None or quota >= 1, "quota", quota, "give 1 or more, or leave it out")
        require(quota is None or engine is not None, "quota", quota, "leave it out, or give an engine too")
        self._spec, self.state, self.quota, self.tries = make_spec(chat), state, quota, tries
        self._engine_spec = None if engine is None else engine_spec(chat, engine)
        self.level: Level = "skill-list" if engine is None else "open-ended"  # type: ignore[misc]  # by the argument

    def begin(self, context: Context) -> None:
        """A new chat, and where it writes a new engine; one purse for both where they are one chat."""
        self._context, self.chat, spec = context, Chat.of(self._spec, context), self._engine_spec
        self._engine: Writer | None = None
        self.yields: Counter[str] = Counter()
        if spec is not None:
            shared = self.chat if spec.chat == self._spec else None
            self._engine = Writer(context, spec, self.name, shared)
            self.yields = self._engine.yields

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Any:
        """The next lesson, as a mixture or as examples."""
        counts = self._plan(self._rows(observation))
        if self._engine is None:
            return as_action(counts / max(1.0, counts.sum()))
        return self._written(self._engine, counts)

    def _written(self, engine: Writer, counts: Floats) -> tuple[Example, ...]:
        return tuple(engine.lesson(counts, self._total) if counts.any() else ())

    def most_requests(self, lesson_size: int) -> int:
        """Requests that a lesson takes at the most, without repair turns and retries; for ``dataenv plan``."""
        spec = self._engine_spec
        return self.tries + (spec.most_requests(self.quota or lesson_size) if spec else 0)

    @property
    def _total(self) -> int:
        return self.quota or self._context.lesson_size

    def _rows(self, observation: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The fields of each skill in the prompt; without state, none about the student."""
        skills = self._context.skills
        if not self.state:
            return [{"skill": skill} for skill in skills]
        if "accuracy" in observation:
            percent, taught = np.rint(100 * observation["accuracy"]).astype(int), observation["counts"].astype(int)
            rows = zip(skills, percent.tolist(), taught.tolist(), strict=True)
            return [{"skill": skill, "accuracy": p, "taught": n} for skill, p, n in rows]
        wrong = observation["wrong"].astype(int).tolist()
        return [{"skill": skill, "mistakes": n} for skill, n in zip(skills, wrong, strict=True)]

    def _plan(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """``(skills,)``: what the model deals out; zeros where it ends the training, or says nothing of use."""
        skills = self._context.skills
        prompt = render(
            "teachers.llm:skill_list.j2",
            self._context.rng,
            skills=rows,
            total=self._total,
            state=self.state,
            graded="accuracy" in rows[0],
        )
        counts = np.zeros(len(skills))
        plan = usable(self.chat, prompt, _plan(skills), self.tries, self.yields)
        for given in plan.counts if plan else ():
            counts[skills.index(given.skill)] += given.count
        return counts


def usable(
    chat: Chat,
    prompt: str,
    schema: type[BaseModel],
    tries: int,
    yields: Counter[str],
    fits: Callable[[Any], bool] = lambda value: True,
) -> Any:
    """The first reply of the schema that fits, of a limited number; ``None`` if none fits.

    ``yields`` counts what was asked for (``plans``) and could not be used (``unusable-plans``).
    """
    for sample in range(tries):
        yields["plans"] += 1
        reply = chat.ask(Ask(prompt, schema, sample))
        if reply.ok and fits(reply.value):
            return reply.value
        yields["unusable-plans"] += 1
    return None


class Share(Record):
    """One skill's part, without its closed list."""

    skill: str
    count: int


class MixturePlan(Record):
    """The reply, without its closed list."""

    why: str
    counts: tuple[Share, ...]


def _plan(skills: Sequence[str]) -> type[MixturePlan]:
    """The schema of a plan: a count for skills of a closed list."""
    closed: Any = Literal[tuple(skills)]
    share: Any = create_model("Share", __base__=Share, skill=(closed, ...), count=(Annotated[int, Field(ge=0)], ...))
    counts: Any = Annotated[tuple[share, ...], Field(max_length=len(skills))]
    return create_model("Plan", __base__=MixturePlan, counts=(counts, ...))
