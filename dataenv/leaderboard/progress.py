"""Progress of a board on a terminal: by teacher the runs done and under way, workers busy, and the time left."""

from __future__ import annotations

import threading
import time
from typing import Any, Literal, Self

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from dataenv.environment.steps import StepRecord
from dataenv.leaderboard.decisions import Look
from dataenv.leaderboard.format import visible
from dataenv.leaderboard.runs import SEARCHES, Run
from dataenv.leaderboard.trackers import Outline, Tracker

EARLY = 0.02
LONGEST_NAME = 24
JUSTIFY: tuple[Literal["left", "right"], ...] = ("left", "right", "left")
AROUND = 4
"""Lines of a terminal that are not the teachers': heading, bar, what was left out, and the one the cursor is on."""


class Terminal(Tracker):
    """A live view on a terminal, plain lines elsewhere.

    Args:
        console: Where to; stderr if not given.
        quiet: Say nothing at all.
    """

    def __init__(self, console: Console | None = None, quiet: bool = False) -> None:
        console = console or Console(stderr=True)
        self._console, self._quiet = console, quiet
        self._lock = threading.RLock()
        self._outline = Outline({}, 0, 0, 0, 1, lambda: 0)
        self._began, self._spent_by_done = 0.0, 0
        self._awake: set[int] = set()
        self._flying: dict[tuple[str, str, int], tuple[Run, StepRecord | None]] = {}
        self._done: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._bar = Progress(
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
            console=console,
        )
        self._task = self._bar.add_task("board", total=1, left="?")
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Start."""
        if not self._quiet and self._console.is_terminal:
            self._live = Live(self, console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        """Stop, and leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What ``rich`` calls to draw it: as many lines as the terminal has room for, those under way first."""
        with self._lock:
            self._bar.update(self._task, completed=self._spent(), total=max(self._whole(), 1), left=self._left())
            yield Group(self._heading(), self._table(max(3, options.size.height - AROUND)), self._bar)

    def begin(self, outline: Outline) -> None:
        """See Tracker."""
        with self._lock:
            self._outline, self._began = outline, time.monotonic()
            if not self._quiet and self._live is None:
                warm = "; the students' warm starts come first" if outline.warm else ""
                self._say(f"{sum(outline.runs.values())} runs, {outline.width} at once{warm}")

    def start(self, planned: Run) -> None:
        """See Tracker."""
        with self._lock:
            self._flying[planned.group, planned.shown, planned.seed] = (planned, None)

    def step(self, planned: Run, record: StepRecord) -> None:
        """See Tracker."""
        with self._lock:
            self._flying[planned.group, planned.shown, planned.seed] = (planned, record)
            self._awake.add(planned.seed)
            if not self._quiet and self._live is None:
                self._say(f"{_name(planned)} step {record.step}: selection {_counts(record)}; left {self._left()}")

    def done(self, planned: Run, error: str | None) -> None:
        """See Tracker."""
        with self._lock:
            self._flying.pop((planned.group, planned.shown, planned.seed), None)
            self._spent_by_done += planned.setting.budget.student_tokens
            self._done[planned.group] = self._done.get(planned.group, 0) + 1
            self._failed[planned.group] = self._failed.get(planned.group, 0) + (error is not None)
            if not self._quiet and self._live is None:
                runs, end = sum(self._outline.runs.values()), "done" if error is None else f"failed ({visible(error)})"
                self._say(f"{_name(planned)} {end}: {sum(self._done.values())} of {runs} runs")

    def look(self, look: Look) -> None:
        """See Tracker."""
        with self._lock:
            if not self._quiet:
                ended = [f"{one.teacher} {one.decision}" for one in look.teachers if one.seeds == look.seeds]
                self._say(f"look {look.number}, {look.seeds} seeds: {', '.join(ended)}")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _spent(self) -> int:
        """Student tokens spent so far, including warm starts, which take time but are not paid from a purse."""
        under_way = sum(record.spent for _, record in self._flying.values() if record)
        return self._spent_by_done + under_way + self._outline.warm * len(self._awake)

    def _whole(self) -> int:
        return self._outline.tokens + self._outline.warm * max(self._outline.seeds, len(self._awake))

    def _left(self) -> str:
        """Time left, by the share of the student tokens spent; unknown before any are."""
        spent = self._spent()
        if spent < max(1, EARLY * self._whole()):
            return "?"
        seconds = max(0, round((time.monotonic() - self._began) * (self._whole() - spent) / spent))
        return f"{seconds // 60}:{seconds % 60:02d}"

    def _heading(self) -> Text:
        outline, failed = self._outline, sum(self._failed.values())
        if not outline.runs:
            return Text("reading the board")
        runs = f"{sum(self._done.values())} of {sum(outline.runs.values())} runs"
        workers = f", {outline.busy()} of {outline.width} workers busy" if outline.width > 1 else ""
        return Text.assemble(runs, workers, (f", {failed} failed" if failed else "", "bold red"))

    def _table(self, room: int) -> Group:
        """One line a teacher; if there are too many, those under way first, then those to come, then those done."""
        rank = {group: self._rank(group) for group in self._outline.runs}
        first = sorted(rank, key=lambda group: rank[group])[:room]
        lines = [self._line(group) for group in rank if group in first]
        table = Table.grid(padding=(0, 2), expand=True)
        for column, justify in enumerate(JUSTIFY):  # a width of their own, or the last column would squeeze them
            width = max((len(line[column]) for line in lines), default=0)
            table.add_column(no_wrap=True, justify=justify, min_width=min(width, LONGEST_NAME))
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for line in lines:
            table.add_row(*line)
        left_out = len(rank) - len(first)
        return Group(table, Text(f"and {left_out} more", "dim")) if left_out else Group(table)

    def _line(self, group: str) -> tuple[Text, Text, Text, Text]:
        """Name, runs done, failures, and what is under way."""
        done, of, failed = self._done.get(group, 0), self._outline.runs[group], self._failed.get(group, 0)
        style = "dim" if done == of else ""
        failures = Text(f"{failed} failed" if failed else "", "bold red")
        return Text(group, style), Text(f"{done}/{of}", style), failures, Text(self._running(group))

    def _rank(self, group: str) -> int:
        if any(key[0] == group for key in self._flying):
            return 0
        return 2 if self._done.get(group, 0) == self._outline.runs[group] else 1

    def _running(self, group: str) -> str:
        """``seed 3 step 2 143/320``, for every run under way."""
        return ", ".join(
            f"{planned.shown} " * (group in SEARCHES)
            + f"seed {planned.seed} "
            + (_at(record) if record else "starting")
            for planned, record in self._flying.values()
            if planned.group == group
        )


def _name(planned: Run) -> str:
    return (
        f"{planned.group}: {planned.shown} seed {planned.seed}"
        if planned.group in SEARCHES
        else f"{planned.label} seed {planned.seed}"
    )


def _at(record: StepRecord) -> str:
    return f"step {record.step} {_counts(record)}"


def _counts(record: StepRecord) -> str:
    """Right answers of the selection exam: k/n."""
    return f"{sum(record.selection.correct)}/{sum(record.selection.n)}"
