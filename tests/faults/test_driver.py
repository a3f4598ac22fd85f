"""Drivers killed at random moments, drivers that share a store, stores that are damaged: the same table each time."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.records import stream
from tests.faults.conftest import Faults, same_tables, until

KILLS = 20
Observed = Callable[[str], None]


def straight(faults: Faults, seeds: int) -> tuple[str, int]:
    """Play the board undisturbed beside it all: its file, and how many training runs it takes."""
    board = faults.board(seeds)
    driver = faults.driver("leaderboard", board, "--quiet", "--workers", "2", "--out", "straight")
    _, errors = driver.communicate(timeout=600)
    assert driver.returncode == 0, errors
    runs = len(faults.log("begun"))
    assert runs == len({name for _, name in faults.log("begun")}) > 20, "equal jobs run once"
    (faults.folder / "log").unlink()
    return board, runs


def known(store: Path) -> set[str]:
    """The keys of a store's rows; and its database is whole."""
    if not (store / "store.sqlite").exists():
        return set()
    with sqlite3.connect(store / "store.sqlite") as rows:
        assert rows.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found: set[str] = set()
        for table in ("states", "exams", "lessons"):
            found |= {key for (key,) in rows.execute(f"SELECT key FROM {table}")}
    rows.close()
    return found


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.fault(
    f"SIGKILL of the driver at {KILLS} random moments of a 36-run board",
    "the same table; no row lost or doubled; at most one job repeated per worker and kill; no job left running",
)
@pytest.mark.parametrize("workers", [["--executor", "processes"], ["--executor", "ray"]], ids=["processes", "ray"])
def test_a_driver_killed_at_random_moments(faults: Faults, workers: list[str], observed: Observed) -> None:
    board, runs = straight(faults, seeds=6)
    words = ["leaderboard", board, "--quiet", "--workers", "2", *workers]
    rng, store, before = stream(0, "moments"), faults.folder / "runs/.store", set[str]()
    for kill in range(KILLS):
        driver = faults.driver(*words, DATAENV_FAULTS_PAUSE="0.8")  # long enough for all kills on a fast processor too
        if kill % 4:  # while it trains; else at a random moment of its start
            done = len(faults.log("begun"))
            until(lambda n=done, d=driver: len(faults.log("begun")) > n or d.poll() is not None, 300)
            time.sleep(rng.uniform(0.0, 1.2))
        else:
            time.sleep(rng.uniform(0.0, 6.0))
        assert driver.poll() is None, "the board ended before it was killed often enough"
        driver.kill()
        driver.communicate()
        until(lambda: not faults.processes(jobs="ray" in workers), 120)
        for left in faults.processes():  # two agents of Ray's own outlive a driver that was killed
            with contextlib.suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)
        after = known(store)
        assert before <= after, "a row that was there is gone"
        before = after
    last = faults.driver(*words)
    _, errors = last.communicate(timeout=400)
    assert last.returncode == 0, errors
    same_tables(faults.folder / "straight", faults.folder / "runs")
    begun = Counter(name for _, name in faults.log("begun"))
    again = sum(begun.values()) - len(begun)
    assert len(begun) == runs
    assert 0 < again <= 2 * KILLS, "some kill must have hit a training run, and none more than one a worker"
    observed(f"{KILLS} kills, {runs} training runs, {again} repeated")


@pytest.mark.slow
@pytest.mark.fault("two drivers on one board and one store at the same time", "both end with the same table")
def test_two_drivers_at_once(faults: Faults, observed: Observed) -> None:
    board, runs = straight(faults, seeds=2)
    drivers = [faults.driver("leaderboard", board, "--quiet", "--workers", "1") for _ in range(2)]
    for driver in drivers:
        _, errors = driver.communicate(timeout=300)
        assert driver.returncode == 0, errors
    same_tables(faults.folder / "straight", faults.folder / "runs")
    assert len({name for _, name in faults.log("begun")}) == runs
    observed(f"{len(faults.log('begun'))} training runs of {runs} (each driver does what it finds undone)")


@pytest.mark.slow
@pytest.mark.fault(
    "a bit flipped, or a blob cut or removed, in every blob of a half-played board",
    "noticed and rebuilt: the same table",
)
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_damaged_blobs_of_a_half_played_board(faults: Faults, damage: str, observed: Observed) -> None:
    board, _ = straight(faults, seeds=2)
    driver = faults.driver("leaderboard", board, "--quiet", "--workers", "2", DATAENV_FAULTS_PAUSE="0.3")
    until(lambda: len(faults.log("ended")) > 12, 120)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()
    until(lambda: not faults.processes(), 120)
    blobs = [
        path for path in (faults.folder / "runs/.store/blobs").rglob("*") if path.is_file() and "tmp" not in path.name
    ]
    for path in blobs:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(data if damage == "flip" else data[:-7])
    first = len(faults.log("begun"))
    again = faults.driver("leaderboard", board, "--quiet", "--workers", "2")
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    rebuilt = errors.count("rebuilding")
    assert rebuilt or damage == "gone", "what is gone may have been evicted, and is rebuilt without a word"
    same_tables(faults.folder / "straight", faults.folder / "runs")
    observed(f"{len(blobs)} blobs damaged, {len(faults.log('begun')) - first} training runs then, {rebuilt} warnings")


@pytest.mark.fault("SIGKILL of a driver: its worker processes", "gone within seconds")
def test_workers_end_with_their_driver(faults: Faults, observed: Observed) -> None:
    driver = faults.driver("leaderboard", faults.board(), "--quiet", "--workers", "2", DATAENV_FAULTS_PAUSE="60")
    until(lambda: faults.log("begun"), 120)
    workers = [pid for pid in faults.processes() if pid != driver.pid]
    assert workers
    driver.kill()
    driver.communicate()
    began = time.monotonic()
    until(lambda: not faults.processes(), 120)
    assert time.monotonic() - began < 10
    observed(f"{len(workers)} processes, gone")
