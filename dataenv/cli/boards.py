"""Commands of a board: ``leaderboard | plan | validate | compare | rescore | report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataenv.cli.common import (
    BOARDS,
    Voice,
    command,
    console,
    errors,
    existing_store,
    make_runner,
    open_executor,
    print_json,
    takes_executor,
)
from dataenv.cli.given import additions, pairs
from dataenv.cli.options import (
    OUTPUT,
    ActDeadline,
    Adds,
    AllowKey,
    BoardFields,
    BoardFolder,
    BoardName,
    Force,
    Isolated,
    Json,
    Out,
    Quiet,
    Store,
    out_folder,
)
from dataenv.errors import SettingError
from dataenv.waiting import waiting

if TYPE_CHECKING:
    from dataenv.leaderboard.config import Board, Entry
    from dataenv.leaderboard.rows import Row

SUCH_AS = "setting.recipe.rate=1e-3"

Track = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TRACKER",
        rich_help_panel=OUTPUT,
        help="Who is told of progress too, such as 'jsonl:events.jsonl'. Repeatable.",
    ),
]


UntilDecided = Annotated[
    bool,
    typer.Option(
        "--until-decided",
        rich_help_panel="Board",
        help="Add seeds in groups, from a list that the board declares, until each teacher is decided; in a folder of "
        "its own.",
    ),
]


WholeRunsToo = Annotated[
    bool,
    typer.Option(
        "--whole-runs",
        rich_help_panel="Executor",
        help="Play whole runs in the worker processes, and not only their jobs.",
    ),
]


@command(panel=BOARDS)
@takes_executor
def leaderboard(
    spec: dict[str, Any],
    board: BoardName = "quick",
    add: Adds = None,
    set_: BoardFields = None,
    until_decided: UntilDecided = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            rich_help_panel="Board",
            help="Move rows of another configuration, or of teachers added before, aside (rows.1) and go on.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", rich_help_panel="Board", help="Plan, and write nothing.")
    ] = False,
    act_deadline: ActDeadline = 600.0,
    isolated: Isolated = "outside",
    whole_runs: WholeRunsToo = False,
    force: Force = False,
    out: Out = Path("runs"),
    allow_key: AllowKey = None,
    store: Store = None,
    track: Track = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare teachers: every teacher on every seed, a table, a page, and one JSON row a run."""
    from dataenv.leaderboard.config import folder_name
    from dataenv.leaderboard.format import visible
    from dataenv.leaderboard.planning.preflight import checked_board
    from dataenv.leaderboard.play import Player, play
    from dataenv.leaderboard.progress import Terminal
    from dataenv.leaderboard.sequential.looks import in_groups
    from dataenv.leaderboard.trackers import tracking
    from dataenv.leaderboard.whole_runs import WholeRuns

    changes, added, voice = pairs("-s", set_, SUCH_AS), additions(add), Voice(as_json, quiet)
    config = checked_board(board, changes, added, out, force, replace, until_decided)
    folder = out / folder_name(config)
    trackers = tracking(track or [], {"terminal": Terminal(errors if as_json else console, quiet)}, _warn)
    if dry_run:
        return _plan(config, added, folder, store, spec, replace, voice)
    runner = make_runner(store or str(out / ".store"), spec)
    try:
        with trackers as watch:
            in_parts = in_groups if until_decided else None
            player = WholeRuns if whole_runs else Player
            rows = play(config, runner, folder, watch, replace, added, act_deadline, in_parts, player)
    finally:
        runner.executor.close()
    _show(rows, folder, as_json, config.metrics)
    said = errors if as_json else console
    said.print(f"{runner.trained} training runs computed; page: {folder / 'leaderboard.html'}")
    failed = [row for row in rows if row.failed]
    if failed:
        first = f"{failed[0].teacher} seed {failed[0].seed}: {visible(failed[0].error or '')}"
        _warn(f"{len(failed)} of {len(rows)} runs failed, and are tried again by the same command; {first}")
        raise typer.Exit(1)
    return None


def _warn(said: str) -> None:
    errors.print(said, style="yellow", soft_wrap=True)


