"""A line on what goes on, where something takes longer than a person likes to wait."""

from __future__ import annotations

import logging
import time

import pytest

from dataenv.environment.env import MAKING, TeachingEnv
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.waiting import telling, waiting
from tests.toys import TOYS


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "to", "always")


def wait_for(capsys: pytest.CaptureFixture[str]) -> str:
    """What stands on stderr, as soon as something does, or after a second."""
    said, began = "", time.monotonic()
    while not said and time.monotonic() - began < 1:
        time.sleep(0.01)
        said += capsys.readouterr().err
    return said


def test_a_long_wait_is_told_once_and_a_short_one_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting("doing it …", seconds=0.01):
        assert wait_for(capsys) == "dataenv: doing it …\n"
    with waiting("doing it …", seconds=0.5):
        pass
    time.sleep(0.6)
    assert capsys.readouterr().err == ""


def test_a_part_of_what_is_told_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting("the whole", seconds=0.01), waiting("a part", seconds=0.0):
        assert wait_for(capsys) == "dataenv: the whole\n"


def test_nothing_is_told_where_nothing_is_to_be(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, logger="dataenv")
    for to in ("never", "terminal"):  # stderr is a file here
        monkeypatch.setattr(telling, "to", to)
        with waiting(f"to {to}", seconds=0.0):
            time.sleep(0.1)
    assert capsys.readouterr().err == ""
    assert [record.message for record in caplog.records] == ["to never", "to terminal"]


def test_a_failure_leaves_no_timer_behind(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), waiting("it", seconds=0.2):
        1 / 0  # noqa: B018
    time.sleep(0.3)
    assert telling.depth == 0
    assert capsys.readouterr().err == ""


def test_a_reset_of_ones_own_environment_is_told(
    toys: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataenv import waiting as module
    from tests.toys import Parrot

    monkeypatch.setattr(module.waiting, "__wrapped__", None, raising=False)
    monkeypatch.setattr("dataenv.environment.env.waiting", lambda what: waiting(what, seconds=0.0))
    monkeypatch.setattr(Parrot, "initial", lambda self, seed: time.sleep(0.2) or b"{}")
    TeachingEnv(**TOYS).reset(seed=0)
    assert capsys.readouterr().err == f"dataenv: {MAKING}\n"
    TeachingEnv(runner=Runner(Store(None)), **TOYS).reset(seed=0)  # a board's: that tells of all its runs
    assert capsys.readouterr().err == ""
