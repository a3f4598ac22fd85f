"""Many students at once: a vector environment that begins every step, runs the jobs side by side, and ends every step.

The sub-environments are ``TeachingEnv``s of one store and one executor, so there is no second implementation of a step:
``gymnasium.make_vec("dataenv/SkillList-v0", num_envs=8, executor="processes:2")`` makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import CustomSpaceError
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array, iterate

from dataenv.environment.branch import unwrap
from dataenv.environment.env import MAKING, MOST_SEEDS, TeachingEnv
from dataenv.errors import ActionError, DataenvError, JobFailedError, SettingError
from dataenv.execution.executors import make_executor
from dataenv.execution.jobs import Job, Outcome
from dataenv.execution.runner import Runner, settle_all
from dataenv.execution.store import open_store
from dataenv.levels.skill_tree import SkillTree
from dataenv.setting import Setting, make_setting
from dataenv.validation import whole
from dataenv.waiting import waiting
from dataenv.wrappers.numeric import Actions, NumericAction, NumericObservation

Bools = npt.NDArray[np.bool_]
Reset = tuple[Any, dict[str, Any]]
Stepped = tuple[Any, npt.NDArray[np.float64], Bools, Bools, dict[str, Any]]
MODES = tuple(mode.value for mode in AutoresetMode)
SHAPING = ("task", "task_args", "skills", "subskills", "lesson_size")
"""Fields of a Setting that spaces and lessons depend on; at skill-tree the engine too, which says what can be grown."""


if TYPE_CHECKING:
    Synchronous = SyncVectorEnv[Any, Any]
else:
    Synchronous = SyncVectorEnv  # takes no parameters in gymnasium 1.2


class TeachingVectorEnv(Synchronous):
    """Sub-environments of equal spaces, stepped together.

    Sub-environment ``i`` of a given seed and actions goes through the same observations and rewards as one
    ``TeachingEnv`` would. Resets and steps are all or nothing: an error names the sub-environment, the others go back
    to before the step, and what their jobs came to is in the store when the step is tried again.

    Args:
        num_envs: How many.
        level: See ``TeachingEnv``.
        store: See ``TeachingEnv``.
        executor: See ``TeachingEnv``; ``processes:2`` fine-tunes two students at a time.
        autoreset_mode: ``NextStep``, ``SameStep`` or ``Disabled``, as in ``gymnasium.vector.AutoresetMode``.
        render_mode: See ``TeachingEnv``.
        runner: In place of ``store`` and ``executor``, one that is there already.
        settings: In place of fields, one Setting for each sub-environment: students may differ, and what the spaces
            depend on (skills, lesson size) may not.
        actions: ``box``, ``multi-discrete`` or ``discrete`` for the numbers of ``dataenv.numeric`` in place of
            structured spaces; ``None`` for these.
        steps: See ``dataenv.numeric``.
        final: See ``dataenv.numeric``.
        **fields: The fields of ``Setting``, as plain JSON, for all of them.

    Raises:
        SettingError: If a field is unknown or wrong, or ``settings`` are of several tasks.
    """

    _owns = False  # gymnasium 1.2 also closes a vector that was refused before it was made

    def __init__(
        self,
        num_envs: int = 1,
        level: str = "skill-list",
        *,
        store: str | None = None,
        executor: str | dict[str, Any] = "inline",
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        runner: Runner | None = None,
        settings: Sequence[Setting] | None = None,
        actions: Actions | None = None,
        steps: int = 5,
        final: bool = False,
        **fields: Any,
    ) -> None:
        shaping = SHAPING + (("engine", "engine_args") if level == SkillTree.name else ())
        chosen = _settings(num_envs, settings, fields, shaping)
        self._owns = runner is None
        self.runner = runner or Runner(open_store(store), make_executor(executor))

        def maker(setting: Setting) -> Callable[[], Any]:
            return lambda: _numbers(TeachingEnv(level, runner=self.runner, setting=setting, render_mode=render_mode))

        def _numbers(env: TeachingEnv) -> Any:
            return env if actions is None else NumericAction(NumericObservation(env), actions, steps)

        super().__init__([maker(setting) for setting in chosen], autoreset_mode=autoreset_mode_of(autoreset_mode))
        self._each, self._final = [unwrap(env) for env in self.envs], final
        self._seen: list[Any] = [None] * num_envs
        self._over = np.zeros(num_envs, np.bool_)
        self._resetting: dict[int, Job] = {}

    def reset(self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None) -> Reset:
        """Start all episodes, or those of ``options["reset_mask"]``.

        Args:
            seed: ``s`` gives sub-environment ``i`` the seed ``s + i``; a list gives each its own.
            options: As of ``TeachingEnv.reset``; ``"snapshot"`` may be a list with one for each sub-environment, or one
                for all. ``"reset_mask"``, ``(num_envs,)`` of bool, leaves the others where they are.

        Raises:
            ActionError: If a seed, the mask or the list of snapshots does not fit.
            SnapshotError: As of ``TeachingEnv.reset``.
        """
        self._must_be_open()
        seeds, given = seeds_of(seed, self.num_envs), dict(options or {})
        chosen = masked(given.pop("reset_mask", None), self.num_envs)
        snapshots = self._snapshots(given)
        self._resetting.clear()
        for i in chosen:
            own = given if snapshots is None else given | {"snapshot": snapshots[i]}
            with _named(i):
                self._resetting[i] = self._each[i].begin_reset(seed=seeds[i], options=own)
        self._over[chosen] = False
        infos: dict[str, Any] = {}
        with waiting(MAKING) if self._owns else nullcontext():
            self._end_resets(self._run(self._resetting.items()), infos)
        return self._observations_now(), infos

    def step(self, actions: Any) -> Stepped:
        """Teach every student a lesson.

        Args:
            actions: Of ``action_space``, or a list with one action for each sub-environment. Under ``NextStep`` the
                action of one whose episode has ended is not read: it is reset.

        Returns:
            As of ``SyncVectorEnv.step``: batched observations, rewards, terminated, truncated and infos, with
            ``final_obs`` and ``final_info`` under ``SameStep``.

        Raises:
            ActionError: If there is no action for each, or one is no action of the level.
            JobFailedError: If training diverged in one; see the class for the others.
        """
        self._must_be_open()
        given, mode = self._actions(actions), self.metadata["autoreset_mode"]
        resets = resets_of(mode, self._over)
        rewards, infos = np.zeros(self.num_envs), dict[str, Any]()
        terminated, truncated = np.zeros_like(self._over), np.zeros_like(self._over)
        stepping = np.flatnonzero(~resets).tolist()
        try:
            outcomes = self._run(self._begun(stepping, given, np.flatnonzero(resets).tolist()))
            with self.runner.lesson_lock:
                self._end_resets(outcomes, infos)
                for i in stepping:
                    seen, reward, terminated[i], truncated[i], info = self._each[i].end(outcomes.get(i))
                    self._seen[i] = self._shown(i, seen)
                    rewards[i], self._over[i] = float(reward), terminated[i] or truncated[i]
                    if self._final:
                        terminated[i], truncated[i] = self._over[i], False
                    last = self._over[i] and mode is AutoresetMode.SAME_STEP
                    infos = self._add_info(infos, {"final_obs": self._seen[i], "final_info": info} if last else info, i)
        except BaseException:
            for i in stepping:
                self._each[i].abort()
            raise
        if mode is AutoresetMode.SAME_STEP and self._over.any():
            self._end_resets(self._run(self._begun([], given, np.flatnonzero(self._over).tolist())), infos)
        return self._observations_now(), rewards, terminated, truncated, infos

    def close_extras(self, **kwargs: Any) -> None:
        """Stop the workers, if they are this environment's own."""
        if self._owns:
            self.runner.executor.close()

    def _must_be_open(self) -> None:
        if self.closed:
            raise DataenvError("the vector was closed; make another one")

    def _shown(self, i: int, observation: Any) -> Any:
        """An observation of a sub-environment, as numbers where those are asked for."""
        below = getattr(self.envs[i], "env", None)
        return below.observation(observation) if isinstance(below, NumericObservation) else observation

    def _begun(self, stepping: Sequence[int], given: Sequence[Any], ended: Sequence[int]) -> Iterator[tuple[int, Job]]:
        """The jobs of steps and resets, each yielded as soon as it has begun, so that no worker has to wait."""
        # A reset that began before and failed to end is not begun again, or it would draw another seed.
        for i in stepping:
            with self._each[i].making, _named(i):
                view = self.envs[i]
                job = self._each[i].begin(view.action(given[i]) if isinstance(view, NumericAction) else given[i])
            if job is not None:
                yield i, job
        for i in ended:
            if i not in self._resetting:
                self._resetting[i] = self._each[i].begin_reset()
            yield i, self._resetting[i]

    def _end_resets(self, outcomes: Mapping[int, Outcome], infos: dict[str, Any]) -> None:
        """End every reset that has begun; ``infos`` is added to."""
        for i in sorted(self._resetting):
            with _named(i):
                seen, info = self._each[i].end_reset(outcomes[i])
                self._seen[i] = self._shown(i, seen)
            self._over[i] = False
            infos.update(self._add_info(infos, info, i))
        self._resetting.clear()

    def _run(self, jobs: Iterable[tuple[int, Job]]) -> dict[int, Outcome]:
        """Run the jobs of some sub-environments side by side; the first error is raised when all of them are done."""
        order: list[int] = []
        failed: list[Exception] = []

        def begun() -> Iterator[Job]:
            try:
                for i, job in jobs:
                    order.append(i)
                    yield job
            except Exception as error:  # it is raised below: raised here it would stop the runner
                failed.append(error)

        found = settle_all(self.runner, begun())
        if failed:
            raise failed[0]
        done: dict[int, Outcome] = {}
        for i, outcome in zip(order, found, strict=True):
            if isinstance(outcome, JobFailedError):
                raise JobFailedError(f"environment {i}: {outcome}") from outcome
            done[i] = outcome
        return done

    def _observations_now(self) -> Any:
        """A batch of its own of what each sub-environment shows."""
        space = self.single_observation_space
        room: Any = create_empty_array(space, self.num_envs)
        return deepcopy(concatenate(space, self._seen, room))

    def _actions(self, actions: Any) -> list[Any]:
        one_each = isinstance(actions, list | tuple)
        try:
            given = list(actions if one_each else iterate(self.action_space, actions))
        except (TypeError, KeyError, IndexError, ValueError, CustomSpaceError):  # what gymnasium says of it
            got = f"dict of {', '.join(map(str, actions))}" if isinstance(actions, dict) else type(actions).__name__
            raise ActionError(
                f"actions is a {got}; give a batch of action_space, or a list with one action for each environment"
            ) from None
        if len(given) != self.num_envs:
            raise ActionError(f"actions holds {len(given)}; give {self.num_envs}, one for each environment")
        return given

    def _snapshots(self, options: Mapping[str, Any]) -> Sequence[Any] | None:
        snapshots = options.get("snapshot")
        if not isinstance(snapshots, list | tuple):
            return None
        if len(snapshots) != self.num_envs:
            raise ActionError(
                f"options['snapshot'] holds {len(snapshots)}; give one, or {self.num_envs}, one for each environment"
            )
        return snapshots


