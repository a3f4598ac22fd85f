"""The checkers that compare texts. Each gives (strict, lenient); none takes more than linear time in the response.

Texts that Unicode holds for the same characters (NFC) are the same to all of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

LETTERS = "ABCDEFGHIJ"
"""The labels of options that have no other."""
LONGEST = 60
"""Characters of a number; a longer run of digits is none, for big powers of ten take all the memory there is."""
CLOSE = Fraction(1, 10**6)
"""How near a decimal must come, relative to the answer where that is above 1, unless a tolerance is given."""

_DECIMAL = (
    r"(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}|\d+)?"  # groups of three, or as in India: 1,00,000
    r"(?:(?<=\d)\.\d+|(?<!\d)\.\d+)?"
    r"(?:(?<=\d)[eE][+-]?\d{1,3})?"
    r"(?:(?<=\d) ?/ ?\d+)?"
)
_END = r"(?<=\d)(?![,.]\d)(?! ?/ ?\d)"  # what goes on with digits is no number: 1,2 and 1.2.3 and 1/2/2020
# A sign belongs to the number where nothing stands before it ("3-5" ends in 5), and letters may be glued to it (72km).
_IN_TEXT = re.compile(rf"(?<![\w.,/])([+-]?{_DECIMAL}{_END})(?:(?!\w)|(?=[^\W\d_]+(?!\w)))", re.ASCII)
_UNIT = re.compile(r"\s*(?:[^\W\d_]|[%‰°′″€£¥₹])[^\W_]*(?:[/*·^][^\W_]+)*")
_CURRENCY = "$€£¥₹"
_IN_FRONT = re.compile(rf"((?<![\w)])-)?\\?([{_CURRENCY}])[+-]?$")
_SIGNS = str.maketrans("−–＋", "--+")
_WORD = re.compile(r"[^\W_]+")


def composed(text: str) -> str:
    """The text in Unicode's composed form (NFC), trimmed."""
    return unicodedata.normalize("NFC", text).strip()


def folded(text: str) -> str:
    """A text as it is compared without regard to case, white space and how its characters are composed."""
    return " ".join(composed(composed(text).casefold()).split())


def exact(answer: str, said: str, fold_case: bool) -> tuple[bool, bool]:
    """Equal but for whitespace at the ends (and case, if that is asked); lenient: ``contains``."""
    a, b = composed(answer), composed(said)
    strict = composed(a.casefold()) == composed(b.casefold()) if fold_case else a == b
    return strict, strict or contains(answer, said)


def contains(answer: str, said: str) -> bool:
    """Whether the words of the answer stand in the response, in a row, without regard to case and punctuation.

    An answer without a word (``+``) is looked for as it is.
    """
    words = _words(answer)
    return f" {words} " in f" {_words(said)} " if words else composed(answer) in composed(said)


def _words(text: str) -> str:
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


# --- numbers ---------------------------------------------------------------------------------------------------------


class Quantity(NamedTuple):
    """A number as it was written, what it is, and its unit (a currency too); empty without one."""

    written: str
    value: Fraction
    unit: str = ""


def number(answer: str, said: str, tolerance: float | None = None) -> tuple[bool, bool]:
    """Equal as numbers, and in the unit if the answer has one; lenient: the last number in the response is.

    A number is a decimal with or without sign, thousands separators (``1,234.5``) and exponent, or a fraction
    (``-3/4``). Strict wants nothing else but whitespace. Where the answer has a unit, another one is not right
    leniently either; where it has none, none is looked at leniently.

    Args:
        answer: A number, or a number with a unit (``5 cm``, ``$18``, ``50%``).
        said: The response.
        tolerance: Largest difference, relative to the answer where that is above 1; ``None`` for ``room``.
    """
    gold = to_quantity(answer)
    if gold is None:
        return False, False
    whole, last = to_quantity(said), _last(said)
    strict = whole is not None and whole.unit == gold.unit and near(gold, whole, tolerance)
    found = last is not None and (not gold.unit or last.unit in ("", gold.unit)) and near(gold, last, tolerance)
    return strict, strict or found


def near(gold: Quantity, said: Quantity, tolerance: float | None) -> bool:
    """Whether two numbers are equal within a tolerance; without one, within ``room``."""
    allowed = room(gold, said) if tolerance is None else Fraction(tolerance) * max(Fraction(1), abs(gold.value))
    return abs(said.value - gold.value) <= allowed


def room(gold: Quantity, said: Quantity) -> Fraction:
    """How far a number may be off by default.

    Whole numbers are exact. A fraction is exact too, but decimals may round it: to a millionth of it. A decimal may be
    off by a millionth (relative where it is above 1), but never by half of its own last digit.
    """
    if "/" in gold.written:
        return CLOSE * abs(gold.value) if "." in said.written and gold.value.denominator > 1 else Fraction(0)
    if "." not in gold.written:
        return Fraction(0)
    mantissa, _, exponent = gold.written.lower().partition("e")
    last_digit = Fraction(10) ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return min(CLOSE * max(Fraction(1), abs(gold.value)), last_digit * Fraction(49, 100))


def to_quantity(text: str) -> Quantity | None:
    """The number and unit that a text is, or ``None`` where it is something else or something besides."""
    plain = composed(text).translate(_SIGNS)
    before = plain[:1] if plain[:1] in _CURRENCY else plain[1:2] if plain[:1] in "+-" else ""
    unit = before if before and before in _CURRENCY else ""
    bare = plain.replace(unit, "", 1) if unit else plain
    found = _IN_TEXT.match(bare)
    if found is None or not found.group(1) or len(bare) > LONGEST:
        return None
    after = bare[found.end() :]
    if after.strip():
        behind = _UNIT.fullmatch(after)
        if unit or behind is None:
            return None
        unit = _unit(after)
    value = _value(found.group(1))
    return None if value is None else Quantity(found.group(1), value, unit)


