"""The oracle: the best schedule of lessons for a simulated student, whose curves are known, and the regret to it.

A schedule is worth the best expected accuracy along it (mean over skills, or the Setting's targets, of the model's
probabilities, so no exam's luck is in it): the state that a board would select. Two schedules are found, and each says
what it is:

- ``best_schedule`` is exact over a menu of mixtures: it looks at every sequence of them that the purse buys, by
  breadth, and leaves out only those that a bound proves to be no better. Under one mixture a loss is mapped by an
  increasing function, so each skill's smallest loss by itself, lesson by lesson, is below what any sequence reaches.
- ``refine`` climbs from there over all mixtures, to a local optimum: a schedule that exists, so the regret to it is a
  lower bound of the regret to the best of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dataenv.environment.branch import Env, unwrap
from dataenv.errors import SettingError
from dataenv.learning.policy import TeacherPolicy, features, look
from dataenv.setting import Setting
from dataenv.vector.simulated import SimulatedVectorEnv

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MOST = 2_000_000
"""Schedules looked at side by side; a level that holds more is refused, for the answer would not be exact."""


@dataclass(frozen=True)
class Schedule:
    """Lessons for one student.

    Attributes:
        mixtures: ``(lessons, k)``, rows of sum 1.
        value: Best expected accuracy along it, in [0, 1].
        looked: Schedules and beginnings of schedules that were looked at to find it.
    """

    mixtures: Floats
    value: float
    looked: int


def over_targets(accuracy: Floats, setting: Setting) -> Floats:
    """Mean accuracy over the skills that the Setting's reward looks at, of accuracies ``(…, k)``."""
    skills = setting.built_task.skills
    seen = accuracy[..., [skill in setting.targets for skill in skills]] if setting.targets else accuracy
    return np.asarray(seen.mean(-1), np.float64)


