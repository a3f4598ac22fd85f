"""The one prompt grammar of ``arithmetic``: operators, reading, writing, and when two prompts ask the same.

A prompt is ``aaa+bbb^ccc=``: three digits an operand, least significant first, operators worked from the left. One
with a single operator leaves the places of the second unused (``aaa+bbb....=``), so operands and ``=`` always stand
where they stand in a chain. Registers hold three digits: whatever is computed is taken modulo 1000. There is no skill
tag; an operator is grammar, and several skills share one and differ only by the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Digits = npt.NDArray[np.int64]
"""``(n, 3)``: one operand a row, one digit a column, least significant first, each in 0..9."""

WIDTH = 3
FILL = "."
COLON = ":"
_ZERO, _END = ord("0"), ord("\n")
_PLACES = np.array([1, 10, 100], dtype=np.int64)


def to_number(digits: Digits) -> npt.NDArray[np.int64]:
    """``(n, 3)`` digits as numbers in 0..999."""
    return np.asarray(digits @ _PLACES)


def to_digits(numbers: npt.NDArray[np.int64]) -> Digits:
    """Numbers, modulo 1000, as ``(n, 3)`` digits."""
    return np.asarray(numbers % 1000)[:, None] // _PLACES % 10


def _mix(a: Digits, b: Digits) -> Digits:
    """A fixed scramble (MurmurHash3's finaliser, A. Appleby, public domain): no digit tells anything about another."""
    x = (to_number(a) * 1000 + to_number(b)).astype(np.uint64)
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return to_digits(((x ^ (x >> np.uint64(33))) % np.uint64(1000)).astype(np.int64))


@dataclass(frozen=True)
class Operator:
    """What a symbol computes.

    Attributes:
        apply: From two operands ``(n, 3)`` to the result ``(n, 3)``.
        commutes: Whether swapping the operands asks the same question.
        unary: Whether only the left operand matters; the right one is there to be ignored.
    """

    apply: Callable[[Digits, Digits], Digits]
    commutes: bool = False
    unary: bool = False


OPERATORS: dict[str, Operator] = {
    "<": Operator(lambda a, b: a, unary=True),
    ">": Operator(lambda a, b: b),
    "~": Operator(lambda a, b: (a + 1) % 10, unary=True),
    "@": Operator(lambda a, b: a[:, [1, 2, 0]], unary=True),
    "+": Operator(lambda a, b: to_digits(to_number(a) + to_number(b)), commutes=True),
    "-": Operator(lambda a, b: to_digits(to_number(a) - to_number(b))),
    "^": Operator(np.maximum, commutes=True),
    "_": Operator(np.minimum, commutes=True),
    "$": Operator(lambda a, b: np.sort(a, axis=1), unary=True),
    "*": Operator(lambda a, b: to_digits(to_number(a) * to_number(b)), commutes=True),
    "#": Operator(_mix),
}

_SYMBOLS = re.escape("".join(OPERATORS))
_PROMPT = re.compile(rf"([0-9]{{1,3}})([{_SYMBOLS}])([0-9]{{1,3}})(?:([{_SYMBOLS}])([0-9]{{1,3}}))?=?")


@dataclass(frozen=True)
class Question:
    """A prompt that was read: one operator and two operands, or two operators and three."""

    operators: str
    operands: tuple[str, ...]

    def steps(self) -> tuple[str, ...]:
        """The result of each operator in turn, three digits each."""
        value, out = self.operands[0], []
        for symbol, right in zip(self.operators, self.operands[1:], strict=True):
            value = compute(symbol, value, right)
            out.append(value)
        return tuple(out)

    def answer(self) -> str:
        """The gold answer: ``rrr``, or for a chain ``sss:rrr`` with the intermediate result first."""
        return COLON.join(self.steps())


def compute(symbol: str, left: str, right: str) -> str:
    """One operator on two operands of three digits, as text."""
    result = OPERATORS[symbol].apply(_row(left), _row(right))
    return "".join(map(str, result[0].tolist()))


def _row(text: str) -> Digits:
    return np.array([[int(c) for c in text]], dtype=np.int64)


@lru_cache(maxsize=256)  # the screen asks for a prompt's identity and then for its answer
def read(prompt: str) -> Question | None:
    """Read a prompt, whatever its spaces and filler; ``None`` where it is no question of this grammar.

    An operand of fewer than three digits is completed with zeros on its right, the most significant side.
    """
    bare = re.sub(r"[\s.]", "", prompt)
    found = _PROMPT.fullmatch(bare) if bare.isascii() else None
    if found is None:
        return None
    a, first, b, second, c = found.groups()
    operands = tuple(x.ljust(WIDTH, "0") for x in (a, b, c) if x is not None)
    return Question(first + (second or ""), operands)


def identity(prompt: str) -> str:
    """The canonical form: ``a+b`` is ``b+a``, ignored operands, spaces and filler do not count.

    Text that is no question of this grammar is its own identity, up to spaces.
    """
    question = read(prompt)
    if question is None:
        return "text " + " ".join(prompt.split())
    first = OPERATORS[question.operators[0]]
    left, right, *rest = question.operands
    head = [left] if first.unary else sorted((left, right)) if first.commutes else [left, right]
    tail = [] if OPERATORS[question.operators[-1]].unary else rest
    return " ".join([question.operators, *head, *tail])


def codes(operators: str, a: Digits, b: Digits, c: Digits) -> npt.NDArray[np.int64]:
    """The identities of many questions with the same operators as numbers: equal exactly where ``identity`` is."""
    x, y = to_number(a), to_number(b)
    first = OPERATORS[operators[0]]
    if first.unary:
        y = np.zeros_like(y)
    elif first.commutes:
        x, y = np.minimum(x, y), np.maximum(x, y)
    matters = len(operators) == 2 and not OPERATORS[operators[1]].unary
    return x * 1_000_000 + y * 1000 + (to_number(c) if matters else 0)


def write(operators: str, a: Digits, b: Digits, c: Digits) -> tuple[list[str], list[str]]:
    """Prompts and gold answers of many questions with the same operators."""
    rows = np.full((len(a), 4 * WIDTH + 1), ord(FILL), np.uint8)
    rows[:, 0:3], rows[:, 4:7] = a + _ZERO, b + _ZERO
    rows[:, 3], rows[:, 11], rows[:, 12] = ord(operators[0]), ord("="), _END
    if len(operators) == 2:
        rows[:, 7], rows[:, 8:11] = ord(operators[1]), c + _ZERO
    return _texts(rows), answers(operators, a, b, c)


def answers(operators: str, a: Digits, b: Digits, c: Digits) -> list[str]:
    """Gold answers of many questions with the same operators."""
    result = OPERATORS[operators[0]].apply(a, b)
    rows = np.full((len(a), (WIDTH + 1) * len(operators)), _END, np.uint8)
    rows[:, :WIDTH] = result + _ZERO
    if len(operators) == 2:
        rows[:, WIDTH] = ord(COLON)
        rows[:, WIDTH + 1 : -1] = OPERATORS[operators[1]].apply(result, c) + _ZERO
    return _texts(rows)


def _texts(rows: npt.NDArray[np.uint8]) -> list[str]:
    """Each row as a text; they are cut apart at the line ends behind them, which no prompt or answer holds."""
    return rows.tobytes().decode("ascii").split("\n")[:-1]
