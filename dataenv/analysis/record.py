"""Record: the steps of runs as an offline dataset in Minari's format, for what learns to teach from others' lessons.

A dataset is what the numeric view shows and takes (``dataenv.numeric(env, actions="box")``), so that a policy learnt
from it acts there as it is. Texts (``errors``) are left out; so are infos.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from dataenv.environment.branch import Env
from dataenv.environment.env import TeachingEnv
from dataenv.episode.loop import run
from dataenv.episode.teacher import TeacherLike, build_teacher
from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.leaderboard.folder import read_row
from dataenv.registry import LEVEL_IDS
from dataenv.setting import Setting, make_setting
from dataenv.wrappers.mask import masked
from dataenv.wrappers.numeric import NumericAction, NumericObservation, numeric


@dataclass(frozen=True)
class Recording:
    """What is recorded: a registered teacher, the seed of its episode, and within what.

    Attributes:
        setting: Of the environment.
        teacher: Its registered name.
        args: Its arguments.
        seed: Of the episode.
        mask: Fields that it is not shown; they are zero in the dataset too.
    """

    setting: Setting
    teacher: str
    args: dict[str, Any]
    seed: int
    mask: tuple[str, ...] = ()


@dataclass
class Steps:
    """An episode as vectors: one observation more than there are actions, and ``rewards``, ``ends`` for each of those.

    ``ends`` holds (terminated, truncated).
    """

    seed: int
    observations: list[npt.NDArray[np.float32]] = field(default_factory=list)
    actions: list[npt.NDArray[np.float32]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    ends: list[tuple[bool, bool]] = field(default_factory=list)


def runs_of_rows(paths: Sequence[Path]) -> list[Recording]:
    """The runs of a board's rows. With the store that it was played with, recording them again trains nothing.

    Raises:
        SettingError: If one cannot be read, is no run of a registered teacher, or is within another Setting.
    """
    rows = [read_row(path) for path in paths]
    for path, row in zip(paths, rows, strict=True):
        if not row.registered:
            raise SettingError(f"run {path} is a reference that the board computes itself; give runs of teachers")
        if row.setting_digest != rows[0].setting_digest:
            raise SettingError(f"run {path} is within another Setting than {paths[0]}; a dataset has one")
    return [
        Recording(
            make_setting(row.setting, f"setting of {path}"), row.registered, dict(row.teacher_args), row.seed, row.mask
        )
        for path, row in zip(paths, rows, strict=True)
    ]


def record(runs: Sequence[Recording], runner: Runner, root: Path, dataset: str) -> tuple[int, int]:
    """Play runs and write what they were shown, did and got.

    Args:
        runs: At least one; all within one Setting and of one level.
        runner: Over the store that is to be used.
        root: The folder of datasets; Minari finds it where ``MINARI_DATASETS_PATH`` says.
        dataset: The dataset's id, ``[namespace/]name-vN``; it is also its folder below ``root``.

    Returns:
        Episodes and steps that were written. An episode that ended before its first lesson has none, and is left out.

    Raises:
        SettingError: If Minari is missing, the id is none or is taken, or the level has no numeric view.
    """
    storage = _open_minari()
    data = root.resolve() / dataset / "data"  # Minari 0.5 joins a relative one to itself
    if not _is_id(dataset):
        raise SettingError(f"dataset is {dataset!r}; give an id such as arithmetic/frontier-v0")
    if data.exists():
        raise SettingError(f"dataset {root / dataset} exists; give another --id, such as one with the next -vN")
    teachers = [build_teacher(each.teacher, each.args) for each in runs]
    levels = {teacher.level for teacher in teachers}
    if len({(each.setting.digest, each.mask) for each in runs}) != 1 or len(levels) != 1:
        raise SettingError("the runs are of several levels, masks or Settings; a dataset has one of each")
    level = levels.pop()
    view = _view(level, runs[0])
    episodes = [_played(each, who, level, runner) for each, who in zip(runs, teachers, strict=True)]
    episodes = [steps for steps in episodes if steps.actions]
    names = sorted({each.teacher for each in runs})
    data.mkdir(parents=True)
    try:
        file = storage.new(data, view.observation_space, view.action_space, view.spec, "hdf5")
        file.update_metadata(_metadata(dataset, names, runs[0].setting))
        file.update_episodes(_buffers(episodes))
    except BaseException:
        shutil.rmtree(data)  # half a dataset would load, and stand in the way of a second try
        raise
    return len(episodes), sum(len(steps.actions) for steps in episodes)


class _Recorder(gym.Wrapper[Any, Any, Any, Any]):
    """Records every step of the wrapped environment."""

    def __init__(self, env: Env, seed: int) -> None:
        super().__init__(env)
        self.steps = Steps(seed)
        self._see, self._do = NumericObservation(env).observation, NumericAction(env).vector

    def reset(self, **given: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(**given)
        self.steps = Steps(self.steps.seed, [self._see(observation)])
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.steps.actions.append(self._do(action))
        self.steps.observations.append(self._see(observation))
        self.steps.rewards.append(float(reward))
        self.steps.ends.append((terminated, truncated))
        return observation, reward, terminated, truncated, info


def _played(each: Recording, teacher: TeacherLike, level: str, runner: Runner) -> Steps:
    recorder = _Recorder(masked(TeachingEnv(level, runner=runner, setting=each.setting), each.mask), each.seed)
    run(recorder, teacher, each.seed)
    steps = recorder.steps
    if steps.ends and not any(steps.ends[-1]):  # its teacher asked for more than the purse held: see ``run``
        steps.ends[-1] = (False, True)
    return steps


def _view(level: str, each: Recording) -> Env:
    """The numeric view that a policy learnt from the dataset is for; its spec is JSON and names no store."""
    fields = each.setting.model_dump(mode="json")
    return numeric(masked(gym.make(LEVEL_IDS[level], disable_env_checker=True, **fields), each.mask), "box")


def _metadata(dataset: str, teachers: Sequence[str], setting: Setting) -> dict[str, Any]:
    from importlib.metadata import version

    import dataenv

    return {
        "dataset_id": dataset,
        "algorithm_name": ", ".join(teachers),
        "minari_version": version("minari"),
        "description": f"dataenv record: {', '.join(teachers)} on {setting.task}, {setting.student}",
        "requirements": [f"dataenv=={dataenv.__version__}"],
    }


def _buffers(episodes: Sequence[Steps]) -> list[Any]:
    from minari.data_collector import EpisodeBuffer

    return [
        EpisodeBuffer(
            id=i,
            seed=steps.seed,
            observations=np.stack(steps.observations),
            actions=np.stack(steps.actions),
            rewards=steps.rewards,
            terminations=[terminated for terminated, _ in steps.ends],
            truncations=[truncated for _, truncated in steps.ends],
        )
        for i, steps in enumerate(episodes)
    ]


def _is_id(dataset: str) -> bool:
    from minari.dataset.minari_dataset import DATASET_ID_RE

    found = DATASET_ID_RE.fullmatch(dataset)
    return found is not None and found.group("version") is not None


def _open_minari() -> Any:
    try:
        import h5py  # noqa: F401
        from minari.dataset.minari_storage import MinariStorage
    except ImportError as error:
        raise SettingError(f"Minari is not installed ({error}); pip install 'dataenv[offline]'") from None
    return MinariStorage
