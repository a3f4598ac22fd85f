"""Records from plain values: what is wrong with them, as one sentence that names the fields."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from numbers import Real
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from dataenv import keys
from dataenv.errors import SettingError, did_you_mean, nearest
from tasks.records import Record

R = TypeVar("R", bound=Record)


def _scrub(value: object) -> object:
    """Replace lone surrogates: a student can write them, UTF-8 cannot hold them."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_scrub)]
LARGEST = 2**53
"""Of a count: up to here a float holds every whole number, and sums of them stay finite."""
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Money = Annotated[float, Field(ge=0, le=LARGEST)]


MOST = 1 << 53
"""The largest count that anybody may give: beyond it floats skip whole numbers, and nothing is as many."""


def whole(field: str, value: Any, least: int = 0, refusal: type[Exception] = SettingError, most: int = MOST) -> int:
    """A count from a teacher, or from other code that is not ours, as a plain int: NumPy's own wrap around.

    Args:
        field: What it is, for the sentence.
        value: An int, an integer of NumPy, or an array that is one; a bool is none.
        least: The least that it may be.
        refusal: What is raised.
        most: The most.
    """
    try:
        found = -1 if isinstance(value, bool) else operator.index(value)
    except (TypeError, ValueError, OverflowError):
        found = -1
    if not least <= found <= most:
        bounds = f"of at least {least}" if found < least and most == MOST else f"from {least} to {most}"
        raise refusal(f"{field} is {shown(value)}; give a whole number {bounds}")
    return found


def finite(
    field: str, value: Any, least: float, most: float = math.inf, refusal: type[Exception] = SettingError
) -> float:
    """A number from code that is not ours, as a plain finite float.

    Args:
        field: What it is, for the sentence.
        value: An int or a float, also NumPy's, or an array that is one; a bool is none.
        least: The least that it may be.
        most: The most.
        refusal: What is raised.
    """
    number = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    try:
        found = math.nan if isinstance(number, bool) or not isinstance(number, Real) else float(number)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not (math.isfinite(found) and least <= found <= most):
        bounds = f"of at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"
        raise refusal(f"{field} is {shown(value)}; give a finite number {bounds}")
    return found


def shown(value: Any) -> str:
    """A value in a sentence: its first 60 characters, or its type where it cannot be written."""
    try:
        return repr(value)[:60]
    except Exception:  # of an object that is not ours, or of a number with more digits than Python writes
        return f"a {type(value).__name__}"


class RowPart(Record):
    """What stands in the row of a board: it refuses NaN too, and writes its fields by alias."""

    model_config = ConfigDict(allow_inf_nan=False, serialize_by_alias=True)


def validated(model: type[R], fields: Mapping[str, Any], where: str, refusal: type[Exception]) -> R:
    """A record from plain values; what is wrong with them is raised as one sentence."""
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        raise refusal(f"{where}: {explain(error, model)}") from None


def explain(error: ValidationError, model: type[Record], quoting: bool = True) -> str:
    """A validation error as one sentence: the fields, what is wrong, the nearest name for one that does not exist.

    Args:
        error: Of the model.
        model: What was to be made.
        quoting: Whether values may be quoted. What stands in a file that somebody else named must not be: who names a
            file that they may not read would be told of it.
    """
    return "; ".join(faults(error, model, quoting))


def faults(error: ValidationError, model: type[Record], quoting: bool = True) -> list[str]:
    """The same, one part a field."""
    parts = []
    if not quoting:
        known = {*_fields(model)}
        named = [str(item["loc"][0]) for item in error.errors(include_url=False) if item["loc"]]
        wrong = [name for name in dict.fromkeys(named) if name in known]
        return [f"{name} is missing or wrong" for name in wrong] or ["it has other fields, or is no JSON"]
    for item in error.errors(include_url=False, include_context=False):
        path = ".".join(map(str, item["loc"]))
        if item["type"] in ("value_error", "json_invalid") and not path:
            parts.append(item["msg"].removeprefix("Value error, "))
            continue
        if item["type"] == "missing":
            parts.append(f"{path} is missing; add it")
        elif item["type"] == "extra_forbidden":
            near = nearest(str(item["loc"][-1]), _fields(model))
            parts.append(f"{path} is no field" + (f"; did you mean {near}?" if near else "; remove it"))
        else:
            got = keys.masked(_shown(item["input"]))
            parts.append(f"{path} is {got[:60]}; {item['msg'][0].lower()}{item['msg'][1:]}")
    return parts


def _shown(value: Any) -> str:
    """A value in a sentence."""
    try:
        return repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of very many digits"


def _fields(model: type[Record]) -> list[str]:
    """Field names of a model and of the models inside it."""
    out = []
    for name, field in model.model_fields.items():
        out.append(name)
        for inner in _records(field.annotation):
            out.extend(_fields(inner))
    return out


def _records(annotation: Any) -> list[type[Record]]:
    """The records in an annotation: itself, or what a tuple, a mapping or a choice holds."""
    if _is_record(annotation):
        return [annotation]
    return [record for part in get_args(annotation) for record in _records(part)]


def assigned(fields: Mapping[str, Any], path: str, value: Any, model: Any, where: str) -> dict[str, Any]:
    """Plain values with one set, at a dotted path such as ``recipe.rate``; all others stay what they were.

    A record on the way that is not among the values begins as its default, so that ``warm_start.recipe.rate`` does not
    change ``warm_start.recipe.updates``.

    Args:
        fields: Plain values of the model.
        path: To the field; below a field that is a mapping, any name.
        value: What it becomes; whether it fits is for the model to say.
        model: A Record, or ``Any`` where every path is one.
        where: Begins the sentence of what is refused.

    Raises:
        SettingError: If the path leads to no field, with the nearest name at the level where it goes astray.
    """
    parts, out, shape = path.split("."), dict(fields), model
    here = out
    for depth, part in enumerate(parts, start=1):
        outer, (shape, default) = shape, _below(shape, part)
        if shape is None:
            at, whole = ".".join(parts[:depth]), ".".join(parts[: depth - 1])
            if _is_record(outer):
                raise SettingError(f"{where}: {at} is no field; {did_you_mean(part, outer.model_fields)}")
            raise SettingError(f"{where}: {whole} holds no fields, so there is no {at}; give {whole}=VALUE")
        if depth == len(parts):
            here[part] = value
            break
        inner = here.get(part, default)
        if not isinstance(inner, Mapping | None):
            raise SettingError(f"{where}: {'.'.join(parts[:depth])} is {inner!r}, which holds no fields; give it whole")
        here[part] = dict(inner or {})
        here = here[part]
    return out


def _below(shape: Any, part: str) -> tuple[Any, Any]:
    """What kind of value a name stands for inside another, ``None`` where there is no such name; and its default."""
    if shape is Any:
        return Any, {}
    if _is_record(shape):
        field = shape.model_fields.get(part)
        if field is None:
            return None, {}
        default = field.get_default(call_default_factory=True)
        plain = default.model_dump(mode="json", exclude_unset=True) if isinstance(default, Record) else {}
        return _kind(field.annotation), plain
    return (_kind(get_args(shape)[1]), {}) if get_origin(shape) is dict else (None, {})


def _kind(annotation: Any) -> Any:
    """An annotation without its constraints, and without ``None`` where it may be left out."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return next((_kind(part) for part in get_args(annotation) if part is not type(None)), Any)
    return annotation


def _is_record(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, Record)
