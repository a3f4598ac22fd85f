"""Files of a board: whole or not there, and never outside of the folder that they belong in."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from dataenv.errors import SettingError
from dataenv.execution import files

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What a board or a teacher on it may be called: files are named after them."""

LARGEST = 64 << 20
"""Bytes. A row of a thousand steps with five hundred skills fits."""


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Write a file whole or not at all: beside it first, then renamed over it."""
    files.write_whole(Path(path), text.encode("utf-8"))


def read_small(path: Path) -> bytes:
    """The bytes of a file of a board.

    Raises:
        OSError: If it cannot be read.
        SettingError: If it is no file, or larger than any of them is.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
        raise SettingError(
            f"{path} is no file, or larger than {LARGEST >> 20} MiB, as no file of a board is; move it away"
        )
    return path.read_bytes()


def named(folder: Path, name: str, end: str) -> Path:
    """The path of a file that is called by a name from elsewhere.

    Args:
        folder: The file is in it, and never in another.
        name: Letters, digits, ``.``, ``_`` and ``-``.
        end: What comes after the name.

    Raises:
        SettingError: If the name is none.
    """
    if not re.fullmatch(NAME, name):
        raise SettingError(f"{name!r} cannot name a file; use letters, digits, '.', '_' and '-', at most 64")
    return folder / f"{name}{end}"
