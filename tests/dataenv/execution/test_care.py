"""``check`` finds what is not sound and changes nothing; ``repair`` mends it, and keeps what was there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError, StoreError
from dataenv.execution.care import Checkup, check, repair
from dataenv.execution.database import TABLES
from dataenv.execution.store import ROWS, Store
from tests.golden.make import GOLDEN
from tests.stores import execute, play

pytestmark = pytest.mark.usefixtures("toys")
PAGE = 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, toys: None) -> tuple[Path, TeachingEnv]:
    folder = tmp_path_factory.mktemp("whole") / "store"
    return folder, play(folder)


@pytest.fixture
def store(whole: tuple[Path, TeachingEnv], tmp_path: Path) -> Path:
    shutil.copytree(whole[0], tmp_path / "store")
    return tmp_path / "store"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def kinds(found: Checkup) -> set[tuple[str, str]]:
    return {(one.kind, one.where) for one in found.findings}


def blobs_of(store: Path) -> list[Path]:
    return sorted(path for path in (store / "blobs").rglob("*") if path.is_file())


def test_a_sound_store_is_sound_and_a_repair_changes_nothing(store: Path) -> None:
    before = content(store)
    found = check(store)
    assert found.findings == ()
    assert found.blobs == len(blobs_of(store)) == 3
    assert found.rows["states"] == 3
    assert content(store) == before
    done = repair(store)
    assert (done.before, done.after, done.aside) == (found, found, None)


# --- a database that SQLite reads ------------------------------------------------------------------------------------


def cut_blob(store: Path) -> None:
    blobs_of(store)[0].write_bytes(b"cut")


def stray(store: Path) -> None:
    (store / "blobs" / "ab").mkdir(exist_ok=True)
    (store / "blobs" / "ab" / "notes.txt").write_text("whose?")
    (store / "blobs" / "more").mkdir()


def folder_for_a_blob(store: Path) -> None:
    path = blobs_of(store)[0]
    path.unlink()
    path.mkdir()


def half_written(store: Path) -> None:
    (store / "blobs" / "ab").mkdir(exist_ok=True)
    (store / "blobs" / "ab" / ".tmp-1").write_bytes(b"half")


def lost_lesson(store: Path) -> None:
    execute(store, "DELETE FROM lessons WHERE rowid = (SELECT max(rowid) FROM lessons)")


def lost_parent(store: Path) -> None:
    """The first lesson of the chain and all weights: nothing of it can be rebuilt."""
    for path in blobs_of(store):
        path.unlink()
    execute(store, "DELETE FROM states WHERE rowid = 1")


HARM: dict[str, tuple[Callable[[Path], None], set[tuple[str, str]]]] = {
    "a flipped bit in a row": (
        lambda store: execute(store, "UPDATE states SET body = X'00' WHERE rowid = 2"), {("damaged", "states")}
    ),
    "a row under another key": (
        lambda store: execute(store, "UPDATE exams SET key = 'other' WHERE rowid = 2"), {("damaged", "exams")}
    ),
    "a key that is no text": (
        lambda store: execute(store, "UPDATE exams SET key = X'00ff' WHERE rowid = 2"), {("damaged", "exams")}
    ),
    "weights cut short": (cut_blob, {("damaged", "blobs")}),
    "what is no weights": (stray, {("strange", "blobs")}),
    "a folder in place of weights": (folder_for_a_blob, {("strange", "blobs")}),
    "a file that was being written": (half_written, {("left over", "blobs")}),
    "a lesson that is gone": (lost_lesson, {("missing", "states")}),
    "weights and the state that they came from gone": (lost_parent, {("missing", "states")}),
    "a table that is gone": (lambda store: execute(store, "DROP TABLE lessons"), {("missing", "states")}),
}  # fmt: skip


@pytest.mark.parametrize("harm", HARM)
def test_harm_is_found_mended_and_computed_anew(whole: tuple[Path, TeachingEnv], store: Path, harm: str) -> None:
    damage, expected = HARM[harm]
    damage(store)
    before = content(store)
    found = check(store)
    assert kinds(found) == expected
    assert content(store) == before
    done = repair(store)
    assert done.before.findings == found.findings
    assert done.after.findings == check(store).findings == ()
    assert play(store).history == whole[1].history
    assert check(store).findings == ()


def test_what_was_there_is_kept_aside(store: Path) -> None:
    execute(store, "UPDATE states SET body = X'00' WHERE rowid = 2")
    aside = repair(store).aside
    assert aside == store / "damaged-1"
    with closing(sqlite3.connect(aside / ROWS)) as rows:
        assert rows.execute("SELECT body FROM states WHERE rowid = 2").fetchone() == (b"\0",)
    stray(store)
    assert repair(store).aside == store / "damaged-2"
    assert (store / "damaged-2" / "notes.txt").read_text() == "whose?"


def test_evicted_weights_are_no_harm(store: Path) -> None:
    blobs_of(store)[-1].unlink()
    assert check(store).findings == ()


# --- a database that SQLite does not read ----------------------------------------------------------------------------


def hit(at: int, length: int) -> Callable[[bytearray], None]:
    def damage(data: bytearray) -> None:
        data[at : at + length] = np.random.default_rng(at).bytes(length)

    return damage


def cut(data: bytearray) -> None:
    del data[len(data) // 2 :]


BROKEN: dict[str, tuple[Callable[[bytearray], None], bool]] = {
    "the header": (hit(0, 100), True),
    "the magic of the header": (hit(0, 16), True),
    "the number of its format": (hit(44, 4), True),
    "the schema": (hit(100, PAGE - 100), True),
    "half of the first page": (hit(PAGE // 2, PAGE // 2), True),
    "half of it": (cut, False),
    "all of it": (lambda data: data.__init__(b"nonsense" * 1000), False),  # type: ignore[misc]
}
"""What is hit, and whether no row was there."""


@pytest.mark.fault("a page of the database damaged, or the file cut", "one sentence; a repair keeps what can be read")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_database_is_said_and_what_can_be_read_is_recovered(
    whole: tuple[Path, TeachingEnv], store: Path, name: str
) -> None:
    damage, nothing_lost = BROKEN[name]
    data = bytearray((store / ROWS).read_bytes())
    damage(data)
    (store / ROWS).write_bytes(data)
    with pytest.raises(StoreError, match="dataenv store repair"):
        play(store)
    assert kinds(check(store)) == {("damaged", "database")}
    done = repair(store)
    assert done.after.findings == ()
    assert done.aside is not None
    assert (done.aside / ROWS).read_bytes() == data
    if nothing_lost:
        assert done.after.rows == check(whole[0]).rows
    again = play(store)
    assert again.history == whole[1].history
    assert again.runner.trained == (0 if nothing_lost else 3)


def test_every_single_page_may_be_hit(store: Path) -> None:
    """Whatever page it is: the rows of the others are kept, and what is kept is what was written."""
    data = (store / ROWS).read_bytes()
    held = {table: rows_of(store, table) for table in TABLES}
    for page in range(len(data) // PAGE):
        broken = store.with_name(f"page{page}")
        broken.mkdir()
        hurt = bytearray(data)
        hurt[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
        (broken / ROWS).write_bytes(hurt)
        (broken / "blobs").mkdir()
        done = repair(broken)
        assert done.after.findings == ()
        for table in TABLES:
            kept = rows_of(broken, table)
            assert kept.items() <= held[table].items()
        lost = sum(len(held[t]) - len(rows_of(broken, t)) for t in ("lessons", "exams"))
        assert lost < sum(map(len, held.values())) / 2


def rows_of(store: Path, table: str) -> dict[str, bytes]:
    with closing(sqlite3.connect(store / ROWS)) as rows:
        return dict(rows.execute(f"SELECT key, body FROM {table}"))


def test_rows_that_go_over_many_pages_and_rows_of_the_log_are_recovered(tmp_path: Path) -> None:
    live = Store(tmp_path / "live")
    rng = np.random.default_rng(0)
    texts = {str(i): rng.bytes(size).hex() for i, size in enumerate((10, 900, 3000, 20_000, 100_000))}
    for key, text in texts.items():
        live.put("chats", key, {"text": text})
    shutil.copytree(tmp_path / "live", tmp_path / "killed")
    with (tmp_path / "killed" / ROWS).open("r+b") as file:
        file.write(b"x" * 3000)
    done = repair(tmp_path / "killed")
    assert done.after.rows["chats"] == len(texts)
    store = Store(tmp_path / "killed")
    assert {key: store.get("chats", key)["text"] for key in texts} == texts


def test_a_broken_store_of_schema_3_is_recovered(tmp_path: Path) -> None:
    """Its seals do not name the table; what a row holds does."""
    old = tmp_path / "old"
    shutil.copytree(GOLDEN / "store", old)
    data = bytearray((GOLDEN / "store3" / ROWS).read_bytes())
    data[100:200] = bytes(100)
    (old / ROWS).write_bytes(data)
    assert kinds(check(old)) == {("damaged", "database")}
    assert repair(old).after.rows == check(GOLDEN / "store").rows


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    for act in (check, repair):
        with pytest.raises(SettingError, match="is not there; give the folder of a store"):
            act(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_store_in_use_is_checked_and_not_repaired(store: Path) -> None:
    opened = Store(store)
    assert check(store).findings == ()
    with pytest.raises(StoreError, match=f"is in use by process {os.getpid()} on .*; end that, and repair it then"):
        repair(store)
    opened.close()
    repair(store)


def test_a_store_of_a_later_release_is_refused(store: Path) -> None:
    execute(store, "PRAGMA user_version=99")
    before = content(store)
    for act in (check, repair):
        with pytest.raises(StoreError, match="later release"):
            act(store)
    assert content(store) == before


LIVE = """
import sys
from pathlib import Path
from dataenv.execution.store import Store
from tasks.records import Example
store = Store(Path(sys.argv[1]))
print("open", flush=True)
for i in range(3000):
    store.put_lesson([Example(prompt=str(i), response="x")])
"""


def test_a_check_beside_a_writer_finds_nothing(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", LIVE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline()
        for _ in range(5):
            assert check(tmp_path).findings == ()
    finally:
        writer.kill()
        writer.wait()
