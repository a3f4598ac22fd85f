"""Commands about this machine and what is installed: ``list | doctor``."""

from __future__ import annotations

import typer
from rich.table import Table

from dataenv import registry
from dataenv.cli.common import DEFAULT_STORE, Store, app, console


@app.command("list")
def list_() -> None:
    """Tasks, students, teachers, discoverers, levels and boards by name."""
    from dataenv.leaderboard.config import built_in

    table = Table("kind", "name", "where", box=None)
    for kind in ("task", "student", "teacher", "discoverer"):
        for name, where in registry.names(kind).items():
            table.add_row(kind, name, where)
    for name in built_in():
        table.add_row("board", name, f"dataenv leaderboard {name}")
    console.print(table)


@app.command()
def doctor(store: Store = None) -> None:
    """What this machine gives: versions, threads, device, models found, and whether the store can be written."""
    from dataenv.cli.doctor import examine

    sound = True
    for name, finding, good in examine(store or DEFAULT_STORE):
        sound &= good
        console.print(f"{'ok ' if good else 'BAD'}  {name:<12} {finding}", markup=False, highlight=False)
    if not sound:
        raise typer.Exit(1)
