"""Rescoring: another checker over the same answers, without training and without opening anything new."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataenv import registry
from dataenv.errors import SettingError, StoreError
from dataenv.execution.store import Store
from dataenv.leaderboard.folder import MANIFEST, prepare, read_manifest, read_rows
from dataenv.leaderboard.rescore import free_folder, rescore
from tests.toys import Apprentice


def test_an_unchanged_checker_gives_the_same_bytes(toy_folder: Path, toy_store: Store, tmp_path: Path) -> None:
    done = rescore(toy_folder, toy_store, tmp_path / "again")
    assert done.otherwise == 0
    for path in (toy_folder / "rows").iterdir():
        assert (tmp_path / "again" / "rows" / path.name).read_bytes() == path.read_bytes()


def test_a_more_lenient_checker_changes_the_counts_and_not_what_was_played(
    toy_folder: Path, toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_rows(toy_folder)
    states, exams = toy_store.count("states"), toy_store.count("exams")
    monkeypatch.setitem(registry.TASKS, "reverse", "tests.toys:Lenient")
    monkeypatch.setattr(Apprentice, "fit", lambda *_: pytest.fail("rescoring trained"))
    monkeypatch.setattr(Apprentice, "answer", lambda *_: pytest.fail("rescoring asked the student"))
    done = rescore(toy_folder, toy_store, tmp_path / "again")
    assert (toy_store.count("states"), toy_store.count("exams")) == (states, exams)
    assert done.rows == read_rows(tmp_path / "again")
    taught = [row for row in before if row.teacher != "nothing"]
    assert done.otherwise == len(taught) > 0  # all answers are right now, so the untaught student would be selected
    for old, new in zip(before, done.rows, strict=True):
        assert (new.teacher, new.seed, new.selected) == (old.teacher, old.seed, old.selected)
        assert [step.state for step in new.steps] == [step.state for step in old.steps]
        assert old.test is not None
        assert new.test is not None
        assert new.test.by_skill == new.test.n == (5, 5)
        assert sum(old.test.by_skill) < 10
        assert new.transfer is not None
        assert set(new.transfer.correct) == {"1"}
        assert all(step.selection.correct == step.selection.n for step in new.steps)
        assert all(step.reward == 0 for step in new.steps)
        assert new.mistakes == ()
        assert new.budget == old.budget
    assert read_rows(toy_folder) == before


def test_a_rescored_folder_says_so_and_is_not_played_in(toy_folder: Path, toy_store: Store, tmp_path: Path) -> None:
    rescore(toy_folder, toy_store, tmp_path / "again")
    manifest, played = read_manifest(tmp_path / "again"), read_manifest(toy_folder)
    assert manifest is not None
    assert played is not None
    assert set(manifest.rescored or {}) == {"commit", "dirty"}
    assert manifest.board == played.board
    with pytest.raises(SettingError, match="the rows were graded again, not played"):
        prepare(manifest.board, tmp_path / "again")


def test_nothing_is_overwritten(toy_folder: Path, toy_store: Store) -> None:
    assert free_folder(toy_folder).name == "toy.rescored"
    rescore(toy_folder, toy_store, free_folder(toy_folder))
    assert free_folder(toy_folder).name == "toy.rescored.2"
    with pytest.raises(SettingError, match="is not empty"):
        rescore(toy_folder, toy_store, toy_folder)


def test_an_answer_that_is_not_in_the_store_is_one_sentence_and_nothing_is_written(
    toy_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match=r"failure, seed 0, step 0 .* are not in store in memory"):
        rescore(toy_folder, Store(None), tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_other_problems_cannot_be_graded(
    toy_folder: Path, toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.TASKS, "reverse", "tests.toys:Renewed")
    with pytest.raises(SettingError, match="has other problems than when failure, seed 0 was played"):
        rescore(toy_folder, toy_store, tmp_path / "again")
    assert not (tmp_path / "again" / MANIFEST).exists()
