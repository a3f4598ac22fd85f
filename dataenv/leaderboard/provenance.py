"""Which code a row was made by."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks.base import Task
from tasks.sandbox.records import RunsPrograms

PACKAGES = ("tasks", "students", "dataenv", "teachers")
VERSIONS = ("dataenv", "torch", "transformers", "gymnasium", "numpy")


def sandbox_of(task: Task) -> dict[str, str]:
    """Where a task runs programs, as a row's ``versions`` hold it; empty for a task that runs none.

    Raises:
        SandboxError: If it runs programs, and this machine has no sandbox.
    """
    return {"sandbox": task.sandbox()} if isinstance(task, RunsPrograms) else {}


def this_code() -> dict[str, Any]:
    """Which code this is: commit, whether it was changed since, and the versions of what it stands on."""
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        try:
            done = subprocess.run(
                ["git", "-C", str(here), *words], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        return done.stdout.strip()

    ours = git(
        "ls-files", "--error-unmatch", Path(__file__).name
    )  # else this is an installation in somebody's repository
    return {
        "commit": (git("rev-parse", "HEAD") if ours else "") or "unknown",
        "dirty": bool(ours and git("status", "--porcelain", *(f":/{name}" for name in PACKAGES))),
        "versions": {name: version(name) for name in VERSIONS},
    }
