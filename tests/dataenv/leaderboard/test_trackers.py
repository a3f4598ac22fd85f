"""Trackers: several at once, equal lines for equal runs, and none of them can cost a board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.play import play
from dataenv.leaderboard.trackers import JsonlTracker, Tracker, Trackers, make_tracker, tracking
from tests.toys import TOY_BOARD


def played(folder: Path, watch: Trackers) -> int:
    with watch:
        return len(play(Board.model_validate(TOY_BOARD), Runner(Store()), folder, watch))


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_jsonl_tells_every_run_and_has_no_clock_unless_asked(toys: None, tmp_path: Path) -> None:
    first, second, timed = (tmp_path / f"{name}.jsonl" for name in ("first", "second", "timed"))
    both = {"a": JsonlTracker(str(first)), "b": JsonlTracker(str(timed), clock=True)}
    assert played(tmp_path / "one", Trackers(both)) == 8
    assert played(tmp_path / "two", tracking([f"jsonl:{second}"], {})) == 8
    assert sorted(first.read_text().splitlines()) == sorted(second.read_text().splitlines())
    told = events(first)
    assert told[0]["event"] == "begin"
    assert told[0]["runs"]["mixture search"] == 2
    done = [(event["label"], event["seed"]) for event in told if event["event"] == "done"]
    assert len(done) == 10  # eight rows, and two runs of the search
    assert sum(event["event"] == "start" for event in told) == 10
    step = next(event for event in told if event["event"] == "step")
    assert set(step) == {"event", "label", "role", "seed", "step", "spent", "reward", "selection"}
    assert all("seconds" in event for event in events(timed))


class Raises(Tracker):
    """Fails at the third step."""

    def __init__(self) -> None:
        self.told, self.left = 0, False

    def step(self, cell: Any, record: Any) -> None:
        self.told += 1
        if self.told == 3:
            raise RuntimeError("no room")

    def __exit__(self, *_: Any) -> None:
        self.left = True


def test_one_that_raises_is_named_once_and_the_board_goes_on(toys: None, tmp_path: Path) -> None:
    broken, warned = Raises(), []
    sound = JsonlTracker(str(tmp_path / "events.jsonl"))
    assert played(tmp_path / "toy", Trackers({"mine": broken, "jsonl": sound}, warned.append)) == 8
    assert warned == ["tracker 'mine' failed (RuntimeError: no room) and is told nothing more; the board goes on"]
    assert broken.told == 3
    assert broken.left
    assert sum(event["event"] == "done" for event in events(tmp_path / "events.jsonl")) == 10


def test_without_a_console_the_warning_is_pythons(toys: None, tmp_path: Path) -> None:
    with pytest.warns(RuntimeWarning, match="tracker 'mine' failed"):
        played(tmp_path / "toy", Trackers({"mine": Raises()}))


def test_one_that_cannot_start_is_said_before_anything_is_computed(tmp_path: Path) -> None:
    first = Raises()
    with pytest.raises(SettingError, match=r"tracker 'jsonl:.*' cannot start .FileNotFoundError"):
        tracking([f"jsonl:{tmp_path / 'no' / 'folder.jsonl'}"], {"mine": first}).__enter__()
    assert first.left


def test_a_wrong_tracker_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._HERE["tracker"], "mine", Store)
    with pytest.raises(SettingError, match=r"tracker 'mine' is no subclass of dataenv.leaderboard.trackers.Tracker"):
        make_tracker("mine")
    with pytest.raises(SettingError, match="tracker 'jsnl' is not registered; did you mean 'jsonl'"):
        make_tracker("jsnl:events.jsonl")
    with pytest.raises(SettingError, match=r"tracker_args of tracker 'jsonl' do not fit: missing .*'path'"):
        make_tracker("jsonl")
