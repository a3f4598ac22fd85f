"""The command line: ``dataenv leaderboard | plan | validate | compare | rescore | report | run | …``."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from dataenv.cli import boards, episodes, learning, machine, new, serving, skills, stores
from dataenv.cli.common import app
from dataenv.cli.ending import CTRL_C, refusal, stoppable, stopped_code, write_plainly
from dataenv.cli.terminal import visible_lines, warn_visibly
from dataenv.errors import DataenvError
from dataenv.execution.collector import collect_rarely

__all__ = ["app", "boards", "episodes", "learning", "machine", "main", "new", "serving", "skills", "stores"]


def _version(asked: bool) -> None:
    if asked:
        from dataenv import __version__

        typer.echo(f"dataenv {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Data generation as teaching: environments whose step fine-tunes a student, and a leaderboard of teachers."""


def _find_modules_here() -> None:
    """Let ``--teacher mine:Name`` find ``mine.py`` in the current folder; last, so that nothing of ours is hidden."""
    if not sys.flags.safe_path and "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def _end(said: str) -> NoReturn:
    """Say what a user can mend, and end. Names and texts of files stand in such sentences."""
    print(f"dataenv: {visible_lines(said)}", file=sys.stderr)
    sys.exit(2)


def main() -> None:
    """Run the command line: one sentence and exit code 2 for what a user can mend, 130 for Ctrl-C.

    SIGTERM and SIGHUP end it like Ctrl-C, with 143 and 129.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded: see executors._start_worker
    os.environ.setdefault("TQDM_DISABLE", "1")  # the bars of transformers, before it is loaded: we say what goes on
    collect_rarely()
    write_plainly()
    warn_visibly()
    with stoppable() as came:
        try:
            _find_modules_here()
            app()
        except (DataenvError, OSError) as error:
            _end(refusal(error))
        except SystemExit as ended:
            ended.code = stopped_code(ended.code, came)  # type: ignore[assignment]
            raise
        except KeyboardInterrupt:  # before typer was there to take it
            sys.exit(stopped_code(CTRL_C, came))  # type: ignore[arg-type]
