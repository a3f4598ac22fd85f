"""``dataenv record``: what real Minari loads is what was played, and what is done again comes to the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from dataenv.analysis.record import Recording, record, runs_of_rows
from dataenv.cli import app
from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.setting import make_setting
from tests.rl.legs import package
from tests.scripts import script
from tests.toys import BRANCHING, PAYING, TOY_BOARD, write_toml

package("minari", leg="sb3")
import minari  # noqa: E402
from minari.dataset._storages.hdf5_storage import HDF5Storage  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("toys")]


def recorded(
    folder: Path, teacher: str, seeds: tuple[int, ...] = (0, 1), runner: Runner | None = None, **how: Any
) -> Any:
    """What Minari finds."""
    runs = [Recording(make_setting(PAYING), teacher, {}, seed, **how) for seed in seeds]
    told = record(runs, runner or Runner(Store()), folder, f"toy/{teacher}-v0")
    found = minari.MinariDataset(folder / "toy" / f"{teacher}-v0" / "data")
    assert told == (found.total_episodes, found.total_steps)
    return found


@pytest.mark.parametrize("teacher", ["failure", "threshold", "fill-balanced"])
def test_the_recorded_actions_come_to_the_recorded_steps(tmp_path: Path, teacher: str) -> None:
    """Nothing is lost between a teacher's action and the numbers that stand for it."""
    found = recorded(tmp_path, teacher)
    assert found.total_episodes == 2
    env: Any = found.recover_environment()
    assert (env.observation_space, env.action_space) == (found.observation_space, found.action_space)
    for seed, episode in enumerate(found.iterate_episodes()):
        observation, _ = env.reset(seed=seed)
        for i, action in enumerate(episode.actions):
            np.testing.assert_array_equal(observation, episode.observations[i])
            observation, reward, terminated, truncated, _ = env.step(action)
            assert reward == episode.rewards[i]
            assert (terminated, truncated) == (episode.terminations[i], episode.truncations[i])
        np.testing.assert_array_equal(observation, episode.observations[-1])
        assert terminated or truncated
    assert [m["seed"] for m in found.storage.get_episode_metadata(range(2))] == [0, 1]


def test_a_mask_is_zeros(tmp_path: Path) -> None:
    found = recorded(tmp_path, "failure", mask=("state",))
    view: Any = found.recover_environment()
    while not hasattr(view, "fields"):
        view = view.env
    start = dict(zip(view.fields, np.cumsum([0, *view.fields.values()]).tolist(), strict=False))
    for episode in found.iterate_episodes():
        assert not episode.observations[:, start["accuracy"] : start["accuracy"] + 2].any()
        assert episode.observations[:, start["budget"]].any()


def test_rows_of_a_board(tmp_path: Path) -> None:
    """They are played again from the store, and nothing is trained."""
    from dataenv.leaderboard.config import load
    from dataenv.leaderboard.play import play

    runner = Runner(Store())
    play(load(write_toml(tmp_path / "toy.toml", TOY_BOARD)), runner, tmp_path / "runs")
    rows = sorted((tmp_path / "runs" / "rows").glob("failure--*.json"))
    before = runner.trained
    assert record(runs_of_rows(rows), runner, tmp_path, "board/failure-v0")[0] == 2
    assert runner.trained == before
    played = [json.loads(row.read_text()) for row in rows]
    found = minari.MinariDataset(tmp_path / "board" / "failure-v0" / "data")
    for row, episode in zip(played, found.iterate_episodes(), strict=True):
        assert [step["reward"] for step in row["steps"][1:]] == episode.rewards.tolist()
    reference = next((tmp_path / "runs" / "rows").glob("nothing--*.json"))
    with pytest.raises(SettingError, match="is a reference that the board computes itself"):
        runs_of_rows([reference])


def test_a_clone_teaches_as_its_source_did(tmp_path: Path) -> None:
    """``failure`` weighs skills by what is still wrong, which the numbers show: so much can be learnt from them."""
    clone = script("clone")
    shown, held = recorded(tmp_path / "a", "failure", tuple(range(8))), recorded(tmp_path / "b", "failure", (8, 9, 10))
    policy = clone.cloned(shown, epochs=100)
    uniform = clone.distance(lambda vector: np.full(2, 0.5), held)
    assert clone.distance(policy, held) < 0.3 * uniform
    taught = clone.returns(held.recover_environment, policy, (8, 9, 10))
    assert np.mean(taught) == pytest.approx(np.mean([e.rewards.sum() for e in held.iterate_episodes()]), abs=0.06)


def test_what_cannot_be_recorded(tmp_path: Path) -> None:
    run = Recording(make_setting(PAYING), "failure", {}, 0)
    runner = Runner(Store())
    with pytest.raises(SettingError, match=r"dataset is 'no id'; give an id such as arithmetic/frontier-v0"):
        record([run], runner, tmp_path, "no id")
    with pytest.raises(SettingError, match="a dataset has one of each"):
        record([run, Recording(make_setting(BRANCHING), "failure", {}, 0)], runner, tmp_path, "toy/two-v0")
    with pytest.raises(SettingError, match="'open-ended' has no numeric view"):
        record([Recording(make_setting(PAYING), "stat-sel-pool", {}, 0)], runner, tmp_path, "toy/open-v0")
    assert not (tmp_path / "toy").exists(), "nothing is left of what was refused"
    record([run], runner, tmp_path, "toy/twice-v0")
    with pytest.raises(SettingError, match="exists; give another --id"):
        record([run], runner, tmp_path, "toy/twice-v0")


def test_what_could_not_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Recording(make_setting(PAYING), "failure", {}, 0)

    def full(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(HDF5Storage, "update_episodes", full)
        with pytest.raises(OSError, match="no space left"):
            record([run], Runner(Store()), tmp_path, "toy/full-v0")
    assert record([run], Runner(Store()), tmp_path, "toy/full-v0")[0] == 1


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {n: v for n, v in PAYING.items() if n not in ("task", "student")}
    words = ["record", "--teacher", "failure", "--task", "branching", "--student", "choosy", "--seeds", "0,3"]
    words += ["--setting", json.dumps(fields), "--out", "datasets", "--store", str(tmp_path / "store")]
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "in 2 episodes" in done.output
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    assert minari.load_dataset("branching/failure-v0").total_episodes == 2
    assert list(minari.list_local_datasets(prefix="branching")) == ["branching/failure-v0"]
    with pytest.raises(SettingError, match="--seeds is 'all'; give whole numbers with commas"):
        CliRunner().invoke(app, ["record", "--seeds", "all"], catch_exceptions=False)
