"""The command line: ``dataenv leaderboard | plan | validate | compare | rescore | report | run | …``."""

from __future__ import annotations

import os
import sys

from dataenv.cli import boards, episodes, learning, machine, skills
from dataenv.cli.common import app
from dataenv.errors import DataenvError

__all__ = ["app", "boards", "episodes", "learning", "machine", "main", "skills"]
INTERRUPTED = 130


@app.callback()
def _about() -> None:
    """Data generation as teaching: environments whose step fine-tunes a student, and a leaderboard of teachers."""


def main() -> None:
    """Run the command line: one sentence and exit code 2 for what a user can mend, 130 for Ctrl-C."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded: see executors._start_worker
    try:
        app()
    except DataenvError as error:
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
