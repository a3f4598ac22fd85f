"""Store: what is known about states, by name. Records are small and kept; blobs may be evicted and are rebuilt.

The artefact is written first and then the row, so a row that is there can be trusted after any kill. The first commit
of a key wins and everyone reads the committed row, so a late twin changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from dataenv.errors import StoreError
from dataenv.execution.blobs import Blobs, DiskBlobs, MemoryBlobs
from tasks.records import Example, as_objects, canonical_json, digest

SCHEMA = 3
ROWS = "store.sqlite"
_TABLES = ("states", "exams", "lessons", "chats")
log = logging.getLogger(__name__)
T = TypeVar("T")


class Store:
    """Rows in SQLite (WAL, full sync) and blobs in a folder, or both in memory.

    Args:
        path: The store's folder, made if need be; ``None`` keeps everything in this process.
        reuse: Whether a record is ever read back instead of being computed. ``False`` is the store switched off:
            weights are still held, for training goes on from them, but every job is computed.
    """

    def __init__(self, path: Path | None = None, reuse: bool = True) -> None:
        self.path, self.reuse = path, reuse
        self._lock = threading.RLock()
        self.blobs: Blobs
        if path is None:
            self.blobs = MemoryBlobs()
            self._rows = self._connect(":memory:")
        else:
            self._guard(lambda: path.mkdir(parents=True, exist_ok=True))
            self._rows = self._guard(lambda: self._connect(str(path / ROWS)))
            self.blobs = DiskBlobs(path / "blobs")

    def _connect(self, where: str) -> sqlite3.Connection:
        rows = sqlite3.connect(where, timeout=30, isolation_level=None, check_same_thread=False)
        found: int = _patiently(lambda: rows.execute("PRAGMA user_version").fetchone()[0])
        if found not in (0, SCHEMA):  # asked first of all: what follows would write into another release's file
            rows.close()
            raise StoreError(_fate(where, found))
        _patiently(lambda: rows.execute("PRAGMA journal_mode=WAL"))
        rows.execute("PRAGMA synchronous=FULL")
        for table in _TABLES:
            rows.execute(
                f"CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, body BLOB NOT NULL, sha TEXT NOT NULL)"
            )
        rows.execute(f"PRAGMA user_version={SCHEMA}")
        return rows

    def _guard(self, act: Callable[[], T]) -> T:
        """Run ``act``; a full, read-only or damaged disk raises a StoreError of one sentence."""
        try:
            return act()
        except StoreError:
            raise
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"store {self.path or 'in memory'} cannot be used ({error}); free space or give another --store "
                "(what was committed is kept)"
            ) from error

    def get(self, table: str, key: str) -> Any | None:
        """The committed record of a key, or ``None``. A damaged row is dropped with a warning and computed anew."""
        with self._lock:
            row = self._guard(
                lambda: self._rows.execute(f"SELECT body, sha FROM {table} WHERE key=?", (key,)).fetchone()
            )
            if row is None:
                return None
            body, sha = row
            if hashlib.sha256(body).hexdigest() != sha:
                log.warning("store %s: row %s of %s is damaged; it is dropped and computed anew", self.path, key, table)
                self.forget(table, key)
                return None
            return json.loads(zlib.decompress(body))

    def forget(self, table: str, key: str) -> None:
        """Drop a row; what it held is computed anew when it is asked for."""
        with self._lock:
            self._guard(lambda: self._rows.execute(f"DELETE FROM {table} WHERE key=?", (key,)))

    def has(self, table: str, key: str) -> bool:
        """Whether a key has a row (which is checked when it is read)."""
        with self._lock:
            asked = f"SELECT 1 FROM {table} WHERE key=?"
            return self._guard(lambda: self._rows.execute(asked, (key,)).fetchone()) is not None

    def put(self, table: str, key: str, record: Any) -> Any:
        """Commit a record; returns the committed one, which is an earlier one where there was one."""
        body = zlib.compress(canonical_json(record).encode("utf-8", "surrogatepass"), 1)
        sha = hashlib.sha256(body).hexdigest()
        insert = f"INSERT OR {'IGNORE' if self.reuse else 'REPLACE'} INTO {table} VALUES (?,?,?)"
        with self._lock:
            fresh = self._guard(lambda: self._rows.execute(insert, (key, body, sha)).rowcount)
            return record if fresh else self.get(table, key)

    def put_lesson(self, examples: Iterable[Example]) -> str:
        """Keep a lesson; returns its digest."""
        examples = tuple(examples)
        held = as_objects(examples)
        name = digest(held)
        if not self.has("lessons", name):
            self.put("lessons", name, held)
        return name

    def lesson(self, name: str) -> tuple[Example, ...]:
        """The examples of a lesson.

        Raises:
            StoreError: If this store does not hold it.
        """
        found = self.get("lessons", name)
        if found is None:
            raise StoreError(
                f"lesson {name[:12]} is not in store {self.path or 'in memory'}; open the store that made it"
            )
        return tuple(map(Example.model_validate, found))

    def table(self, name: str) -> Table:
        """One table by itself, without access to the others."""
        return Table(self, name)

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with self._lock:
            return int(self._guard(lambda: self._rows.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]))

    def close(self) -> None:
        """Close the rows; blobs need no closing."""
        with self._lock:
            self._rows.close()


class Table:
    """The rows of one table; see ``Store.get`` and ``Store.put``. A store that is switched off answers nothing."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name

    def get(self, key: str) -> Any | None:
        """The committed record of a key, or ``None``."""
        return self._store.get(self._name, key) if self._store.reuse else None

    def put(self, key: str, record: Any) -> Any:
        """Commit a record; returns the committed one."""
        return self._store.put(self._name, key, record)


def _fate(where: str, found: int) -> str:
    """One sentence on what happens to a store of another release, which is left unchanged."""
    if found < SCHEMA:
        return (
            f"store {where} is of an earlier release (schema {found}; this one reads {SCHEMA}), in which everything "
            "has another name, so nothing in it would be found; it is left as it is: give another --store, or move "
            "it aside"
        )
    return (
        f"store {where} is of a later release (schema {found}; this one reads {SCHEMA}); install that release, or give "
        "another --store"
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


_SHARED: dict[str, Store] = {}


def open_store(where: str | os.PathLike[str] | None) -> Store:
    """The store that an argument names; one instance a process for each.

    Args:
        where: A folder; ``None`` for ``$DATAENV_STORE`` or, without it, this process's memory; ``"off"`` for a new
            store that never answers from what it holds.
    """
    named = os.environ.get("DATAENV_STORE", "") if where is None else os.fspath(where)
    if named == "off":
        return Store(None, reuse=False)
    key = str(Path(named).expanduser().resolve()) if named else ""
    if key not in _SHARED:
        _SHARED[key] = Store(Path(key) if key else None)
    return _SHARED[key]
