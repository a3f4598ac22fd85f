"""Whole files, what killed writers leave, and locks that end with their process."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dataenv.errors import StoreError
from dataenv.execution.blobs import DiskBlobs
from dataenv.execution.files import TEMPORARY, HeldError, Hold, leftovers, write_whole
from dataenv.execution.store import LOCK, Store

WRITES = """
import os, sys, time
from pathlib import Path
from dataenv.execution import files
os.fsync = lambda handle: (print("writing", flush=True), time.sleep(60))
files.write_whole(Path(sys.argv[1]), b"x" * 100)
"""
HOLDS = """
import sys, time
from pathlib import Path
from dataenv.execution.files import Hold
held = Hold(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def running(code: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Another process, once it has said its first word; it is killed at the end."""
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip()
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_file_is_whole_and_may_be_read_like_any_other(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_whole(tmp_path / "a" / "b", b"1")
        write_whole(tmp_path / "a" / "b", b"22")
    finally:
        os.umask(old)
    assert (tmp_path / "a" / "b").read_bytes() == b"22"
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_what_cannot_be_put_in_place_is_not_left(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "folder", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.fault("SIGKILL of a process that writes weights", "what it leaves is swept when the store is opened")
def test_what_a_killed_writer_leaves_is_swept_and_a_live_one_is_left_alone(tmp_path: Path) -> None:
    blobs = tmp_path / "blobs" / "ab"
    with running(WRITES, str(blobs / "x")) as writer:
        Store(tmp_path).close()
        (beside,) = blobs.iterdir()
        assert beside.name.startswith(TEMPORARY)
        assert DiskBlobs(tmp_path / "blobs").leftovers() == []
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert DiskBlobs(tmp_path / "blobs").leftovers() == [beside]
        Store(tmp_path, readonly=True).close()
        assert beside.exists()
        Store(tmp_path).close()
        assert list(blobs.iterdir()) == []


def test_a_leftover_of_an_older_release_is_swept_too(tmp_path: Path) -> None:
    (tmp_path / "blobs" / "cd").mkdir(parents=True)
    (tmp_path / "blobs" / "cd" / ".tmp-k3x9").write_bytes(b"half")
    (tmp_path / "blobs" / ".tmp-folder").mkdir()
    Store(tmp_path).close()
    assert list((tmp_path / "blobs" / "cd").iterdir()) == []
    assert leftovers(tmp_path / "not there") == []


def test_a_file_that_is_swept_between_two_lines_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweeper may see a file before its writer has locked it."""
    real, swept = fcntl.flock, []

    def sweep_first(handle: int, how: int) -> None:
        if not swept:
            swept.append(how)
            for path in tmp_path.glob(f"{TEMPORARY}*"):
                path.unlink()
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    write_whole(tmp_path / "a", b"1")
    assert swept
    assert (tmp_path / "a").read_bytes() == b"1"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_system_without_locks_is_written_and_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(handle: int, how: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    write_whole(tmp_path / "a", b"1")
    (tmp_path / f"{TEMPORARY}b").write_bytes(b"")
    assert leftovers(tmp_path, remove=True) == []
    with Hold(tmp_path / LOCK, "one"), Hold(tmp_path / LOCK, "other"):
        assert (tmp_path / LOCK).exists()


# --- locks -----------------------------------------------------------------------------------------------------------


def test_one_purpose_shares_a_lock_and_another_is_told_who_holds_it(tmp_path: Path) -> None:
    with running(HOLDS, str(tmp_path / LOCK), "one") as holder:
        with Hold(tmp_path / LOCK, "one"), pytest.raises(HeldError) as caught:
            Hold(tmp_path / LOCK, "other")
        assert f"process {holder.pid} on {os.uname().nodename}" in caught.value.by
        assert f"process {os.getpid()} on" in caught.value.by
        with pytest.raises(HeldError) as caught:
            Hold(tmp_path / LOCK, "other")
        holder.kill()
        holder.wait()
        Hold(tmp_path / LOCK, "other").close()


@pytest.mark.parametrize("held", ["", "no json", "{}\n", '{"purpose": 1}\n{"pid": "x"}\n', "\xff" * 70_000])
def test_what_stands_in_the_file_of_a_lock_decides_nothing_when_nobody_holds_it(tmp_path: Path, held: str) -> None:
    (tmp_path / LOCK).write_text(held)
    with Hold(tmp_path / LOCK, "one"), pytest.raises(HeldError, match="in use by process"):
        Hold(tmp_path / LOCK, "other")


def test_many_that_come_at_once_all_share_it(tmp_path: Path) -> None:
    code = HOLDS.replace("time.sleep(60)", "time.sleep(1)")
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / LOCK), "one"], stdout=subprocess.DEVNULL)
        for _ in range(5)
    ]
    assert [process.wait(60) for process in processes] == [0] * 5


def test_a_store_that_is_being_repaired_is_not_opened(tmp_path: Path) -> None:
    Store(tmp_path).close()
    began = time.monotonic()
    with Hold(tmp_path / LOCK, "repair"), pytest.raises(StoreError, match="is being repaired by process"):
        Store(tmp_path)
    assert time.monotonic() - began < 20
    Store(tmp_path).close()
