"""What the tools read and change: a calendar, files, a table and a map, all in memory.

A plan is run in several worlds that differ in all that a request does not say: when an event is, what a thing costs,
how long a trip takes. So a plan that guesses such a figure and does not look it up is wrong in one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from tasks.records import stream
from tasks.tools.lexicon import CITIES, COLUMNS, DAYS, EVENTS, FILES, FOLDERS, GOODS

Value = Fraction | str
"""What a tool is given and gives back: a number, or a text."""
WORLDS = 3
_SEED = 0
_SHARES = {"price": (2, 90), "stock": (3, 400), "weight": (5, 900), "size": (1, 70)}
"""Least and most of each column of the table."""


@dataclass
class World:
    """One state of affairs. ``calendar``, ``files`` and ``table`` are changed by tools.

    Attributes:
        calendar: Day and hour of each event, by its title.
        files: Folder and content of each file, by its name.
        table: The number of each good, column and city.
        trips: Minutes from one city to another; the way back takes another time.
    """

    calendar: dict[str, tuple[str, Fraction]]
    files: dict[str, tuple[str, Value]]
    table: dict[tuple[str, str, str], Fraction]
    trips: Mapping[tuple[str, str], Fraction]

    def copy(self) -> World:
        """Another one to change."""
        return World(dict(self.calendar), dict(self.files), dict(self.table), self.trips)

    @property
    def state(self) -> tuple[object, ...]:
        """All that a plan can change; two worlds of equal state look the same to every tool."""
        return self.calendar, self.files, self.table


@lru_cache(maxsize=1)
def worlds() -> tuple[World, ...]:
    """The worlds that every plan is run in, always the same. Never change them: a run works on a copy."""
    rng = stream(_SEED, "tools worlds")
    days, folders = rng.integers(len(DAYS), size=len(EVENTS)), rng.integers(len(FOLDERS), size=len(FILES))
    made = []
    for shift in range(WORLDS):  # no event is on one day in two worlds, and no file in one folder
        hours = rng.integers(8, 21, size=len(EVENTS)).tolist()
        day_of = [DAYS[(int(day) + shift) % len(DAYS)] for day in days]
        folder_of = [FOLDERS[(int(folder) + shift) % len(FOLDERS)] for folder in folders]
        cells = [(good, column, city) for good in GOODS for column in COLUMNS for city in CITIES]
        figures = [int(rng.integers(_SHARES[column][0], _SHARES[column][1])) for _, column, _ in cells]
        pairs = [(start, end) for start in CITIES for end in CITIES]
        minutes = [0 if start == end else int(rng.integers(20, 1500)) for start, end in pairs]
        made.append(
            World(
                calendar={e: (d, Fraction(h)) for e, d, h in zip(EVENTS, day_of, hours, strict=True)},
                files={f: (o, f"the {f} of world {shift}") for f, o in zip(FILES, folder_of, strict=True)},
                table={cell: Fraction(figure) for cell, figure in zip(cells, figures, strict=True)},
                trips={pair: Fraction(n) for pair, n in zip(pairs, minutes, strict=True)},
            )
        )
    return tuple(made)
