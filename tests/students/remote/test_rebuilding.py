"""A student that a service trains: what the gym does with one that gives other bits another time."""

from __future__ import annotations

import json
import logging
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dataenv import check_student, registry
from dataenv.checks.common import ContractError
from dataenv.environment.env import TeachingEnv
from dataenv.errors import StoreError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.play import play
from dataenv.leaderboard.report.page import render
from dataenv.leaderboard.statistics.summary import summarise
from students.base import Data, Recipe, Trained
from students.remote.rebuilding import NOT_REBUILT, REBUILT, is_rebuilt
from tasks.records import stream
from tests.toys import TOY_BOARD, TOYS, Apprentice, Parrot, Reverse

NUMBERS = count()


class Elsewhere(Apprentice):
    """A checkpoint of its has another name each time."""

    name = "elsewhere"

    @property
    def numerics(self) -> dict[str, Any]:
        return {REBUILT: NOT_REBUILT}

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        known = {key: value for key, value in json.loads(weights).items() if key != "checkpoint"}
        after, report = super().fit(json.dumps(known).encode(), data, recipe, seed)
        return json.dumps(json.loads(after) | {"checkpoint": next(NUMBERS)}).encode(), report


class Forgetful(Elsewhere):
    """Learns nothing when it is trained a third time."""

    name = "forgetful"
    times = 0

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        Forgetful.times += 1
        after, report = super().fit(weights, data, recipe, seed)
        return (weights if Forgetful.times == 3 else after), report


@pytest.fixture(autouse=True)
def elsewhere(toys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.STUDENTS, "elsewhere", f"{__name__}:Elsewhere")


def test_a_student_says_by_its_numerics_whether_it_is_rebuilt() -> None:
    assert is_rebuilt(Parrot())
    assert not is_rebuilt(Elsewhere())


def test_the_contract_asks_for_near_losses_in_place_of_bits() -> None:
    examples = [e for skill in Reverse.skills for e in Reverse().generate(skill, 4, stream(0, "rebuilding"))]
    check_student(Elsewhere(), examples)
    with pytest.raises(ContractError, match="quite other losses the second time"):
        check_student(Forgetful(), examples)


def test_what_cannot_be_rebuilt_is_not_evicted(tmp_path: Path) -> None:
    kept = {}
    for name in ("parrot", "elsewhere"):
        runner = Runner(Store(tmp_path / name))
        env = TeachingEnv("open-ended", runner=runner, **(TOYS | {"student": name}))
        env.reset(seed=0)
        env.step(env.task.generate("short", 8, stream(0, "rebuilding")))
        state = env.history[-1].state
        row = runner._row(state)
        runner.evict(state)
        kept[name] = runner.store.blobs.has(row["blob"])
        runner.store.blobs.drop(row["blob"])
        if name == "parrot":
            assert runner.weights(state)
        else:
            with pytest.raises(StoreError, match=r"trained by a service, which would train it to other weights"):
                runner._present(state)
    assert kept == {"parrot": False, "elsewhere": True}


def test_rows_and_page_say_that_a_service_trained(tmp_path: Path) -> None:
    pages = {}
    for name in ("apprentice", "elsewhere"):
        board = Board.model_validate(TOY_BOARD | {"setting": TOY_BOARD["setting"] | {"student": name}})
        rows = play(board, Runner(Store(tmp_path / "store" / name)), tmp_path / name)
        assert {row.rebuilt for row in rows} == {None if name == "apprentice" else NOT_REBUILT}
        assert ("rebuilt" in rows[0].model_dump(mode="json", by_alias=True)) is (name == "elsewhere")
        pages[name] = render(rows, summarise(rows))
        assert ("cannot be rebuilt bit by bit" in pages[name]) is (name == "elsewhere")


def test_a_replay_that_differs_is_no_fault_of_the_machine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    board = Board.model_validate(TOY_BOARD | {"setting": TOY_BOARD["setting"] | {"student": "elsewhere"}})
    folder = tmp_path / "board"
    play(board, Runner(Store(tmp_path / "one")), folder)
    row = sorted((folder / "rows").rglob("*.json"))[0]
    changed = json.loads(row.read_text())
    changed["selected"] = 0
    row.write_text(json.dumps(changed))
    with caplog.at_level(logging.WARNING):
        play(board, Runner(Store(tmp_path / "two")), folder)
    assert "A service trains its student" in caplog.text
    assert "does not repeat itself" not in caplog.text
