"""Templates: sentences with places to fill. What was written by a template can be read back by it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

Slots = Mapping[str, str]
"""What fills each place, by its letter."""
Limits = Mapping[str, tuple[int, int]]
"""Of a number, by its letter: the least and the most. Of a word: the least and the most place in its list."""
_PLACE = re.compile(r"\{([a-z])\}")
_SPOKEN = re.compile(r"[^\W_]+")


def spoken(text: str) -> list[str]:
    """A text's words and numbers, in lower case, without the signs between them: what it says, however it is set."""
    return _SPOKEN.findall(text.lower())


@dataclass(frozen=True)
class Lexicon:
    """The words that fill the places of templates, by their kind; no template uses them as words of its own.

    Attributes:
        fillers: The words of each kind. Those of kind ``number`` are the numbers from 0, each at its own place.
        placeholders: The kind that each letter of a template stands for. Two letters of one kind are never the same
            word, numbers apart.
    """

    fillers: Mapping[str, Sequence[str]] = field(hash=False)
    placeholders: Mapping[str, str] = field(hash=False)

    @cached_property
    def kind_of(self) -> dict[str, str]:
        """The kind of each word."""
        return {word: kind for kind, words in self.fillers.items() for word in words}

    def skeleton(self, words: Sequence[str]) -> tuple[str, ...]:
        """A text's words, with the kind of a filler in place of each."""
        return tuple(self.kind_of.get(word, word) for word in words)


@dataclass(frozen=True)
class Template:
    """One way to ask or to tell something. A subclass says of which lexicon.

    Attributes:
        text: A sentence or several, with letters of the lexicon's placeholders in braces.
    """

    lexicon: ClassVar[Lexicon]
    text: str

    @cached_property
    def letters(self) -> tuple[str, ...]:
        """The letters of its places, each once, in the order of the text."""
        return tuple(dict.fromkeys(_PLACE.findall(self.text)))

    @cached_property
    def skeleton(self) -> tuple[str, ...]:
        """Its words, with the kind of filler where a place is."""
        return tuple(self.lexicon.placeholders.get(piece, piece) for piece in self._pieces)

    def fill(self, n: int, limits: Limits, rng: np.random.Generator) -> list[dict[str, str]]:
        """What may fill its places, ``n`` times. Two places of one kind differ, numbers apart.

        Args:
            n: How many.
            limits: Of each number that the template has.
            rng: Where every draw comes from.
        """
        columns: dict[str, list[str]] = {}
        for kind, words in self.lexicon.fillers.items():
            letters = [letter for letter in self.letters if self.lexicon.placeholders[letter] == kind]
            if kind == "number":
                drawn = [rng.integers(limits[x][0], limits[x][1] + 1, size=n) for x in letters]
            elif letters:
                least, most = limits.get(letters[0], (0, len(words) - 1))
                drawn = list(rng.random((n, most - least + 1)).argsort(axis=1)[:, : len(letters)].T + least)
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
            if piece in self.lexicon.placeholders and slots.setdefault(piece, word) != word:
                return None
        named = [word for letter, word in slots.items() if self.lexicon.placeholders[letter] != "number"]
        return slots if len(set(named)) == len(named) else None

    @cached_property
    def _pieces(self) -> list[str]:
        """Its words, with a letter where a place is: no template has a word of one letter."""
        return spoken(_PLACE.sub(r"\1", self.text))
