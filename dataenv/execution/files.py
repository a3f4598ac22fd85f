"""Files that are whole or not there, and locks that end with the process that holds them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from dataenv.errors import DataenvError

TEMPORARY = ".tmp-"
"""How the name of a file begins that is being written. Its writer holds a lock on it, so that it is known to live."""
TRIES, PAUSE = 20, 0.05


class HeldError(DataenvError):
    """A folder is in use for something else.

    Attributes:
        by: Who uses it, such as ``process 12 on node3``.
    """

    def __init__(self, by: str) -> None:
        super().__init__(f"it is in use by {by}")
        self.by = by


def write_whole(path: Path, data: bytes, sync: bool = True) -> None:
    """Write a file whole or not at all: beside it first, then renamed over it.

    Args:
        path: Of the file; its folder is made if need be.
        data: What it holds.
        sync: Whether both are on the disk afterwards. Without it a loss of power may leave a file that is not whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = _temporary(path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
            beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    if not sync:
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def leftovers(*folders: Path, remove: bool = False) -> list[Path]:
    """Files of ``write_whole`` whose writers are gone: a process that is killed cannot tidy up.

    Args:
        folders: Where to look, each by itself; one that is not there holds none.
        remove: Whether to delete them.
    """
    return [path for folder in folders for path in _temporaries(folder) if _is_left(path, remove)]


def _temporary(folder: Path) -> tuple[int, Path]:
    """A new file, locked. It gets the permissions of any other file: a store may be shared."""
    while True:
        path = folder / f"{TEMPORARY}{secrets.token_hex(8)}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        _flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, path
        os.close(handle)  # between the two lines above somebody took it for a leftover


def _temporaries(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(TEMPORARY) and entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


def _is_left(path: Path, remove: bool) -> bool:
    try:
        handle = os.open(path, (os.O_RDWR if remove else os.O_RDONLY) | os.O_CLOEXEC)
    except OSError:  # it has its name by now, or is not ours to open
        return False
    try:
        free = _flock(handle, fcntl.LOCK_EX) is True
        if free and remove:
            path.unlink(missing_ok=True)
        return free
    finally:
        os.close(handle)


def _flock(handle: int, how: int) -> bool | None:
    """Whether a lock was to be had; ``None`` where the file system has no locks."""
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


class Hold:
    """A lock on a folder, shared by all that hold it for the same purpose. It ends when it is closed, or its process.

    Args:
        path: Of the lock's file; it stays, and says who holds it as long as somebody does.
        purpose: What the folder is used for; who gives another one is refused as long as this one is held.

    Raises:
        HeldError: If somebody holds it for another purpose.
    """

    def __init__(self, path: Path, purpose: str) -> None:
        by = ""
        for _ in range(TRIES):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                held = self._take(purpose)
            except BaseException:
                self.close()
                raise
            if held is None:
                return
            self.close()
            by = held or by
            time.sleep(PAUSE)
        raise HeldError(by or "another process")

    def _take(self, purpose: str) -> str | None:
        """Try once. ``None`` if it is held now, else who holds it, or nothing where that is not known yet."""
        first = _flock(self._handle, fcntl.LOCK_EX)
        if first is None:  # a file system without locks: nothing can be refused there
            return None
        if first:
            os.ftruncate(self._handle, 0)
            self._write({"purpose": purpose})
        if not _flock(self._handle, fcntl.LOCK_SH):  # to share it is to let go of it for a moment
            return ""
        found, holders = _read(self._handle)
        if found != purpose:
            return holders
        self._write({"pid": os.getpid(), "host": socket.gethostname()})
        return None

    def _write(self, line: dict[str, object]) -> None:
        os.lseek(self._handle, 0, os.SEEK_END)
        os.write(self._handle, (json.dumps(line) + "\n").encode())

    def close(self) -> None:
        """Let go of it; the last one leaves an empty file."""
        if self._handle >= 0:
            if _flock(self._handle, fcntl.LOCK_EX):
                os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        """It is held since it was made."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of it."""
        self.close()

    def __del__(self) -> None:
        """What nobody holds any more is let go of."""
        if hasattr(self, "_handle"):
            self.close()


def _read(handle: int) -> tuple[str | None, str]:
    """The purpose that a lock is held for, and the processes that may hold it, in words."""
    os.lseek(handle, 0, os.SEEK_SET)
    try:
        first, *others = [json.loads(line) for line in os.read(handle, 1 << 16).decode().splitlines()]
        who = {f"process {int(o['pid'])} on {o['host']!s}": None for o in others if _may_live(int(o["pid"]), o["host"])}
        return str(first["purpose"]), " and ".join(who)
    except (ValueError, KeyError, TypeError):  # not ours, or half written
        return None, ""


def _may_live(pid: int, host: str) -> bool:
    """Whether a process is there; one of another machine may be."""
    if host != socket.gethostname():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
