"""The values that programs take: what each argument may be, and the inputs that tell programs apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.records import stream

Value = int | str | list[Any] | dict[Any, Any] | bool
"""What a program takes and gives."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIGNS = ",;:/-"
"""What stands between the numbers of a text."""
COMMON = "aeinorst"
"""Most letters of a text are of these, so that a letter that a program asks for is often there."""
HIDDEN = 8
"""Hidden inputs of a problem."""
LONGEST_LIST = 24


@dataclass(frozen=True)
class Argument:
    """What a program's only argument may be.

    Attributes:
        letter: Its name in a program.
        english: What it is, in words.
    """

    letter: str
    english: str


ARGUMENTS: dict[str, Argument] = {
    argument.letter: argument
    for argument in (
        Argument("n", "a whole number"),
        Argument("v", "a list of whole numbers"),
        Argument("s", "a text"),
        Argument("w", "a list of words"),
        Argument("t", "a text of whole numbers with a sign between them"),
        Argument("m", "a list of lists of whole numbers"),
        Argument("d", "a dict from letters to whole numbers"),
    )
}


def inputs(letter: str, constants: Iterable[str], rng: np.random.Generator, n: int = HIDDEN) -> list[Value]:
    """``n`` inputs of a kind: short ones and long ones, with values close to the constants of a program.

    Of numbers there are up to twice as many, for each tells less.

    Args:
        letter: Of ``ARGUMENTS``.
        constants: What stands in a program's description: numbers, letters and signs.
        rng: Where every draw comes from.
        n: How many.
    """
    known = list(constants)
    numbers = sorted({max(0, int(c) + shift) for c in known if c.isdigit() for shift in (-1, 0, 1)})
    letters = [c for c in known if c in LETTERS]
    sign = next((c for c in known if c in SIGNS), ",")
    draw = _Draws(rng, numbers, letters, sign)
    if letter == "n":
        distinct: list[Value] = list(dict.fromkeys([*numbers, 0, 1, *draw.numbers(2 * n, 40)]))
        return distinct[: 2 * n]
    return [draw.value(letter, int(size)) for size in rng.permutation(np.linspace(1, LONGEST_LIST, n).astype(int))]


class _Draws:
    """Draws values; half of the numbers are close to constants, where there are any."""

    def __init__(self, rng: np.random.Generator, numbers: list[int], letters: list[str], sign: str) -> None:
        self._rng, self._numbers, self._letters, self._sign = rng, numbers, letters, sign

    def value(self, letter: str, size: int) -> Value:
        match letter:
            case "v":
                return list(self.numbers(size, 40))
            case "s":
                return self.text(size)
            case "w":
                return [self.text(int(n)) for n in self._rng.integers(1, 9, size=size)]
            case "t":
                return self._sign.join(map(str, self.numbers(size, 40)))
            case "m":
                rows = 1 + size // 5
                return [list(self.numbers(int(n), 20)) for n in self._rng.integers(5, 9, size=rows)]
            case "d":
                return dict(zip(self.keys(size), self.numbers(size, 40), strict=False))
        raise AssertionError(letter)

    def numbers(self, n: int, top: int) -> list[int]:
        drawn = self._rng.integers(top, size=n)
        if self._numbers:
            close = self._rng.choice(self._numbers, size=n)
            drawn = np.where(self._rng.random(n) < 0.5, close, drawn)
        return [int(x) for x in drawn]

    def text(self, n: int) -> str:
        pool = [*COMMON, *self._letters * 3]
        return "".join(pool[i] for i in self._rng.integers(len(pool), size=n))

    def keys(self, n: int) -> list[str]:
        wanted = [letter for letter in self._letters if self._rng.random() < 0.6]
        drawn = [LETTERS[i] for i in self._rng.permutation(len(LETTERS))[: min(n, 12)]]
        return list(dict.fromkeys([*wanted, *drawn]))


def _battery() -> Mapping[str, list[Value]]:
    """Fixed inputs of each kind, of which some are long: two programs that agree on them all ask the same thing."""
    every = [str(c) for c in range(0, 61, 5)]
    made = {}
    for letter in ARGUMENTS:
        rng = stream(0, f"battery {letter}")
        constants = [*every, *LETTERS]
        made[letter] = inputs(letter, constants, rng, 12 if letter == "n" else 4)
    made["n"] = [int(n) for n in (0, 1, 2, 3, 5, 7, 11, 16, 23, 29, 36, 58, 61, 118)]
    made["v"] = [*made["v"], list(range(61))]
    made["d"] = [*made["d"], {letter: 7 * i % 61 for i, letter in enumerate(LETTERS)}]
    made["s"] = [*made["s"], LETTERS]
    return made


BATTERY: Mapping[str, list[Value]] = _battery()
