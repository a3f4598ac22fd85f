"""The folder of a board: rows as runs end, one configuration a folder, nothing lost where it changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard import play as playing
from dataenv.leaderboard.conduct import COST
from dataenv.leaderboard.config import Board, Entry
from dataenv.leaderboard.folder import (
    MANIFEST,
    Manifest,
    differences,
    missing,
    read_manifest,
    read_rows,
    write_row,
)
from dataenv.leaderboard.report.tables import write_csv, write_page
from dataenv.leaderboard.rescore import rescore
from dataenv.leaderboard.trackers import Tracker
from tests.dataenv.leaderboard.synthetic import make_row
from tests.toys import TOY_BOARD, Apprentice


def board(**changes: Any) -> Board:
    return Board.model_validate(TOY_BOARD | changes)


def setting(**changes: Any) -> dict[str, Any]:
    return TOY_BOARD["setting"] | changes


def again(folder: Path, new: Board, store: Store, replace: bool = False) -> Runner:
    runner = Runner(store)
    playing.play(new, runner, folder, replace=replace)
    return runner


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_manifest_says_what_is_played_without_clock_host_or_path(toy_folder: Path) -> None:
    text = (toy_folder / MANIFEST).read_text()
    manifest = read_manifest(toy_folder)
    assert manifest == Manifest.of(board())
    assert manifest.hashes == read_rows(toy_folder)[0].hashes
    assert manifest.board.setting.mastery == 0.99  # a default, resolved
    assert str(toy_folder.parent) not in text
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def test_the_same_configuration_resumes_silently(toy_folder: Path, toy_store: Store) -> None:
    before = content(toy_folder)
    assert again(toy_folder, board(), toy_store).trained == 0
    assert content(toy_folder) == before
    turned = board(teachers=TOY_BOARD["teachers"][::-1])
    assert again(toy_folder, turned, toy_store).trained == 0  # the order in which teachers are listed decides nothing


@pytest.mark.fault(
    "a board of the same name with another configuration", "refused before anything is computed, with what differs"
)
def test_another_configuration_is_refused_before_anything_is_computed(toy_folder: Path, toy_store: Store) -> None:
    before, states = content(toy_folder), toy_store.count("states")
    changed = board(setting=setting(recipe={"updates": 4, "batch": 4, "rate": 0.01}), seeds=[0, 1, 2])
    with pytest.raises(SettingError) as caught:
        again(toy_folder, changed, toy_store)
    said = str(caught.value)
    assert "setting.recipe.rate: 0.003 → 0.01" in said
    assert "seeds: [0,1] → [0,1,2]" in said
    assert "14 of 14 runs would be computed anew, and 8 rows there belong to none of them" in said
    assert "rows.1" in said
    assert len(said.splitlines()) == 4
    assert content(toy_folder) == before
    assert toy_store.count("states") == states


@pytest.mark.parametrize(
    ("changes", "anew", "runs", "strangers"),
    [
        ({"seeds": [0, 1, 2]}, 4, 14, 0),  # stratified, failure, nothing, static-best on seed 2; the search stands
        ({"seeds": [1]}, 0, 6, 4),
        ({"teachers": ["stratified"]}, 0, 8, 2),
        ({"teachers": ["stratified", {"name": "failure", "args": {"alpha": 3.0}}]}, 2, 10, 2),
        ({"mixtures": {"seeds": [8], "weights": TOY_BOARD["mixtures"]["weights"]}}, 4, 10, 2),
        ({"mixtures": {"seeds": [7], "weights": {"plain": {}}}}, 2, 9, 2),
        ({"references": ["nothing"]}, 0, 6, 2),
    ],
)
def test_what_would_be_computed_anew_is_counted(
    toy_folder: Path, toy_store: Store, changes: dict[str, Any], anew: int, runs: int, strangers: int
) -> None:
    with pytest.raises(SettingError, match=f"{anew} of {runs} runs would be computed anew") as caught:
        again(toy_folder, board(**changes), toy_store)
    kept = "every row there belongs to one of them" in str(caught.value)
    assert kept == (strangers == 0)
    assert kept or f"and {strangers} rows there belong to none" in str(caught.value)


def test_a_teacher_under_another_name_is_the_same_run_but_not_the_same_row(toy_folder: Path, toy_store: Store) -> None:
    entry = {"name": "failure", "args": {"alpha": 2.0}, "label": "fail"}
    with pytest.raises(SettingError, match="0 of 10 runs would be computed anew, and 2 rows there belong to none"):
        again(toy_folder, board(teachers=["stratified", entry]), toy_store)


def test_replace_moves_aside_what_does_not_belong_and_deletes_nothing(toy_folder: Path, toy_store: Store) -> None:
    before = content(toy_folder)
    (toy_folder / "rows" / "failure--0").mkdir()
    (toy_folder / "rows" / "failure--0" / "data.jsonl").write_text("exported\n")
    for alpha, name in ((3.0, "rows.1"), (4.0, "rows.2")):
        teachers = ["stratified", {"name": "failure", "args": {"alpha": alpha}}]
        again(toy_folder, board(teachers=teachers), toy_store, replace=True)
        moved = {path.name for path in (toy_folder / name).iterdir()}
        assert {"failure--0.json", "failure--1.json", MANIFEST} <= moved
    first = toy_folder / "rows.1"
    assert (first / "failure--0.json").read_bytes() == before["rows/failure--0.json"]
    assert (first / MANIFEST).read_bytes() == before[MANIFEST]
    assert (first / "failure--0" / "data.jsonl").read_text() == "exported\n"
    assert (toy_folder / "rows/stratified--0.json").read_bytes() == before["rows/stratified--0.json"]
    assert {row.teacher_args.get("alpha") for row in read_rows(toy_folder) if row.teacher == "failure"} == {4.0}
    write_page(read_rows(toy_folder), toy_folder / "leaderboard.html")


def test_an_added_teacher_is_no_other_configuration_and_is_remembered(toy_folder: Path, toy_store: Store) -> None:
    before, extra = content(toy_folder), Entry(name="random")
    playing.play(board(), Runner(toy_store), toy_folder, added=[extra])
    manifest = read_manifest(toy_folder)
    assert manifest is not None
    assert manifest.added == ("random",)
    assert [entry.shown for entry in manifest.board.teachers] == ["stratified", "failure", "random"]
    assert missing(toy_folder, read_rows(toy_folder)) == ""
    after = content(toy_folder)
    assert {name: after[name] for name in before if name not in (MANIFEST, COST)} == {
        name: text for name, text in before.items() if name not in (MANIFEST, COST)
    }
    rows = playing.play(board(), Runner(toy_store), toy_folder)
    assert {row.teacher for row in rows} >= {"random"}  # the same table as `report` shows, whatever was typed last
    assert content(toy_folder) == after


def test_an_added_teacher_of_other_arguments_is_another_configuration(toy_folder: Path, toy_store: Store) -> None:
    def add(alpha: float, replace: bool = False) -> None:
        entry = Entry(name="failure", args={"alpha": alpha}, label="more")
        playing.play(board(), Runner(toy_store), toy_folder, replace=replace, added=[entry])

    add(3.0)
    with pytest.raises(SettingError, match=r"teachers.more.args.alpha: 3.0 → 4.0"):
        add(4.0)
    add(4.0, replace=True)
    assert {row.teacher_args.get("alpha") for row in read_rows(toy_folder) if row.teacher == "more"} == {4.0}
    assert {path.name for path in (toy_folder / "rows.1").iterdir()} == {"more--0.json", "more--1.json", MANIFEST}


def test_a_teacher_that_the_board_has_is_not_added_twice(toy_folder: Path, toy_store: Store) -> None:
    before = content(toy_folder)
    entry = Entry(name="failure", args={"alpha": 2.0})
    playing.play(board(), Runner(toy_store), toy_folder, added=[entry])
    assert content(toy_folder) == before


def test_a_changed_setting_is_refused_with_an_added_teacher_too(toy_folder: Path, toy_store: Store) -> None:
    before = content(toy_folder)
    changed = board(setting=setting(lesson_size=12))
    with pytest.raises(SettingError) as caught:
        playing.play(changed, Runner(toy_store), toy_folder, added=[Entry(name="random")])
    assert "setting.lesson_size: 16 → 12" in str(caught.value)
    assert "random" not in str(caught.value)
    assert content(toy_folder) == before


def test_a_changed_student_or_task_is_named(
    toy_folder: Path, toy_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = read_manifest(toy_folder)
    assert old is not None
    code = old.model_copy(update={"student": old.student | {"code": "0" * 64, "numerics": {"threads": 2}}})
    assert differences(code, old) == ["student code changed", "student.numerics.threads: 2 → (absent)"]
    version = old.model_copy(update={"task": {"version": "0", "fingerprint": "x"}})
    assert differences(version, old) == ["task version changed: 0 → 1"]
    problems = old.model_copy(update={"task": old.task | {"fingerprint": "x"}})
    assert differences(problems, old) == ["task problems changed, though its version (1) did not"]

    monkeypatch.setitem(registry.TASKS, "reverse", "tests.toys:Renewed")
    with pytest.raises(SettingError, match="task version changed: 1 → 2") as caught:
        again(toy_folder, board(), toy_store)
    assert "10 of 10 runs would be computed anew" in str(caught.value)


def test_rows_without_a_manifest_go_on_where_they_belong(toy_folder: Path, toy_store: Store) -> None:
    before = content(toy_folder)
    (toy_folder / MANIFEST).unlink()
    again(toy_folder, board(), toy_store)
    assert content(toy_folder) == before
    (toy_folder / MANIFEST).unlink()
    with pytest.raises(SettingError, match="by a release that did not write it down"):
        again(toy_folder, board(seeds=[0]), toy_store)


def test_a_row_is_there_as_soon_as_its_run_has_ended(
    toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, sound, told = Store(None), Apprentice.fit, []

    def breaks(self: Apprentice, *args: Any) -> Any:
        if len(told) >= 5:
            raise KeyboardInterrupt
        return sound(self, *args)

    monkeypatch.setattr(Apprentice, "fit", breaks)
    watch = Tracker()
    monkeypatch.setattr(watch, "done", lambda cell, error: told.append(cell.group))
    with pytest.raises(KeyboardInterrupt):
        playing.play(board(), Runner(store), tmp_path / "toy", watch)
    rows = read_rows(tmp_path / "toy")
    assert [(row.teacher, row.seed) for row in rows] == [("failure", 0), ("stratified", 0), ("stratified", 1)]
    said = missing(tmp_path / "toy", rows)
    assert said == "3 of 8 runs have ended; missing: failure seed 1; nothing seed 0, 1; static-best seed 0, 1."
    write_page(rows, tmp_path / "toy" / "leaderboard.html")  # a half-played board can be shown
    write_csv(rows, tmp_path / "toy" / "leaderboard.csv")
    monkeypatch.setattr(Apprentice, "fit", sound)
    again(tmp_path / "toy", board(), store)
    assert missing(tmp_path / "toy", read_rows(tmp_path / "toy")) == ""


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("rows/stratified--0.json", "{", "is no row of a board"),
        ("rows/x--0.json", "", "is no row of a board"),
        (MANIFEST, "{}", "is no manifest of a board"),
    ],
)
def test_a_damaged_file_is_one_sentence(toy_folder: Path, name: str, text: str, words: str) -> None:
    (toy_folder / name).write_text(text)
    with pytest.raises(SettingError, match=words) as caught:
        missing(toy_folder, read_rows(toy_folder))
    assert "\n" not in str(caught.value)


def test_rows_that_cannot_stand_together_are_one_sentence(toy_folder: Path) -> None:
    path = toy_folder / "rows" / "stratified--0.json"
    (toy_folder / "rows" / "again--0.json").write_bytes(path.read_bytes())
    with pytest.raises(SettingError, match="rows hold teacher 'stratified', seed 0 twice"):
        read_rows(toy_folder)
    with pytest.raises(SettingError, match="holds no rows"):
        read_rows(toy_folder.parent)


# --- one configuration at a time, and names that are names ----------------------------------------------------------

PLAYS = """
import sys, threading
from pathlib import Path
from unittest.mock import patch
from dataenv.leaderboard import play as playing
from dataenv.leaderboard.config import Board
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from tests.golden.make import toys
from tests.toys import TOY_BOARD

