"""Numeric views: one vector in, numbers out, for what learns by reinforcement and reads no text.

    env = dataenv.numeric(gym.make("dataenv/SkillTree-v0"), actions="multi-discrete")

Two plain Gymnasium wrappers, for skill-list and skill-tree: the observation becomes a 1-D ``Box`` in [0, 1], float32;
the action a ``Box``, a ``MultiDiscrete`` or a ``Discrete``. Nothing else changes: rewards, ends and infos are those of
the environment below, unless ``final`` asks for one kind of end alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv

from dataenv.environment.branch import Env, unwrap
from dataenv.errors import ActionError, SettingError
from dataenv.levels import Level
from dataenv.levels.skill_tree import SkillTree
from dataenv.levels.spaces import unit_box

Actions = Literal["box", "multi-discrete", "discrete"]
Floats = npt.NDArray[np.float32]
FOCUS = 0.5
"""Share of the lesson that goes to what a ``Discrete`` action names; the other half is dealt out evenly."""


def numeric(env: Env, actions: Actions = "box", steps: int = 5, final: bool = False) -> Env:
    """Both wrappers around an environment.

    Args:
        env: Of level skill-list or skill-tree, behind a ``Mask`` or not.
        actions: ``box``, ``multi-discrete`` or ``discrete``; see ``NumericAction``.
        steps: How many amounts a ``multi-discrete`` action has, from none to all; at least 2.
        final: Whether a spent purse is reported as ``terminated``; see ``SpentIsFinal``.

    Raises:
        SettingError: If the level has no numeric view, an argument is wrong, or a vector is given.
    """
    kind = type(env)
    if VectorEnv in kind.__mro__:
        raise SettingError(f"env is a {kind.__name__}, which is made numeric itself: make_vec(…, actions={actions!r})")
    view = NumericAction(NumericObservation(env), actions, steps)
    return SpentIsFinal(view) if final else view


class SpentIsFinal(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Tell a spent purse as ``terminated`` in place of ``truncated``.

    After a truncation SB3 and RLlib add the value of the last observation, for the episode might have gone on. This one
    could not have: how much is left is part of what is observed, and nothing is to be had without it.
    """

    def __init__(self, env: Env) -> None:
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """See TeachingEnv."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated or truncated, False, info


class NumericObservation(gym.ObservationWrapper[Floats, Any, Any], RecordConstructorArgs):
    """The numbers of an observation in one vector, float32, each in [0, 1]; its texts are left out.

    So is ``wrong``, which is ``accuracy`` in other words.

    Fields come in the order of ``fields``, arrays row by row. Accuracies, allocations and budget are shares already.
    A loss ``x`` becomes ``x / (1 + x)``, counts become shares of all examples taught, and what is left to grow becomes
    a share of the most subskills that a skill has.

    Attributes:
        fields: Name and length of each part.
    """

    def __init__(self, env: Env) -> None:
        RecordConstructorArgs.__init__(self)  # so that env.spec tells of this wrapper too
        gym.ObservationWrapper.__init__(self, env)
        _structured(env)
        boxes = {
            n: s for n, s in unwrap(env).level.observation_space.items() if isinstance(s, spaces.Box) and n != "wrong"
        }
        self._most = {name: float(box.high.max()) for name, box in boxes.items()}
        self.fields = {name: int(np.prod(box.shape)) for name, box in boxes.items()}
        box: spaces.Space[Any] = unit_box(sum(self.fields.values()))
        self.observation_space = box

    def observation(self, observation: dict[str, Any]) -> Floats:
        """See the class."""
        given = ((name, np.asarray(observation[name], np.float64).ravel()) for name in self.fields)
        parts = [as_shares(name, values, self._most[name]) for name, values in given]
        return np.clip(np.concatenate(parts), 0.0, 1.0).astype(np.float32)


def as_shares(name: str, values: npt.NDArray[np.float64], most: float = 1.0) -> npt.NDArray[np.float64]:
    """The numbers of a field of an observation, or of many (the last axis is one's own), in [0, 1].

    Args:
        name: Of the field.
        values: ``(…, length)``.
        most: The most that one of them can be; infinite for counts.
    """
    if name == "loss":
        return np.asarray(values / (1.0 + values))
    if np.isinf(most):  # counts
        return np.asarray(values / np.maximum(values.sum(-1, keepdims=True), 1.0))
    return values / most


class NumericAction(gym.ActionWrapper[Any, Any, Any], RecordConstructorArgs):
    """Numbers in place of a structured action.

    ``box``: ``Box(0, 1, (n,))``. For skill-list the mixture itself, ``n = k``. For skill-tree ``n = 2k + km``: for each
    skill how many subskills to grow (0 to 1 is 0 to ``m``), then ``data`` and ``allocation`` as they are.

    ``multi-discrete``: ``steps`` amounts for each number of a mixture or an allocation, from none (0) to all
    (``steps - 1``). For skill-tree ``k`` choices come first: how many subskills to grow, 0 to ``m``; what is grown is
    given all.

    ``discrete``: one choice. Skill-list: a skill to ``FOCUS`` on (0 to ``k - 1``), an even lesson (``k``), or stop
    (``k + 1``). Skill-tree: a skill to grow by one subskill (0 to ``k - 1``), a subskill to focus on (``k`` to
    ``k + km - 1``, skill by skill; one that is not grown is an even forest), an even forest, or stop.

    Zeros stop in the first two, as they do below.

    Raises:
        SettingError: If the level has no numeric view, or an argument is wrong.
    """

    def __init__(self, env: Env, actions: Actions = "box", steps: int = 5) -> None:
        RecordConstructorArgs.__init__(self, actions=actions, steps=steps)
        gym.ActionWrapper.__init__(self, env)
        level = _structured(env)
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
            raise SettingError(f"steps is {steps!r}; give a whole number of amounts, at least 2")
        self._k, self._m = len(level.skills), level.shape[1] if isinstance(level, SkillTree) else 0
        self._steps, self._level = steps, level
        k, m = self._k, self._m
        views: dict[str, tuple[spaces.Space[Any], Callable[[Any], Any]]] = {
            "box": (unit_box(2 * k + k * m if m else k), self._from_box),
            "multi-discrete": (
                spaces.MultiDiscrete([m + 1] * k + [steps] * (k * m) if m else [steps] * k),
                self._from_steps,
            ),
            "discrete": (spaces.Discrete(k + k * m + 2), self._from_choice),
        }
        if actions not in views:
            raise SettingError(f"actions is {actions!r}; give one of {', '.join(views)}")
        self.action_space, self._read = views[actions]

    def action(self, action: Any) -> Any:
        """The structured action.

        Raises:
            ActionError: If it is none of the view's space.
        """
        if not self.action_space.contains(action):
            shown = f"shape {action.shape}, {action.dtype}" if isinstance(action, np.ndarray) else repr(action)
            space = " ".join(repr(self.action_space).split())
            raise ActionError(f"action ({shown:.60}) is not in {space:.60}; mind shape, range, NaN and dtype")
        return self._read(action)

    def vector(self, action: Any) -> Floats:
        """The ``box`` action that is read as a structured action: what ``action`` gives it back for.

        Args:
            action: Of the environment below, as a teacher gives it.

        Returns:
            ``(k,)`` or ``(2k + km,)``, in [0, 1]. How many to grow is the middle of what is read as that number.
        """
        if not self._m:
            return _clipped(action)
        explore = (np.asarray(action["explore"], np.float64) + 0.5) / (self._m + 1)
        return np.concatenate([_clipped(part).ravel() for part in (explore, action["data"], action["allocation"])])

    def _from_box(self, values: Floats) -> Any:
        k, m = self._k, self._m
        if not m:
            return values
        explore = np.minimum(np.floor(values[:k] * (m + 1)), m).astype(np.int64)
        return _tree(explore, values[k : 2 * k], values[2 * k :].reshape(k, m))

    def _from_steps(self, choices: npt.NDArray[np.int64]) -> Any:
        k, m = self._k, self._m
        amounts = (choices[k if m else 0 :] / (self._steps - 1)).astype(np.float32)
        if not m:
            return amounts
        explore = np.asarray(choices[:k], np.int64)
        return _tree(explore, (explore > 0).astype(np.float32), amounts.reshape(k, m))

    def _from_choice(self, choice: Any) -> Any:
        k, m, choice = self._k, self._m, int(choice)
        if choice == k + k * m + 1:
            return _tree(np.zeros(k, np.int64), np.zeros(k), np.zeros((k, m))) if m else np.zeros(k, np.float32)
        if not m:
            return _focus(np.ones(k), choice)
        grown = np.asarray(unwrap(self.env).snapshot().memory["grown"])
        there = np.arange(m)[None, :] < grown[:, None]
        explore = np.zeros(k, np.int64)
        if choice < k:
            explore[choice] = 1
        even = there / np.maximum(grown, 1)[:, None]
        allocation = _focus(even.ravel(), choice - k if choice >= k else k * m).reshape(k, m)
        return _tree(explore, np.ones(k), allocation)


def _focus(weights: npt.NDArray[Any], chosen: int) -> Floats:
    """Give one weight the share ``FOCUS`` of the sum if it is positive, and scale the largest weight to 1."""
    out = np.array(weights, np.float64)
    if chosen < len(out) and out[chosen] > 0:
        rest = out.sum() - out[chosen]
        out *= (1.0 - FOCUS) / max(rest, 1e-9)
        out[chosen] = FOCUS
    return np.asarray(out / max(out.max(initial=0.0), 1e-9), np.float32)


def _clipped(values: Any) -> Floats:
    return np.clip(np.asarray(values, np.float32), 0.0, 1.0)


def _tree(explore: npt.NDArray[np.int64], data: npt.NDArray[Any], allocation: npt.NDArray[Any]) -> dict[str, Any]:
    return {"explore": explore, "data": data.astype(np.float32), "allocation": allocation.astype(np.float32)}


def _structured(env: Env) -> Level:
    level = unwrap(env).level
    if level.name == "open-ended":
        raise SettingError("level 'open-ended' has no numeric view, for its actions are texts; make another level")
    return level
