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
APART = "\0" * MOST
"""Between two texts, so that no two are read as one."""
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
        whole = _bytes(APART.join(texts) + APART)
        if len(whole) == sum(map(len, texts)) + MOST * len(texts):  # a letter is a byte
            lengths = list(map(len, texts))
        else:
            lengths = [len(_bytes(text)) for text in texts]
        ends, numbers = np.cumsum(lengths) + MOST * np.arange(1, len(texts) + 1), self._numbers(whole)
        at = np.flatnonzero(self._table[_hashes(numbers)])
        places = np.searchsorted(self._known, numbers[at])
        at = at[self._known[np.minimum(places, len(self._known) - 1)] == numbers[at]]
        found = np.zeros(len(texts), np.bool_)
        found[np.searchsorted(ends, at, side="right")] = True
        named: list[bool] = found.tolist()
        return named

    def _numbers(self, text: bytes) -> npt.NDArray[np.uint64]:
        """The bytes that begin at each byte of a text, as one number; behind its end stand zeros."""
        held = text + b"\0" * (MOST - 1)
        numbers = np.ndarray(len(text), np.dtype("<u8"), held, strides=(1,))
        return numbers if self._n == MOST else numbers & np.uint64((1 << 8 * self._n) - 1)


def _hashes(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    found = numbers * _FACTOR
    found >>= np.uint64(64 - BITS)
    return found.view(np.int64)  # few enough bits to be no negative number


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
