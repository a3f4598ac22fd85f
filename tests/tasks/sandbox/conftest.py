"""Both sandboxes of this machine, each with four lanes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from tasks.sandbox.choice import COMMANDS, try_out
from tasks.sandbox.local import LocalSandbox
from tasks.sandbox.walls import landlock_command


@pytest.fixture(scope="session", params=list(COMMANDS))
def sandbox(request: pytest.FixtureRequest) -> Iterator[LocalSandbox]:
    """Skipped where the machine has no such sandbox; under CI that is a failure."""
    found, fault = try_out(request.param, width=4)
    if fault is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {request.param} on this machine: {fault}")
    yield found
    found.close()


NO_CAGE = """
import ctypes
LIBC = ctypes.CDLL(None)
PR_SET_DUMPABLE = 4
hide_files = limit = close_system = end_with_parent = lambda *_: None
"""


def without_walls(told: int) -> list[str]:
    """The command of a sandbox that holds nothing: what the battery does there it must be seen to do."""
    command = landlock_command(told)
    if command[-2].endswith("enter.py"):  # as root: without becoming another user
        command = json.loads(command[-1])["command"]
    given = json.loads(command[-1])
    given["modules"]["tasks.sandbox.cage"] = NO_CAGE
    return [*command[:-1], json.dumps(given)]


@pytest.fixture(scope="session")
def no_sandbox() -> Iterator[LocalSandbox]:
    """For programs that do no harm alone: the control of the battery."""
    open_to_all = LocalSandbox("none", without_walls, width=1)
    yield open_to_all
    open_to_all.close()