def wait(*_):
    print("playing", flush=True)
    sys.stdin.readline()

with toys(), patch.object(playing, "known_runs", wait):
    playing.play(Board.model_validate(TOY_BOARD), Runner(Store(None)), Path(sys.argv[1]))
"""


@pytest.mark.fault("two drivers with different configurations on one folder", "the second is refused, and who plays")
def test_a_folder_that_is_being_played_keeps_to_its_configuration(toys: None, tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    words = [sys.executable, "-c", PLAYS, str(folder)]
    driver = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "playing\n"
        before = content(folder)
        other = board(setting=setting(lesson_size=12))
        for replace in (False, True):
            with pytest.raises(SettingError, match=rf"with another configuration by process {driver.pid} on .*--out"):
                playing.play(other, Runner(Store(None)), folder, replace=replace)
        assert content(folder) == before
        same = playing.play(board(metrics=["transfer"]), Runner(Store(None)), folder)
        assert len(same) == len(read_rows(folder)) == 8
    finally:
        driver.kill()
        driver.wait()
    assert playing.play(other, Runner(Store(None)), folder, replace=True)
    assert (folder / "rows.1").is_dir()


NAMES = ("../../p/PWNED", "/tmp/PWNED", "..", ".hidden", "a/b", "a\\b", "", "a" * 65, "\x1b]0;owned\x07", "a\n", "é")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder that holds one row."""
    (tmp_path / "board" / "rows").mkdir(parents=True)
    (tmp_path / "board" / "rows" / "random--0.json").write_text(json.dumps(make_row("random")))
    return tmp_path / "board"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", ["teacher", "board"])
