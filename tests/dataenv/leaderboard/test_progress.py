"""The live view: what is done, what runs, what failed; readable on a small and on a large terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dataenv.environment.steps import StepRecord, Tally
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board, load
from dataenv.leaderboard.play import play
from dataenv.leaderboard.progress import Terminal
from dataenv.leaderboard.runs import Run, all_runs
from dataenv.leaderboard.trackers import Outline, Tracker
from students.base import TrainingDivergedError
from tests.toys import TOY_BOARD, Apprentice


def record(step: int, right: int = 143, of: int = 320, spent: int = 0) -> StepRecord:
    tally = Tally(correct=(right,), n=(of,))
    return StepRecord(
        step=step, spent=spent, teacher_tokens=0, money=0.0, state="s", reward=0, selection=tally,
        feedback=tally, loss=(0.0,), mixture=None,
        offered=0, kept=0, rejected={}, judged={}, lesson=None, ended="",
    )  # fmt: skip


def screen(terminal: Terminal, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True)
    console.print(terminal)
    return console.export_text().rstrip("\n").split("\n")


@pytest.fixture
def under_way() -> tuple[Terminal, Tracker, dict[tuple[str, int], Run]]:
    """The board ``quick-2026`` some way in."""
    terminal = Terminal(Console(file=io.StringIO()), quiet=True)
    watch = terminal.__enter__()
    cells = all_runs(load("quick-2026"))
    runs: dict[str, int] = {}
    for cell in cells:
        runs[cell.group] = runs.get(cell.group, 0) + 1
    watch.begin(Outline(runs, 80_000_000, 5_000_000, 7, 2, lambda: 2))
    return terminal, watch, {(cell.label, cell.seed): cell for cell in cells}


@pytest.mark.parametrize(("width", "height"), [(80, 24), (150, 40)])
def test_the_screen_is_readable(
    under_way: tuple[Terminal, Tracker, dict[tuple[str, int], Run]], width: int, height: int
) -> None:
    terminal, watch, cells = under_way
    watch.start(cells["uniform", 100])
    watch.done(cells["uniform", 100], None)
    for seed in range(6):
        watch.done(cells["random", seed], "the loss became nan" if seed == 3 else None)
    watch.start(cells["failure", 0])
    watch.start(cells["failure", 1])
    watch.step(cells["failure", 1], record(3))
    for name in ("hardest", "known-first", "carries"):  # more than a line of 80 holds
        watch.step(cells[name, 100], record(1))
    lines = screen(terminal, width, height)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "7 of 92 runs, 2 of 2 workers busy, 1 failed" in text
    line = {line.split()[0]: line for line in lines}
    assert "6/6" in line["random"]
    assert "1 failed" in line["random"]
    assert "seed 0 starting, seed 1 step 3 143/320" in line["failure"]
    assert line["mixture"].startswith("mixture search")
    assert "1/20" in line["mixture"]
    assert ("…" in line["mixture"]) == (width == 80)
    assert "left" in lines[-1]
    assert "%" in lines[-1]


def test_where_there_is_no_room_those_under_way_are_shown(
    under_way: tuple[Terminal, Tracker, dict[tuple[str, int], Run]],
) -> None:
    terminal, watch, cells = under_way
    for seed in range(6):
        watch.done(cells["random", seed], None)
    watch.step(cells["joint-x4", 5], record(1))
    lines = screen(terminal, 80, 10)
    assert len(lines) <= 10
    assert any(line.startswith("joint-x4") for line in lines)
    assert not any(line.startswith("random") for line in lines)
    assert any("and 7 more" in line for line in lines)


def test_time_left_follows_from_the_tokens(
    under_way: tuple[Terminal, Tracker, dict[tuple[str, int], Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, watch, cells = under_way
    assert screen(terminal, 80, 24)[-1].split("left")[1].strip() == "?"
    watch.step(cells["failure", 0], record(5, spent=4_500_000))  # and 5 million of a warm start: of 115 million
    monkeypatch.setattr("dataenv.leaderboard.progress.time.monotonic", lambda: terminal._began + 95)
    assert screen(terminal, 80, 24)[-1].split("left")[1].strip() == "17:35"  # 95 s * 105.5 / 9.5


def test_the_first_plain_line_tells_of_warm_starts() -> None:
    """They take seconds, in which nothing else is printed."""
    console = Console(record=True, force_terminal=False, width=200)
    Terminal(console).begin(Outline({"random": 3}, 80, 5, 3, 2, lambda: 0))
    assert console.export_text() == "3 runs, 2 at once; the students' warm starts come first\n"


def test_plain_lines_elsewhere(toys: None, tmp_path: Path) -> None:
    def shown(quiet: bool) -> list[str]:
        console = Console(width=40, file=io.StringIO(), record=True)
        with Terminal(console, quiet) as watch:
            play(Board.model_validate(TOY_BOARD), Runner(Store(None)), tmp_path / f"toy-{quiet}", watch)
        return console.export_text().splitlines()

    lines = shown(quiet=False)
    assert lines[0] == "10 runs, 1 at once"  # before anything is computed; a toy has no warm start
    assert "mixture search: plain seed 7 step 0: selection 0/10; left ?" in lines  # not wrapped at 40 columns
    assert any(line.startswith("stratified seed 1 step 3: selection 6/10; left ") for line in lines)
    assert [line for line in lines if "runs" in line][-1].endswith("10 of 10 runs")
    assert shown(quiet=True) == []


def test_a_plain_line_says_why_a_run_failed(toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverges(self: Apprentice, *args: Any) -> Any:
        raise TrainingDivergedError("the loss became nan at update 3; lower recipe.rate")

    board = Board.model_validate(TOY_BOARD | {"references": ["nothing"]})
    console = Console(width=40, file=io.StringIO(), record=True)
    sound = Apprentice.fit
    with Terminal(console) as watch:
        watch.start = lambda cell: monkeypatch.setattr(
            Apprentice, "fit", diverges if cell.label == "failure" else sound
        )
        play(board, Runner(Store(None)), tmp_path / "toy", watch)
    failed = [line for line in console.export_text().splitlines() if " failed " in line]
    assert [line.split(" failed ")[0] for line in failed] == ["failure seed 0", "failure seed 1"]
    assert all("the loss became nan at update 3; lower recipe.rate" in line for line in failed), failed


def test_of_a_run_that_is_cut_off_nothing_is_said(toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(self: Apprentice, *args: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Apprentice, "fit", stops)
    console = Console(width=80, file=io.StringIO(), record=True)
    with pytest.raises(KeyboardInterrupt), Terminal(console) as watch:
        play(Board.model_validate(TOY_BOARD), Runner(Store(None)), tmp_path / "toy", watch)
    assert " of 10 runs" not in console.export_text()


def test_on_a_terminal_nothing_is_left_behind(toys: None, tmp_path: Path) -> None:
    file = io.StringIO()
    console = Console(width=80, height=24, file=file, force_terminal=True)
    before: Any = console._live_stack[:] if hasattr(console, "_live_stack") else None
    with Terminal(console) as watch:
        play(Board.model_validate(TOY_BOARD), Runner(Store(None)), tmp_path / "toy", watch)
    assert "10 of 10 runs" in file.getvalue()
    assert before is None or console._live_stack == before
