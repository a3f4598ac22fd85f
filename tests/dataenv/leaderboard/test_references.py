"""References: any registered one stands on a board; unknown and broken ones are one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board, load
from dataenv.leaderboard.planning.validate import examine
from dataenv.leaderboard.play import play
from dataenv.leaderboard.references import Nothing, Reference
from dataenv.leaderboard.runs import all_runs
from dataenv.setting import Setting
from tests.toys import TOY_BOARD, write_toml


class Halved(Reference):
    """Every skill equally, with half the purse."""

    @classmethod
    def within(cls, setting: Setting) -> Setting:
        half = setting.budget.student_tokens // 2
        return setting.changed(budget=setting.budget.model_copy(update={"student_tokens": half}))

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        return np.ones_like(observation["accuracy"])


def board(**changes: Any) -> dict[str, Any]:
    return TOY_BOARD | {"references": ["nothing", "halved"]} | changes


def test_a_reference_from_outside_is_played_within_its_own_setting(
    toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._HERE["reference"], "halved", Halved)
    rows = play(Board.model_validate(board()), Runner(Store()), tmp_path)
    mine = [row for row in rows if row.teacher == "halved"]
    assert {(row.role, row.budget.total, row.seed) for row in mine} == {("reference", 600, 0), ("reference", 600, 1)}
    assert all(len(row.steps) > 1 for row in mine)


def test_those_of_the_project_are_what_they_were() -> None:
    cells = {cell.label: cell for cell in all_runs(load("quick-2026")) if cell.role == "reference"}
    assert set(cells) == {"nothing", "format-only", "joint", "joint-x4", "static-best"}
    purse = load("quick-2026").setting.budget.student_tokens
    assert [cells[name].setting.budget.student_tokens // purse for name in ("nothing", "joint", "joint-x4")] == [
        1,
        1,
        4,
    ]
    assert cells["static-best"].registered == "static"


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (None, "reference 'halved' is not registered; "),
        ("no.module:Here", "reference 'halved' .* cannot be loaded"),
        (dict, "no subclass of dataenv.leaderboard.references.Reference"),
        (type("Bare", (Reference,), {}), "reference 'halved' lacks act"),
        (type("Lost", (Nothing,), {"level": "skil-list"}), "skil-list"),
    ],
)
def test_a_wrong_reference_is_one_sentence(
    toys: None, tmp_path: Path, thing: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if thing is not None:
        monkeypatch.setitem(registry._HERE["reference"], "halved", thing)
    path = write_toml(tmp_path / "toy.toml", board())
    with pytest.raises(SettingError, match=said):
        load(str(path))
    assert len(examine(str(path))) == 1


def test_an_unknown_one_gets_the_nearest_name(toys: None) -> None:
    with pytest.raises(ValueError, match="reference 'joint-x5' is not registered; did you mean 'joint-x4'"):
        Board.model_validate(board(references=["nothing", "joint-x5"]))
    with pytest.raises(ValueError, match="references hold one name twice"):
        Board.model_validate(board(references=["nothing", "nothing"]))
