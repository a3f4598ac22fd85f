"""Care of a store: what of it is damaged, missing or left over, and how it is mended.

Whatever is dropped is computed anew when it is asked for, so a repair may drop; it never changes what it keeps, and
what was there before is kept aside.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter

from dataenv.errors import SettingError, StoreError
from dataenv.execution import lineage
from dataenv.execution.advice import advice
from dataenv.execution.blobs import DiskBlobs
from dataenv.execution.database import SCHEMA, TABLES, Sealed, connect, connect_to_read, seal
from dataenv.execution.files import HeldError, Hold
from dataenv.execution.jobs import DATA, Answers
from dataenv.execution.making import MADE, made_in
from dataenv.execution.salvage import rows_in, schema_in
from dataenv.execution.store import LOCK, ROWS
from tasks.records import Example, Record

BLOBS, ASIDE, NEW = "blobs", "damaged", "store.sqlite.new"
UNREADABLE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""Codes of a damaged database; SQLite has no better one than the last for a damaged format number or a lost column."""
LOGS = ("-wal", "-shm", "-journal")
_LESSON = TypeAdapter(tuple[Example, ...])
_REPLY = TypeAdapter(dict[str, Any])


def _exam(record: Any) -> Any:
    """A record of that table: answers, or what was made with a student's help."""
    return made_in(record) if isinstance(record, dict) and MADE in record else Answers.model_validate(record)


READERS: dict[str, Callable[[Any], Any]] = {
    "lessons": _LESSON.validate_python,
    "states": lineage.checked,
    "exams": _exam,
    "chats": _REPLY.validate_python,
}
"""What the record of each table is; each raises ValueError for another one."""


class Finding(Record):
    """Something in a store that is not as it should be.

    Attributes:
        kind: ``damaged``, ``missing`` (so that a state cannot be rebuilt), ``left over`` by a process that was killed,
            or ``strange``: no part of a store.
        where: ``database``, a table, or ``blobs``.
        name: Of the row or the file.
        why: What is wrong with it.
    """

    kind: Literal["damaged", "missing", "left over", "strange"]
    where: str
    name: str
    why: str


class Checkup(Record):
    """What a store holds.

    Attributes:
        rows: Sound rows by table.
        blobs: Sound blobs.
        findings: What is not sound.
    """

    rows: dict[str, int]
    blobs: int
    findings: tuple[Finding, ...]


class Repaired(NamedTuple):
    """What was found, what is there now, and the folder that holds what was there before, if anything was changed."""

    before: Checkup
    after: Checkup
    aside: Path | None


class _Row(NamedTuple):
    """A row that is to be dropped: its place in its table, and why."""

    rowid: int
    finding: Finding


def check(folder: Path) -> Checkup:
    """Read the whole of a store; nothing is changed, and others may go on using it.

    Raises:
        SettingError: If there is no store.
        StoreError: If it cannot be read, or is of another release.
    """
    _must_be_there(folder)
    blobs, sound = _blobs(folder)
    try:
        rows, unsound = _database(folder / ROWS, sound)
        found = [row.finding for dropped in unsound.values() for row in dropped]
    except sqlite3.DatabaseError as error:
        rows, found = dict.fromkeys(TABLES, 0), [_broken(folder, error)]
    return Checkup(rows=rows, blobs=len(sound), findings=(*found, *blobs))


def repair(folder: Path) -> Repaired:
    """Drop what does not verify, recover what can be read of a broken database, and delete what was left over.

    Raises:
        SettingError: If there is no store.
        StoreError: If it is in use, cannot be written, or is of another release. Nothing is changed then.
    """
    _must_be_there(folder)
    try:
        with Hold(folder / LOCK, f"repair {secrets.token_hex(8)}"):
            before = check(folder)
            aside = _mend(folder, before) if before.findings else None
            return Repaired(before, check(folder), aside)
    except HeldError as error:
        raise StoreError(f"store {folder} is in use by {error.by}; end that, and repair it then") from None
    except (OSError, sqlite3.Error) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"store {folder} cannot be repaired: {advice(error, folder / ROWS)}") from error