@command(panel=BOARDS)
@takes_executor
def plan(
    spec: dict[str, Any],
    board: BoardName = "quick",
    add: Adds = None,
    set_: BoardFields = None,
    until_decided: UntilDecided = False,
    force: Force = False,
    out: Out = Path("runs"),
    allow_key: AllowKey = None,
    store: Store = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What a board will take: training runs, student tokens, time from a measured step, disk. Nothing is written."""
    from dataenv.leaderboard.config import folder_name
    from dataenv.leaderboard.planning.preflight import checked_board

    changes, added, voice = pairs("-s", set_, SUCH_AS), additions(add), Voice(as_json, quiet)
    config = checked_board(board, changes, added, out, force, until=until_decided)
    _plan(config, added, out / folder_name(config), store, spec, False, voice)


def _plan(
    config: Board,
    added: Sequence[Entry],
    folder: Path,
    store: str | None,
    spec: dict[str, Any],
    replace: bool,
    voice: Voice,
) -> None:
    from dataenv.execution.executors import read_spec
    from dataenv.leaderboard.config import joined
    from dataenv.leaderboard.folder import additions as every_addition
    from dataenv.leaderboard.planning.plan import make_plan, sentences, table

    where = store or str(folder.parent / ".store")
    executor = open_executor(where, spec)
    try:
        more = every_addition(config, folder, added, replace)
        config = joined(config, more) if more else config
        width = executor.width // (read_spec(spec).pool_width if spec["kind"] == "pool" else 1)  # no gain is foreseen
        made = make_plan(config, existing_store(where), folder, width, spec["kind"] != "ray")
    finally:
        executor.close()
    voice.result(made.model_dump(mode="json"), table(made))
    if not voice.as_json:
        voice.say(*sentences(made))


def _show(rows: list[Row], folder: Path, as_json: bool, metrics: tuple[str, ...] = (), out: Path | None = None) -> None:
    """Write the CSV and the page of rows, and print the table or the summary, with the board's metrics.

    Args:
        rows: Of the board.
        folder: The board's.
        as_json: Whether the summary is printed in place of the table.
        metrics: Further columns; those that the folder's board names, if there are none.
        out: Where CSV and page go, if not into the board's folder.
    """
    from dataenv.leaderboard.conduct import conduct_of
    from dataenv.leaderboard.folder import read_manifest
    from dataenv.leaderboard.report.tables import summarised, terminal_table, write_csv, write_page
    from dataenv.leaderboard.sequential.looks import monitored_of

    manifest, how = read_manifest(folder), monitored_of(folder)
    axes = metrics or (manifest.board.metrics if manifest else ())
    where = out or folder
    played, added = (manifest.board, manifest.added) if manifest else (None, ())
    conduct = conduct_of(folder, played)
    write_csv(rows, where / "leaderboard.csv", axes, conduct, how)
    write_page(rows, where / "leaderboard.html", axes, played, added, conduct, how)
    if as_json:
        print_json(summarised(rows, axes, conduct, how).model_dump(mode="json"))
    else:
        console.print(terminal_table(rows, axes, conduct, how))


@command(panel=BOARDS)
def report(
    folder: BoardFolder,
    out: Annotated[
        Path | None, out_folder("the board's", "For the CSV and the page, where the board's folder can only be read.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build table, CSV and page again from the rows of a board, a half-played one too."""
    from dataenv.leaderboard.folder import missing, read_rows

    rows, where = read_rows(folder), out or folder
    _show(rows, folder, as_json, out=out)
    said = errors if as_json else console
    absent = missing(folder, rows)
    if absent:
        said.print(absent, style="yellow", soft_wrap=True)
    if not quiet:
        said.print(f"page: {where / 'leaderboard.html'}", soft_wrap=True)


@command(panel=BOARDS)
@takes_executor
def validate(
    spec: dict[str, Any],
    board: BoardName = "quick",
    add: Adds = None,
    set_: BoardFields = None,
    out: Out = Path("runs"),
    allow_key: AllowKey = None,
    store: Store = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a board without training: everything that would fail later, one sentence each; exit code 2 if any."""
    from dataenv.leaderboard.planning.validate import examine, noted, usable

    where, changes, voice = store or str(out / ".store"), pairs("-s", set_, SUCH_AS), Voice(as_json, quiet)
    with waiting("checking the board …"):
        found, notes = examine(board, changes, additions(add)), noted(board, changes)
        found += usable(where, lambda: open_executor(where, spec))
    voice.result({"board": board, "sound": not found, "findings": found, "notes": notes}, *(found or ["sound"]))
    if not (as_json or found):
        voice.say(*(f"note: {note}" for note in notes))
    if found:
        raise typer.Exit(2)


@command(panel=BOARDS)
def compare(
    folder: BoardFolder,
    teacher: Annotated[str | None, typer.Argument(metavar="TEACHER", help="Of the board.")] = None,
    baseline: Annotated[
        str | None, typer.Argument(metavar="BASELINE", show_default="stratified", help="Another one.")
    ] = None,
    other: Annotated[
        Path | None, typer.Option("--with", metavar="FOLDER", help="Another board's: the same teachers there.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare two teachers of a board, paired by seed and item; or, with another board, the same teachers on both."""
    from dataenv.leaderboard.config import BASELINE
    from dataenv.leaderboard.folder import read_rows
    from dataenv.leaderboard.statistics.compare import compare_boards, compare_teachers, sentences, table

    rows = read_rows(folder)
    if other is not None:
        names = (str(folder), str(other))
        found = compare_boards(rows, read_rows(other), [name for name in (teacher, baseline) if name], names)
    elif teacher is None:
        raise SettingError("no teacher is named; give one of the board, or another board's folder by --with")
    else:
        found = [compare_teachers(rows, teacher, baseline or BASELINE)]
    voice = Voice(as_json, quiet)
    if as_json:
        return print_json([pair.model_dump(mode="json") for pair in found])
    for pair in found:
        voice.result(None, *sentences(pair))
        voice.say(table(pair), "")
    return None


@command(panel=BOARDS)
def rescore(
    folder: BoardFolder,
    out: Annotated[Path | None, out_folder("beside the board's", "For the rows; one that is not there.")] = None,
    store: Store = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Grade a board's stored answers again, after the checker or a statistic has changed. Trains nothing."""
    from dataenv.leaderboard.rescore import free_folder
    from dataenv.leaderboard.rescore import rescore as grade_again

    where, kept = out or free_folder(folder), store or str(folder.parent / ".store")
    if not (Path(kept) / "store.sqlite").exists():
        raise SettingError(f"store {kept} is not there; give the --store that the board was played with")
    done = grade_again(folder, existing_store(kept), where)
    _show(done.rows, where, as_json)
    said = errors if as_json else console
    line = f"graded again, 0 training runs; {done.otherwise} of {len(done.rows)} runs would now select another state"
    said.print(f"{line}; page: {where / 'leaderboard.html'}", soft_wrap=True)