class _named:
    """Errors of ours inside it say which sub-environment they are of."""

    def __init__(self, i: int) -> None:
        self._i = i

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        if isinstance(error, DataenvError):
            raise type(error)(f"environment {self._i}: {error}") from error


def autoreset_mode_of(given: str | AutoresetMode) -> AutoresetMode:
    """The mode of a name.

    Raises:
        SettingError: If there is none.
    """
    try:
        return AutoresetMode(given)
    except ValueError:
        raise SettingError(f"autoreset_mode is {given!r}; give one of {', '.join(MODES)}") from None


def resets_of(mode: AutoresetMode, over: Bools) -> Bools:
    """Which environments a step resets in place of stepping them, ``(n,)``.

    Args:
        mode: Of the vector.
        over: Which episodes have ended.

    Raises:
        ActionError: If one has ended, and the mode leaves resets to the user.
    """
    if mode is AutoresetMode.DISABLED and over.any():
        ended = ", ".join(map(str, np.flatnonzero(over)))
        raise ActionError(f"environments {ended} have ended; reset them with options={{'reset_mask': …}}")
    return over.copy() if mode is AutoresetMode.NEXT_STEP else np.zeros_like(over)


def seeds_of(seed: int | Sequence[int | None] | None, n: int) -> list[int | None]:
    """The seed of each of ``n`` environments: ``s + i`` from a number, its own from a list.

    Raises:
        ActionError: If it is out of range, or the list of another length.
    """
    if seed is None:
        return [None] * n
    given: Any = seed
    if isinstance(given, np.ndarray) and given.ndim:
        given = given.tolist()
    if isinstance(given, str) or not isinstance(given, Sequence):
        first = _seed(given)
        return [_seed(first + i) for i in range(n)]
    seeds = list(given)
    if len(seeds) != n:
        raise ActionError(f"seed holds {len(seeds)}; give {n}, one for each environment")
    return [None if one is None else _seed(one) for one in seeds]


