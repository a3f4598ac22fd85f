"""Each error of a disk or a database has its own advice, raised for real where that can be done."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dataenv.errors import StoreError
from dataenv.execution import advice as by
from dataenv.execution.store import ROWS, Store
from tests.stores import mounted_to_read


def test_every_error_of_the_system_has_its_own_advice() -> None:
    told = {
        errno.ENOSPC: by.FULL, errno.EDQUOT: by.FULL, errno.EROFS: by.READ_ONLY, errno.EACCES: by.NOT_ALLOWED,
        errno.EMFILE: by.TOO_MANY, errno.EISDIR: by.FOLDER, errno.ENOTDIR: by.NO_FOLDER, errno.EFBIG: by.TOO_LARGE,
        errno.EIO: by.FAILING, errno.ESTALE: by.FAILING, errno.ENOENT: by.GONE, errno.ENOMEM: by.MEMORY,
    }  # fmt: skip
    for number, said in told.items():
        assert by.advice(OSError(number, os.strerror(number))) == f"{said} ({os.strerror(number)})"
    assert by.advice(OSError("no number")) == f"{by.OTHERWISE} (no number)"


def test_a_mistake_of_a_program_is_no_error_of_a_disk() -> None:
    assert by.known(OSError(errno.ENOSPC, "full"))
    assert not by.known(FileNotFoundError(errno.ENOENT, "gone"))
    assert not by.known(OSError("no number"))


def said(folder: Path) -> str:
    with pytest.raises(StoreError) as caught:
        Store(folder).get("states", "k")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_in_place_of_the_database(tmp_path: Path) -> None:
    (tmp_path / ROWS).mkdir()
    assert by.FOLDER in said(tmp_path)


def test_a_file_in_place_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("x")
    assert by.NO_FOLDER in said(tmp_path / "store")
    assert by.NO_FOLDER in said(tmp_path / "store" / "inner")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / ROWS).write_bytes(b"a text of some length, and no database " * 99)
    assert by.NO_DATABASE in said(tmp_path)


def test_a_database_with_a_damaged_page(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with (tmp_path / ROWS).open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3000)
    assert by.DAMAGED in said(tmp_path)


def test_a_folder_in_place_of_weights(tmp_path: Path) -> None:
    store = Store(tmp_path)
    name = store.blobs.put(b"x")
    (tmp_path / "blobs" / name[:2] / name).unlink()
    (tmp_path / "blobs" / name[:2] / name).mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        store.blobs.get(name)
    assert by.FOLDER in str(store.failed(caught.value))


def test_a_locked_database(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store._rows.execute("PRAGMA busy_timeout=50")
    with closing(sqlite3.connect(tmp_path / ROWS)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match=by.LOCKED):
            store.put("exams", "k", {})
        other.rollback()
    assert store.put("exams", "k", {"a": 1}) == {"a": 1}


def test_a_folder_that_can_only_be_read(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with mounted_to_read(tmp_path / "disk", tmp_path / "ro") as there:
        assert by.READ_ONLY in said(there / "store")


def test_too_many_open_files(tmp_path: Path) -> None:
    """In a process of its own: its limit is that of an open store, less one file."""
    code = (
        "import os, resource, sys\n"
        "from pathlib import Path\n"
        "from dataenv.execution.store import Store\n"
        "from dataenv.errors import StoreError\n"
        "free = os.open('/dev/null', os.O_RDONLY); os.close(free)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (free + int(sys.argv[2]), 64))\n"
        "try:\n"
        "    Store(Path(sys.argv[1])); print('open')\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64
    Store(tmp_path).close()
    for more in (0, 1, 2):
        words = [sys.executable, "-c", code, str(tmp_path), str(more)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert by.TOO_MANY in done.stdout or done.stdout == "open\n", (more, done.stdout)
        assert more or by.TOO_MANY in done.stdout
