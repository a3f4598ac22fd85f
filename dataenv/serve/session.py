"""TeachingSession: an episode taught from outside. Six tools take and give JSON; every face of a server calls them.

What a session shows comes from the observation, the figures of a step and ``Context``, as for any other teacher. It
holds no path to the store, the sealed splits or the weights.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.errors import ActionError, DataenvError, SettingError, did_you_mean
from dataenv.execution.runner import Runner
from dataenv.isolation.desk import ContextDesk, require_open
from dataenv.serve.tools import ARGUMENTS
from dataenv.setting import Setting
from dataenv.snapshot import Snapshot
from dataenv.validation import Count, validated
from tasks.records import Record


class BusyError(DataenvError):
    """A session does one thing at a time."""


class Saved(Record):
    """A session as it is kept between two runs of a server.

    Attributes:
        snapshot: The moment.
        drawn: How often the generator was asked, and the student for samples: what comes next differs from those.
        total_reward: Sum of the rewards so far.
    """

    snapshot: Snapshot
    drawn: tuple[Count, Count] = (0, 0)
    total_reward: float = 0.0


class TeachingSession:
    """One episode behind a server. Safe to use from many threads: a second call meanwhile is refused.

    Args:
        setting: Within which the student is taught.
        level: What an action and an observation are.
        seed: Of the episode.
        runner: Store and executor.
        saved: What ``saved`` gave, to go on from there.

    Attributes:
        seed: Of the episode.
        env: The environment. No face hands it out.
    """

    def __init__(self, setting: Setting, level: str, seed: int, runner: Runner, saved: Saved | None = None) -> None:
        self.seed, self.env = seed, TeachingEnv(level, runner=runner, setting=setting)
        options = None if saved is None else {"snapshot": saved.snapshot}
        self._observation, self._info = self.env.reset(seed=seed, options=options)
        self._context = Context(self.env)
        self._context.drawn = saved.drawn if saved else (0, 0)
        self._reward, self._total = 0.0, saved.total_reward if saved else 0.0
        self._desk = ContextDesk(self._context)
        self._shown: dict[int, tuple[Any, float]] = {}
        self._lock, self._doing = threading.Lock(), ("", 0.0)

    @property
    def ended(self) -> str:
        """Why the episode is over: ``stopped``, ``mastered`` or ``spent``; empty while it is not."""
        return self.env.history[-1].ended

    @property
    def busy(self) -> tuple[str, float]:
        """Which tool is at work, and for how many seconds; no tool, and 0, where none is."""
        tool, since = self._doing
        return (tool, time.monotonic() - since) if tool else ("", 0.0)

    @property
    def saved(self) -> Saved:
        """What a session goes on from, in another process too."""
        return Saved(snapshot=self.env.snapshot(), drawn=self._context.drawn, total_reward=self._total)

    def call(self, tool: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Use a tool.

        Args:
            tool: One of ``dataenv.serve.tools.ARGUMENTS``.
            given: Its arguments, as JSON values.

        Returns:
            Plain JSON.

        Raises:
            SettingError: If there is no such tool, or an argument is wrong.
            ActionError: If a lesson is no action of the level; nothing was charged.
            BudgetSpentError: If the purse cannot pay; nothing was charged.
            BusyError: If another call is at work.
            DataenvError: If the episode is over.
        """
        if tool not in ARGUMENTS:
            raise SettingError(f"tool {str(tool)[:60]!r} is unknown; {did_you_mean(str(tool)[:60], ARGUMENTS)}")
        arguments = validated(ARGUMENTS[tool], given, tool, SettingError)
        if not self._lock.acquire(blocking=False):
            raise BusyError(f"the session is at work ({self._doing[0]}); wait for its reply, then ask again")
        try:
            self._doing = (tool, time.monotonic())
            return getattr(self, f"_{tool}")(arguments)  # type: ignore[no-any-return]
        finally:
            self._doing = ("", 0.0)
            self._lock.release()

    def _look(self, given: Any) -> dict[str, Any]:
        if given.branch:
            self._desk.branch(given.branch)
        observation, reward = self._shown.get(given.branch, (self._observation, self._reward))
        return {
            "skills": list(self._context.skills),
            "level": self._context.level,
            "lesson": self._form(),
            "observation": self._told(observation),
            "reward": reward,
        } | self._standing()

    def _probe(self, given: Any) -> dict[str, Any]:
        require_open(self.ended)
        examples = [example.model_dump() for example in given.examples]
        return {"values": plain(self._desk.ask("probe", {"examples": examples, "kind": given.kind}))} | self._money()

    def _sample(self, given: Any) -> dict[str, Any]:
        require_open(self.ended)
        return {"answers": self._desk.ask("sample", given.model_dump())} | self._money()

    def _fork(self, given: Any) -> dict[str, Any]:
        require_open(self.ended)
        number = self._desk.fork()
        self._shown[number] = (self._observation, 0.0)
        return {"branch": number} | self._money()

    def _teach(self, given: Any) -> dict[str, Any]:
        require_open(self.ended)
        action = self._action(given)
        if given.branch:
            observation, reward, terminated, truncated, info = self._desk.branch(given.branch).step(action)
            self._shown[given.branch] = (observation, float(reward))
            over = {"ended": "over" if terminated or truncated else ""}
            shown = {"observation": self._told(observation), "reward": float(reward), "info": plain(info)}
            return shown | self._money() | over
        self._taught(self.env.step(action))
        while self.env.finishing:
            self._taught(self.env.step(None))
        shown = {"observation": self._told(self._observation), "reward": self._reward, "info": plain(self._info)}
        return shown | self._standing()

    def _taught(self, step: tuple[Any, Any, bool, bool, dict[str, Any]]) -> None:
        self._observation, reward, _, _, self._info = step
        self._reward = float(reward)
        self._total += self._reward
        if self.ended:
            self._desk.close()

    def _stop(self, given: Any) -> dict[str, Any]:
        if given.branch:
            self._desk.leave(given.branch)
            self._shown.pop(given.branch, None)
        elif not self.ended:
            if not self.env.finishing:
                self._taught(self.env.exhaust("stopped"))
            while self.env.finishing:
                self._taught(self.env.step(None))
        return self._standing()

    def _action(self, given: Any) -> Any:
        """The lesson as an action of the level."""
        level, wanted = self.env.level, "examples" if self.env.level.brings else "action"
        wanted = "mixture" if level.name == "skill-list" else wanted
        if getattr(given, wanted) is None:
            raise ActionError(f"teach at level {level.name!r} needs {wanted!r}; {self._form()}")
        action = getattr(given, wanted)
        if wanted == "mixture":
            action = self._mixture(action)
        elif wanted == "examples":
            action = [example.model_dump() for example in action]
        if not given.recipe:
            return action
        beside = {level.beside: action} if level.beside else dict(action)
        return beside | {"recipe": given.recipe}

    def _mixture(self, shares: Mapping[str, float]) -> Any:
        skills = self._context.skills
        strange = next((name for name in shares if name not in skills), None)
        if strange is not None:
            raise ActionError(f"mixture names skill {strange[:60]!r}; {did_you_mean(strange[:60], skills)}")
        return np.array([shares.get(skill, 0.0) for skill in skills], np.float64)

    def _form(self) -> str:
        """How a lesson is written at this level."""
        level = self.env.level
        if level.name == "skill-list":
            return 'give mixture, such as {"' + self._context.skills[0] + '": 1.0}: the share of each skill, 0 to 1'
        if level.brings:
            return f"give examples, about {self._context.lesson_size} of {{prompt, response, skills}}"
        return "give action: " + " ".join((type(level).__doc__ or "").split())

    def _told(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """An observation in plain JSON: figures of the skills by the skill's name."""
        skills, told = self._context.skills, {}
        for name, value in observation.items():
            alone = name in ("score", "budget")
            per_skill = not alone and isinstance(value, np.ndarray) and value.shape == (len(skills),)
            told[name] = dict(zip(skills, plain(value), strict=True)) if per_skill else plain(value)
            told[name] = told[name][0] if alone else told[name]
        return told

    def _standing(self) -> dict[str, Any]:
        return {"total_reward": self._total, "ended": self.ended} | self._money()

    def _money(self) -> dict[str, Any]:
        budget = self._context.budget
        prices = {"lesson": budget.step_price, "example": budget.example_price, "answer": budget.answer_price}
        purse = {"total": budget.total, "spent": budget.spent, "remaining": budget.remaining}
        return {"step": self._context.step, "purse": purse, "prices": prices}


def plain(value: Any) -> Any:
    """An observation, figures or an answer as plain JSON: arrays as lists, tuples too."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.model_dump(mode="json") if isinstance(value, Record) else value
