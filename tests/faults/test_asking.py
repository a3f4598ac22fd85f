"""A driver killed while its teacher asks a language model: the same lessons, and hardly a request sent twice."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from teachers.chat.scripted import ScriptedTurn, Server, serving
from teachers.chat.tutor import arithmetic
from tests.faults.conftest import Faults, same_tables, until

KILLS, AT_ONCE = 4, 3


def slowly(turn: ScriptedTurn) -> str:
    time.sleep(0.05)  # so that a kill finds requests in flight
    return arithmetic(turn)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server(slowly)) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.fault(
    f"SIGKILL of the driver {KILLS} times while its teacher asks a language model",
    f"the same lessons and tokens; of the requests no more are sent anew than were in flight ({AT_ONCE} a kill)",
)
def test_a_driver_killed_while_its_teacher_asks(
    faults: Faults, server: Server, observed: Callable[[str], None]
) -> None:
    chat = {"base_url": server.base_url, "model": "scripted", "concurrency": AT_ONCE}
    board = faults.board(
        teachers=["stratified", {"name": "stat-syn", "args": {"chat": chat, "quota": 8, "difficult": 8}}]
    )
    straight = faults.driver("leaderboard", board, "--quiet", "--workers", "1", "--out", "straight")
    _, errors = straight.communicate(timeout=300)
    assert straight.returncode == 0, errors
    wanted = Counter(json.dumps(body, sort_keys=True) for body in server.heard)
    assert set(wanted.values()) == {1}
    words = ["leaderboard", board, "--quiet", "--workers", "1"]
    server.heard.clear()
    for kill in range(1, KILLS + 1):
        driver = faults.driver(*words)
        until(lambda n=kill, d=driver: len(server.heard) > n * len(wanted) // (KILLS + 2) or d.poll() is not None, 300)
        assert driver.poll() is None, "the board ended before it was killed often enough"
        os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate()
        until(lambda: not faults.processes(), 120)
        time.sleep(0.2)  # what was in flight has been heard
    last = faults.driver(*words)
    _, errors = last.communicate(timeout=300)
    assert last.returncode == 0, errors
    same_tables(faults.folder / "straight", faults.folder / "runs")
    sent = Counter(json.dumps(body, sort_keys=True) for body in server.heard)
    again = sent.total() - len(sent)
    assert sent.keys() == wanted.keys()
    assert 0 < again <= KILLS * AT_ONCE
    observed(f"{KILLS} kills, {len(wanted)} requests, {again} sent anew")
