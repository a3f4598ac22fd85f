"""The words of requests by their kind, and the templates that are made of them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from tasks.templates import Lexicon, Template


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


EVENTS = _listed("gym lunch choir chess swim yoga band class march opera picnic tennis judo poker ballet bridge")
NEW_EVENTS = _listed("party visit exam trip talk show dinner walk fair dance match debate")
DAYS = _listed("monday tuesday wednesday thursday friday saturday sunday")
FILES = _listed(
    "notes bills photo letter menu plan songs recipe budget essay poem report diary lyrics roster scores taxes quotes "
    "drawing contract forecast invoice agenda speech"
)
FOLDERS = _listed("home lab shop club desk shed school garage office archive studio cellar attic library backup inbox")
NEW_FILES = _listed("memo draft list sketch outline record ticket label sign card page note slip post entry paper")
WORDS = _listed(
    "red blue green black white round soft warm cold fast slow big small old young sweet sour dark light loud calm "
    "brave wise early late empty full clean dry wet"
)
GOODS = _listed("nuts figs eggs rice tea salt milk corn plums beans honey flour butter cheese onions pepper")
COLUMNS = _listed("price stock weight size")
CITIES = _listed(
    "oslo rome bern kiel cork bonn lyon graz turin porto genoa malmo delft ghent basel lille split pecs brno lund "
    "bath york leeds nice"
)
LENGTHS = {"km": Fraction(1000), "m": Fraction(1), "cm": Fraction(1, 100), "mm": Fraction(1, 1000)}
WEIGHTS = {"kg": Fraction(1000), "g": Fraction(1), "mg": Fraction(1, 1000)}
TIMES = {"hours": Fraction(3600), "minutes": Fraction(60), "seconds": Fraction(1)}
DIMENSIONS = {"length": LENGTHS, "weight": WEIGHTS, "time": TIMES}
"""Units of one dimension, and how many of the basic unit each one is."""
UNITS = (*LENGTHS, *WEIGHTS, *TIMES)
MOST = 60
"""The largest number that a request names."""

FILLERS = {
    "event": EVENTS,
    "new event": NEW_EVENTS,
    "day": DAYS,
    "file": FILES,
    "folder": FOLDERS,
    "new file": NEW_FILES,
    "word": WORDS,
    "good": GOODS,
    "column": COLUMNS,
    "city": CITIES,
    "unit": UNITS,
    "operation": ("plus", "minus", "times"),
    "number": tuple(str(n) for n in range(MOST + 1)),
}
PLACEHOLDERS = {
    "e": "event",
    "n": "new event",
    "d": "day",
    "f": "file",
    "o": "folder",
    "m": "new file",
    **dict.fromkeys("vw", "word"),
    **dict.fromkeys("gk", "good"),
    "c": "column",
    **dict.fromkeys("pqr", "city"),
    **dict.fromkeys("tu", "unit"),
    "z": "operation",
    **dict.fromkeys("hxy", "number"),
}
"""What each letter of a template stands for; ``h`` is an hour."""
LEXICON = Lexicon(FILLERS, PLACEHOLDERS)


def dimension(unit: str) -> str | None:
    """What a unit measures; ``None`` for what is no unit."""
    return next((name for name, units in DIMENSIONS.items() if unit in units), None)


@dataclass(frozen=True)
class RequestTemplate(Template):
    """One way to ask for something.

    Attributes:
        text: A sentence, with letters of ``PLACEHOLDERS`` in braces.
    """

    lexicon: ClassVar[Lexicon] = LEXICON
