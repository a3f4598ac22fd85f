"""Commands about this machine and what is installed: ``list | doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dataenv import registry
from dataenv.cli.common import HERE, Voice, command
from dataenv.cli.options import DEFAULT_STORE, Json, Quiet, Store
from dataenv.errors import SettingError, did_you_mean

BOARDS = "board"
"""Listed beside the registered kinds."""


@command("list", HERE)
def list_(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="One kind, such as teacher or metric.", show_default=False)
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Everything that has a name, kind by kind, with one sentence each: tasks, students, teachers, … and boards."""
    from dataenv.leaderboard.format import visible

    asked = [kind] if kind else [*registry.KINDS, BOARDS]
    if kind and kind not in (*registry.KINDS, BOARDS):
        raise SettingError(f"kind is {kind!r}; {did_you_mean(kind, (*registry.KINDS, BOARDS))}")
    found = [entry for one in asked for entry in _entries(one)]
    shown: list[Any] = []
    for one in asked:
        entries = [entry for entry in found if entry["kind"] == one]
        table = Table("name", "sentence", box=None, show_header=False, padding=(0, 2, 0, 0))
        for entry in entries:
            table.add_row(Text(visible(entry["name"])), Text(visible(entry["sentence"])))
        shown += [Text(f"{one} ({len(entries)})", style="bold"), Padding(table, (0, 0, 1, 2))]
    Voice(as_json, quiet).result(found, *shown)


def _entries(kind: str) -> list[dict[str, str]]:
    """What is registered of a kind; what cannot be loaded is listed, and why it cannot."""
    if kind == BOARDS:
        from dataenv.leaderboard.config import built_in

        return [
            {"kind": BOARDS, "name": name, "where": str(path), "sentence": _comment(path)}
            for name, path in built_in().items()
        ]
    registered: Any = kind
    return [
        {"kind": kind, "name": name, "where": where, "sentence": _sentence(registered, name)}
        for name, where in registry.names(registered).items()
    ]


def _sentence(kind: registry.Kind, name: str) -> str:
    try:
        return registry.sentence(kind, name) or "says nothing of itself"
    except SettingError as error:
        return str(error)


def _comment(path: Path) -> str:
    """The first sentence of the comment that a board file begins with."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return " ".join(lines).partition(". ")[0].removesuffix(".")


@command(panel=HERE)
def doctor(store: Store = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """What this machine gives: versions, threads, device, models found, and whether the store can be written."""
    from dataenv.cli.doctor import examine

    found = [
        {"name": name, "finding": finding, "sound": good} for name, finding, good in examine(store or DEFAULT_STORE)
    ]
    lines = [
        f"{'ok ' if line['sound'] else 'BAD'}  {line['name']:<12} {line['finding']}"
        for line in found
        if not (quiet and line["sound"])
    ]
    Voice(as_json, quiet).result(found, *lines)
    if not all(line["sound"] for line in found):
        raise typer.Exit(1)