def to_number(text: str) -> Fraction | None:
    """The number that a text is, or ``None`` where it is no number or something besides."""
    found = to_quantity(text)
    return None if found is None or found.unit else found.value


def last_number_in(text: str) -> str:
    """The last number in a text, as it is written there; empty where there is none."""
    found = _last_match(text)
    return found.group(1) if found else ""


def _last(text: str) -> Quantity | None:
    """The last number in a text, with its unit where one stands beside it."""
    found = _last_match(text)
    value = _value(found.group(1)) if found else None
    if found is None or value is None:
        return None
    latex = found.string[: found.start()].endswith("$") and found.string.startswith("$", found.end())  # $5$ cm
    currency = None if latex else _IN_FRONT.search(found.string[: found.start()][-4:])
    if currency and currency.group(1):  # -$5
        value = -value
    behind = _UNIT.match(found.string, found.end() + latex)
    unit = currency.group(2) if currency else _unit(behind.group()) if behind else ""
    return Quantity(found.group(1), value, unit)


def _last_match(text: str) -> re.Match[str] | None:
    plain = unicodedata.normalize("NFC", text).translate(_SIGNS)
    return next(iter(deque(_IN_TEXT.finditer(plain), maxlen=1)), None)


def _unit(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()


def _value(text: str) -> Fraction | None:
    if not 0 < len(text) <= LONGEST:
        return None
    above, _, below = text.replace(",", "").replace(" ", "").partition("/")
    try:
        return Fraction(above) / (Fraction(below) if below else 1)
    except ZeroDivisionError:
        return None


# --- choices ---------------------------------------------------------------------------------------------------------

_NO_WORD = r"(?!['’]| (?!(?:is|or|and|because|since)\b)[a-z])"
"""What follows a label and not the pronoun *I* or the article *A*: "A is right", "B or A", but not "I am", "A dog"."""
_ANNOUNCED = r"\b(?i:answer|choice|option)(?: (?:is|would be|should be|must be))? ?:? ?[\[({*\"'`$]*"


def choice(label: str, said: str, options: Mapping[str, str]) -> tuple[bool, bool]:
    """The label (``B``, ``b``, ``(B)``, ``B.``, ``B)``) or the text of the right option, and nothing else.

    The text counts as it is written, but for case and whitespace; a full stop behind it and quotes around it are
    forgiven where the options differ without them too. ``-52`` is never ``52``, and ``C++`` never ``C``.

    Lenient: the last label that an announcement such as "the answer is" stands before; else the last label that stands
    alone in the response, as it is written (the pronoun *I* and the article *A* are no labels); or, where there is
    none, the one option whose text stands in the response.

    Args:
        label: Of the right option.
        said: The response.
        options: Text by label; empty where the prompt alone has the options, which are then ``LETTERS``.
    """
    texts = {composed(name): text for name, text in options.items()}
    labels, right, bare = tuple(texts) or tuple(LETTERS), composed(label), " ".join(composed(said).split())
    named = re.fullmatch(r"\(?(\w+)[).:]?", bare)
    label_said = _label(named.group(1), labels) if named else ""
    if label_said == right or (not label_said and right in texts and _is_option(bare, right, texts)):
        return True, True
    meant = label_said or _meant(bare, labels)
    return False, meant == right if meant else _spelt(bare, texts) == [right]


def _label(said: str, labels: tuple[str, ...]) -> str:
    """The label that a word is, whatever its case where that does not matter; empty if it is none."""
    alike = [label for label in labels if folded(label) == folded(said)]
    return said if said in labels else alike[0] if len(alike) == 1 else ""


def _is_option(said: str, label: str, texts: Mapping[str, str]) -> bool:
    """Whether a response is the text of an option, and of no other."""
    if folded(said) == folded(texts[label]):
        return True
    plain = [_unquoted(text) for text in texts.values()]
    return len(set(plain)) == len(plain) and _unquoted(said) == _unquoted(texts[label]) != ""


def _unquoted(text: str) -> str:
    """A text without the full stop at its end and the quotes or emphasis around it."""
    bare, before = folded(text), ""
    while bare != before:
        before, bare = bare, bare.removesuffix(".").strip()
        if len(bare) > 1 and (bare[0] + bare[-1]) in ('""', "''", "``", "**", "“”", "‘’", "«»"):
            bare = bare[1:-1].strip()
    return bare


def _meant(said: str, labels: tuple[str, ...]) -> str:
    """The label that a response ends up with; empty without one."""
    found = "|".join(
        re.escape(label) + (_NO_WORD if label.casefold() in ("i", "a") else "")
        for label in sorted(labels, key=len, reverse=True)
    )
    alone = rf"(?<!\w)({found})(?!\w)"
    every = re.findall(_ANNOUNCED + alone, said) or re.findall(alone, said)
    return str(every[-1]) if every else ""


def _spelt(said: str, texts: Mapping[str, str]) -> list[str]:
    """The options whose text stands in a response: by their words, or as written where words do not tell them apart."""
    words = [_words(text) for text in texts.values()]
    if all(words) and len(set(words)) == len(words):
        return [label for label, text in texts.items() if contains(text, said)]
    whole = folded(said)
    return [label for label, text in texts.items() if _stands_in(folded(text), whole)]


def _stands_in(text: str, said: str) -> bool:
    """Whether a text stands in another by itself, between white space, quotes, brackets or the ends of a sentence."""
    return re.search(rf"(?<![^\s\"'(\[*`]){re.escape(text)}(?![^\s.,;:!?\"')\]*`])", said) is not None
