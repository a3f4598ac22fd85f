"""Salvage: the rows of a broken SQLite file, read page by page without SQLite.

A leaf page of a table holds whole rows, whatever became of the pages above it; and our rows say by their seal which
table they are of, and that nothing of them was lost. So neither the schema nor the tree is needed. The format is that
of https://www.sqlite.org/fileformat2.html (sections 1.5, 1.6, 2.1 and 4.1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LEAF, HEADER = 0x0D, 100
SIZES = (4096, 1024, 512, 2048, 8192, 16384, 32768, 65536)
"""Of pages, where the header does not say: SQLite's own first."""
Raw = tuple[str, bytes, str]


def rows_in(file: Path) -> Iterator[Raw]:
    """Key, body and sha of whatever looks like a row of ours, in the database and in its log. It may hold damaged rows.

    Args:
        file: The database; ``-wal`` beside it is read too.
    """
    data = file.read_bytes() if file.exists() else b""
    log = file.with_name(file.name + "-wal")
    frames = log.read_bytes() if log.exists() else b""
    for size in _sizes(data, frames):
        pages = _Pages(data, frames, size)
        found = False
        for row in pages.rows():
            found = True
            yield row
        if found:
            return


def schema_in(file: Path) -> int | None:
    """The schema that a database's header names; ``None`` where the header is lost."""
    with file.open("rb") as opened:
        header = opened.read(HEADER)
    return int.from_bytes(header[60:64]) if len(header) == HEADER and header.startswith(b"SQLite format 3\0") else None


def _sizes(data: bytes, frames: bytes) -> list[int]:
    told = [int.from_bytes(data[16:18]), int.from_bytes(frames[8:12])]
    told = [1 << 16 if size == 1 else size for size in told]
    return [*dict.fromkeys(size for size in (*told, *SIZES) if size in SIZES)]


class _Pages:
    """The pages of a database: the newest of each number, and those of the file that the log replaces."""

    def __init__(self, data: bytes, frames: bytes, size: int) -> None:
        self._data, self._frames, self._size = data, frames, size
        reserved = data[20] if data.startswith(b"SQLite format 3\0") else 0
        self._usable = size - reserved
        self._newer: dict[int, int] = {}  # page number: where it begins in the log
        step = size + 24
        for at in range(32, len(frames) - step + 1, step):
            self._newer[int.from_bytes(frames[at : at + 4])] = at + 24

    def rows(self) -> Iterator[Raw]:
        """The rows of every leaf page; newest pages first."""
        for number in self._newer:
            yield from self._leaf(self.page(number), number)
        for number in range(1, len(self._data) // self._size + 2):
            yield from self._leaf(self._of_file(number), number)

    def page(self, number: int) -> bytes:
        """The newest page of a number; cut short, or empty, where there is none."""
        if number in self._newer:
            return self._frames[self._newer[number] : self._newer[number] + self._size]
        return self._of_file(number)

    def _of_file(self, number: int) -> bytes:
        return self._data[(number - 1) * self._size : number * self._size]

    def _leaf(self, page: bytes, number: int) -> Iterator[Raw]:
        start = HEADER if number == 1 else 0
        if len(page) < start + 8 or page[start] != LEAF:
            return
        cells = min(int.from_bytes(page[start + 3 : start + 5]), (len(page) - start - 8) // 2)
        for at in struct.unpack_from(f">{cells}H", page, start + 8):
            try:
                row = _row(self._payload(page, at))
            except (ValueError, IndexError):  # this cell is damaged; those beside it need not be
                continue
            if row is not None:
                yield row

    def _payload(self, page: bytes, at: int) -> bytes:
        """The content of a cell, the pages that it overflows into included."""
        length, at = _varint(page, at)
        _, at = _varint(page, at)
        most, least = self._usable - 35, (self._usable - 12) * 32 // 255 - 23
        local = length
        if length > most:
            local = least + (length - least) % (self._usable - 4)
            local = local if local <= most else least
        parts, left = [page[at : at + local]], length - local
        following = int.from_bytes(page[at + local : at + local + 4]) if left else 0
        while left:
            more = self.page(following)
            if following < 1 or len(more) < self._usable:
                raise ValueError("a page is missing")
            parts.append(more[4 : 4 + min(left, self._usable - 4)])
            left -= len(parts[-1])
            following = int.from_bytes(more[:4])
        payload = b"".join(parts)
        if len(payload) != length:
            raise ValueError("it is cut short")
        return payload


def _row(payload: bytes) -> Raw | None:
    """A record as key, body and sha; ``None`` if it has other columns."""
    end, at = _varint(payload, 0)
    kinds = []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if len(kinds) != 3 or [kind >= 12 and kind % 2 for kind in kinds] != [1, 0, 1]:
        return None
    columns: list[Any] = []
    for kind in kinds:
        length = (kind - 12) // 2
        columns.append(payload[end : end + length])
        end += length
    key, body, sha = columns
    return key.decode(), body, sha.decode()


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """SQLite's integer of variable length, and where it ends."""
    value = 0
    for i in range(8):
        byte = data[at + i]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + i + 1
    return value << 8 | data[at + 8], at + 9
