r"""What ``math-verify`` is not asked: it reads words as products of letters, drops bases and units, and rounds.

So words, numbers of another base, units and plain numbers are compared here, as texts and exactly. Only what is left,
an expression, goes to ``math_verify``. All of it takes linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque

from tasks.checkers.text import contains, number, to_number

LONGEST = 20_000
"""Characters of a response that are looked at: its end, where the answer stands."""
PLACES = 6, 30
"""Decimal places to which ``math_verify`` compares: at least, and at most."""
KNOWN = frozenset((
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "log", "ln", "exp",
    "sqrt", "cbrt", "pi", "infty", "infinity", "inf", "max", "min", "gcd", "lcm", "mod", "abs", "det", "and", "or",
    "alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda", "sigma", "phi", "omega",
))  # fmt: skip
"""Letters in a row that are mathematics and no word."""

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_NAMED = re.compile(r"\\(?:text(?:bf|it|rm|sf|normal)?|math(?:rm|bf|sf|it)|mbox|operatorname)\*?\s*\{([^{}]*)\}")
_SPACE = re.compile(r"\\[,;:! ]|\\q?quad\b|\\(?:left|right)\b|~|\$")
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|,?\\!|\\,)\s?(?=\d{3}(?!\d))")
_FRACTION = re.compile(  # a whole number in front makes a mixed one; other digits beside it make it something else
    r"(?<![\d.,}])([+-]?)\s{0,3}(?:(?<![\w.,^{}])(\d{1,60})\s{0,3})?"
    r"\\[dt]?frac\s{0,3}\{\s{0,3}([+-]?\d{1,60})\s{0,3}\}\s{0,3}\{\s{0,3}(\d{1,60})\s{0,3}\}(?!\s{0,3}\d)"
)
_PAIR, _SET = re.compile(r"\([^()]*,[^()]*\)"), re.compile(r"\\\{[^()]*\\\}")
_WORD = re.compile(r"(?<!\\)(?<![^\W\d_])[^\W\d_]{3,}")
_BASE = re.compile(r"(?<![A-Za-z\\\d])\d[\dA-F]*\s*_")
_NUMBER = re.compile(r"(?<![\d^_])(?<!\^\{)\d[\d.,]*")
_TAIL = re.compile(r"[\s)}]*(\x00?\s*)([^\W\d_].*)", re.DOTALL)
_PLACES = re.compile(r"\.(\d+)|10\s*\^\s*\{?\s*-\s*(\d{1,3})|\d[eE]-(\d{1,3})")


def last_box(text: str) -> str | None:
    r"""What the last ``\boxed{…}`` or ``\boxed x`` holds, as ``tasks.jsonl.formats.last_box`` reads a gold answer.

    The whole text where there is no box, ``None`` where the last one is not closed.
    """
    start = max((box.end() for box in _BOX.finditer(text)), default=None)
    if start is None:
        return text.strip()
    if not text.startswith("{", start):
        return re.match(r"[^\s$]*", text[start:]).group()  # type: ignore[union-attr]
    start += 1
    depth = 1
    for brace in re.finditer(r"\\.|[{}]", text[start:]):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if not depth:
            return text[start : start + brace.start()].strip()
    return None


def latex(text: str) -> str:
    """A text with the signs that ``math_verify`` cannot read as LaTeX has them."""
    return text.replace("°", r"^\circ ")


def settled(gold: str, said: str, tolerance: float | None = None) -> tuple[bool, bool] | None:
    """The verdict (strict, lenient) where the texts decide it; ``None`` where mathematics has to.

    Args:
        gold: The answer, out of its box.
        said: What a response gives as its answer, out of its box.
        tolerance: See ``text.number``.
    """
    gold, said = _marked(gold), _marked(said)
    if _written(gold) == _written(said) != "":
        return True, True  # whatever it is: not all that a file gives as an answer is mathematics
    if any(_PAIR.fullmatch(one) and _SET.fullmatch(other) for one, other in ((gold, said), (said, gold))):
        return False, False
    if to_number(gold) is not None and to_number(said) is not None:
        return number(gold, said, tolerance)
    if _BASE.search(gold) or _BASE.search(said):
        return (_bare(gold) == _bare(said),) * 2
    if _is_word(gold):
        return _bare(gold) == _bare(said), contains(_bare(gold, " "), _bare(said, " "))
    (value, unit), (other, theirs) = _split(gold), _split(said, loose=True)
    if unit and theirs and unit != theirs:
        return False, False
    if unit and to_number(value) is not None and to_number(other if theirs else said) is not None:
        return number(value, other if theirs else said, tolerance)  # where no unit is said, none is wrong
    words, others = _words(gold), _words(said)
    wrong = not unit and words and others and words != others
    return (False, False) if wrong or _cases_differ(gold, said) else None


def places(gold: str, said: str) -> int:
    """Decimal places that two answers are compared to: all that either of them shows."""
    found = [match for text in (gold, said) for match in _PLACES.findall(text)]
    shown = max((len(digits) for digits, _, _ in found), default=0)
    small = max((int(power or exponent or 0) for _, power, exponent in found), default=0)
    return min(max(shown + small, PLACES[0]), PLACES[1])


def _marked(text: str) -> str:
    r"""An answer without the commands of its layout; a NUL stands on both sides of what ``\text{…}`` held."""
    plain = unicodedata.normalize("NFC", text.replace("\x00", " "))
    plain = _SPACE.sub(" ", _THOUSANDS.sub(",", _NAMED.sub("\x00\\1\x00", plain)))
    return _FRACTION.sub(_over, plain).strip().removesuffix(".").strip()


def _over(found: re.Match[str]) -> str:
    r"""A fraction in one line: ``1/2``, and ``3/2`` for the mixed number ``1\frac{1}{2}``."""
    sign, whole, above, below = found.groups()
    if not whole:
        return f"{sign}{above}/{below}"
    return f"{sign}{int(whole) * int(below) + int(above)}/{below}" if above.isdigit() else found.group()


def _written(text: str) -> str:
    """What is written, without layout; white space counts between two digits alone."""
    return re.sub(r"(?<!\d) | (?!\d)", "", " ".join(text.replace("\x00", " ").split())).removesuffix(".")


def _bare(text: str, space: str = "") -> str:
    """The characters that say something: without layout, white space, and the brackets around it."""
    return re.sub(r"[\x00\s{}]+", space, text).strip(" ()\"'`*")


def _is_word(text: str) -> bool:
    """Whether an answer is words, or a single letter, and no mathematics."""
    bare = _bare(text, " ")
    words = re.fullmatch(r"[^\W\d_]+(?:[ '’-][^\W\d_]+)*", bare)
    return words is not None and bare.casefold() not in KNOWN


def _words(text: str) -> list[str]:
    """Runs of three letters and more that are no mathematics."""
    return sorted(word for word in _WORD.findall(text) if word.casefold() not in KNOWN)


def _cases_differ(gold: str, said: str) -> bool:
    """Whether two answers have the same letters but for their case, which ``math_verify`` does not see."""
    ours, theirs = (set("".join(_WORD.sub("", re.sub(r"\\[A-Za-z]+", "", text)).split())) for text in (gold, said))
    ours, theirs = ({c for c in letters if c.isalpha()} for letters in (ours, theirs))
    return ours != theirs and {c.casefold() for c in ours} == {c.casefold() for c in theirs}


def _split(text: str, loose: bool = False) -> tuple[str, str]:
    r"""An answer up to its last number, and the unit behind that; the whole and an empty one where there is none.

    Args:
        text: As ``_marked`` gives it.
        loose: Whether letters that touch the number, and a number in a sentence, count too; else the unit is in a
            ``\text{…}`` or stands apart, and nothing but a number is before it.
    """
    last = next(iter(deque(_NUMBER.finditer(text), maxlen=1)), None)
    tail = _TAIL.fullmatch(text, last.end()) if last else None
    if last is None or tail is None:
        return text, ""
    before = text[: tail.start(1)]
    apart = tail.group(1) != "" or text[last.end()].isspace()
    if not loose and (not apart or re.search(r"(?<![\\A-Za-z])[A-Za-z]", before)):
        return text, ""
    return before, re.sub(r"[\x00\s{}^]", "", unicodedata.normalize("NFKC", tail.group(2))).rstrip(".")
