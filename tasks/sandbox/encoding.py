"""Plain values as JSON and back, with their exact types. Both sides of the wall use it; it imports nothing of ours.

A value counts as plain only if ``type(value)`` *is* a plain type: an object that says that it equals everything has
another type, and does not pass. Floats travel as hexadecimal digits, so that no bit is lost.
"""

from __future__ import annotations

import math
from typing import Any

DEEPEST = 100
"""Levels of nesting."""
_EXACT = 1 << 53
_SEQUENCES: dict[type, str] = {list: "l", tuple: "t", set: "s", frozenset: "z"}
_BUILD: dict[str, type] = {tag: kind for kind, tag in _SEQUENCES.items()}


def encode(value: object, room: int, depth: int = 0) -> Any:
    """A value as what ``json.dumps`` takes.

    Args:
        value: None, bool, int, float, complex, str, bytes, and lists, tuples, sets and dicts of them.
        room: Values that it may hold in all, at most.
        depth: Levels that it stands below another value.

    Raises:
        TypeError: If a type is another one; the message is that type's name.
        OverflowError: If it holds more than ``room`` values, or is nested deeper than ``DEEPEST``.
    """
    return _encoded(value, [room], depth)


def _encoded(value: object, room: list[int], depth: int) -> Any:
    kind = type(value)
    room[0] -= 1
    if room[0] < 0 or depth > DEEPEST:
        raise OverflowError
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -_EXACT < value < _EXACT else ["i", hex(value)]  # type: ignore[operator, arg-type]
    if kind is float:
        return ["f", value.hex()]  # type: ignore[attr-defined]
    if kind is complex:
        return ["c", value.real.hex(), value.imag.hex()]  # type: ignore[attr-defined]
    if kind is bytes:
        return ["b", value.hex()]  # type: ignore[attr-defined]
    if kind in _SEQUENCES:
        return [_SEQUENCES[kind], *[_encoded(item, room, depth + 1) for item in value]]  # type: ignore[attr-defined]
    if kind is dict:
        pairs = value.items()  # type: ignore[attr-defined]
        return ["d", *[[_encoded(k, room, depth + 1), _encoded(v, room, depth + 1)] for k, v in pairs]]
    raise TypeError(name_of(kind))


def name_of(kind: type) -> str:
    """The name of a type, whatever its own class says that it is."""
    name = type.__dict__["__name__"].__get__(kind)
    return name[:100] if type(name) is str else "?"


def decode(coded: Any, depth: int = 0) -> Any:
    """The value that ``encode`` wrote.

    Raises:
        ValueError: If it is not what ``encode`` writes.
    """
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    if coded is None or type(coded) in (bool, int, str):
        return coded
    if type(coded) is not list or not coded or type(coded[0]) is not str:
        raise ValueError("not a coded value")
    tag, rest = coded[0], coded[1:]
    try:
        if tag in _BUILD:
            return _BUILD[tag]([decode(item, depth + 1) for item in rest])
        if tag == "d":
            return {decode(key, depth + 1): decode(item, depth + 1) for key, item in rest}
        return _scalar(tag, *rest)
    except (TypeError, OverflowError) as error:  # an unhashable key, a text where a number is meant …
        raise ValueError("not a coded value") from error


def _scalar(tag: str, *rest: str) -> object:
    if tag == "c":
        real, imaginary = rest
        return complex(float.fromhex(real), float.fromhex(imaginary))
    (digits,) = rest
    if tag == "i":
        return int(digits, 16)
    if tag == "f":
        return float.fromhex(digits)
    if tag == "b":
        return bytes.fromhex(digits)
    raise ValueError("not a coded value")


def same_value(value: object, expected: object, tolerance: float = 0.0) -> bool:
    """Whether two plain values are of the same types all the way down, and equal.

    ``True`` is not 1, and 1 is not 1.0; NaN is the same as NaN.

    Args:
        value: What a program returned.
        expected: What is right.
        tolerance: By how much two floats may differ, absolutely or relatively to the larger one.
    """
    kind = type(value)
    if kind is not type(expected):
        return False
    if kind is float:
        return _close(value, expected, tolerance)  # type: ignore[arg-type]
    if kind in (list, tuple):
        return len(value) == len(expected) and all(  # type: ignore[arg-type]
            same_value(a, b, tolerance)
            for a, b in zip(value, expected, strict=True)  # type: ignore[call-overload]
        )
    if kind is dict:
        return _same_dict(value, expected, tolerance)  # type: ignore[arg-type]
    if kind in (set, frozenset):
        types = sorted(map(_typed, value)) == sorted(map(_typed, expected))  # type: ignore[call-overload]
        return types and bool(value == expected)
    return bool(value == expected)


def _typed(value: object) -> str:
    return type(value).__name__ + (",".join(map(_typed, value)) if isinstance(value, tuple) else "")


def _same_dict(value: dict[Any, Any], expected: dict[Any, Any], tolerance: float) -> bool:
    theirs = {(_typed(key), key): item for key, item in expected.items()}
    return len(value) == len(theirs) and all(
        (_typed(key), key) in theirs and same_value(item, theirs[_typed(key), key], tolerance)
        for key, item in value.items()
    )


def _close(a: float, b: float, tolerance: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or a == b or math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
