"""Records from plain values: what is wrong with them, as one sentence that names the fields."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from tasks.records import Record

R = TypeVar("R", bound=Record)


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
            near = difflib.get_close_matches(str(item["loc"][-1]), _fields(model), n=1)
            parts.append(f"{path} is no field" + (f"; did you mean {near[0]}?" if near else "; remove it"))
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
