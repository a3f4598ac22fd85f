"""Comparing what programs gave with what is right, outside of the sandbox. All values are plain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

LEAST_TOLERANCE = 1e-6
"""By how much floats may differ where a benchmark allows none, as in ``evalplus``."""
LONGEST_NUMBER = 5000
"""Characters of a number in an output."""


def near(value: object, expected: object, tolerance: float = 0.0) -> bool:
    """Whether two plain values are equal, with room for floats in sequences and dicts of one type.

    Args:
        value: What a program gave.
        expected: What is right.
        tolerance: Absolute; at least ``LEAST_TOLERANCE`` is allowed.
    """
    if value == expected:
        return True
    if isinstance(expected, float) and isinstance(value, int | float):
        room = max(float(tolerance), LEAST_TOLERANCE)
        return (math.isnan(expected) and value != value) or math.isclose(value, expected, rel_tol=1e-7, abs_tol=room)
    if type(value) is not type(expected):
        return False
    if isinstance(expected, list | tuple) and isinstance(value, list | tuple):
        pairs = zip(value, expected, strict=False)
        return len(value) == len(expected) and all(near(a, b, tolerance) for a, b in pairs)
    if isinstance(expected, Mapping) and isinstance(value, Mapping):
        return value.keys() == expected.keys() and all(near(value[k], expected[k], tolerance) for k in expected)
    return False


def same_output(said: str, expected: str) -> bool:
    """Whether two outputs have the same lines, but for spaces around them, and for the form of numbers.

    Lines whose words are numbers are compared as exact decimal numbers, as LiveCodeBench does.
    """
    ours, theirs = ([line.strip() for line in text.strip().splitlines()] for text in (said, expected))
    return len(ours) == len(theirs) and all(a == b or _same_numbers(a, b) for a, b in zip(ours, theirs, strict=True))


def _same_numbers(a: str, b: str) -> bool:
    one, other = a.split(), b.split()
    return len(one) == len(other) and all(x == y or _same_number(x, y) for x, y in zip(one, other, strict=True))


def _same_number(a: str, b: str) -> bool:
    if max(len(a), len(b)) > LONGEST_NUMBER:
        return False
    try:
        return Decimal(a) == Decimal(b)
    except InvalidOperation:
        return False
