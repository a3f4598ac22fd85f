"""Which of many texts may hold one of many others, seen in one look at the letters of all of them.

Every place of every text is looked up by the letters that stand there, as in Rabin and Karp (1987), in a table with a
bit for each hash (Bloom, 1970). What is found there is only suspected; what is not found is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

MOST = 8
"""Bytes of a beginning that are looked at: those of a 64-bit number."""
BITS = 20
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""Fibonacci hashing: 2**64 over the golden ratio (Knuth, The Art of Computer Programming, volume 3, section 6.4)."""


class FirstLetters:
    """The beginnings of texts that are searched for.

    Args:
        beginnings: Each of a text; an empty one stands in every text.
    """

    def __init__(self, beginnings: Iterable[str]) -> None:
        found = [_bytes(beginning) for beginning in beginnings]
        self._some, self._n = bool(found), min([MOST, *map(len, found)])
        begun = b"".join(letters[: self._n].ljust(MOST, b"\0") for letters in found)
        self._known = np.unique(self._numbers(begun)[::MOST])
        self._table = np.zeros(1 << BITS, np.bool_)
        self._table[_hashes(self._known)] = True

    def stand_in(self, texts: Sequence[str]) -> list[bool]:
        """Whether a beginning may stand anywhere in each text, ``(texts,)``."""
        if not texts or not (self._some and self._n):
            return [self._some] * len(texts)
        coded = list(map(_bytes, texts))
        ends = np.cumsum([len(text) + MOST for text in coded])  # so far apart that no two texts are read as one
        numbers = self._numbers((b"\0" * MOST).join(coded) + b"\0" * MOST)
        at = np.flatnonzero(self._table[_hashes(numbers)])
        places = np.searchsorted(self._known, numbers[at])
        at = at[self._known[np.minimum(places, len(self._known) - 1)] == numbers[at]]
        found = np.zeros(len(texts), np.bool_)
        found[np.searchsorted(ends, at, side="right")] = True
        return [bool(x) for x in found]

    def _numbers(self, text: bytes) -> npt.NDArray[np.uint64]:
        """The bytes that begin at each byte of a text, as one number; behind its end stand zeros."""
        held = text + b"\0" * (MOST - 1)
        numbers = np.ndarray(len(text), np.dtype("<u8"), held, strides=(1,)) & np.uint64((1 << 8 * self._n) - 1)
        return numbers


def _hashes(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return ((numbers * _FACTOR) >> np.uint64(64 - BITS)).astype(np.int64)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
