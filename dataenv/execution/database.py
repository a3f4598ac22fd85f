"""The store's database: how its rows are sealed and checked, and how its file is opened, if need be only to read."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from dataenv.errors import StoreError

SCHEMA, READABLE = 4, (3, 4)
"""Schema 3 sealed the body alone. Its rows are sealed anew when such a store is opened, and only read where it cannot
be written.
"""
TABLES = ("states", "exams", "lessons", "chats")
LARGEST = 1 << 30
"""Bytes of a record as text; one that unpacks to more is damaged."""
T = TypeVar("T")


def seal(table: str, key: str, body: bytes) -> str:
    """SHA-256 over a row's table, key and body."""
    made = hashlib.sha256(f"{table}\0{key}\0".encode("utf-8", "surrogatepass"))
    made.update(body)
    return made.hexdigest()


class Sealed(NamedTuple):
    """A row as the database holds it; after a damage its parts may be anything."""

    table: str
    key: Any
    body: Any
    sha: Any

    def is_whole(self, schema: int) -> bool:
        """Whether table, key and body are what was written."""
        if not isinstance(self.body, bytes) or not isinstance(self.key, str):
            return False
        seals = {seal(self.table, self.key, self.body)}
        if schema == 3:
            seals.add(hashlib.sha256(self.body).hexdigest())
        return self.sha in seals

    def text(self, schema: int) -> bytes:
        """The JSON that was written.

        Raises:
            ValueError: If the row is damaged, or a lesson does not have its content's name.
        """
        if not self.is_whole(schema):
            raise ValueError("its seal is broken")
        unpack = zlib.decompressobj()
        try:
            text = unpack.decompress(self.body, LARGEST)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if not unpack.eof:
            raise ValueError("it is cut short, or far too large")
        if self.table == "lessons" and hashlib.sha256(text).hexdigest() != self.key:
            raise ValueError("it does not have its content's name")
        return text

    def record(self, schema: int) -> Any:
        """What was written.

        Raises:
            ValueError: If the row is damaged, or holds no JSON.
            RecursionError: If it is nested too deeply, which no record is.
        """
        return json.loads(self.text(schema).decode("utf-8", "surrogatepass"))


def writable(file: Path) -> bool:
    """Whether a database that is there can be written, and the files beside it made."""
    return os.access(file.parent, os.W_OK | os.X_OK) and os.access(file, os.W_OK)


def connect(where: str, first: Callable[[], None] = lambda: None) -> tuple[sqlite3.Connection, int]:
    """Open a database to write, made if need be; one of schema 3 is brought to this one.

    Args:
        where: Its file.
        first: Called before anything is written, and not at all if the database is of another release.

    Raises:
        StoreError: If it is of another release.
        sqlite3.Error: If it cannot be used.
    """
    rows = sqlite3.connect(where, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        _schema_of(rows, where)  # asked first of all: what follows would write into another release's file
        first()
        _patiently(lambda: rows.execute("PRAGMA journal_mode=WAL"))
        rows.execute("PRAGMA synchronous=FULL")
        rows.text_factory = _text
        _patiently(lambda: _bring_up(rows, where))
    except BaseException:
        rows.close()
        raise
    return rows, SCHEMA


def connect_to_read(file: Path) -> tuple[sqlite3.Connection, int]:
    """Open a database that is there, and write nothing.

    Raises:
        StoreError: If it is of another release.
        sqlite3.Error: If it cannot be used.
    """
    log = file.with_name(file.name + "-wal")
    # Where it could be written, what SQLite puts beside it while it is open is taken away again.
    ways = ("mode=rw",) if writable(file) else ("mode=ro", "immutable=1")
    for how in ways:
        rows = sqlite3.connect(
            f"file:{quote(str(file))}?{how}", uri=True, timeout=30, isolation_level=None, check_same_thread=False
        )
        try:
            rows.text_factory = _text
            rows.execute("PRAGMA query_only=ON")
            return rows, _schema_of(rows, str(file))
        except sqlite3.OperationalError as error:
            rows.close()
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
            if how == ways[-1] or (log.exists() and log.stat().st_size):  # the second way leaves out the log
                raise
        except BaseException:
            rows.close()
            raise
    raise AssertionError("the last way returns or raises")


def _schema_of(rows: sqlite3.Connection, where: str) -> int:
    """The schema of a database, 0 for a new one; one of another release is refused."""
    found: int = _patiently(lambda: rows.execute("PRAGMA user_version").fetchone()[0])
    if found not in (0, *READABLE):
        raise StoreError(_fate(where, found))
    return found


def _bring_up(rows: sqlite3.Connection, where: str) -> None:
    """Make the tables, and seal the rows of schema 3 anew, all or nothing."""
    there = {name for (name,) in rows.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    if _schema_of(rows, where) == SCHEMA and there.issuperset(TABLES):
        return
    rows.create_function("seal", 3, seal, deterministic=True)
    rows.create_function("plain", 1, lambda body: hashlib.sha256(body).hexdigest(), deterministic=True)
    rows.execute("BEGIN IMMEDIATE")
    try:
        for table in TABLES:
            rows.execute(
                f"CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, body BLOB NOT NULL, sha TEXT NOT NULL)"
            )
            rows.execute(
                f"UPDATE {table} SET sha=seal('{table}', key, body) WHERE typeof(body)='blob' AND sha=plain(body)"
            )
        rows.execute(f"PRAGMA user_version={SCHEMA}")
        rows.execute("COMMIT")
    except BaseException:
        if rows.in_transaction:
            rows.execute("ROLLBACK")
        raise


def _text(stored: bytes) -> str:
    """Text of a column; one that is damaged is text too, or nothing of its row could be read."""
    return stored.decode("utf-8", "replace")


def _fate(where: str, found: int) -> str:
    """One sentence on what happens to a store of another release, which is left unchanged."""
    if found < min(READABLE):
        return (
            f"store {where} is of an earlier release (schema {found}; this one reads {READABLE[0]} and {SCHEMA}), in "
            "which everything has another name, so nothing in it would be found; it is left as it is: give another "
            "--store, or move it aside"
        )
    return (
        f"store {where} is of a later release (schema {found}; this one reads {READABLE[0]} and {SCHEMA}); install "
        "that release, or give another --store"
    )


def _patiently(act: Callable[[], T]) -> T:
    """Switch a new file to WAL, and wait while another process does the same; SQLite does not wait for that."""
    for _ in range(100):
        try:
            return act()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(0.05)
    return act()