def _seed(given: Any) -> int:
    return whole("seed", given, 0, ActionError, MOST_SEEDS - 1)


def masked(mask: Any, n: int) -> list[int]:
    """The environments of a ``reset_mask``; all ``n`` where there is none.

    Raises:
        ActionError: If it is no mask.
    """
    if mask is None:
        return list(range(n))
    if not (isinstance(mask, np.ndarray) and mask.dtype == np.bool_ and mask.shape == (n,) and mask.any()):
        raise ActionError(f"options['reset_mask'] must be {n} numpy bools, at least one of them true")
    chosen: list[int] = np.flatnonzero(mask).tolist()
    return chosen


def _settings(
    num_envs: int, given: Sequence[Setting] | None, fields: Mapping[str, Any], one: Sequence[str]
) -> Sequence[Setting]:
    """The Setting of each sub-environment; those that are given are equal in the fields ``one``."""
    if not isinstance(num_envs, int) or num_envs < 1:
        raise SettingError(f"num_envs is {num_envs!r}; give a whole number of at least 1")
    if given is None:
        return [make_setting(fields)] * num_envs
    if fields:
        raise SettingError(
            f"settings and {next(iter(fields))} are both given; give one Setting each, or fields for all"
        )
    if len(given) != num_envs:
        raise SettingError(f"settings holds {len(given)} and num_envs is {num_envs}; give one for each environment")
    for i, setting in enumerate(given):
        for name in one:
            here, there = getattr(setting, name), getattr(given[0], name)
            if here != there:
                raise SettingError(
                    f"settings[{i}].{name} is {here!r} and settings[0].{name} is {there!r}; a vector has one of them"
                )
    return given
