"""The command line: ``dataenv leaderboard | run | list | doctor | transfer-matrix | export``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dataenv import registry
from dataenv.errors import DataenvError, SettingError
from tasks.base import Unsupported

if TYPE_CHECKING:
    from dataenv.runner import Runner

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
console = Console()

Store = Annotated[
    str | None,
    typer.Option(envvar="DATAENV_STORE", help="Folder of the store; 'off' computes everything anew."),
]
Workers = Annotated[int, typer.Option(min=0, help="Worker processes; 0 for one a core, 1 for this process alone.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
DEFAULT_STORE = "runs/.store"
INTERRUPTED = 130


def main() -> None:
    """Run the command line: one sentence and exit code 2 for what a user can mend, 130 for Ctrl-C."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded: see executors._start_worker
    try:
        app()
    except DataenvError as error:
        print(f"dataenv: {error}", file=sys.stderr)
        sys.exit(2)
    except Unsupported as error:
        print(f"dataenv: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        where = error.filename or "a file"
        print(f"dataenv: {where} cannot be used ({error.strerror}); free space or give another --out", file=sys.stderr)
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer's word for Ctrl-C
            print("dataenv: stopped; what was computed is kept, and the same command goes on from it", file=sys.stderr)
        raise


@app.command()
def leaderboard(
    board: Annotated[
        str, typer.Argument(help="A built-in board (quick, smoke) or the path of a .toml file.")
    ] = "quick",
    out: Annotated[Path, typer.Option(help="Folder for results; a folder of the board's name is made in it.")] = Path(
        "runs"
    ),
    store: Store = None,
    workers: Workers = 0,
    quiet: Quiet = False,
) -> None:
    """Compare teachers: every teacher on every seed, a table, a page, and one JSON row a run."""
    from dataenv.leaderboard.board import play
    from dataenv.leaderboard.config import load
    from dataenv.leaderboard.progress import Terminal
    from dataenv.leaderboard.report import terminal_table, write_csv, write_page

    config = load(board)
    folder = out / config.name
    runner = _runner(store or str(out / ".store"), workers)
    try:
        with Terminal(console, quiet) as watch:
            rows = play(config, runner, folder, watch)
    finally:
        runner.executor.close()
    console.print(terminal_table(rows))
    write_csv(rows, folder / "leaderboard.csv")
    write_page(rows, folder / "leaderboard.html")
    console.print(f"{runner.trained} training runs computed; page: {folder / 'leaderboard.html'}", highlight=False)


@app.command()
def run(
    teacher: Annotated[str, typer.Option(help="A registered teacher.")] = "stratified",
    task: Annotated[str, typer.Option(help="A registered task.")] = "arithmetic",
    student: Annotated[str, typer.Option(help="A registered student.")] = "pocket",
    seed: Annotated[int, typer.Option(min=0, help="Of the episode.")] = 0,
    args: Annotated[str, typer.Option(help="The teacher's arguments, as JSON.")] = "{}",
    setting: Annotated[str, typer.Option(help="Further fields of the Setting, as JSON.")] = "{}",
    store: Store = None,
) -> None:
    """Let one teacher teach one episode, and show the student step by step."""
    from dataenv.environment import TeachingEnv
    from dataenv.episode import run as play

    who = registry.build("teacher", teacher, _json("--args", args))
    fields = {"task": task, "student": student} | _json("--setting", setting)
    level = getattr(who, "level", "skill-list")
    env = TeachingEnv(level, store=store or DEFAULT_STORE, render_mode="ansi", **fields)
    episode = play(
        env, who, seed, lambda record: console.print(env.render() or "", "\n", markup=False, highlight=False)
    )
    console.print(f"{teacher}, seed {seed}: total reward {episode.total_reward:+.3f}", highlight=False)


@app.command("list")
def list_() -> None:
    """Tasks, students, teachers, levels and boards by name."""
    from dataenv.leaderboard.config import built_in
    from dataenv.levels import LEVELS

    table = Table("kind", "name", "where", box=None)
    for kind in ("task", "student", "teacher"):
        for name, where in registry.names(kind).items():
            table.add_row(kind, name, where)
    for name, level in LEVELS.items():
        table.add_row("level", name, f"{level.__module__}:{level.__qualname__}")
    for name in built_in():
        table.add_row("board", name, f"dataenv leaderboard {name}")
    console.print(table)


@app.command()
def doctor(store: Store = None) -> None:
    """What this machine gives: versions, threads, device, models found, and whether the store can be written."""
    from dataenv.doctor import examine

    sound = True
    for name, finding, good in examine(store or DEFAULT_STORE):
        sound &= good
        console.print(f"{'ok ' if good else 'BAD'}  {name:<12} {finding}", markup=False, highlight=False)
    if not sound:
        raise typer.Exit(1)


@app.command("transfer-matrix")
def transfer_matrix(
    task: Annotated[str, typer.Option(help="A registered task.")] = "arithmetic",
    student: Annotated[str, typer.Option(help="A registered student.")] = "pocket",
    seeds: Annotated[int, typer.Option(min=2, help="Untaught students, one a seed.")] = 6,
    updates: Annotated[int, typer.Option(min=1, help="Updates on each skill alone.")] = 64,
    out: Annotated[Path, typer.Option(help="Folder for the matrix (JSON) and its picture (SVG).")] = Path(
        "runs/transfer"
    ),
    setting: Annotated[str, typer.Option(help="Further fields of the Setting, as JSON.")] = "{}",
    store: Store = None,
    workers: Workers = 0,
    quiet: Quiet = False,
) -> None:
    """What training on one skill does to every other: gains with intervals, and a picture."""
    from dataenv.setting import make_setting
    from dataenv.transfer import measure, picture, summary

    fields = {"task": task, "student": student} | _json("--setting", setting)
    runner = _runner(store or DEFAULT_STORE, workers)
    try:
        say = (lambda line: None) if quiet else (lambda line: console.print(line, markup=False, highlight=False))
        matrix = measure(make_setting(fields), runner, range(seeds), updates, say)
    finally:
        runner.executor.close()
    out.mkdir(parents=True, exist_ok=True)
    (out / "transfer.json").write_text(matrix.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (out / "transfer.svg").write_text(picture(matrix), encoding="utf-8")
    console.print(summary(matrix), markup=False, highlight=False)
    console.print(f"picture: {out / 'transfer.svg'}", highlight=False)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A row of a board: runs/BOARD/rows/TEACHER--SEED.json.")],
    out: Annotated[Path | None, typer.Option(help="Folder; default is beside the row.")] = None,
    store: Store = None,
) -> None:
    """Write a run's kept data as JSONL and its selected student as a from_pretrained folder."""
    from dataenv.export import export_run

    runner = _runner(store or DEFAULT_STORE, 1)
    folder = out or run.with_suffix("")
    n = export_run(run, folder, runner)
    console.print(f"{n} examples in {folder / 'data.jsonl'}, the student in {folder / 'student'}", highlight=False)


def _runner(store: str, workers: int) -> Runner:
    from dataenv.executors import make_executor
    from dataenv.runner import Runner
    from dataenv.store import open_store

    inline = workers == 1 or store == "off"
    executor = make_executor("inline" if inline else f"processes:{workers}" if workers else "processes")
    return Runner(open_store(store), executor)


def _json(option: str, text: str) -> dict[str, Any]:
    """A JSON object given on the command line."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingError(f"{option} is no JSON ({error}); give an object such as '{{\"alpha\": 2}}'") from None
    if not isinstance(value, dict):
        raise SettingError(f"{option} is a {type(value).__name__}; give a JSON object")
    return value
