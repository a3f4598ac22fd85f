"""Many prompts at once: those that are written as the generator writes them are read as one array of letters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

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
    likely = [i for i, prompt in enumerate(prompts) if len(prompt) == LENGTH and prompt.isascii()]
    places, groups = np.array(likely, np.int64), dict[str, Group]()
    text = "".join([prompts[i] for i in likely]).encode("ascii")
    letters = np.frombuffer(text, np.uint8).reshape(len(likely), LENGTH)
    digits = letters - _ZERO  # below "0" they wrap around, and are no digits either
    is_digit = digits <= 9
    a, b = slice(0, WIDTH), slice(_FIRST + 1, _SECOND)
    c = slice(_SECOND + 1, _END)
    sound = is_digit[:, a].all(1) & is_digit[:, b].all(1) & _IS_OPERATOR[letters[:, _FIRST]]
    sound &= letters[:, _END] == ord("=")
    single = sound & (letters[:, _SECOND:_END] == ord(FILL)).all(1)
    chain = sound & _IS_OPERATOR[letters[:, _SECOND]] & is_digit[:, c].all(1)
    forms = letters[:, _FIRST].astype(np.int64) * 256 + np.where(chain, letters[:, _SECOND], 0)
    for form in np.unique(forms[single | chain]).tolist():
        rows = np.flatnonzero((single | chain) & (forms == form))
        first, second = divmod(form, 256)
        x, y, z = (digits[rows, part].astype(np.int64) for part in (a, b, c))
        groups[chr(first) + (chr(second) if second else "")] = places[rows], (x, y, z if second else np.zeros_like(x))
    others = np.ones(len(prompts), np.bool_)
    others[places[single | chain]] = False
    return groups, np.flatnonzero(others)


def among(numbers: npt.NDArray[np.int64], known: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which numbers are among the known ones, which are sorted; ``np.isin`` would sort both again."""
    if not len(known):
        return np.zeros(len(numbers), np.bool_)
    at = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    return np.asarray(known[at] == numbers)