class Course:
    """What lessons do to the student of a seed, for many schedules at once.

    Args:
        setting: With the simulated student; see ``SimulatedVectorEnv`` for what it may say.
        seed: Of the student.
    """

    def __init__(self, setting: Setting, seed: int) -> None:
        self._form = SimulatedVectorEnv(1, setting=setting)
        self.loss, self.pace = self._form.untaught(seed)
        lesson = setting.recipe.updates * int(self._form.price(np.eye(len(self.loss))).min())
        self.lessons = -(-setting.budget.student_tokens // lesson)  # no schedule is longer

    def begin(self, n: int) -> Moments:
        """``n`` times the untaught student."""
        loss = np.repeat(self.loss[None], n, 0)
        return Moments(loss, np.zeros(n, np.int64), self._worth(loss), np.zeros(n, np.bool_))

    def teach(self, at: Moments, mixtures: Floats) -> Moments:
        """A lesson to each, ``(n, k)``; those that are over stay where they are."""
        form = self._form
        each = form.price(mixtures)
        updates, price = form.affordable(at.spent, each, ~at.over)
        pace = np.repeat(self.pace[None], len(at.loss), 0)
        loss = form.model.after(at.loss, pace, mixtures, form.effort(updates))
        spent: Ints = at.spent + price
        over = at.over | (updates == 0) | form.exhausted(spent, each)
        return Moments(loss, spent, np.maximum(at.value, self._worth(loss)), over)

    def value(self, schedules: Floats) -> Floats:
        """What schedules ``(n, lessons, k)`` are worth, ``(n,)``; lessons that cannot be paid are not given."""
        at = self.begin(len(schedules))
        for t in range(schedules.shape[1]):
            at = self.teach(at, schedules[:, t])
        return at.value

    def bound(self, at: Moments, menu: Floats) -> Floats:
        """What no schedule of the menu that goes on from there exceeds, ``(n,)``."""
        form, loss, least = self._form, at.loss, at.loss
        left = form.setting.budget.student_tokens - at.spent
        recipe = form.setting.recipe
        effort = form.effort(np.full(len(loss), recipe.updates))
        cheapest = int(form.price(menu).min())
        pace = np.repeat(self.pace[None], len(loss), 0)
        for _ in range(-(-int(left.max(initial=0)) // (cheapest * recipe.updates))):
            ways = [form.model.after(loss, pace, np.repeat(m[None], len(loss), 0), effort) for m in menu]
            # part of a lesson, which the last may be, lies between its beginning and its end
            loss = np.minimum.reduce([loss, *ways])
            least = np.minimum(least, loss)
        return np.maximum(at.value, self._worth(least))

    def _worth(self, loss: Floats) -> Floats:
        return over_targets(self._form.model.accuracy(loss), self._form.setting)


@dataclass(frozen=True)
class Moments:
    """Where ``n`` schedules have come to: losses ``(n, k)``, tokens spent, best value so far, and whether it ended."""

    loss: Floats
    spent: Ints
    value: Floats
    over: npt.NDArray[np.bool_]

    def at(self, rows: Ints) -> Moments:
        """Some of them, or some of them several times."""
        return Moments(self.loss[rows], self.spent[rows], self.value[rows], self.over[rows])


def best_schedule(setting: Setting, seed: int, menu: npt.ArrayLike) -> Schedule:
    """The best schedule of mixtures of a menu, exactly.

    Args:
        setting: See ``Course``.
        seed: Of the student.
        menu: ``(m, k)``, non-negative; m to the power of the lessons is what it may take.

    Raises:
        SettingError: If the menu is none, or what is left after pruning is more than ``MOST``.
    """
    course, mixtures = Course(setting, seed), _menu(menu, setting)
    m = len(mixtures)
    at = course.begin(1)
    path = np.zeros((1, 0), np.int8)
    best, looked = _constant(course, mixtures)
    while len(at.value):
        n = len(at.value)
        if n * m > MOST:
            raise SettingError(f"menu holds {m} mixtures, of which {n * m} schedules are open; give fewer")
        at = course.teach(at.at(np.repeat(np.arange(n), m)), np.tile(mixtures, (n, 1)))
        path = np.concatenate([np.repeat(path, m, 0), np.tile(np.arange(m, dtype=np.int8), n)[:, None]], axis=1)
        looked += n * m
        top = int(at.value.argmax())
        if at.value[top] > best.value:
            best = Schedule(mixtures[path[top]], float(at.value[top]), 0)
        open_ = np.flatnonzero(~at.over & (course.bound(at, mixtures) > best.value))
        at, path = at.at(open_), path[open_]
    return Schedule(best.mixtures, best.value, looked)


def refine(setting: Setting, seed: int, schedule: Schedule, rounds: int = 60, rate: float = 20.0) -> Schedule:
    """A schedule over all mixtures that is worth at least as much, by exponentiated gradient ascent.

    Args:
        setting: See ``Course``.
        seed: Of the student.
        schedule: Where to begin.
        rounds: Steps uphill.
        rate: Of the first step; it is halved where a step does not go up.
    """
    course, tiny = Course(setting, seed), 1e-4
    now = 0.999 * schedule.mixtures + 0.001 / schedule.mixtures.shape[1]
    best, looked, (t, k) = schedule, 0, now.shape
    for _ in range(rounds):
        moved = np.repeat(now[None], t * k + 1, 0)
        index = np.arange(t * k)
        moved[index + 1, index // k, index % k] += tiny
        moved /= moved.sum(-1, keepdims=True)
        values = course.value(moved)
        looked += len(values)
        if values[0] > best.value:
            best = Schedule(now, float(values[0]), 0)
        slope = ((values[1:] - values[0]) / tiny).reshape(t, k)
        ahead = now * np.exp(np.clip(rate * slope, -1, 1))
        ahead /= ahead.sum(1, keepdims=True)
        if course.value(ahead[None])[0] > values[0]:
            now = ahead
        else:
            rate /= 2
    return Schedule(best.mixtures, best.value, looked)


def expected(env: Env) -> float:
    """What an episode of a simulated student came to: the best expected accuracy along it, in [0, 1].

    Regret is ``best_schedule(…).value - expected(env)``; a teacher whose mixtures are not of the menu may be ahead. The
    environment may be in wrappers.

    Raises:
        SettingError: If the student is a real one, whose curves are unknown.
    """
    from safetensors.numpy import load

    from students.simulated import Simulated

    inner = unwrap(env)
    if not isinstance(inner.student, Simulated):
        raise SettingError(f"student is {inner.setting.student!r}; regret to the oracle is of 'simulated' alone")
    values = []
    for state in dict.fromkeys(record.state for record in inner.history):
        loss = load(inner.runner.weights(state))["loss"]
        values.append(float(over_targets(inner.student.model.accuracy(loss), inner.setting)))
    return max(values)


def _constant(course: Course, mixtures: Floats) -> tuple[Schedule, int]:
    """The best of the schedules that keep to one mixture."""
    whole = np.repeat(mixtures[:, None], course.lessons, 1)
    values = course.value(whole)
    top = int(values.argmax())
    return Schedule(whole[top], float(values[top]), 0), len(values)


def _menu(menu: npt.ArrayLike, setting: Setting) -> Floats:
    """Rows of sum 1."""
    rows, k = np.asarray(menu, np.float64), len(setting.built_task.skills)
    if rows.ndim != 2 or rows.shape[1] != k or not np.isfinite(rows).all() or (rows < 0).any() or not len(rows):
        raise SettingError(f"menu has shape {rows.shape}; give (m, {k}) non-negative numbers, a mixture a row")
    if (rows.sum(1) == 0).any():
        raise SettingError("menu has a row of zeros; give each mixture some skill")
    return np.asarray(rows / rows.sum(1, keepdims=True))


def worth(teach: Callable[[dict[str, Any]], Any], envs: SimulatedVectorEnv, seeds: Sequence[int]) -> Floats:
    """The worth of episodes with simulated students, ``(seeds,)``: the best expected accuracy along each.

    Args:
        teach: From a batch of observations to an action of each.
        envs: As many students, autoreset mode ``SameStep``.
        seeds: One a student.
    """
    observation, _ = envs.reset(seed=seeds)
    best = over_targets(envs.model.accuracy(np.asarray(observation["loss"], np.float64)), envs.setting)
    open_ = np.ones(len(seeds), np.bool_)
    while open_.any():
        observation, _, terminated, truncated, infos = envs.step(teach(observation))
        loss = np.asarray(observation["loss"], np.float64)
        for i in np.flatnonzero(terminated | truncated):
            loss[i] = infos["final_obs"][i]["loss"]
        best = np.where(open_, np.maximum(best, over_targets(envs.model.accuracy(loss), envs.setting)), best)
        open_ &= ~(terminated | truncated)
    return np.asarray(best)


def frozen(policy: TeacherPolicy, setting: Setting, seeds: Sequence[int]) -> Floats:
    """``worth`` of a policy that learns no more."""
    before: list[dict[str, Floats]] = []

    def teach(observation: dict[str, Any]) -> Any:
        now = look(observation)
        x = features(now, before.pop() if before else now)
        before.append(now)
        return policy.mixture(policy.mode(x))

    return worth(teach, SimulatedVectorEnv(len(seeds), autoreset_mode="SameStep", setting=setting), seeds)


def regrets(policy: TeacherPolicy, setting: Setting, seeds: Sequence[int]) -> tuple[Floats, Floats]:
    """The worth of a policy, and how much better the best schedule found for each student is; ``(seeds,)`` each.

    That schedule is climbed to from even shares (``dataenv.learning.oracle.refine``), so a regret is a lower bound.
    """
    found = frozen(policy, setting, seeds)
    k = len(setting.built_task.skills)
    best = [refine(setting, seed, Schedule(np.full((8, k), 1 / k), 0.0, 0)).value for seed in seeds]
    return found, np.maximum(np.array(best) - found, 0.0)
