"""A row is believed only if its table, its key and its content are what was written; older rows are sealed anew."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dataenv.errors import StoreError
from dataenv.execution.care import check
from dataenv.execution.database import SCHEMA, Sealed, seal
from dataenv.execution.jobs import Exam
from dataenv.execution.lineage import row_of
from dataenv.execution.store import LOCK, ROWS, Store
from tasks.records import Example
from tests.golden.make import GOLDEN, INDEX
from tests.stores import execute, mounted_to_read, play

pytestmark = pytest.mark.usefixtures("toys")
SWAP = (
    "CREATE TABLE other AS SELECT * FROM {0}",
    "UPDATE {0} SET body = (SELECT body FROM other o WHERE o.rowid = 3 - {0}.rowid), "
    "sha = (SELECT sha FROM other o WHERE o.rowid = 3 - {0}.rowid) WHERE rowid IN (1, 2)",
    "DROP TABLE other",
)
DAMAGE = {
    "two rows of states swapped": [each.format("states") for each in SWAP],
    "two rows of exams swapped": [each.format("exams") for each in SWAP],
    "two rows of lessons swapped": [each.format("lessons") for each in SWAP],
    "a row copied over another": [
        "UPDATE exams SET (body, sha) = (SELECT body, sha FROM exams WHERE rowid = 1) WHERE rowid = 3"
    ],
    "a row of another table": [
        "UPDATE exams SET (body, sha) = (SELECT body, sha FROM states WHERE rowid = 1) WHERE rowid = 2"
    ],
    "a body that is a text": ["UPDATE exams SET body = 'text' WHERE rowid = 2"],
    "a body of nothing": ["UPDATE lessons SET body = X'' WHERE rowid = 2"],
    "a sha that is no text": ["UPDATE states SET sha = CAST(X'ff00fe' AS TEXT) WHERE rowid = 2"],
}


@pytest.mark.fault("rows of the database swapped, copied, or of another kind", "noticed; the same history at once")
@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_as_it_was_written_is_noticed_and_heals_in_one_run(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    reference = play(tmp_path)
    execute(tmp_path, *DAMAGE[damage])
    assert play(tmp_path).history == reference.history
    healed = play(tmp_path)
    assert healed.history == reference.history
    assert healed.runner.trained == 0
    assert "is damaged" in caplog.text


@pytest.mark.fault("weights gone or damaged, and their lessons damaged, when a run is resumed", "healed in that run")
@pytest.mark.parametrize("weights", ["gone", "damaged"])
@pytest.mark.parametrize("lessons", ["DELETE FROM lessons", "UPDATE lessons SET body = X'00'"])
def test_a_run_that_knows_its_lessons_heals_them(tmp_path: Path, weights: str, lessons: str) -> None:
    reference = play(tmp_path / "straight", steps=4)
    play(tmp_path / "store")
    for path in (tmp_path / "store" / "blobs").rglob("*"):
        if path.is_file():
            path.unlink() if weights == "gone" else path.write_bytes(b"x")
    execute(tmp_path / "store", lessons)
    again = play(tmp_path / "store", steps=4)
    assert again.history == reference.history
    assert check(tmp_path / "store").findings == () or weights == "damaged"


@pytest.mark.parametrize(
    ("table", "record"),
    [
        ("exams", {"responses": ["one too few"]}),
        ("exams", {"answers": 3}),
        ("exams", None),
        ("states", {"blob": "x"}),
        ("states", ["a"]),
        ("states", {"blob": "x", "trained": {}, "job": {"train": {"lesson": 1}}}),
        ("lessons", []),
    ],
)
def test_a_sealed_row_that_is_no_record_is_computed_anew(tmp_path: Path, table: str, record: Any) -> None:
    reference = play(tmp_path)
    body = zlib.compress(json.dumps(record).encode())
    with closing(sqlite3.connect(tmp_path / ROWS)) as rows:
        (key,) = rows.execute(f"SELECT key FROM {table} WHERE rowid = 2").fetchone()
        rows.execute(f"UPDATE {table} SET body = ?, sha = ? WHERE key = ?", (body, seal(table, key, body), key))
        rows.commit()
    assert play(tmp_path).history == reference.history


@pytest.mark.parametrize(
    "body",
    [b"no zlib", zlib.compress(b"no json"), zlib.compress(b"\xff\xfe"), zlib.compress(b"[" * 100_000), b"",
     zlib.compress(b"[1, 2, 3]")[:-3]],
)  # fmt: skip
def test_a_sealed_body_that_holds_nothing_is_left_out(
    tmp_path: Path, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    store.put("chats", "k", {"a": 1})
    with closing(sqlite3.connect(tmp_path / ROWS)) as rows:
        rows.execute("UPDATE chats SET body = ?, sha = ?", (body, seal("chats", "k", body)))
        rows.commit()
    assert store.get("chats", "k") is None
    assert "row k of chats is damaged" in caplog.text
    assert store.put("chats", "k", {"a": 2}) == {"a": 2}


@pytest.mark.parametrize("samples", [1, 3])
def test_as_many_answers_are_read_as_were_asked_for(samples: int) -> None:
    exam = Exam(name="x", prompts=("a", "b"), golds=("1", "2"), samples=samples)
    kept = {"responses": ["r"] * (2 * samples), "losses": [1.0, 2.0]}
    assert exam.answers(kept).responses == ("r",) * (2 * samples)
    for wrong in ({"responses": ["r"]}, {"losses": [1.0]}, {"entropies": [1.0]}, {"responses": []}):
        with pytest.raises(ValueError, match="as many as were asked for"):
            exam.answers(kept | wrong)


def test_a_damaged_row_is_no_committed_one(tmp_path: Path) -> None:
    """``put`` hands out what is committed: that must never be nothing."""
    store = Store(tmp_path)
    store.put("exams", "k", {"a": 1})
    execute(tmp_path, "UPDATE exams SET sha = 'x'")
    assert store.put("exams", "k", {"a": 2}) == {"a": 2}
    assert store.get("exams", "k") == {"a": 2}


def test_a_seal_is_of_one_table_key_and_body() -> None:
    made = {seal(t, k, b) for t in ("ab", "a") for k in ("c", "bc") for b in (b"d", b"cd")}
    assert len(made) == 8
    assert Sealed("t", "k", b"b", seal("t", "k", b"b")).is_whole(SCHEMA)
    assert not Sealed("t", "k", b"b", hashlib.sha256(b"b").hexdigest()).is_whole(SCHEMA)
    assert Sealed("t", "k", b"b", hashlib.sha256(b"b").hexdigest()).is_whole(3)


# --- stores of schema 3 ----------------------------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The store that the release before wrote, as it wrote it."""
    shutil.copytree(GOLDEN / "store", tmp_path / "old")
    (tmp_path / "old" / ROWS).write_bytes((GOLDEN / "store3" / ROWS).read_bytes())
    return tmp_path / "old"


