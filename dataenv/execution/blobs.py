"""Blobs: weights by the SHA-256 of their bytes, in memory or in a folder. They may be evicted and are rebuilt."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import shutil
import tempfile
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from dataenv.errors import DataenvError
from dataenv.execution.files import leftovers, write_whole


class BlobCorruptError(DataenvError):
    """A blob is missing or its bytes do not have its name; the runner rebuilds it from its lineage."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Blobs(Protocol):
    """Bytes by content hash."""

    def put(self, data: bytes, sync: bool = True) -> str:
        """Keep bytes; returns their SHA-256 in hex. Without ``sync`` a loss of power may take them."""

    def get(self, name: str) -> bytes:
        """The bytes of a name, checked; raises BlobCorruptError."""

    def has(self, name: str) -> bool:
        """Whether the name is there (its bytes are checked when they are read)."""

    def drop(self, name: str) -> None:
        """Forget a name, if it is there."""


class MemoryBlobs:
    """Blobs in this process, the oldest evicted first.

    Args:
        limit: Bytes kept at the most.
    """

    def __init__(self, limit: int = 1 << 30) -> None:
        self._limit, self._size = limit, 0
        self._blobs: OrderedDict[str, bytes] = OrderedDict()

    def put(self, data: bytes, sync: bool = True) -> str:
        """See Blobs."""
        name = hashlib.sha256(data).hexdigest()
        if name not in self._blobs:
            self._blobs[name] = data
            self._size += len(data)
            while self._size > self._limit and len(self._blobs) > 1:
                self._size -= len(self._blobs.popitem(last=False)[1])
        return name

    def get(self, name: str) -> bytes:
        """See Blobs."""
        if name not in self._blobs:
            raise BlobCorruptError(name)
        self._blobs.move_to_end(name)
        return self._blobs[name]

    def has(self, name: str) -> bool:
        """See Blobs."""
        return name in self._blobs

    def drop(self, name: str) -> None:
        """See Blobs."""
        self._size -= len(self._blobs.pop(name, b""))


class DiskBlobs:
    """Blobs in a folder, one file each, written beside and moved into place, so that no half file has a name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, name: str) -> Path:
        return self.root / name[:2] / name

    def put(self, data: bytes, sync: bool = True) -> str:
        """See Blobs; one that is there and damaged is written anew."""
        name = hashlib.sha256(data).hexdigest()
        try:
            self.get(name)
        except BlobCorruptError:
            write_whole(self._path(name), data, sync)
        return name

    def get(self, name: str) -> bytes:
        """See Blobs."""
        try:
            data = self._path(name).read_bytes()
        except FileNotFoundError:
            raise BlobCorruptError(name) from None
        if hashlib.sha256(data).hexdigest() != name:
            raise BlobCorruptError(name)
        return data

    def has(self, name: str) -> bool:
        """See Blobs."""
        return self._path(name).exists()

    def drop(self, name: str) -> None:
        """See Blobs."""
        self._path(name).unlink(missing_ok=True)

    def leftovers(self, remove: bool = False) -> list[Path]:
        """Files of writers that were killed; see ``files.leftovers``."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return leftovers(*(folder for folder in sorted(self.root.iterdir()) if folder.is_dir()), remove=remove)
        return []


def place_beside(blobs: Blobs) -> Path:
    """Where the folders of adapters are made: in the store, which every node sees; without one in a folder of ours."""
    return blobs.root.parent / "adapters" if isinstance(blobs, DiskBlobs) else _scratch()


@lru_cache(maxsize=1)
def _scratch() -> Path:
    made = Path(tempfile.mkdtemp(prefix="dataenv-adapters-"))
    made.chmod(0o755)  # the server may be somebody else's process
    atexit.register(shutil.rmtree, made, True)
    return made
