"""How a board is made again: the command, and the file of a board that does not come with the package."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dataenv.leaderboard.config import Board, Entry, built_in, read, until_decided
from dataenv.leaderboard.format import visible
from dataenv.leaderboard.rows import Row
from tasks.records import canonical_json


def to_make_again(rows: Sequence[Row], played: Board | None, added: Sequence[str]) -> dict[str, Any]:
    """What the page says of it.

    Args:
        rows: Of the board.
        played: The board, if it is known.
        added: Labels of its teachers that were added to it on the command line.

    Returns:
        ``command``; ``name`` and ``file`` where the board is none of ours (else empty); ``own``, the modules that are
        named in it.
    """
    name = rows[0].board
    if played is None:
        command = f"dataenv leaderboard {shlex.quote(name if name in built_in() else f'{name}.toml')}"
        return {"command": command, "name": "", "file": "", "own": []}
    alone = played.model_copy(update={"teachers": tuple(e for e in played.teachers if e.shown not in added)})
    adds = "".join(f" --add {shlex.quote(_given(entry))}" for entry in played.teachers if entry.shown in added)
    adds += " --until-decided" * (played.until is not None)
    if _is_ours(alone):
        return {"command": f"dataenv leaderboard {name}{adds}", "name": "", "file": "", "own": []}
    file = f"{played.name}.toml"
    return {
        "command": f"dataenv leaderboard {shlex.quote(file)}{adds}",
        "name": file,
        "file": "\n".join(visible(line) for line in toml(alone).splitlines()),
        "own": _modules(played),
    }


def _is_ours(board: Board) -> bool:
    """Whether it is what a board that comes along says today."""
    if board.name not in built_in():
        return False
    ours = Board.model_validate(read(board.name)[1])
    ours = ours.model_copy(update={"until": None}) if board.until is None else until_decided(ours)
    return bool(ours.model_dump(mode="json") == board.model_dump(mode="json"))


def _modules(board: Board) -> list[str]:
    """Modules that its names lead to, such as ``mine`` in ``mine:Teacher``."""
    names = [entry.name for entry in board.teachers] + [board.setting.task, board.setting.student]
    found = [name.partition(":")[0] for name in names if ":" in name]
    return sorted({module for module in found if "." in module or module.isidentifier()} - {"jsonl"})


def _given(entry: Entry) -> str:
    """An entry as ``--add`` takes it."""
    plain = entry.model_dump(mode="json", exclude_defaults=True)
    return entry.name if plain == {"name": entry.name} else canonical_json(plain)


def toml(board: Board) -> str:
    """A board as a TOML file, without what is as it would be anyway."""
    plain = board.model_dump(mode="json", exclude_defaults=True)
    tables = {name: plain.pop(name, {}) for name in ("mixtures", "tune", "setting")}
    teachers = [entry["name"] if set(entry) == {"name"} else entry for entry in plain.pop("teachers")]
    lines = [*_lines(plain), "teachers = [", *(f"    {_value(entry)}," for entry in teachers), "]"]
    for table, fields in tables.items():
        if fields:
            lines += ["", f"[{table}]", *_lines(fields)]
    return "\n".join(lines)


def _lines(fields: Mapping[str, Any]) -> list[str]:
    return [f"{_key(name)} = {_value(value)}" for name, value in fields.items() if value is not None]


def _value(value: Any) -> str:
    """A plain value as TOML; a text as JSON has it, whose escapes TOML knows too."""
    if isinstance(value, Mapping):
        inner = ", ".join(_lines(value))
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else json.dumps(name, ensure_ascii=False)