def schema_of(store: Path) -> int:
    with closing(sqlite3.connect(store / ROWS)) as rows:
        found: int = rows.execute("PRAGMA user_version").fetchone()[0]
        return found


def test_a_store_of_schema_3_is_read_and_sealed_anew(old: Path) -> None:
    names = json.loads((GOLDEN / "store3" / INDEX).read_text())
    assert schema_of(old) == 3
    store = Store(old)
    assert row_of(names["state"], store) is not None
    assert store.lesson(names["lesson"])
    assert store.get("chats", names["chat"]) is not None
    store.close()
    assert schema_of(old) == SCHEMA
    with closing(sqlite3.connect(old / ROWS)) as rows:
        for table in ("states", "exams", "lessons", "chats"):
            for row in rows.execute(f"SELECT key, body, sha FROM {table}"):
                assert Sealed(table, *row).is_whole(SCHEMA)


def test_what_was_damaged_in_schema_3_stays_damaged(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = json.loads((GOLDEN / "store3" / INDEX).read_text())
    execute(old, "UPDATE states SET body = X'00'")
    assert Store(old).get("states", names["state"]) is None
    assert "is damaged" in caplog.text


def test_a_store_of_schema_3_that_cannot_be_written_is_read_as_it_is(old: Path, tmp_path: Path) -> None:
    names = json.loads((GOLDEN / "store3" / INDEX).read_text())
    before = (old / ROWS).read_bytes()
    with mounted_to_read(old, tmp_path / "ro") as there:
        store = Store(there)
        assert store.readonly
        assert store.lesson(names["lesson"])
        store.close()
    assert (old / ROWS).read_bytes() == before


# --- only read -------------------------------------------------------------------------------------------------------


@pytest.mark.fault("a store on a disk that can only be read", "what it holds is found; what it lacks is one sentence")
def test_a_complete_store_is_read_where_nothing_can_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reference = play(tmp_path / "store")
    before = {path: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()}
    with mounted_to_read(tmp_path / "store", tmp_path / "ro") as there:
        again = play(there)
        assert again.history == reference.history
        assert again.runner.trained == 0
        with pytest.raises(StoreError, match="lacks what is asked for, and nothing can be added: it can only be read"):
            play(there, steps=4)
        store = Store(there)
        with pytest.raises(StoreError, match="can only be read"):
            store.put_lesson([Example(prompt="a", response="b")])
        store.close()
    assert {path: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()} == before
    assert not caplog.messages


def test_a_store_that_is_told_to_be_read_only_is(tmp_path: Path) -> None:
    play(tmp_path)
    execute(tmp_path, "UPDATE chats SET sha = 'x'")
    store = Store(tmp_path, readonly=True)
    with pytest.raises(StoreError, match="nothing can be added"):
        store.put("chats", "k", {})
    store.forget("states", "x")
    assert (tmp_path / LOCK).exists()


def test_a_store_that_was_killed_is_read_with_its_log(tmp_path: Path) -> None:
    """What is in the log was committed: without it the store would seem to have lost it."""
    live = Store(tmp_path / "store")
    live.put("exams", "k", {"a": 1})
    shutil.copytree(tmp_path / "store", tmp_path / "killed")
    with mounted_to_read(tmp_path / "killed", tmp_path / "ro") as there:
        assert Store(there).get("exams", "k") == {"a": 1}
    (tmp_path / "killed" / f"{ROWS}-shm").unlink()
    with mounted_to_read(tmp_path / "killed", tmp_path / "ro2") as there:
        assert Store(there).get("exams", "k") == {"a": 1}
