"""A task whose sealed problems hold strings that stand nowhere else, and a walk through whatever a teacher can see."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import numpy as np
from pydantic import BaseModel

from tasks.records import Problem, Split
from tests.toys import Reverse

HIDDEN: tuple[Split, ...] = ("selection", "test", "transfer")


def canary(name: str) -> str:
    """Twelve letters that no text holds by chance."""
    return "".join(chr(97 + byte % 26) for byte in hashlib.sha256(name.encode()).digest()[:12])


class Canaried(Reverse):
    """Words to write backwards, of which those that no teacher may see are canaries: prompts, answers and ids."""

    name = "canaried"

    def split(self, name: Split) -> Sequence[Problem]:
        return _planted(name) if name in HIDDEN else super().split(name)


@cache
def _planted(split: Split) -> tuple[Problem, ...]:
    return tuple(
        p.model_copy(update={field: canary(f"{p.id} {field}") for field in ("id", "prompt", "answer")})
        for p in Reverse().split(split)
    )


def canaries() -> dict[str, str]:
    """Every canary, and where it was planted."""
    problems = [p for split in HIDDEN for p in _planted(split)]
    return {getattr(p, field): f"{p.split} {field}" for p in problems for field in ("id", "prompt", "answer")}


def sightings(seen: Iterable[Any]) -> set[str]:
    """Where those canaries were planted that some of the things seen hold."""
    text = "\n".join(texts(list(seen))).casefold()
    return {where for word, where in canaries().items() if word in text}


def texts(thing: Any, _met: set[int] | None = None) -> Iterator[str]:
    """Every text in a thing, however deep: records, arrays, errors with their causes, and public attributes."""
    met = set() if _met is None else _met
    if isinstance(thing, str):
        yield thing
    elif isinstance(thing, bytes):
        yield thing.decode("utf-8", "replace")
    elif thing is not None and not isinstance(thing, int | float) and id(thing) not in met:
        met.add(id(thing))
        yield repr(thing)
        for part in _parts(thing):
            yield from texts(part, met)


def _parts(thing: Any) -> Iterable[Any]:
    if isinstance(thing, Mapping):
        return [*thing.keys(), *thing.values()]
    if isinstance(thing, np.ndarray):
        return [thing.tolist()]
    if isinstance(thing, list | tuple | set | frozenset):
        return list(thing)
    if isinstance(thing, BaseModel):
        return [thing.model_dump()]
    if isinstance(thing, BaseException):
        notes = getattr(thing, "__notes__", [])
        return [str(thing), thing.args, notes, thing.__cause__, thing.__context__]
    if is_dataclass(thing):
        return [getattr(thing, field.name) for field in fields(thing)]
    if callable(thing) or type(thing).__module__.split(".")[0] in ("numpy", "builtins"):
        return []
    return [getattr(thing, name) for name in dir(thing) if not name.startswith("_")]
