"""Commands of a board: ``leaderboard | plan | validate | compare | rescore | report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataenv.cli.common import (
    BoardFolder,
    BoardName,
    Deadline,
    Executor,
    Json,
    NumCpus,
    NumGpus,
    Out,
    Quiet,
    RayAddress,
    Store,
    Threads,
    Workers,
    app,
    console,
    errors,
    executor_spec,
    existing_store,
    make_runner,
    open_executor,
    print_json,
)

if TYPE_CHECKING:
    from dataenv.leaderboard.rows import Row


@app.command()
def leaderboard(
    board: BoardName = "quick",
    out: Out = Path("runs"),
    store: Store = None,
    executor: Executor = None,
    workers: Workers = 0,
    ray_address: RayAddress = None,
    num_cpus: NumCpus = 1.0,
    num_gpus: NumGpus = 0.0,
    threads: Threads = 1,
    deadline: Deadline = 1800.0,
    replace: Annotated[
        bool, typer.Option("--replace", help="Move rows of another configuration aside (rows.1) and go on.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan, and write nothing.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare teachers: every teacher on every seed, a table, a page, and one JSON row a run."""
    from dataenv.leaderboard.board import play
    from dataenv.leaderboard.config import load
    from dataenv.leaderboard.progress import Terminal

    spec = executor_spec(executor, workers, ray_address, num_cpus, num_gpus, threads, deadline)
    if dry_run:
        return _plan(board, out, store, spec, as_json)
    config = load(board)
    folder = out / config.name
    runner = make_runner(store or str(out / ".store"), spec)
    try:
        with Terminal(errors if as_json else console, quiet) as watch:
            rows = play(config, runner, folder, watch, replace)
    finally:
        runner.executor.close()
    _show(rows, folder, as_json)
    said = errors if as_json else console
    said.print(f"{runner.trained} training runs computed; page: {folder / 'leaderboard.html'}", highlight=False)
    return None


@app.command()
def plan(
    board: BoardName = "quick",
    out: Out = Path("runs"),
    store: Store = None,
    executor: Executor = None,
    workers: Workers = 0,
    ray_address: RayAddress = None,
    num_cpus: NumCpus = 1.0,
    num_gpus: NumGpus = 0.0,
    threads: Threads = 1,
    deadline: Deadline = 1800.0,
    as_json: Json = False,
) -> None:
    """What a board will take: training runs, student tokens, time from a measured step, disk. Nothing is written."""
    spec = executor_spec(executor, workers, ray_address, num_cpus, num_gpus, threads, deadline)
    _plan(board, out, store, spec, as_json)


def _plan(board: str, out: Path, store: str | None, spec: dict[str, Any], as_json: bool) -> None:
    from dataenv.leaderboard.config import load
    from dataenv.leaderboard.plan import make_plan, sentences, table

    config = load(board)
    where = store or str(out / ".store")
    executor = open_executor(where, spec)
    try:
        made = make_plan(config, existing_store(where), out / config.name, executor.width, spec["kind"] != "ray")
    finally:
        executor.close()
    if as_json:
        return print_json(made.model_dump(mode="json"))
    console.print(table(made))
    for sentence in sentences(made):
        console.print(sentence, markup=False, highlight=False)
    return None


def _show(rows: list[Row], folder: Path, as_json: bool, quiet: bool = False) -> None:
    """Write the CSV and the page of rows, and print the table or the summary."""
    from dataenv.leaderboard.report import terminal_table, write_csv, write_page
    from dataenv.leaderboard.summary import summarise

    write_csv(rows, folder / "leaderboard.csv")
    write_page(rows, folder / "leaderboard.html")
    if as_json:
        print_json(summarise(rows).model_dump(mode="json"))
    elif not quiet:
        console.print(terminal_table(rows))


@app.command()
def report(folder: BoardFolder, as_json: Json = False, quiet: Quiet = False) -> None:
    """Build table, CSV and page again from the rows of a board, a half-played one too."""
    from dataenv.leaderboard.folder import missing, read_rows

    rows = read_rows(folder)
    _show(rows, folder, as_json, quiet)
    said = errors if as_json else console
    absent = missing(folder, rows)
    if absent:
        said.print(absent, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if not quiet:
        said.print(f"page: {folder / 'leaderboard.html'}", highlight=False, soft_wrap=True)
