"""The vector form of the simulated student: thousands of skill-list episodes a second in NumPy, nothing generated.

``gymnasium.make_vec("dataenv/Simulated-v0", num_envs=1024)`` makes one; ``gymnasium.make("dataenv/Simulated-v0")`` is
the environment itself around the same student. Both go through the same figures where the screen drops nothing of a
lesson; where it drops duplicates, this form, which makes no examples, does not see that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from dataenv.errors import ActionError, SettingError
from dataenv.lessons.engines import split_counts
from dataenv.levels.base import read_numbers
from dataenv.levels.skill_list import SkillList
from dataenv.levels.spaces import unit_box
from dataenv.setting import Setting, make_setting
from dataenv.vector.variation import Variation, Varied
from dataenv.vector.vector_env import autoreset_mode_of, masked, resets_of, seeds_of
from dataenv.wrappers.numeric import as_shares
from students.base import FORWARD_BACKWARD
from students.simulated import Simulated
from students.simulated.student import recognise
from tasks.records import Example, Split, stream

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
NUMBERS = ("accuracy", "loss", "counts", "score", "budget")
"""Of an observation of the skill-list level, what is kept; the mistakes, which are text, are not."""
PLAIN = {"method": "sft", "start": "current", "data": "lesson", "replay": 0.0, "patience": 0}
"""What a recipe must say, for this form keeps no lessons."""


class SplitThresholds:
    """Where the problems of a split stand, by skill: how many are answered rightly is a count of those below."""

    def __init__(self, setting: Setting, split: Split) -> None:
        places: dict[int, list[float]] = {i: [] for i in range(len(setting.built_task.skills))}
        for problem in setting.exam_items(split):
            known = recognise(problem.prompt)
            assert known is not None, "every problem of these splits is of a skill"
            places[known.skill].append(known.place)
        self._places = [np.sort(row) for row in places.values()]
        self.n = np.array([len(row) for row in self._places], np.int64)

    def shares(self, accuracy: Floats) -> Floats:
        """Right answers over problems, ``(envs, k)``, of students of that accuracy."""
        columns = [np.searchsorted(row, accuracy[:, j]) for j, row in enumerate(self._places)]
        return np.ascontiguousarray(np.stack(columns, axis=1) / np.maximum(self.n, 1))


class SimulatedVectorEnv(VectorEnv[Any, Any, npt.NDArray[Any]]):
    """Many simulated students, one lesson each a step.

    Observations are those of ``SkillList`` without ``errors`` and ``wrong``; actions, rewards and ends are the
    same; infos hold ``spent``, ``updates`` and, under ``SameStep``, ``final_obs``.

    Args:
        num_envs: How many.
        level: ``skill-list``.
        autoreset_mode: See ``TeachingVectorEnv``.
        actions: ``box`` for the numbers of ``dataenv.numeric``: one array of observations, in [0, 1].
        vary: How far students depart from the curves, each episode anew (domain randomisation, for a teacher that is to
            be trained on more than what was fitted); ``None`` for students as ``TeachingEnv`` has them.
        setting: In place of fields, a Setting that is there already.
        **fields: The fields of ``Setting``; student ``simulated``, procedural engine, a recipe that goes on from the
            current student with the lesson alone, without replay and patience, and no cap on examples.

    Raises:
        SettingError: If a field is wrong, or asks for what this form does not have.
    """

    def __init__(
        self,
        num_envs: int = 1,
        level: str = "skill-list",
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        actions: Literal["box"] | None = None,
        vary: Variation | None = None,
        setting: Setting | None = None,
        **fields: Any,
    ) -> None:
        self.setting = setting or make_setting({"student": "simulated"} | fields)
        _check(self.setting, level)
        student = self.setting.built_student
        assert isinstance(student, Simulated)
        self.student, self.model, self.num_envs = student, student.model, num_envs
        self.skills = self.setting.built_task.skills
        self._level = SkillList(self.setting)
        self.single_action_space = self._level.action_space
        whole = self._level.observation_space
        assert isinstance(whole, spaces.Dict)
        fields = {name: space for name, space in whole.items() if name in NUMBERS}
        if actions not in (None, "box"):
            raise SettingError(f"actions is {actions!r}; this vector gives 'box' alone")
        self._flat = {n: float(b.high.max()) for n, b in fields.items() if isinstance(b, spaces.Box)} if actions else {}
        length = sum(b.shape[0] for b in fields.values() if b.shape)
        self.single_observation_space: spaces.Space[Any] = unit_box(length) if self._flat else spaces.Dict(fields)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.metadata = {"autoreset_mode": autoreset_mode_of(autoreset_mode)}
        self._feedback, self._selection = (SplitThresholds(self.setting, name) for name in ("feedback", "selection"))
        self._tokens = _tokens(self.setting, student)
        self._known: dict[int, tuple[Floats, Floats]] = {}
        k = len(self.skills)
        self._loss, self._pace = np.zeros((num_envs, k)), np.zeros((num_envs, k))
        self._counts, self._seeds = np.zeros((num_envs, k), np.int64), np.zeros(num_envs, np.int64)
        self._spent, self._step = np.zeros(num_envs, np.int64), np.zeros(num_envs, np.int64)
        self._score, self._over = np.zeros(num_envs), np.zeros(num_envs, np.bool_)
        self._draws: list[np.random.Generator | None] = [None] * num_envs
        self._varied = None if vary is None else Varied(vary, student, self.setting, num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start all episodes, or those of ``options["reset_mask"]``, as ``TeachingVectorEnv.reset``.

        Raises:
            ActionError: If a seed or the mask does not fit, or a snapshot is given.
        """
        given = dict(options or {})
        chosen = masked(given.pop("reset_mask", None), self.num_envs)
        if given:
            raise ActionError(f"options has {', '.join(given)}; this vector takes 'reset_mask' alone")
        seeds = seeds_of(seed, self.num_envs)
        self._start(chosen, [seeds[i] for i in chosen])
        return self._observe(), self._info(np.zeros(self.num_envs, np.int64))

    def step(self, actions: Any) -> tuple[Any, npt.NDArray[np.float64], Bools, Bools, dict[str, Any]]:
        """Teach every student a lesson; see ``TeachingVectorEnv.step``.

        Raises:
            ActionError: If an action is none of the level, with the environment that it is of.
        """
        weights, mode = self._read(actions), self.metadata["autoreset_mode"]
        resets = resets_of(mode, self._over)
        total = weights.sum(1)
        stop = (total == 0.0) & ~resets
        taught = ~(stop | resets)
        counts = self._lesson(weights, np.where(total > 0, total, 1.0), taught)
        updates, price, each = self._pay(counts, taught)
        before = self._score.copy()
        self._teach(counts, updates)
        self._spent += price
        self._step += ~resets
        rewards = np.where(resets, 0.0, self._score - before)
        mastered = (self._score >= self.setting.mastery) & taught
        terminated = stop | mastered
        truncated = taught & ~mastered & ((price == 0) | self.exhausted(self._spent, each))
        self._over = terminated | truncated
        infos: dict[str, Any] = {}
        if mode is AutoresetMode.SAME_STEP and self._over.any():
            infos, resets = self._final(updates), self._over.copy()
            updates = np.where(resets, 0, updates)
        self._start(np.flatnonzero(resets).tolist())
        return self._observe(), rewards, terminated, truncated, self._info(updates) | infos

    def _final(self, updates: Ints) -> dict[str, Any]:
        """``final_obs`` and ``final_info`` of the episodes that have ended, as gymnasium's vectors give them."""
        observation, info, over = self._observe(), self._info(updates), self._over.copy()
        last = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(over):
            last[i] = observation[i] if self._flat else {name: values[i] for name, values in observation.items()}
        return {"final_obs": last, "_final_obs": over, "final_info": info, "_final_info": over}

    def _read(self, actions: Any) -> Floats:
        """Weights ``(envs, k)``, checked as ``SkillList.read`` does."""
        shape = (self.num_envs, len(self.skills))
        weights = read_numbers(actions, "actions", f"give numbers from 0 to 1, {shape}")
        if weights.shape != shape:
            raise ActionError(f"actions has shape {weights.shape}; give {shape}, a row for each environment")
        bad = ~(np.isfinite(weights) & (weights >= -1e-6) & (weights <= 1 + 1e-6))
        if bad.any():
            i = int(np.flatnonzero(bad.any(1))[0])
            try:
                self._level.read(weights[i], {})
            except ActionError as error:
                raise ActionError(f"environment {i}: {error}") from None
        return np.ascontiguousarray(np.clip(weights, 0.0, 1.0))

    def _lesson(self, weights: Floats, total: Floats, taught: Bools) -> Ints:
        """Examples by skill, ``(envs, k)``: the same whole numbers as ``engines.split_counts``, its draws included."""
        size, k = self.setting.lesson_size, len(self.skills)
        mixture = weights / total[:, None]
        whole = mixture.sum(1)
        exact = mixture / np.where(whole > 0, whole, 1.0)[:, None] * size
        counts = np.floor(exact).astype(np.int64)
        rest = np.round(exact - counts, 9)
        lacking = np.where(taught, size - counts.sum(1), 0)
        order = np.argsort(-rest, axis=1, kind="stable")
        ranked = np.take_along_axis(rest, order, axis=1)
        last = np.clip(lacking - 1, 0, k - 1)[:, None]
        edge, beyond = (np.take_along_axis(ranked, np.minimum(at, k - 1), axis=1)[:, 0] for at in (last, last + 1))
        add = np.zeros_like(counts)
        np.put_along_axis(add, order, (np.arange(k) < lacking[:, None]).astype(np.int64), axis=1)
        counts = np.where(taught[:, None], counts + add, 0)
        for i in np.flatnonzero((lacking > 0) & (lacking < k) & (edge == beyond)):  # a tie: who gets it is drawn
            rng = stream(int(self._seeds[i]), "engine", int(self._step[i]))
            counts[i] = split_counts(mixture[i], size, rng)
        return counts

    def _pay(self, counts: Ints, taught: Bools) -> tuple[Ints, Ints, Ints]:
        """Updates that the purse buys, their price, and that of one; see ``price.price_of`` and ``tuition.charge``."""
        each = self.price(counts / self.setting.lesson_size)
        return *self.affordable(self._spent, each, taught), each

    def affordable(self, spent: Ints, each: Ints, taught: Bools) -> tuple[Ints, Ints]:
        """Updates that what is left buys, and what they cost with their cool-down, ``(n,)``; none where not taught."""
        recipe, fixed = self.setting.recipe, self.setting.recipe.cooldown * each
        left = self.setting.budget.student_tokens - spent
        updates = np.where(taught, np.clip((left - fixed) // each, 0, recipe.updates), 0)
        return updates, np.where(updates > 0, updates * each + fixed, 0)

    def exhausted(self, spent: Ints, each: Ints) -> Bools:
        """Whether what is left buys not one more update like those at this price, ``(n,)``."""
        left = self.setting.budget.student_tokens - spent
        return np.asarray(left < each * (1 + self.setting.recipe.cooldown))

    def effort(self, updates: Ints) -> Floats:
        """The effort of updates ``(n,)`` on a curve, ``(n, 1)``; zero for no updates."""
        recipe = self.setting.recipe
        one = self.student.effort(recipe.model_copy(update={"updates": 1, "cooldown": 0}))
        return np.asarray(np.where(updates > 0, updates + 0.25 * recipe.cooldown, 0.0)[:, None] * one)

    def price(self, shares: Floats) -> Ints:
        """Student tokens of one update on lessons of these shares, ``(n, k)``: ``(n,)``, at least 1."""
        whole = shares.sum(1)
        mean = shares @ self._tokens / np.where(whole > 0, whole, 1.0)
        price = FORWARD_BACKWARD * np.ceil(self.setting.recipe.batch * mean - 1e-9)
        return np.asarray(np.maximum(price, 1), np.int64)

    def _teach(self, counts: Ints, updates: Ints) -> None:
        """Train the students that have updates, and examine them."""
        rows = np.flatnonzero(updates)
        if not len(rows):
            return
        shares = counts[rows] / self.setting.lesson_size
        own = None if self._varied is None else self._varied.of(rows)
        effort = self.effort(updates[rows])
        self._loss[rows] = self.model.after(self._loss[rows], self._pace[rows], shares, effort, own)
        self._counts[rows] += counts[rows]
        self._examine(rows)

    def _examine(self, rows: Any) -> None:
        right = self._selection.shares(self.model.accuracy(self._loss[rows]))
        self._score[rows] = right[:, self._selection.n > 0].mean(1)

    def _start(self, chosen: Sequence[int], seeds: Sequence[int | None] | None = None) -> None:
        """Begin episodes, drawing what ``TeachingEnv._fresh`` draws where no seed is given."""
        if not len(chosen):
            return
        for i, seed in zip(chosen, seeds or [None] * len(chosen), strict=True):
            student_seed = seed
            if seed is None or student_seed is None:
                rng = self._generator(i, None)
                student_seed = int(rng.integers(self.setting.warm_starts))
                seed = int(rng.integers(2**31))
            else:
                self._generator(i, seed)
            self._seeds[i] = seed
            if self._varied is None:
                self._loss[i], self._pace[i] = self.untaught(student_seed)
            else:
                self._loss[i], self._pace[i] = self._varied.begin(i, self._generator(i, None))
        self._counts[chosen], self._spent[chosen], self._step[chosen], self._over[chosen] = 0, 0, 0, False
        self._examine(np.asarray(chosen))

    def _generator(self, i: int, seed: int | None) -> np.random.Generator:
        """Of a sub-environment; a seed starts it anew."""
        known = self._draws[i]
        if known is None or seed is not None:
            known, _ = seeding.np_random(seed)
            self._draws[i] = known
        return known

    def untaught(self, seed: int) -> tuple[Floats, Floats]:
        """Losses and pace of the untaught student of a seed, ``(k,)`` each; made once."""
        from safetensors.numpy import load

        if seed not in self._known:
            weights, training = self.student.initial(seed), self.setting.warm_training(seed)
            if training is not None:
                weights, _ = self.student.fit(weights, training.data, training.recipe, training.seed)
            state = load(weights)
            self._known[seed] = state["loss"], state["pace"]
        return self._known[seed]

    def _observe(self) -> Any:
        total = self.setting.budget.student_tokens
        left = (total - self._spent) / total if total else np.zeros(self.num_envs)
        figures = {
            "accuracy": self._feedback.shares(self.model.accuracy(self._loss)),
            "loss": np.where(self._feedback.n > 0, self._loss, 0.0),
            "counts": self._counts,
            "score": self._score[:, None],
            "budget": left[:, None],
        }
        shown = {name: figure.astype(np.float32) for name, figure in figures.items()}
        if not self._flat:
            return shown
        parts = [as_shares(name, shown[name].astype(np.float64), most) for name, most in self._flat.items()]
        return np.clip(np.concatenate(parts, axis=1), 0.0, 1.0).astype(np.float32)

    def _info(self, updates: Ints) -> dict[str, Any]:
        everyone = np.ones(self.num_envs, np.bool_)
        return {"spent": self._spent.copy(), "_spent": everyone, "updates": updates, "_updates": everyone}


def _check(setting: Setting, level: str) -> None:
    """Refuse what this form does not have."""
    wants: dict[str, Any] = {"student": "simulated", "engine": "procedural", "finish": ()}
    found: dict[str, Any] = {name: getattr(setting, name) for name in wants}
    found |= {
        "task": setting.task,
        "skills": setting.skills,
        "level": level,
        "budget.examples": setting.budget.examples,
        "exam.samples": setting.exam.samples,
    }
    found |= {f"recipe.{name}": getattr(setting.recipe, name) for name in PLAIN}
    wants |= {"task": "arithmetic", "skills": "", "level": "skill-list", "budget.examples": None, "exam.samples": 1}
    wants |= {f"recipe.{name}": value for name, value in PLAIN.items()}
    for name, value in wants.items():
        if found[name] != value:
            raise SettingError(f"{name} is {found[name]!r}; the vector of simulated students takes {value!r} alone")


def _tokens(setting: Setting, student: Simulated) -> Ints:
    """Tokens of an example of each skill, ``(k,)``; a SettingError if the examples of a skill differ in length."""
    task, out = setting.built_task, []
    for skill in task.skills:
        some = task.generate(skill, 64, stream(0, "lengths"))
        lengths = {student.tokens(Example(prompt=e.prompt, response=e.response)) for e in some}
        if len(lengths) > 1:
            raise SettingError(f"examples of {skill} are of {len(lengths)} lengths; this form cannot tell their price")
        out.append(lengths.pop())
    return np.array(out, np.int64)
