"""The checkers that compare texts. Each gives (strict, lenient); none takes more than linear time in the response."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from fractions import Fraction

LETTERS = "ABCDEFGHIJ"
"""The labels of options that have no other."""
LONGEST = 60
"""Characters of a number; a longer run of digits is none, for big powers of ten take all the memory there is."""

_NUMBER = re.compile(
    r"(?<![\w.,])[+-]?"  # a sign belongs to the number where nothing stands before it: "3-5" ends in 5
    r"(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)?(?:(?<=\d)\.\d+|(?<!\d)\.\d+)?"
    r"(?:(?<=\d)[eE][+-]?\d{1,3})?"
    r"(?:(?<=\d) ?/ ?\d+)?"
    r"(?<=\d)(?!\w)",
    re.ASCII,
)
_SIGNS = str.maketrans("−–＋", "--+")
_WORD = re.compile(r"[^\W_]+")


def exact(answer: str, said: str, fold_case: bool) -> tuple[bool, bool]:
    """Equal but for whitespace at the ends (and case, if that is asked); lenient: ``contains``."""
    a, b = answer.strip(), said.strip()
    strict = a.casefold() == b.casefold() if fold_case else a == b
    return strict, contains(answer, said)


def contains(answer: str, said: str) -> bool:
    """Whether the words of the answer stand in the response, in a row, without regard to case and punctuation.

    An answer without a word (``+``) is looked for as it is.
    """
    words = _words(answer)
    return f" {words} " in f" {_words(said)} " if words else answer.strip() in said


def _words(text: str) -> str:
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def number(answer: str, said: str, tolerance: float) -> tuple[bool, bool]:
    """Equal as numbers within ``tolerance * max(1, |answer|)``; lenient: the last number in the response is.

    A number is a decimal with or without sign, thousands separators (``1,234.5``) and exponent, or a fraction
    (``-3/4``). Strict wants nothing else but whitespace.
    """
    gold = to_number(answer)
    if gold is None:
        return False, False
    room = Fraction(tolerance) * max(Fraction(1), abs(gold))

    def near(value: Fraction | None) -> bool:
        return value is not None and abs(value - gold) <= room

    return near(to_number(said)), near(last_number(said))


def to_number(text: str) -> Fraction | None:
    """The number that a text is, or ``None`` where it is no number or something besides."""
    plain = text.strip().translate(_SIGNS)
    return _value(plain) if len(plain) <= LONGEST and _NUMBER.fullmatch(plain) else None


def last_number(text: str) -> Fraction | None:
    """The last number in a text, or ``None``."""
    return _value(last_number_in(text))


def last_number_in(text: str) -> str:
    """The last number in a text, as it is written there; empty where there is none."""
    return max(_NUMBER.findall(text.translate(_SIGNS))[-1:], default="")


def _value(text: str) -> Fraction | None:
    if not 0 < len(text) <= LONGEST:
        return None
    above, _, below = text.replace(",", "").replace(" ", "").partition("/")
    try:
        return Fraction(above) / (Fraction(below) if below else 1)
    except ZeroDivisionError:
        return None


def choice(label: str, said: str, options: Mapping[str, str]) -> tuple[bool, bool]:
    """The label (``B``, ``b``, ``(B)``, ``B.``, ``B)``) or the text of the right option, and nothing else.

    Lenient: the last label that stands alone in the response, in capitals as it is; or, where there is none, the one
    option whose text stands in the response.

    Args:
        label: Of the right option.
        said: The response.
        options: Text by label; empty where the prompt alone has the options, which are then ``LETTERS``.
    """
    labels = tuple(options) or tuple(LETTERS)
    bare = said.strip()
    named = re.fullmatch(r"\(?(\w+)[).:]?", bare)
    strict = named is not None and named.group(1).casefold() == label.casefold()
    strict |= label in options and _words(bare) == _words(options[label]) != ""
    alone = [word for word in re.findall(r"\w+", said) if word in labels]
    if alone:
        return strict, alone[-1] == label
    spelt = [name for name, words in options.items() if _words(words) and contains(words, said)]
    return strict, spelt == [label]
