"""Many prompts at once: those that are written as the generator writes them are read as one array of letters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tasks.arithmetic.grammar import FILL, OPERATORS, WIDTH, Digits

Operands = tuple[Digits, Digits, Digits]
Group = tuple[npt.NDArray[np.int64], Operands]
"""The places of some prompts among all, and their operands; the third one of a single operator holds zeros."""

LENGTH = 4 * WIDTH
_ZERO = ord("0")
_FIRST, _SECOND, _END = WIDTH, 2 * WIDTH + 1, LENGTH - 1
"""Where the operators and the ``=`` stand."""
_IS_OPERATOR = np.zeros(256, np.bool_)
_IS_OPERATOR[[ord(symbol) for symbol in OPERATORS]] = True


def by_form(prompts: Sequence[str]) -> tuple[dict[str, Group], npt.NDArray[np.int64]]:
    """Prompts by their operators; and the places of those that are written in any other way, or no questions.

    ``aaa+bbb....=`` and ``aaa+bbb^ccc=`` are read, exactly as they stand here: digits, operators, filler and ``=``.
    """
    return _by_form(tuple(prompts))


@lru_cache(maxsize=2)  # the screen asks which prompts of a lesson are sealed, and then which responses are right
def _by_form(prompts: tuple[str, ...]) -> tuple[dict[str, Group], npt.NDArray[np.int64]]:
    likely = [i for i, length in enumerate(map(len, prompts)) if length == LENGTH]
    text = "".join([prompts[i] for i in likely])
    if not text.isascii():
        likely = [i for i in likely if prompts[i].isascii()]
        text = "".join([prompts[i] for i in likely])
    places, groups = np.array(likely, np.int64), dict[str, Group]()
    letters = np.frombuffer(text.encode("ascii"), np.uint8).reshape(len(likely), LENGTH).T.copy()  # (places, prompts)
    digits = letters - _ZERO  # below "0" they wrap around, and are no digits either
    is_digit = digits <= 9
    a, b, c = slice(0, WIDTH), slice(_FIRST + 1, _SECOND), slice(_SECOND + 1, _END)
    sound = is_digit[a].all(0) & is_digit[b].all(0) & _IS_OPERATOR[letters[_FIRST]] & (letters[_END] == ord("="))
    single = sound & (letters[_SECOND:_END] == ord(FILL)).all(0)
    chain = sound & _IS_OPERATOR[letters[_SECOND]] & is_digit[c].all(0)
    forms = letters[_FIRST].astype(np.int64) * 256 + np.where(chain, letters[_SECOND], 0)
    asks = np.flatnonzero(single | chain)
    order = asks[np.argsort(forms[asks], kind="stable")]
    found, starts = np.unique(forms[order], return_index=True)
    numbers = digits[:, order].astype(np.int64)
    numbers[c, single[order]] = 0
    for form, (start, end) in zip(found.tolist(), pairwise([*starts.tolist(), len(order)]), strict=True):
        first, second = divmod(form, 256)
        rows = numbers[:, start:end].T
        name = chr(first) + (chr(second) if second else "")
        groups[name] = places[order[start:end]], (rows[:, a], rows[:, b], rows[:, c])
    others = np.ones(len(prompts), np.bool_)
    others[places[asks]] = False
    return groups, np.flatnonzero(others)


def among(numbers: npt.NDArray[np.int64], known: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which numbers are among the known ones, which are sorted; ``np.isin`` would sort both again."""
    if not len(known):
        return np.zeros(len(numbers), np.bool_)
    at = np.minimum(known.searchsorted(numbers), len(known) - 1)
    return np.asarray(known[at] == numbers)
