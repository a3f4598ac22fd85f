"""Fields of many examples at once: the attributes of a record are looked up slowly one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.records import Example


def columns(examples: Sequence[Example], *names: str) -> list[list[Any]]:
    """Some fields of many examples, each as a list in their order."""
    held = [example.__dict__ for example in examples]
    return [[fields[name] for fields in held] for name in names]


def different(values: Sequence[Any]) -> list[Any]:
    """The values without those that are the very same object, as labels of an engine's examples are."""
    return list(dict(zip(map(id, values), values, strict=True)).values())
