"""What to do about a disk or a database that fails: one place, from the number of an error to a sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

FULL = "the disk or the quota is full; free space, and run the same command again"
READ_ONLY = "it can only be read; give another folder, or make this one writable"
NOT_ALLOWED = "this user may not read or write it; change its permissions, or give another folder"
TOO_MANY = "too many files are open; raise the limit (ulimit -n), or use fewer workers"
FOLDER = "a folder stands where a file belongs; move it away"
NO_FOLDER = "a file stands where a folder belongs; move it away, or give another folder"
GONE = "it is not there; give another folder, or mount its disk again"
TOO_LARGE = "the file would be larger than is allowed here (ulimit -f); raise that limit, or give another folder"
FAILING = "the disk or its connection fails; look at the system's log, and copy the folder to another disk"
LOCKED = "another process keeps it locked; see who uses it, and run the same command again"
DAMAGED = "its database is damaged; run dataenv store repair on its folder, which keeps what can be read"
NO_DATABASE = "its store.sqlite is no database; run dataenv store repair on its folder, or give another folder"
MEMORY = "there is not enough memory; run fewer workers"
OTHERWISE = "look at what the system says, or give another folder"

_BY_ERRNO = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), FULL),
    errno.EROFS: READ_ONLY,
    **dict.fromkeys((errno.EACCES, errno.EPERM), NOT_ALLOWED),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), TOO_MANY),
    errno.EISDIR: FOLDER,
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), NO_FOLDER),
    **dict.fromkeys((errno.ENOENT, errno.ENODEV), GONE),
    errno.EFBIG: TOO_LARGE,
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT), FAILING),
    errno.ENOMEM: MEMORY,
}
_BY_CODE = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_PERM: NOT_ALLOWED,
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_PROTOCOL: LOCKED,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: NO_DATABASE,
    sqlite3.SQLITE_ERROR: DAMAGED,  # a table that is not what it was
    sqlite3.SQLITE_IOERR: FAILING,
    sqlite3.SQLITE_NOMEM: MEMORY,
    sqlite3.SQLITE_TOOBIG: "a record is larger than a database can hold; teach smaller lessons",
}
_SHARED_MEMORY = (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP)


def _cannot_open(database: Path) -> str:
    """Why SQLite cannot open its files, found by opening as many at once; empty if that can be done."""
    handles = []
    try:
        for end in ("", "-wal", "-shm", "", ""):
            with contextlib.suppress(FileNotFoundError):
                handles.append(os.open(database.with_name(database.name + end), os.O_RDWR | os.O_CLOEXEC))
        handles.append(os.open(database.parent, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as cause:
        return advice(cause)
    finally:
        for handle in handles:
            os.close(handle)
    return ""


def known(error: OSError) -> bool:
    """Whether an error of the system is one of a disk: others are mistakes of a program."""
    return error.errno in _BY_ERRNO and error.errno not in (errno.ENOENT, errno.EEXIST)


def advice(error: OSError | sqlite3.Error, database: Path | None = None) -> str:
    """What is wrong and what to do, as the end of a sentence.

    Args:
        error: Of the system or of SQLite.
        database: Its file; where SQLite cannot open it and does not say why, it is opened once more to learn that.
    """
    if isinstance(error, OSError):
        return f"{_BY_ERRNO.get(error.errno or 0, OTHERWISE)} ({error.strerror or error})"
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_CANTOPEN and database is not None:
        return _cannot_open(database) or f"{OTHERWISE} ({error})"
    if code in _SHARED_MEMORY:  # the index of its log could not be made as large as it has to be
        return f"{FULL} ({error})"
    return f"{_BY_CODE.get(code & 0xFF, OTHERWISE)} ({error})"
