"""What crosses the pipe between the driver and a teacher: one JSON value a line, exact to the bit and to the type.

JSON has neither arrays of a dtype, tuples nor records, so these are objects with the key ``#``. What comes from the
teacher's side is untrusted: only these kinds are made of it, and nothing is run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from dataenv.errors import DataenvError
from tasks.records import Example

MOST_BYTES = 64 << 20
"""Of one line."""
MARK = "#"
DTYPES = {np.dtype(name).str for name in ("bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")}


class WireError(DataenvError, ValueError):
    """Something cannot be sent to the other side, or what came from there is no message."""


def dumps(value: Any) -> bytes:
    """One line.

    Raises:
        WireError: If it holds what cannot be sent.
    """
    try:
        line = json.dumps(_packed(value), separators=(",", ":")).encode("ascii") + b"\n"
    except RecursionError:
        raise WireError("a value is nested too deeply; give a flatter one") from None
    if len(line) > MOST_BYTES:
        raise WireError(f"a value takes {len(line)} bytes, and {MOST_BYTES} is the most; give a smaller one")
    return line


def loads(line: bytes, named: Mapping[str, type] | None = None) -> Any:
    """The value of a line.

    Args:
        line: As ``dumps`` gave it, or anything.
        named: Named tuples that are made anew by name; any other one comes back as a plain tuple.

    Raises:
        WireError: If it is no such line.
    """
    try:
        return _unpacked(json.loads(line), named or {})
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, ValidationError) as error:
        raise WireError(f"a message cannot be read ({type(error).__name__})") from None


def _packed(value: Any) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is list:
        return [_packed(one) for one in value]
    if isinstance(value, np.generic | np.ndarray):
        return _array(np.asarray(value), isinstance(value, np.generic))
    if isinstance(value, Example):
        return {MARK: "example", "v": value.model_dump(mode="json", exclude_defaults=True)}
    if isinstance(value, tuple):
        name = {} if kind is tuple else {"n": kind.__name__}
        return {MARK: "tuple", "v": [_packed(one) for one in value], **name}
    if isinstance(value, Mapping):
        if all(type(key) is str for key in value) and MARK not in value:
            return {key: _packed(one) for key, one in value.items()}
        return {MARK: "dict", "v": [[_packed(key), _packed(one)] for key, one in value.items()]}
    raise WireError(f"a {kind.__name__} cannot be sent; give arrays, numbers, texts, lists, tuples, dicts or Example")


def _array(value: np.ndarray[Any, Any], scalar: bool) -> dict[str, Any]:
    if value.dtype.str not in DTYPES:
        raise WireError(f"an array of {value.dtype} cannot be sent; give one of numbers")
    packed = {MARK: "number" if scalar else "array", "d": value.dtype.str, "v": value.ravel().tolist()}
    return packed if scalar else packed | {"s": list(value.shape)}


def _unpacked(value: Any, named: Mapping[str, type]) -> Any:
    if isinstance(value, list):
        return [_unpacked(one, named) for one in value]
    if not isinstance(value, dict):
        return value
    if MARK not in value:
        return {key: _unpacked(one, named) for key, one in value.items()}
    kind, held = value[MARK], value["v"]
    if kind in ("array", "number"):
        return _unpacked_array(value, kind)
    if kind == "example":
        return Example.model_validate(held)
    if kind == "tuple":
        parts = tuple(_unpacked(one, named) for one in held)
        made = named.get(value.get("n", ""))
        return parts if made is None else made(*parts)
    if kind == "dict":
        return {_unpacked(key, named): _unpacked(one, named) for key, one in held}
    raise ValueError(kind)


def _unpacked_array(value: dict[str, Any], kind: str) -> Any:
    shape = value.get("s", [])
    if value["d"] not in DTYPES or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 8:
        raise ValueError("no array")
    if math.prod(shape) != len(value["v"]):
        raise ValueError("no array")
    array = np.array(value["v"], dtype=value["d"]).reshape(shape)
    return array[()] if kind == "number" else array
