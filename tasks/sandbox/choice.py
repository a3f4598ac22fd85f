"""Which sandbox is in force on this machine: the first one that passes a self-test, and none where none does."""

from __future__ import annotations

import atexit
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from tasks.sandbox.local import LocalSandbox
from tasks.sandbox.records import Program, ProgramLimits, Sandbox, SandboxError
from tasks.sandbox.walls import bubblewrap_command, landlock_command

COMMANDS: dict[str, Callable[[int], list[str]]] = {"bubblewrap": bubblewrap_command, "landlock": landlock_command}
"""From the better to the other one."""
_LOCK = threading.RLock()
_CHOSEN: list[LocalSandbox] = []
_FAULTS: dict[str, str] = {}
MEND = (
    "install bubblewrap (Debian, Ubuntu: apt-get install bubblewrap) and allow user namespaces, or use a kernel with "
    "Landlock; see docs/sandbox.md"
)
_HONEST = "def f(n):\n    return [i * i for i in range(n)]"
_TRIES = {
    "reads a file of ours": "def f(path):\n    return open(path).read()",
    "writes a file": "def f(path):\n    open(path + '.new', 'w').write('x')\n    return 'written'",
    "begins a process": "import os\ndef f(path):\n    pid = os.fork()\n    pid or os._exit(0)\n    return 'begun'",
    "makes a socket": "import socket\ndef f(path):\n    socket.socket()\n    return 'made'",
    "signals its parent": "import os\ndef f(path):\n    os.kill(os.getppid(), 0)\n    return 'signalled'",
}
_ENDLESS = "def f(path):\n    while True:\n        pass"


def self_test(sandbox: Sandbox) -> str | None:
    """What a sandbox lets through, or how it fails; ``None`` where it holds.

    One program is honest, one never ends, and the others say whether they did what they must not.
    """
    with tempfile.TemporaryDirectory(prefix="dataenv-sandbox-") as folder:
        os.chmod(folder, 0o777)  # so nothing but the sandbox keeps a program out
        secret = Path(folder) / "secret"
        secret.write_text("secret")
        secret.chmod(0o666)
        programs = [Program(_HONEST, "f", [(4,)]), Program(_ENDLESS, "f", [(str(secret),)])]
        programs += [Program(code, "f", [(str(secret),)]) for code in _TRIES.values()]
        honest, endless, *tries = sandbox.run(programs, ProgramLimits(cpu=0.2))
    if honest.values != ([0, 1, 4, 9],):
        return honest.detail or f"an honest program fails ({honest.reason})"
    if endless.reason not in ("cpu", "wall"):
        return f"a program without end is not stopped ({endless.reason})"
    for what, found in zip(_TRIES, tries, strict=True):
        if found.reason is not None or getattr(found.values[0], "reason", None) != "raised":
            return f"a program {what}"
    return None


def chosen() -> Sandbox:
    """The sandbox in force, tested once a process.

    Raises:
        SandboxError: If none holds; the sentence says what to do.
    """
    with _LOCK:
        for name in COMMANDS if not _CHOSEN else ():
            sandbox, fault = try_out(name, None)
            if fault is None:
                _CHOSEN.append(sandbox)
                break
            _FAULTS[name] = fault
        if not _CHOSEN:
            why = "; ".join(f"{name}: {fault}" for name, fault in _FAULTS.items())
            raise SandboxError(f"no sandbox holds on this machine ({why}), so no program is run; {MEND}")
        return _CHOSEN[0]


def try_out(name: str, width: int | None) -> tuple[LocalSandbox, str | None]:
    """A sandbox of this machine, and why it does not hold; ``None`` where it does.

    Args:
        name: One of ``COMMANDS``.
        width: See ``LocalSandbox``; ``None`` for its default.
    """
    sandbox = LocalSandbox(name, COMMANDS[name], width)
    fault = self_test(sandbox) if sys.platform == "linux" else "it needs Linux"
    if fault is not None:
        sandbox.close()
    return sandbox, fault


def in_force() -> str:
    """The sandbox in force and its Python, as a row records them.

    Raises:
        SandboxError: If there is none.
    """
    return f"{chosen().name}, Python {'.'.join(map(str, sys.version_info[:3]))}"


def report() -> str:
    """One line for ``dataenv doctor``: which sandbox is in force, and how to get a better one."""
    try:
        found = in_force()
    except SandboxError as error:
        return f"none; only tasks that run programs need one: {error}"
    worse = "; ".join(f"{name} is better, but {fault}" for name, fault in _FAULTS.items())
    return f"{found} ({worse}: {MEND})" if worse else found


def _forget() -> None:
    global _LOCK
    _LOCK = threading.RLock()
    _CHOSEN.clear()


def _close() -> None:
    for sandbox in _CHOSEN:
        sandbox.close()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