def _must_be_there(folder: Path) -> None:
    if not (folder / ROWS).exists() and not (folder / BLOBS).is_dir():
        raise SettingError(f"store {folder} is not there; give the folder of a store, such as runs/.store")


def _broken(folder: Path, error: sqlite3.DatabaseError) -> Finding:
    """What is wrong with a database that SQLite cannot read; an error of another kind is raised."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF not in UNREADABLE:
        raise StoreError(f"store {folder} cannot be read: {advice(error, folder / ROWS)}") from error
    return Finding(kind="damaged", where="database", name=ROWS, why=str(error))


# --- what is there ---------------------------------------------------------------------------------------------------


def _blobs(folder: Path) -> tuple[list[Finding], set[str]]:
    """What is wrong with the blobs, and the names of those that are sound."""
    blobs, sound = DiskBlobs(folder / BLOBS), set()
    left = blobs.leftovers()
    found = [_blob("left over", path, "its writer was killed") for path in left]
    for path in _entries(blobs.root):
        if path in left or path.name.startswith("."):
            continue
        name = path.name
        if path.is_dir() or len(name) != 64 or path.parent != blobs.root / name[:2]:
            found.append(_blob("strange", path, "no weights have this name or place"))
        elif not _has_name(path):
            found.append(_blob("damaged", path, "its bytes do not have its name"))
        else:
            sound.add(name)
    return found, sound


def _blob(kind: Literal["damaged", "left over", "strange"], path: Path, why: str) -> Finding:
    inner = path.parent.name == BLOBS
    return Finding(kind=kind, where=BLOBS, name=path.name if inner else f"{path.parent.name}/{path.name}", why=why)


def _entries(root: Path) -> Iterator[Path]:
    """What is in the folders of blobs; whatever else is beside these folders, itself."""
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if folder.is_dir() and len(folder.name) == 2:
            yield from sorted(folder.iterdir())
        else:
            yield folder


def _has_name(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == path.name
    except FileNotFoundError:  # evicted, or a link that leads nowhere
        return not path.is_symlink()


def _database(file: Path, blobs: set[str]) -> tuple[dict[str, int], dict[str, list[_Row]]]:
    """Sound rows by table, and the rows that are not, by table.

    Raises:
        sqlite3.DatabaseError: If SQLite cannot read it.
    """
    if not file.exists():
        raise _malformed(f"{file.name} is not there")
    rows, schema = connect_to_read(file)
    with closing(rows):
        rows.execute("BEGIN")  # all tables as of one moment, whoever writes meanwhile
        said = rows.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if said != "ok":
            raise _malformed(said)
        unsound: dict[str, list[_Row]] = {table: [] for table in TABLES}
        lessons, states, counts = set(), {}, dict.fromkeys(TABLES, 0)
        for table in ("lessons", "states", "exams", "chats"):
            for rowid, row in _each(rows, table):
                try:
                    record = READERS[table](row.record(schema))
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    why = " ".join(str(error).split())[:120]
                    unsound[table].append(_Row(rowid, _row_finding("damaged", row, why)))
                    continue
                counts[table] += 1
                if table == "lessons":
                    lessons.add(row.key)
                elif table == "states":
                    states[row.key] = (rowid, record)
        lost = _lost(states, lessons, blobs)
        counts["states"] -= len(lost)
        unsound["states"] += [
            _Row(states[key][0], Finding(kind="missing", where="states", name=key, why=why))
            for key, why in lost.items()
        ]
    return counts, unsound


def _malformed(said: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(said)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _each(rows: sqlite3.Connection, table: str) -> Iterator[tuple[int, Sealed]]:
    there = rows.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name=?", (table,)).fetchone()
    for rowid, *row in rows.execute(f"SELECT rowid, key, body, sha FROM {table}") if there else ():
        yield rowid, Sealed(table, *row)


def _row_finding(kind: Literal["damaged", "missing"], row: Sealed, why: str) -> Finding:
    return Finding(kind=kind, where=row.table, name=str(row.key)[:80], why=why)


def _lost(states: dict[str, tuple[int, Any]], lessons: set[str], blobs: set[str]) -> dict[str, str]:
    """States that could not be rebuilt, and why; what was taught from one of them without its weights is lost too."""
    lost: dict[str, str] = {}

    def is_lost(key: str) -> bool:
        return key not in states or key in lost

    while True:
        before = len(lost)
        for key, (_, row) in states.items():
            job = row["job"]
            if key in lost:
                continue
            absent = [name for part in DATA if (name := job["train"][part]) not in lessons]
            if absent:
                lost[key] = f"lesson {absent[0][:12]} that it came from is not there"
            elif row["blob"] not in blobs and job["initial"] is None and is_lost(job["parent"]):
                lost[key] = f"its weights and state {job['parent'][:12]} that it came from are not there"
        if len(lost) == before:
            return lost


# --- what is done about it -------------------------------------------------------------------------------------------


def _mend(folder: Path, before: Checkup) -> Path | None:
    """Mend what was found; returns the folder that holds what was there, if anything had to be kept."""
    aside = _free(folder)
    aside.mkdir()
    if any(finding.where == "database" for finding in before.findings):
        _recover(folder, aside)
    blobs = DiskBlobs(folder / BLOBS)
    blobs.leftovers(remove=True)
    for finding in before.findings:
        path = blobs.root / finding.name
        if finding.where != BLOBS or not os.path.lexists(path):
            continue
        if finding.kind == "damaged":
            path.unlink()
        elif finding.kind == "strange":
            path.rename(aside / path.name)
    _drop(folder, aside)
    if any(aside.iterdir()):
        return aside
    aside.rmdir()
    return None


def _free(folder: Path) -> Path:
    number = 1
    while (folder / f"{ASIDE}-{number}").exists():
        number += 1
    return folder / f"{ASIDE}-{number}"


def _recover(folder: Path, aside: Path) -> None:
    """Put what can be read of a broken database into a new one, and the broken one aside."""
    file, new = folder / ROWS, folder / NEW
    there = [path for path in (file, *(file.with_name(ROWS + end) for end in LOGS)) if path.exists()]
    for path in there:
        shutil.copy2(path, aside / path.name)
    new.unlink(missing_ok=True)
    schema = schema_in(file) if file.exists() else SCHEMA
    rows, _ = connect(str(new))
    with closing(rows):
        rows.execute("BEGIN")
        for key, body, sha in rows_in(file):
            for table in _tables_of(key, body, sha, schema):
                rows.execute(f"INSERT OR IGNORE INTO {table} VALUES (?,?,?)", (key, body, seal(table, key, body)))
        rows.execute("COMMIT")
        rows.execute("PRAGMA journal_mode=DELETE")  # all of it is in the one file that is moved
    for path in there[1:]:
        path.unlink()
    new.replace(file)


def _tables_of(key: str, body: bytes, sha: str, schema: int | None) -> list[str]:
    """The table that a row is of: its seal says so; where that covers the body alone, what it holds does."""
    for table, read in READERS.items():
        for taken in (SCHEMA, 3) if schema in (3, None) else (SCHEMA,):
            try:
                read(Sealed(table, key, body, sha).record(taken))
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            return [table]
    return []


def _drop(folder: Path, aside: Path) -> None:
    """Drop the rows that are not sound, after a copy of the database is put aside."""
    _, unsound = _database(folder / ROWS, _blobs(folder)[1])
    if not any(unsound.values()):
        return
    rows, _ = connect(str(folder / ROWS))
    with closing(rows):
        if not (aside / ROWS).exists():
            with closing(sqlite3.connect(aside / ROWS)) as copy:
                rows.backup(copy)
        rows.execute("BEGIN IMMEDIATE")
        for table, dropped in unsound.items():
            rows.executemany(f"DELETE FROM {table} WHERE rowid=?", [(row.rowid,) for row in dropped])
        rows.execute("COMMIT")
