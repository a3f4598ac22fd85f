"""Store: what is known about states, by name. Records are small and kept; blobs may be evicted and are rebuilt.

The artefact is written first and then the row, so a row that is there can be trusted after any kill. The first commit
of a key wins and everyone reads the committed row, so a late twin changes nothing. The seal of a row covers its table
and its key too: a row that was swapped or copied is as damaged as one whose bytes changed.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from dataenv.errors import StoreError
from dataenv.execution.advice import READ_ONLY, advice
from dataenv.execution.blobs import Blobs, DiskBlobs, MemoryBlobs
from dataenv.execution.costs import Costs
from dataenv.execution.database import Sealed, connect, connect_to_read, seal, writable
from dataenv.execution.files import HeldError, Hold
from dataenv.execution.written import Written, packed
from tasks.records import Example, canonical_json

ROWS, LOCK = "store.sqlite", ".lock"
USE = "use"
"""The purpose for which all who use a store share its lock; ``dataenv store repair`` has one of its own."""
RECENT = 1 << 18
"""Examples of recent lessons that are kept as objects: a hundred and twenty lessons of ordinary size."""
log = logging.getLogger(__name__)
T = TypeVar("T")


class Store:
    """Rows in SQLite (WAL, full sync) and blobs in a folder, or both in memory.

    Args:
        path: The store's folder, made if need be; ``None`` keeps everything in this process.
        reuse: Whether a record is ever read back instead of being computed. ``False`` is the store switched off:
            weights are still held, for training goes on from them, but every job is computed.
        readonly: Whether it is only read. One that cannot be written is only read anyway: what it holds is found, and
            what would have to be written is refused.
    """

    def __init__(self, path: Path | None = None, reuse: bool = True, readonly: bool = False) -> None:
        self.path, self.reuse, self.readonly = path, reuse, readonly
        self._lock = threading.RLock()
        self._hold: Hold | None = None
        self.costs = Costs(path)
        self.blobs: Blobs = MemoryBlobs()
        self._recent = _Recent()
        if path is None:
            self._rows, self._schema = connect(":memory:")
        else:
            self._rows, self._schema = self._guard(lambda: self._open(path))

    def _open(self, path: Path) -> tuple[sqlite3.Connection, int]:
        file, self.blobs = path / ROWS, DiskBlobs(path / "blobs")
        self.readonly = self.readonly or (file.exists() and not writable(file))
        if self.readonly:
            return connect_to_read(file)
        path.mkdir(parents=True, exist_ok=True)
        opened = connect(str(file), lambda: self._use(path))
        self.blobs.leftovers(remove=True)
        return opened

    def _use(self, path: Path) -> None:
        try:
            self._hold = Hold(path / LOCK, USE)
        except HeldError as error:
            raise StoreError(
                f"store {path} is being repaired by {error.by}; run the same command again when that is done"
            ) from None

    def _guard(self, act: Callable[[], T]) -> T:
        """Run ``act``; a full, read-only or damaged disk raises a StoreError of one sentence."""
        try:
            return act()
        except StoreError:
            raise
        except (sqlite3.Error, OSError) as error:
            raise self.failed(error) from error

    def failed(self, error: OSError | sqlite3.Error) -> StoreError:
        """What an error of the disk or the database means for this store, as one sentence."""
        said = advice(error, self.path and self.path / ROWS)
        return StoreError(f"store {self.path or 'in memory'} cannot be used: {said}; what was committed is kept")

    def must_be_writable(self) -> None:
        """Called before something is computed that would have to be kept.

        Raises:
            StoreError: If the store is only read.
        """
        if self.readonly:
            raise StoreError(f"store {self.path} lacks what is asked for, and nothing can be added: {READ_ONLY}")

    def get(self, table: str, key: str, read: Callable[[Any], T] | None = None) -> Any | None:
        """The committed record of a key, or ``None``. A damaged row is dropped with a warning and computed anew.

        Args:
            table: One of ``TABLES``.
            key: Of the row.
            read: Makes of the record what is returned, and raises ValueError, KeyError or TypeError where it is none:
                the row is damaged then too.
        """
        with self._lock:
            found = self._row(table, key)
            if found is None:
                return None
            try:
                record = found.record(self._schema)
                return record if read is None else read(record)
            except (ValueError, KeyError, TypeError, RecursionError):
                log.warning(
                    "store %s: row %s of %s is damaged; it is left out and computed anew", self.path, key, table
                )
                self.forget(table, key)
                return None

    def _row(self, table: str, key: str) -> Sealed | None:
        with self._lock:
            asked = f"SELECT body, sha FROM {table} WHERE key=?"
            row = self._guard(lambda: self._rows.execute(asked, (key,)).fetchone())
        return None if row is None else Sealed(table, key, *row)

    def forget(self, table: str, key: str) -> None:
        """Drop a row, if the store can be written; what it held is computed anew when it is asked for."""
        if self.readonly:
            return
        with self._lock:
            self._guard(lambda: self._rows.execute(f"DELETE FROM {table} WHERE key=?", (key,)))

    def has(self, table: str, key: str) -> bool:
        """Whether a key has a row that is not damaged; what kind of record it holds is seen when it is read."""
        found = self._row(table, key)
        try:
            return found is not None and bool(found.text(self._schema))
        except ValueError:
            return False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Commit what is put within as one: after a kill all of it is there or nothing. The disk is waited for once."""
        with self._lock:
            if self.readonly or self._rows.in_transaction:  # what cannot be written is refused where it is put
                yield
                return
            self._guard(lambda: self._rows.execute("BEGIN IMMEDIATE"))
            try:
                yield
                self._guard(lambda: self._rows.execute("COMMIT"))
            except BaseException:
                self._rows.rollback()  # nothing, where SQLite has ended it itself
                self._recent = _Recent()  # what was put within is not there
                raise

    def put(self, table: str, key: str, record: Any) -> Any:
        """Commit a record; returns the committed one, which is an earlier one where there was one."""
        return self._put(table, key, packed(canonical_json(record).encode("utf-8", "surrogatepass")), record)

    def _put(self, table: str, key: str, body: bytes, record: T) -> T | Any:
        """Commit a record that is packed already."""
        row = (key, body, seal(table, key, body))
        insert = f"INSERT OR {'IGNORE' if self.reuse else 'REPLACE'} INTO {table} VALUES (?,?,?)"
        with self._lock:
            while (committed := self.get(table, key) if self.readonly else None) is None:
                self.must_be_writable()
                if self._guard(lambda: self._rows.execute(insert, row).rowcount):
                    return record
                if (committed := self.get(table, key)) is not None:  # else it was damaged, and is dropped by now
                    break
            return committed

    def put_lesson(self, lesson: Iterable[Example] | Written) -> str:
        """Keep a lesson; returns its digest. One that is there and damaged is written anew."""
        held = lesson if isinstance(lesson, Written) else Written(tuple(lesson))
        if not self.has("lessons", held.name):
            self.get("lessons", held.name)  # which says that it is damaged, if it is there, and drops it
            self._put("lessons", held.name, held.body, None)
        self._recent.add(held.name, held.examples)
        return held.name

    def remembers(self, name: str) -> bool:
        """Whether a lesson was put here or read a short while ago, so that nobody need look whether it is there."""
        return self._recent.get(name) is not None

    def lesson(self, name: str) -> Sequence[Example]:
        """The examples of a lesson.

        Raises:
            StoreError: If this store does not hold it.
        """
        found = self._recent.get(name)
        if found is None:
            found = self.get("lessons", name, lambda held: tuple(map(Example.model_validate, held)))
        if found is None:
            raise StoreError(
                f"lesson {name[:12]} is not in store {self.path or 'in memory'}; open the store that made it"
            )
        self._recent.add(name, found)
        return found

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
            if self._hold is not None:
                self._hold.close()


class _Recent:
    """The lessons that were used last, by name: forks and restores ask for all lessons of an episode at once.

    A lesson's name is the hash of what it holds, so one that was read once is right for good.
    """

    def __init__(self, most: int = RECENT) -> None:
        self._most, self._size = most, 0
        self._lessons: OrderedDict[str, Sequence[Example]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> Sequence[Example] | None:
        return self._lessons.get(name)

    def add(self, name: str, lesson: Sequence[Example]) -> None:
        with self._lock:
            self._size += len(lesson) - len(self._lessons.pop(name, ()))
            self._lessons[name] = lesson
            while self._size > self._most and len(self._lessons) > 1:
                self._size -= len(self._lessons.popitem(last=False)[1])


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
