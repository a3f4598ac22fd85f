"""Progress of a board on a terminal: teacher, seed, step, score, and the time left."""

from __future__ import annotations

import threading
import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dataenv.leaderboard.board import Watch
from dataenv.snapshot import StepRecord

SHOWN = 8
EARLY = 0.02


class Terminal:
    """A live view on a terminal, plain lines elsewhere.

    Args:
        console: Where to.
        quiet: Say nothing at all.
    """

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet
        self._lock = threading.Lock()
        self._began, self._total, self._done = 0.0, 0, 0
        self._warm, self._seeds = 0, 0
        self._awake: set[int] = set()
        self._flying: dict[tuple[str, int], StepRecord] = {}
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
            console=console,
        )
        self._task = self._bar.add_task("board", total=1, left="?")
        self._live: Live | None = None

    def __enter__(self) -> Watch:
        """Start; returns what the board tells its progress to."""
        if not self._quiet and self._console.is_terminal:
            self._live = Live(self._view(), console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return Watch(self._begin, self._step, self._finish)

    def __exit__(self, *_: Any) -> None:
        """Stop, and leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()

    def _begin(self, tokens: int, warm: int, seeds: int) -> None:
        self._began, self._total, self._warm, self._seeds = time.monotonic(), tokens, warm, seeds

    def _step(self, label: str, seed: int, record: StepRecord) -> None:
        with self._lock:
            self._flying[label, seed] = record
            self._awake.add(seed)
            self._show()
        if not self._quiet and self._live is None:
            self._console.print(
                f"{label} seed {seed} step {record.step}: {_score(record)}; left {self._left()}", markup=False
            )

    def _finish(self, label: str, seed: int, tokens: int) -> None:
        with self._lock:
            self._flying.pop((label, seed), None)
            self._done += tokens
            self._show()

    def _show(self) -> None:
        self._bar.update(self._task, completed=self._spent(), total=max(self._whole(), 1), left=self._left())
        if self._live is not None:
            self._live.update(self._view())

    def _spent(self) -> int:
        """Student tokens behind us, those of warm starts included: they take time, though no purse pays them."""
        return self._done + sum(record.spent for record in self._flying.values()) + self._warm * len(self._awake)

    def _whole(self) -> int:
        return self._total + self._warm * max(self._seeds, len(self._awake))

    def _left(self) -> str:
        """Time left, from the share of the student tokens that is spent; unknown until there is something to go by."""
        spent = self._spent()
        if spent < EARLY * self._whole():
            return "?"
        seconds = (time.monotonic() - self._began) * (self._whole() - spent) / spent
        return f"{max(0, round(seconds)) // 60}:{max(0, round(seconds)) % 60:02d}"

    def _view(self) -> Table:
        rows = Table.grid(padding=(0, 2))
        for (label, seed), record in list(self._flying.items())[-SHOWN:]:
            rows.add_row(label, f"seed {seed}", f"step {record.step}", _score(record))
        whole = Table.grid()
        whole.add_row(rows)
        whole.add_row(self._bar)
        return whole


def _score(record: StepRecord) -> str:
    right, n = sum(record.selection.correct), sum(record.selection.n)
    return f"selection {right}/{n} = {right / max(n, 1):.1%}"
