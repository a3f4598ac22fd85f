"""The plan: what it says is what is then played."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.planning import plan as plans
from dataenv.leaderboard.planning.plan import ForecastLine, make_plan, sentences
from dataenv.leaderboard.play import play
from students.base import TrainingDivergedError
from tests.tiny import TINY
from tests.toys import TOY_BOARD, Apprentice


def planned(store: Store, folder: Path, width: int = 1, **changes: Any) -> plans.Forecast:
    return make_plan(Board.model_validate(TOY_BOARD | changes), store, folder, width)


def lines(plan: plans.Forecast) -> dict[str, ForecastLine]:
    return {line.name: line for line in plan.lines}


def test_what_is_planned_is_what_is_played(toys: None, tmp_path: Path) -> None:
    store, folder = Store(None), tmp_path / "toy"
    before = planned(store, folder)
    assert (before.known, before.rows, before.runs) == (0, 0, 10)
    assert store.count("states") == 0
    assert not folder.exists()
    runner = Runner(store)
    rows = play(Board.model_validate(TOY_BOARD), runner, folder)
    spent = {row.teacher: 0 for row in rows}
    for row in rows:
        spent[row.teacher] += row.budget.training
    told = lines(before)
    for teacher, tokens in spent.items():
        assert told[teacher].tokens == pytest.approx(tokens, rel=0.15)
        assert told[teacher].runs == 2
        assert told[teacher].trainings == sum(bool(s.lesson) for r in rows if r.teacher == teacher for s in r.steps)
    # the best mixture was the uniform one, as ``stratified``: those runs are equal and were computed once
    assert before.trainings - told["static-best"].trainings == runner.trained
    after = planned(store, folder)
    assert (after.known, after.rows) == (after.trainings, 8)
    assert all(line.seconds == pytest.approx(line.driver) for line in after.lines)  # the driver alone goes over it
    assert all(line.seconds > line.driver for line in before.lines if line.runs)
    assert after.trainings == before.trainings


def test_half_of_a_board_is_known(toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, folder, sound, trained = Store(None), tmp_path / "toy", Apprentice.fit, []

    def breaks(self: Apprentice, *args: Any) -> Any:
        if len(trained) == 11:
            raise KeyboardInterrupt
        trained.append(1)
        return sound(self, *args)

    monkeypatch.setattr(Apprentice, "fit", breaks)
    with pytest.raises(KeyboardInterrupt):
        play(Board.model_validate(TOY_BOARD), Runner(store), folder)
    monkeypatch.setattr(Apprentice, "fit", sound)
    plan = planned(store, folder)
    told = lines(plan)
    # where all is wrong yet, ``failure`` teaches what ``stratified`` taught: its first two lessons are known
    assert [told[name].known for name in ("mixture search", "stratified", "failure")] == [6, 5, 2]
    assert (told["stratified"].rows, told["stratified"].trainings) == (1, 6)
    assert plan.trainings > plan.known > store.count("states") == 11


def test_a_plan_is_json_and_says_what_it_assumes(toys: None, tmp_path: Path) -> None:
    plan = planned(Store(None), tmp_path / "toy")
    assert plans.Forecast.model_validate(json.loads(plan.model_dump_json())) == plan
    said = " ".join(sentences(plan))
    for word in ("Time left", "kept at the end", "Measured here, one thread", "Assumes"):
        assert word in said
    assert plan.peak >= plan.kept > 0


def test_twice_as_many_workers_take_no_longer_than_half_and_no_less_than_a_chain() -> None:
    line = ForecastLine(
        name="x", runs=8, trainings=8, known=0, exams=8, tokens=8, answers=8, losses=8, rows=0,
        seconds=80.0, longest=10.0, driver=8.0,
    )  # fmt: skip
    warm = line.model_copy(update={"seconds": 20.0, "longest": 5.0, "driver": 0.0})
    phase = [warm, line]
    assert plans._elapsed(phase, 1, local=False) == 100
    assert plans._elapsed(phase, 2, local=False) == pytest.approx(46)
    assert plans._elapsed(phase, 4, local=False) == pytest.approx(23)
    assert plans._elapsed(phase, 1000, local=False) == 15  # a warm start, then a run
    assert plans._elapsed(phase, 2, local=True) >= plans._elapsed(phase, 2, local=False)


def test_a_real_student_is_measured(tmp_path: Path) -> None:
    board = Board.model_validate(
        {"name": "tiny", "seeds": [0], "teachers": ["stratified"], "references": ["nothing", "joint"], "setting": TINY}
    )
    plan = make_plan(board, Store(None), tmp_path / "tiny", 2)
    m = plan.measured
    assert min(m.token, m.answer, m.loss, m.lesson, m.example) > 0
    assert m.blob > 10_000
    runner = Runner(Store(None))
    rows = play(board, runner, tmp_path / "tiny")
    told = lines(plan)
    assert plan.trainings == runner.trained == 8
    for teacher in ("stratified", "joint"):
        spent = sum(row.budget.training for row in rows if row.teacher == teacher)
        assert told[teacher].tokens == pytest.approx(spent, rel=0.03)


def test_what_cannot_be_measured_is_one_sentence(toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverges(self: Apprentice, *args: Any) -> Any:
        raise TrainingDivergedError("the loss became nan at update 2; lower recipe.rate")

    monkeypatch.setattr(Apprentice, "fit", diverges)
    with pytest.raises(SettingError, match=r"setting\.recipe does not train: the loss became nan"):
        planned(Store(None), tmp_path / "toy")
    monkeypatch.setattr(Apprentice, "refuse", lambda self, example: "length")
    with pytest.raises(SettingError, match="student 'apprentice' can read no example of task 'reverse'"):
        planned(Store(None), tmp_path / "toy")
