"""Numbers and foreign text as a board shows them; nothing here knows what it is written into."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping

from dataenv.leaderboard.accuracy import Accuracy, Counted, number

MINUS, NONE = "−", "–"
SHORT: Mapping[str, str] = {"\n": "⟨LF⟩", "\r": "⟨CR⟩", "\t": "⟨TAB⟩", "\x1b": "⟨ESC⟩"}
"""Common control characters by name; the control pictures of Unicode are missing from many fonts."""


def visible(text: str, limit: int | None = None) -> str:
    """Text in which nothing is hidden and nothing acts: control, direction and zero-width characters are spelt out.

    Args:
        text: Anything; a newline becomes ⟨LF⟩, for it is a control character like the others.
        limit: Longest text shown, in characters; what is left out is counted.
    """
    cut = text if limit is None or len(text) <= limit else text[:limit]
    shown = "".join(SHORT.get(c, f"⟨U+{ord(c):04X}⟩") if unicodedata.category(c)[0] == "C" else c for c in cut)
    return shown if cut is text else f"{shown} … ({len(text):,} characters)"


def percent(counted: Counted | None, digits: int = 1) -> str:
    """A share or figure as a percentage without its sign: ``57.3``.

    Raises:
        TypeError: If it is a bare number: an accuracy that does not say what it was counted on is not shown.
    """
    return NONE if counted is None else f"{100 * number(counted):.{digits}f}"


def signed(counted: Counted | None) -> str:
    """A share or figure as signed percentage points: ``+3.1``, ``−0.4``.

    Raises:
        TypeError: If it is a bare number.
    """
    return NONE if counted is None else f"{100 * number(counted):+.1f}".replace("-", MINUS)


def portion(value: float, digits: int = 0) -> str:
    """A part of a lesson, a purse or a progress bar as a percentage. Accuracies go through ``percent``."""
    return f"{100 * value:.{digits}f}"


def origin(counted: Counted | None) -> str:
    """Where a number comes from: ``2,115 of 3,200, test split``, ``from 19,200 answers, selection split``."""
    if counted is None:
        return "not measured"
    number(counted)  # refuses what has no origin
    count = f"{counted.k:,} of {counted.n:,}" if isinstance(counted, Accuracy) else f"from {counted.n:,} answers"
    return f"{count}, {counted.split} split"


def counts(share: Accuracy | None) -> str:
    """``4,126/7,200``."""
    return NONE if share is None else f"{share.k:,}/{share.n:,}"


def tokens(value: float) -> str:
    """Student tokens in at most five signs: ``840``, ``13.2k``, ``1.20M``; ``∞`` where they never sufficed."""
    if math.isinf(value):
        return "∞"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.{2 if value < 10 * size else 1 if value < 100 * size else 0}f}{unit}"
    return f"{value:.0f}"


def money(value: float) -> str:
    """Money, in the currency of its prices: ``12.30``, ``0.0450``; ``∞`` where it never sufficed."""
    if math.isinf(value):
        return "∞"
    return f"{value:,.2f}" if value >= 1 or value == 0 else f"{value:.4f}" if value >= 1e-4 else "<0.0001"


def p_value(p: float | None) -> str:
    """Three decimals, and never a bare zero."""
    return NONE if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def quantity(value: float, unit: str) -> str:
    """A metric's number in its unit: a share as a percentage without its sign, tokens in short, others in three digits.

    What a percentage was counted on, its metric says (``Axis.reading``).
    """
    if unit == "%":
        return portion(value, 1).replace("-", MINUS)
    return tokens(value) if unit == "tokens" else f"{value:.3g}".replace("-", MINUS)


def measured(mean: float | None, low: float | None, high: float | None, unit: str) -> str:
    """A metric's mean and its interval: ``57.3 [54.1, 60.5]``, or what there is of it."""
    if mean is None:
        return NONE
    ends = "" if low is None or high is None else f" [{quantity(low, unit)}, {quantity(high, unit)}]"
    return quantity(mean, unit) + ends
