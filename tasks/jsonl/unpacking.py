"""A file as text, unpacked where it is packed, and never more of it than memory can hold."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

LARGEST = 1 << 30
"""Bytes of a file, once it is unpacked."""


def _zstandard(path: Path) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise ValueError(f"{path} needs the package pyarrow; pip install 'dataenv[data]'") from None
    return pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd")


PACKED: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _zstandard}


def regular(path: Path) -> None:
    """Refuse what is no file: a folder, a pipe, a device, which may never end.

    Raises:
        ValueError: If it is none.
        OSError: If it is not there.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} is no file but a folder, a pipe or a device; give a file")


@contextmanager
def opened(path: Path, packed: str) -> Iterator[TextIO]:
    """The text of a file. A mark at its beginning (BOM) is not part of it; line ends are as they stand.

    Args:
        path: Of a regular file.
        packed: One of ``PACKED``, or empty.

    Raises:
        ValueError: If it cannot be unpacked or is larger than ``LARGEST``.
        UnicodeDecodeError: If it is not UTF-8.
    """
    try:
        with PACKED[packed](path) if packed else path.open("rb") as inner:
            bounded = io.BufferedReader(_Bounded(inner, path.name))
            yield io.TextIOWrapper(bounded, encoding="utf-8-sig", newline="")
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if not packed or isinstance(error, FileNotFoundError | PermissionError):
            raise
        said = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be unpacked ({said:.200}); pack it anew, or give it unpacked") from None


class _Bounded(io.RawIOBase):
    """Another stream's bytes, up to ``LARGEST``."""

    def __init__(self, inner: BinaryIO, name: str) -> None:
        self._inner, self._name, self._read = inner, name, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read(len(buffer))
        self._read += len(data)
        if self._read > LARGEST:
            raise ValueError(f"{self._name} holds more than {LARGEST >> 20} MiB, unpacked; give a part of it")
        buffer[: len(data)] = data
        return len(data)
