"""The album: where a process finds the bytes of a picture by its digest.

A digest has one picture, so what the album holds changes no result: a look-up finds the right bytes or none. Tasks and
engines put the pictures that they make into it. The driver puts those that a job needs into the store's blobs, and a
worker reads them there (``reading``).
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from tasks.errors import DataenvError

MOST = 1 << 30
"""Bytes of pictures that ``keep`` holds; the oldest go first. By then the store has those that were taught."""
_kept: OrderedDict[str, bytes] = OrderedDict()
_size = 0
_lent: list[Mapping[str, bytes]] = []
_lock = threading.Lock()
_read: ContextVar[Callable[[str], bytes] | None] = ContextVar("pictures", default=None)


class MissingPictureError(DataenvError, KeyError):
    """A digest whose picture is nowhere."""

    def __str__(self) -> str:
        return str(self.args[0])


def keep(png: bytes) -> str:
    """Put a picture into the album of this process; returns its digest, the SHA-256 of its bytes in hex.

    Args:
        png: Canonical, as ``encode`` and ``admit`` give it.
    """
    global _size
    name = hashlib.sha256(png).hexdigest()
    with _lock:
        if name not in _kept:
            _kept[name] = png
            _size += len(png)
            while _size > MOST and len(_kept) > 1:
                _size -= len(_kept.popitem(last=False)[1])
    return name


def lend(pictures: Mapping[str, bytes]) -> None:
    """Let the album look up digests in a mapping too, for a task that reads its files when they are asked for."""
    with _lock:
        _lent.append(pictures)


def has(name: str) -> bool:
    """Whether the album of this process holds a picture."""
    return name in _kept or any(name in pictures for pictures in tuple(_lent))


def picture(name: str) -> bytes:
    """The canonical PNG of a digest.

    Raises:
        MissingPictureError: If it is nowhere.
    """
    found = _kept.get(name)
    if found is not None:
        return found
    for pictures in tuple(_lent):
        if name in pictures:
            return pictures[name]
    read = _read.get()
    if read is not None:
        return read(name)
    raise MissingPictureError(
        f"picture {name[:12]} is not there; put it into the album with tasks.media.keep, or open the store that has it"
    )


@contextmanager
def reading(read: Callable[[str], bytes]) -> Iterator[None]:
    """Look up in the blobs of a store what the album does not hold, meanwhile and in this thread.

    Args:
        read: Gives the bytes of a digest, or raises.
    """
    token = _read.set(read)
    try:
        yield
    finally:
        _read.reset(token)


def shown_by(task: object) -> tuple[str, ...]:
    """What the problems of a task show: ``text`` alone, unless its attribute ``shows`` names ``image`` too.

    A task that divides or renames the skills of another (its ``task``) shows what that one does.
    """
    while not hasattr(task, "shows") and hasattr(task, "task"):
        task = task.task
    return tuple(getattr(task, "shows", ("text",)))
