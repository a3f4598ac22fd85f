"""``skill-tree``: a language model reads the forest and how the student stands, and grows it or moves its data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, create_model

from tasks.records import Record
from teachers.base import require, require_whole
from teachers.chat.client import Chat
from teachers.chat.prompts import render
from teachers.chat.spec import make_spec
from teachers.forest import Action, ForestTeacher, tree_action
from teachers.llm.skill_list import usable

if TYPE_CHECKING:
    from dataenv.episode.context import Context

Part = Annotated[int, Field(ge=0, le=100)]


class SkillTreePolicy(ForestTeacher):
    """A language model as the policy of DataEnvGym's Skill-Tree (arXiv 2410.06215).

    Its code has one; the paper's results at that level are of hand-written policies (``teachers.forest``).
    Before every lesson the model is shown the forest and gives a move for each skill: explore, with a number of new
    subskills and the data of each, or exploit, with the new data of some that are grown. What it does not name stays.

    Args:
        chat: The fields of ``ChatSpec``, or ``local``.
        state: Whether the prompt says the student's accuracy in each skill and subskill. Without, only the forest is
            shown; nothing else changes.
        tries: Replies that are asked for until one can be used; where none can, the episode is stopped.

    Attributes:
        yields: ``plans`` (asked for), ``unusable-plans`` (of them).
        chat: The policy's chat of this episode.
    """

    name: ClassVar[str] = "skill-tree"

    def __init__(self, chat: Mapping[str, Any] | str, state: bool = True, tries: int = 3) -> None:
        require(isinstance(state, bool), "state", state, "give true or false")
        self._spec, self.state, self.tries = make_spec(chat), state, require_whole("tries", tries)

    def begin(self, context: Context) -> None:
        """A new chat."""
        self._context, self.chat = context, Chat.of(self._spec, context)
        self.yields: Counter[str] = Counter()

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Action:
        """The model's moves; zeros, which stop, where it has none or says nothing of use."""
        k, m = observation["grown"].shape
        skills = self._context.skills
        # Where nothing is divided (the pool, a task without subskills) a skill is its own only subskill.
        names = [self._context.subskills(skill)[:m] if m > 1 else (skill,) for skill in skills]
        places = {
            (skill, name): (i, j)
            for i, skill in enumerate(skills)
            for j, name in enumerate(names[i])
            if observation["grown"][i, j]
        }
        plan = self._plan(self._rows(observation, places), places, m)
        if plan is None or not (plan.explore or plan.exploit):
            return tree_action(np.zeros(k), np.zeros(k), np.zeros((k, m)))
        explore, data, allocation = np.zeros(k), np.zeros(k), observation["allocation"].astype(np.float64)
        for new in plan.explore:
            i = skills.index(new.skill)
            explore[i], data[i] = new.new, new.data / 100
        for part in plan.exploit:
            allocation[places[part.skill, part.subskill]] = part.data / 100
        return tree_action(explore, data, allocation)

    def most_requests(self, lesson_size: int) -> int:
        """Requests that a lesson takes at the most, without repair turns and retries; for ``dataenv plan``."""
        return self.tries

    def _rows(
        self, observation: Mapping[str, Any], places: Mapping[tuple[str, str], tuple[int, int]]
    ) -> list[dict[str, Any]]:
        """The fields of each skill in the prompt; without state, no accuracies."""

        def percent(shares: Any) -> int:
            return round(100 * float(shares))

        rows: list[dict[str, Any]] = []
        for i, skill in enumerate(self._context.skills):
            row: dict[str, Any] = {"skill": skill, "left": int(observation["left"][i]), "subskills": []}
            if self.state:
                row["accuracy"] = percent(observation["accuracy"][i])
            rows.append(row)
        for (_, name), (i, j) in places.items():
            part = {"subskill": name, "data": percent(observation["allocation"][i, j])}
            part["taught"] = int(observation["subskill_counts"][i, j])
            if self.state:
                part["accuracy"] = percent(observation["subskill_accuracy"][i, j])
            rows[i]["subskills"].append(part)
        return rows

    def _plan(
        self, rows: Sequence[Mapping[str, Any]], places: Mapping[tuple[str, str], tuple[int, int]], m: int
    ) -> Moves | None:
        """The model's moves, all of which are of the forest; ``None`` where it has said nothing of use."""
        prompt = render(
            "teachers.llm:skill_tree.j2",
            self._context.rng,
            skills=rows,
            total=self._context.lesson_size,
            state=self.state,
            most=m,
        )

        def fits(plan: Moves) -> bool:
            explored = [move.skill for move in plan.explore]
            exploited = [(part.skill, part.subskill) for part in plan.exploit]
            once = len(set(explored)) == len(explored) and len(set(exploited)) == len(exploited)
            return once and not set(exploited) - places.keys() and not set(explored) & {s for s, _ in exploited}

        schema = _moves(self._context.skills, list(dict.fromkeys(name for _, name in places)), m)
        plan: Moves | None = usable(self.chat, prompt, schema, self.tries, self.yields, fits)
        return plan


class Explore(Record):
    """A skill that grows."""

    skill: str
    new: int
    data: Part


class Exploit(Record):
    """The new data of a subskill that is grown."""

    skill: str
    subskill: str
    data: Part


class Moves(Record):
    """The reply, without its closed lists."""

    why: str
    explore: tuple[Explore, ...]
    exploit: tuple[Exploit, ...]


def _moves(skills: Sequence[str], grown: Sequence[str], m: int) -> type[Moves]:
    """The schema of a reply: skills, and names of grown subskills, of closed lists."""
    skill: Any = Literal[tuple(skills)]
    name: Any = Literal[tuple(grown)] if grown else str
    new: Any = create_model(
        "Explore", __base__=Explore, skill=(skill, ...), new=(Annotated[int, Field(ge=1, le=m)], ...)
    )
    part: Any = create_model("Exploit", __base__=Exploit, skill=(skill, ...), subskill=(name, ...))
    explore: Any = Annotated[tuple[new, ...], Field(max_length=len(skills))]
    exploit: Any = Annotated[tuple[part, ...], Field(max_length=len(skills) * m if grown else 0)]
    return create_model("Moves", __base__=Moves, explore=(explore, ...), exploit=(exploit, ...))
