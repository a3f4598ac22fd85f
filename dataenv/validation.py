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

from dataenv.errors import SettingError, did_you_mean, nearest
from students import keys
from tasks.records import Record

R = TypeVar("R", bound=Record)
LONGEST = 60
"""Characters of a wrong value that a sentence shows."""


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
    """The same, one part a field, and one a line of what a validator of ours says."""
    if not quoting:
        known = {*(path.rpartition(".")[2] for path in _paths(model))}
        named = [str(item["loc"][0]) for item in error.errors(include_url=False) if item["loc"]]
        wrong = [name for name in dict.fromkeys(named) if name in known]
        return [f"{name} is missing or wrong" for name in wrong] or ["it has other fields, or is no JSON"]
    return [part for item in error.errors(include_url=False) for part in _told(item, model)]


def _told(item: Any, model: type[Record]) -> list[str]:
    """One error of pydantic's in our words."""
    path = ".".join(map(str, item["loc"]))
    if item["type"] == "value_error":
        lines = item["msg"].removeprefix("Value error, ").splitlines()
        return [f"{path}: {line}" if path else line for line in lines]
    if item["type"] == "json_invalid":
        return [item["msg"]]
    if item["type"] == "missing":
        return [f"{path} is missing; add it"]
    if item["type"] == "extra_forbidden":
        return [f"{path} is no field; {_instead(item['loc'], model)}"]
    return [f"{path} is {_shown(item['input'])}; {_wanted(item)}"]


MENDS = {
    "int_type": "give a whole number",
    "int_parsing": "give a whole number",
    "int_parsing_size": "give a smaller number",
    "int_from_float": "give a whole number",
    "float_type": "give a number",
    "float_parsing": "give a number",
    "finite_number": "give a finite number",
    "bool_type": "give true or false",
    "bool_parsing": "give true or false",
    "string_type": "give text in quotes",
    "none_required": "leave it out",
    "greater_than": "give more than {gt}",
    "greater_than_equal": "give at least {ge}",
    "less_than": "give less than {lt}",
    "less_than_equal": "give at most {le}",
    "too_short": "give at least {min_length}",
    "too_long": "give at most {max_length}",
    "string_too_short": "give at least {min_length} characters",
    "string_too_long": "give at most {max_length} characters",
    "literal_error": "give {expected}",
    "dict_type": "give fields, such as {{ name = 1 }}",
    "mapping_type": "give fields, such as {{ name = 1 }}",
    "model_type": "give its fields, such as {{ name = 1 }}",
    "model_attributes_type": "give its fields, such as {{ name = 1 }}",
}
"""What is to be given, by pydantic's type of error, where its own words are those of Python."""
LISTS = ("tuple_type", "list_type", "set_type", "frozen_set_type")


def _wanted(item: Any) -> str:
    """What is to be given instead of a value that is wrong."""
    given, context = item["input"], item.get("ctx", {})
    if item["type"] in LISTS:
        if isinstance(given, str):
            return f"give a list such as [{_shown(given)}]"
        return "give a list such as [0, 1, 2]" if isinstance(given, int) else "give a list"
    mend = MENDS.get(item["type"])
    if mend is None:
        return f"{item['msg'][0].lower()}{item['msg'][1:]}"
    return mend.format(**{name: _plain(value) for name, value in context.items()})


def _plain(value: Any) -> Any:
    """A bound as a person writes it: 0 and not 0.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _shown(value: Any) -> str:
    """A value as a file of ours has it, cut short."""
    try:
        text = {True: "true", False: "false"}[value] if isinstance(value, bool) else keys.masked(repr(value))
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of very many digits"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def _instead(loc: tuple[int | str, ...], model: type[Record]) -> str:
    """What was meant by a field that is none: one of the same record, or the same name elsewhere in the file."""
    name, shape = str(loc[-1]), _shape_at(model, loc[:-1])
    near = nearest(name, shape.model_fields) if _is_record(shape) else None
    if near is None:
        paths = {path.rpartition(".")[2]: path for path in reversed(_paths(model))}
        near = paths.get(nearest(name, paths) or "")
    return f"did you mean {near}?" if near else "remove it"


def _shape_at(shape: Any, loc: tuple[int | str, ...]) -> Any:
    """What kind of value stands at a place, as far as the annotations say."""
    for part in loc:
        if isinstance(part, int):
            inner = [record for record in _records(shape) if _is_record(record)]
            shape = inner[0] if inner else None
        else:
            shape = _below(_kind(shape), part)[0]
    return _kind(shape)


def _paths(model: type[Record], above: str = "") -> list[str]:
    """Dotted paths of the fields of a model and of the models inside it, the outermost first."""
    here = [f"{above}{name}" for name in model.model_fields]
    for name, field in model.model_fields.items():
        for inner in _records(field.annotation):
            here += _paths(inner, f"{above}{name}.")
    return here


def _records(annotation: Any) -> list[type[Record]]:
    """The records in an annotation: itself, or what a tuple, a mapping or a choice holds."""
    if _is_record(annotation):
        return [annotation]
    return [record for part in get_args(annotation) for record in _records(part)]


def _without(fields: Any, place: tuple[int | str, ...]) -> dict[str, Any] | None:
    """Plain values without what stands at a place; ``None`` where that is in a list, or not there at all."""
    if not isinstance(fields, Mapping) or place[0] not in fields:
        return None
    inner = _without(fields[place[0]], place[1:]) if place[1:] else None
    rest = {name: value for name, value in fields.items() if name != place[0]}
    return rest if inner is None else rest | {str(place[0]): inner}


def all_faults(model: type[R], fields: Mapping[str, Any], stand_in: Mapping[str, Any]) -> tuple[R | None, list[str]]:
    """Every fault of plain values at once, those too that pydantic looks for only where the fields are right.

    What is wrong is left out, and the rest is looked at again.

    Args:
        model: What the values are to become.
        fields: The values.
        stand_in: What stands in for required fields that are wrong or missing.

    Returns:
        The record of what is right, ``None`` where that does not fit together; and the faults, a sentence each.
    """
    found: list[str] = []
    left, gone = dict(fields), set[tuple[int | str, ...]]()
    while True:
        try:
            return model.model_validate(left), found
        except ValidationError as error:
            before = left
            for item in error.errors(include_url=False):
                place = item["loc"]
                if item["type"] == "missing" and place in gone:  # by us: then what it is missing in goes too
                    place = place[:-1]
                else:
                    found += [fault for fault in _told(item, model) if fault not in found]
                if not place:
                    return None, found
                gone.add(place)
                left = _without(left, place) or left
            left = {**stand_in, **left}
            if left == before:  # what is wrong cannot be left out
                return None, found


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


def refuse_keys(field: str, owner: str, args: Mapping[str, Any]) -> None:
    """Refuse arguments that hold a key.

    Args:
        field: That holds them.
        owner: Whose they are.
        args: Read, at any depth.

    Raises:
        SettingError: If one does.
    """
    if (found := keys.held(args)) is not None:
        what = f"{field}.{found} of {owner} holds a key, which would be printed and stored"
        raise SettingError(f"{what}; give the name of its environment variable (of a chat: key_env)")
