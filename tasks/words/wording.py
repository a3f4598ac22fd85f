"""Wordings: sentences with places to fill. What was written by a wording can be read back by it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tasks.words.lexicon import FILLERS, KIND_OF, PLACEHOLDERS, spoken

Slots = Mapping[str, str]
"""What fills each place, by its letter."""
Limits = Mapping[str, tuple[int, int]]
"""Of each number, by its letter: the least and the most."""
_PLACE = re.compile(r"\{([a-z])\}")


@dataclass(frozen=True)
class Wording:
    """One way to ask or to tell something.

    Attributes:
        text: A sentence or several, with letters of ``lexicon.PLACEHOLDERS`` in braces.
    """

    text: str

    @cached_property
    def letters(self) -> tuple[str, ...]:
        """The letters of its places, each once, in the order of the text."""
        return tuple(dict.fromkeys(_PLACE.findall(self.text)))

    @cached_property
    def skeleton(self) -> tuple[str, ...]:
        """Its words, with the kind of filler where a place is."""
        return tuple(PLACEHOLDERS.get(piece, piece) for piece in self._pieces)

    def fill(self, n: int, limits: Limits, rng: np.random.Generator) -> list[dict[str, str]]:
        """What may fill its places, ``n`` times. Two places of one kind differ, numbers apart.

        Args:
            n: How many.
            limits: Of each number that the wording has.
            rng: Where every draw comes from.
        """
        columns: dict[str, list[str]] = {}
        for kind, words in FILLERS.items():
            letters = [letter for letter in self.letters if PLACEHOLDERS[letter] == kind]
            if kind == "number":
                drawn = [rng.integers(limits[x][0], limits[x][1] + 1, size=n) for x in letters]
            elif letters:
                drawn = list(rng.random((n, len(words))).argsort(axis=1)[:, : len(letters)].T)
            for letter, places in zip(letters, drawn if letters else (), strict=True):
                columns[letter] = [words[i] for i in places.tolist()]
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def write(self, slots: Slots) -> str:
        """The text with its places filled."""
        return self.text.format_map(slots)

    def read(self, words: Sequence[str]) -> dict[str, str] | None:
        """What fills the places of a text with this skeleton; ``None`` where two places do not agree."""
        slots: dict[str, str] = {}
        for piece, word in zip(self._pieces, words, strict=True):
            if piece in PLACEHOLDERS and slots.setdefault(piece, word) != word:
                return None
        named = [word for letter, word in slots.items() if PLACEHOLDERS[letter] != "number"]
        return slots if len(set(named)) == len(named) else None

    @cached_property
    def _pieces(self) -> list[str]:
        """Its words, with a letter where a place is: no wording has a word of one letter."""
        return spoken(_PLACE.sub(r"\1", self.text))


def skeleton(words: Sequence[str]) -> tuple[str, ...]:
    """A text's words, with the kind of a filler in place of each."""
    return tuple(KIND_OF.get(word, word) for word in words)
