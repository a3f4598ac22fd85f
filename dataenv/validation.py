"""Records from plain values: what is wrong with them, as one sentence that names the fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from dataenv.errors import nearest
from tasks.records import Record

R = TypeVar("R", bound=Record)


def _scrub(value: object) -> object:
    """Replace lone surrogates: a student can write them, UTF-8 cannot hold them."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_scrub)]
Count = Annotated[int, Field(ge=0)]
Money = Annotated[float, Field(ge=0)]


class RowPart(Record):
    """What stands in the row of a board: it refuses NaN too, and writes its fields by alias."""

    model_config = ConfigDict(allow_inf_nan=False, serialize_by_alias=True)


def validated(model: type[R], fields: Mapping[str, Any], where: str, refusal: type[Exception]) -> R:
    """A record from plain values; what is wrong with them is raised as one sentence."""
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        raise refusal(f"{where}: {explain(error, model)}") from None


def explain(error: ValidationError, model: type[Record]) -> str:
    """A validation error as one sentence: the fields, what is wrong, the nearest name for one that does not exist."""
    return "; ".join(faults(error, model))


def faults(error: ValidationError, model: type[Record]) -> list[str]:
    """The same, one part a field."""
    parts = []
    for item in error.errors(include_url=False, include_context=False):
        path = ".".join(map(str, item["loc"]))
        if item["type"] == "value_error" and not path:
            parts.append(item["msg"].removeprefix("Value error, "))
            continue
        if item["type"] == "missing":
            parts.append(f"{path} is missing; add it")
        elif item["type"] == "extra_forbidden":
            near = nearest(str(item["loc"][-1]), _fields(model))
            parts.append(f"{path} is no field" + (f"; did you mean {near}?" if near else "; remove it"))
        else:
            got = repr(item["input"])
            parts.append(f"{path} is {got[:60]}; {item['msg'][0].lower()}{item['msg'][1:]}")
    return parts


def _fields(model: type[Record]) -> list[str]:
    """Field names of a model and of the models inside it."""
    out = []
    for name, field in model.model_fields.items():
        out.append(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Record):
            out.extend(_fields(field.annotation))
    return out
