"""The keeper of a command: it ends the command, and all that this has started, when its own standard input ends.

Run by its path, with the standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

STOP = 10.0
"""Seconds in which a command must have ended before it is killed."""


def keep(command: Sequence[str]) -> None:
    """Run a command until standard input ends; if it ends by itself, so does this process."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def watch() -> None:
        code = child.wait()
        _end(child)
        os._exit(code & 0xFF)

    threading.Thread(target=watch, daemon=True).start()
    with contextlib.suppress(OSError):
        sys.stdin.buffer.read()
    _end(child)
    os._exit(0)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a command with all of its session: it is asked, and then made to."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP)


if __name__ == "__main__":
    keep(sys.argv[1:])
