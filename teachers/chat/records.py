"""Where attempts are kept: the table ``chats`` of the project's store, or a cassette, which is a small JSONL file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import ValidationError

from tasks.records import canonical_json
from teachers.chat.spec import Attempt, ChatError


class Records(Protocol):
    """Rows by key; the first commit of a key wins. ``dataenv.execution.store.Table`` is one."""

    def get(self, key: str) -> Any | None:
        """The row of a key, or ``None``."""

    def put(self, key: str, record: Any) -> Any:
        """Commit a row; returns the committed one, which is an earlier one where there was one."""


@runtime_checkable
class Answering(Records, Protocol):
    """Records of a teacher in a process of its own: they ask the driver, which asks the model, keeps and pays."""

    def said(self, number: int, spec: Mapping[str, Any], asks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Replies to some requests, unread; see ``teachers.chat.apart``."""


class Memory:
    """Rows in this process.

    Args:
        rows: To begin with.
    """

    def __init__(self, rows: Mapping[str, Any] | None = None) -> None:
        self.rows: dict[str, Any] = dict(rows or {})

    def get(self, key: str) -> Any | None:
        """See Records."""
        return self.rows.get(key)

    def put(self, key: str, record: Any) -> Any:
        """See Records."""
        return self.rows.setdefault(key, record)


def save(path: Path, rows: Mapping[str, Any]) -> None:
    """Write a cassette: one row a line, in the order of the keys, so that equal rows give equal bytes."""
    lines = [canonical_json({"key": key, **rows[key]}) + "\n" for key in sorted(rows)]
    path.write_text("".join(lines), encoding="utf-8")


def load(path: Path) -> Memory:
    """Read a cassette.

    Raises:
        ChatError: If it cannot be read; with the line that is at fault.
    """
    rows: dict[str, Any] = {}
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ChatError(f"cassette {path} cannot be read ({error}); record it anew") from None
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            key = row.pop("key")
            rows[key] = Attempt.model_validate(row).model_dump(mode="json")
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError, RecursionError):
            raise ChatError(f"cassette {path}, line {number}, is no stored attempt; record it anew") from None
    return Memory(rows)
