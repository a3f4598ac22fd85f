"""With and without state: a mask blanks what it names and nothing else, at every level and on a board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import dataenv
from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard import play as playing
from dataenv.leaderboard.config import Board, load
from dataenv.leaderboard.folder import Manifest
from dataenv.leaderboard.planning.validate import examine
from dataenv.leaderboard.runs import known_runs, row_identity, run_identity
from dataenv.levels import level_class
from dataenv.registry import LEVELS
from dataenv.wrappers.mask import Mask
from tests.toys import BRANCHING, TOY_BOARD, write_toml

pytestmark = pytest.mark.usefixtures("toys")
ALL = {"explore": np.array([2, 3]), "data": np.ones(2, np.float32), "allocation": np.zeros((2, 3), np.float32)}
ACTIONS: dict[str, Any] = {
    "open-ended": ({"prompt": "abc>", "response": "cba"},),
    "skill-list": np.ones(2, np.float32),
    "skill-tree": ALL,
}


def levels(level: str) -> tuple[TeachingEnv, gym.Env[Any, Any]]:
    plain, below = (TeachingEnv(level, **BRANCHING) for _ in range(2))
    return plain, Mask(below)


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_state_is_all_that_tells_of_the_student(level: str) -> None:
    plain, masked = levels(level)
    shown, hidden = (env.reset(seed=0)[0] for env in (plain, masked))
    told = {"score", "errors", "wrong", "accuracy", "loss", "subskill_accuracy"} & shown.keys()
    assert set(level_class(level).state) == told
    for step in (plain.step(ACTIONS[level]), masked.step(ACTIONS[level])):
        shown, hidden = hidden, step[0]
    assert masked.observation_space == plain.observation_space
    assert masked.observation_space.contains(hidden)
    for name in shown:
        if name not in told:
            assert np.array_equal(hidden[name], shown[name]), name
        else:
            assert len(hidden[name]) == 0 if name == "errors" else not hidden[name].any()
    assert shown["errors"], "there was something to hide"


def test_a_field_by_name_and_its_figure_in_info() -> None:
    plain, below = (TeachingEnv("skill-list", **BRANCHING | {"student": "parrot", "mastery": 1.0}) for _ in range(2))
    masked = Mask(below, ["score"])
    for env in (plain, masked):
        env.reset(seed=0)
    lesson = np.ones(2, np.float32)
    (seen, reward, *_, info), (veiled, same, *_, blank) = plain.step(lesson), masked.step(lesson)
    assert np.array_equal(seen["accuracy"], veiled["accuracy"])
    assert (float(veiled["score"][0]), blank["score"]) == (0.0, 0.0)
    assert reward == same
    assert {**info, "score": 0.0} == blank
    assert below.history[-1].selection.n, "what is written down is not masked"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (["acuracy"], "mask names 'acuracy', which is no field of level 'open-ended'; give 'state' or some of"),
        (["scor"], "did you mean 'score'"),
        ("state", r"mask is the text 'state'; give a list of fields, such as \['state'\]"),
    ],
)
def test_a_mask_of_what_is_not_there(fields: Any, words: str) -> None:
    with pytest.raises(dataenv.SettingError, match=words):
        Mask(TeachingEnv("open-ended", **BRANCHING), fields)


def test_a_mask_goes_below_a_numeric_view() -> None:
    env = TeachingEnv("skill-list", **BRANCHING)
    with pytest.raises(dataenv.SettingError, match=r"observation_space of env is a Box; put the mask below: numeric"):
        Mask(dataenv.numeric(env))
    assert dataenv.numeric(Mask(env)).reset(seed=0)[0].shape == (8,)


def test_the_spec_tells_of_the_mask() -> None:
    env = Mask(gym.make("dataenv/SkillList-v0", **BRANCHING), ["accuracy"])
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, Mask)
    assert again.fields == env.fields == {"accuracy"}


BOARD = TOY_BOARD | {
    "seeds": [0],
    "references": ["nothing"],
    "teachers": [
        "stratified",
        {"name": "failure", "args": {"alpha": 2.0}},
        {"name": "failure", "args": {"alpha": 2.0}, "label": "failure-blind", "mask": ["state"]},
    ],
}


def test_a_board_plays_an_entry_behind_its_mask(tmp_path: Path) -> None:
    """``failure`` without state weighs all skills alike: it is ``stratified``, to the last state."""
    board = Board.model_validate(BOARD)
    rows = {row.teacher: row for row in playing.play(board, Runner(Store(tmp_path / "store")), tmp_path / "out")}
    states = {name: [step.state for step in row.steps] for name, row in rows.items()}
    assert states["failure-blind"] == states["stratified"] != states["failure"]
    blind = rows["failure-blind"]
    assert (blind.mask, blind.shown_level) == (("state",), "skill-list without state")
    hashes = Manifest.of(board).hashes
    cells = {cell.label: run_identity(cell, board, hashes) for cell in known_runs(board)}
    assert {name: row_identity(row, board) for name, row in rows.items()} == cells
    assert len(set(cells.values())) == 4


def test_a_board_refuses_a_mask_that_hides_nothing(tmp_path: Path) -> None:
    bad = {"name": "failure", "label": "other", "mask": ["subskill_accuracy"]}
    path = write_toml(tmp_path / "b.toml", BOARD | {"teachers": ["stratified", bad]})
    with pytest.raises(dataenv.SettingError, match="mask names 'subskill_accuracy', which is no field of level"):
        load(path)
    assert ["mask names" in fault for fault in examine(path)] == [True]
    assert registry.names("teacher")["failure"], "the name itself is fine"