def test_a_row_whose_names_are_none_is_refused_and_writes_nowhere(written: Path, name: str, field: str) -> None:
    path = next((written / "rows").iterdir())
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: name}))
    before = content(written.parent)
    with pytest.raises(SettingError, match=rf"{path.name}.*{field}") as caught:
        read_rows(written)
    assert "\x1b" not in str(caught.value)
    with pytest.raises(SettingError):
        rescore(written, Store(None), written.parent / "again")
    assert content(written.parent) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_written_in_its_folder_or_not_at_all(written: Path, name: str) -> None:
    row = read_rows(written)[0].model_copy(update={"teacher": name})
    before = content(written.parent)
    with pytest.raises(SettingError, match="cannot name a file"):
        write_row(row, written)
    assert content(written.parent) == before


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("budget.prior", 10**400), ("budget.total", 10**300), ("budget.money", 1e308), ("seed", 2**60),
        ("steps.0.reward", 1e308), ("steps.0.spent", 10**30), ("steps.0.loss.0", -1e308),
        ("test.grader_errors", 10**20),
    ],
)  # fmt: skip
def test_huge_numbers_of_a_row_are_refused_by_name(written: Path, path: str, value: float) -> None:
    file = next((written / "rows").iterdir())
    row = json.loads(file.read_text())
    *way, last = path.split(".")
    inner = row
    for part in way:
        inner = inner[int(part) if part.isdecimal() else part]
    inner[int(last) if last.isdecimal() else last] = value
    file.write_text(json.dumps(row))
    with pytest.raises(SettingError, match=rf"{file.name} is no row of a board: {path} is .*; give "):
        read_rows(written)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, '{"seed": ' + "9" * 10_000 + "}", "NaN", "\ufeff{}", "", '"\\ud800"']
)
def test_a_file_that_is_no_row_is_one_sentence(written: Path, text: str) -> None:
    (written / "rows" / "a--0.json").write_text(text)
    with pytest.raises(SettingError, match=r"a--0\.json is no row of a board") as caught:
        read_rows(written)
    assert len(str(caught.value)) < 1000


def test_what_is_no_file_or_has_no_end_is_not_read(written: Path, tmp_path: Path) -> None:
    (written / "rows" / "a--0.json").symlink_to("/dev/zero")
    with pytest.raises(SettingError, match="is no file, or larger than 64 MiB"):
        read_rows(written)
    (written / "rows" / "a--0.json").unlink()
    with (written / "rows" / "a--0.json").open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(SettingError, match="is no file, or larger than 64 MiB"):
        read_rows(written)


def test_what_a_killed_driver_left_is_swept(toy_folder: Path, toy_store: Store) -> None:
    for folder in (toy_folder, toy_folder / "rows"):
        (folder / ".tmp-1").write_text("half")
    playing.play(board(), Runner(toy_store), toy_folder)
    assert not list(toy_folder.rglob(".tmp-*"))
