"""Commands of a store: ``store check | repair``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dataenv.cli.common import HERE, Voice, app
from dataenv.cli.help import PlainCommand, PlainGroup
from dataenv.cli.options import DEFAULT_STORE, Json, Quiet

if TYPE_CHECKING:
    from dataenv.execution.care import Checkup, Finding

LISTED = 20
"""Findings that are shown; JSON has all of them."""
Folder = Annotated[
    Path, typer.Argument(envvar="DATAENV_STORE", metavar="FOLDER", help="Of the store, such as runs/.store.")
]

store = typer.Typer(cls=PlainGroup, no_args_is_help=True, help="Check a store, and mend one that is damaged.")
app.add_typer(store, name="store", rich_help_panel=HERE)


@store.command(cls=PlainCommand)
def check(folder: Folder = Path(DEFAULT_STORE), as_json: Json = False, quiet: Quiet = False) -> None:
    """Read a whole store: what is damaged, missing or left over; exit code 1 if anything is. Nothing is changed."""
    from dataenv.execution.care import check as examine

    found, voice = examine(folder), Voice(as_json, quiet)
    voice.result(found.model_dump(mode="json"), *_listed(found.findings))
    if found.findings:
        voice.say(f"{_holds(found)}; not sound: {_counted(found.findings)}. Mend it: dataenv store repair {folder}")
        raise typer.Exit(1)
    voice.say(f"{_holds(found)}; all of it is sound")


@store.command(cls=PlainCommand)
def repair(folder: Folder = Path(DEFAULT_STORE), as_json: Json = False, quiet: Quiet = False) -> None:
    """Drop what is damaged, recover a broken database, delete what was left over. What is dropped is computed anew."""
    from dataenv.execution.care import repair as mend

    done, voice = mend(folder), Voice(as_json, quiet)
    value = {
        "before": done.before.model_dump(mode="json"),
        "after": done.after.model_dump(mode="json"),
        "aside": None if done.aside is None else str(done.aside),
    }
    if not done.before.findings:
        voice.result(value, f"{_holds(done.after)}; there was nothing to mend")
        return
    voice.result(value, *_listed(done.before.findings), f"mended: {_counted(done.before.findings)}")
    voice.say(_holds(done.after) + (f"; what was there is kept in {done.aside}" if done.aside else ""))
    if done.after.findings:
        voice.result(None, *_listed(done.after.findings))
        raise typer.Exit(1)


def _listed(findings: Sequence[Finding]) -> list[str]:
    """Findings, a line each, as many as are shown."""
    lines = [f"{one.kind}: {one.where} {one.name}: {one.why}" for one in findings[:LISTED]]
    more = len(findings) - LISTED
    return [*lines, f"and {more} more; --json lists them"] if more > 0 else lines


def _counted(findings: Sequence[Finding]) -> str:
    kinds = Counter(f"{one.where} {one.kind}" for one in findings)
    return ", ".join(f"{n} {kind}" for kind, n in kinds.items())


def _holds(found: Checkup) -> str:
    rows = ", ".join(f"{n} {table}" for table, n in found.rows.items())
    return f"the store holds {rows} and {found.blobs} blobs of weights"
