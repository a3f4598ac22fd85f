"""What jobs cost: processor seconds by the name of what they made, in a file beside the store's rows.

They are for people: nothing here is hashed or compared, and no row holds any of it. A record that was found in the
store cost what it did when it was computed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

FILE = "costs.jsonl"


class Spending(NamedTuple):
    """Processor seconds of some records together, and of how many of them nothing is known."""

    seconds: float
    unknown: int


class Costs:
    """Processor seconds by name. Safe to use from many threads; several drivers may add to one file.

    Args:
        folder: Of the store; ``None`` keeps them in this process.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / FILE
        self._known: dict[str, float] | None = None
        self._lock = threading.Lock()

    def add(self, name: str, seconds: float) -> None:
        """Note what a record cost to compute; the first note of a name counts."""
        with self._lock:
            known = self._read()
            if name in known:
                return
            known[name] = round(seconds, 6)
            if self._file is not None:
                with self._file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([name, known[name]]) + "\n")

    def renew(self) -> None:
        """Read the file again when somebody asks next, for another driver has added to it."""
        with self._lock:
            self._known = None if self._file is not None else self._known

    def of(self, names: Iterable[str]) -> Spending:
        """What some records cost together; each is counted once."""
        with self._lock:
            known, asked = self._read(), sorted(set(names))
            return Spending(
                sum(known[name] for name in asked if name in known), sum(name not in known for name in asked)
            )

    def _read(self) -> dict[str, float]:
        """All that is known. A line that a kill cut short tells nothing: its record's cost is then unknown."""
        if self._known is None:
            there = self._file is not None and self._file.exists()
            lines = (
                self._file.read_text(encoding="utf-8", errors="replace").splitlines() if there and self._file else []
            )
            self._known = {}
            for line in lines:
                name, seconds = _entry(line)
                if name:
                    self._known.setdefault(name, seconds)
        return self._known


def _entry(line: str) -> tuple[str, float]:
    """Name and seconds of a line; an empty name where it is none."""
    try:
        name, seconds = json.loads(line)
    except (ValueError, TypeError):
        return "", 0.0
    sound = isinstance(name, str) and isinstance(seconds, int | float) and 0 <= seconds < float("inf")
    return (name, float(seconds)) if sound else ("", 0.0)
