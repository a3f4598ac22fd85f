"""Hostile programs, and cheats: each a text, and how it is seen from outside that one got through.

Where a program cannot be seen from outside, it says itself that it got through: it returns ``DONE`` and nothing else
does. The programs are ours, so they say the truth.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DONE, SECRET, NAME = "got through", "the-secret-4711", "DATAENV_TEST_SECRET"
HEAD = "import ctypes, os, signal, socket, sys, threading, time, resource, fcntl\nDONE = 'got through'\n"


def _function(body: str) -> str:
    return HEAD + "def f(w):\n" + "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))


_BODIES = {
    "fork bomb": "for _ in range(300):\n    if os.fork() == 0:\n        time.sleep(60); os._exit(0)\nreturn DONE",
    "endless loop": "while True: pass",
    "sleep that ignores SIGTERM": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(60)",
    "memory": "x = bytearray(3 << 30)\nreturn DONE",
    "memory of forks": """
for _ in range(6):
    if os.fork() == 0:
        x = bytearray(300 << 20); time.sleep(60); os._exit(0)
return DONE""",
    "disk": """
for place in (w['open'], '/tmp', '/dev/shm', '/var/tmp', '/', '.'):
    try:
        with open(place + '/bomb', 'wb') as file:
            for _ in range(512): file.write(bytes(1 << 20))
        return DONE
    except OSError: pass""",
    "reads the passwd file": "return DONE + open('/etc/passwd').read()",
    "reads a secret file": "return open(w['secret']).read()",
    "scans /proc/*/environ": """
found = b''
for name in os.listdir('/proc'):
    try: found += open(f'/proc/{name}/environ', 'rb').read()
    except OSError: pass
return DONE if w['word'].encode() in found else None""",
    "reads os.environ": "return DONE if os.environ.get('DATAENV_TEST_SECRET') else None",
    "writes outside": "open(w['open'] + '/written', 'w').write('x')\nreturn DONE",
    "writes into /tmp": "open('/tmp/' + w['name'], 'w').write('x')\nreturn DONE",
    "TCP": "socket.create_connection(('127.0.0.1', w['tcp']), 2)\nreturn DONE",
    "UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', w['udp']))\nreturn DONE",
    "abstract unix socket": "s = socket.socket(socket.AF_UNIX)\ns.connect('\\0' + w['name'])\nreturn DONE",
    "kills a process": "os.kill(w['victim'], 9)\nreturn DONE",
    "kills its parent": "os.kill(os.getppid(), 9)\nreturn DONE",
    "200 MiB of output": """
for _ in range(200):
    for file in range(3, 20):
        try: os.write(file, b'x' * (1 << 20))
        except OSError: pass
return DONE""",
    "symlink": "os.symlink(w['secret'], w['open'] + '/link')\nreturn DONE",
    "writes through a symlink": "open(w['through'], 'w').write('x')\nreturn DONE",
    "ptrace": "return DONE if ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0 else None",
    "unshare": "return DONE if ctypes.CDLL(None).unshare(0x10020000) == 0 else None",
    "daemon": "if os.fork() == 0:\n    os.setsid(); os.fork(); time.sleep(60); os._exit(0)\nreturn DONE",
    # and what this sandbox in particular must hold against
    "exec": "os.execv('/bin/sh', ['sh', '-c', 'touch ' + w['open'] + '/executed'])",
    "threads": "for _ in range(300): threading.Thread(target=time.sleep, args=(60,)).start()\nreturn DONE",
    "clone without a library": "return DONE if ctypes.CDLL(None).syscall(56, 17, 0, 0, 0, 0) >= 0 else None",
    "limits of its parent": "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))\nreturn DONE",
    "limits of its own": "resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))\nreturn DONE",
    "signals by a pipe": """
r, _ = os.pipe()
fcntl.fcntl(r, fcntl.F_SETOWN, os.getppid())
return DONE""",
    "spoils a shared pipe": """
for file in range(3, 64):
    try: os.set_blocking(file, False); return DONE
    except OSError: pass""",
    "kills all": "os.kill(-1, 9)\nreturn DONE",
    "looks into its parent": "open(f'/proc/{os.getppid()}/mem', 'rb+').read(1)\nreturn DONE",
    "installed packages": "open(w['package']).read()\nreturn DONE",
}
HOSTILE = {name: _function(body) for name, body in _BODIES.items()}

_RIGHT = "def f(a, b): return a + b"
_WRONG = "def f(a, b): return a - b"
CHEATS = {
    "sys.exit": "import sys; sys.exit(0)",
    "os._exit": "import os; os._exit(0)",
    "posix._exit": "import posix\ndef f(a, b): posix._exit(0)",
    "_exit of the library": "import ctypes\ndef f(a, b): ctypes.CDLL(None)._exit(0)",
    "reloads os": "import os, importlib\nimportlib.reload(os)\ndef f(a, b): os._exit(0)",
    "atexit": "import atexit, os\natexit.register(lambda: os._exit(0))\n" + _WRONG,
    "excepthook": "import sys, os\nsys.excepthook = lambda *_: os._exit(0)\ndef f(a, b): raise ValueError",
    "equal to everything": "class E:\n    __eq__ = lambda *_: True\n    __hash__ = None\ndef f(a, b): return E()",
    "an int equal to everything": "class E(int):\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__\n"
    "def f(a, b): return E()",
    "a list of such": "class E(float):\n    def __eq__(self, o): return True\ndef f(a, b): return [E()]",
    "frames": """
import sys
def f(a, b):
    frame = sys._getframe()
    while frame:
        for scope in (frame.f_locals, frame.f_globals):
            for name in ('expected', 'answer', 'result', 'results', 'gold'):
                if name in scope: return scope[name]
        frame = frame.f_back""",
    "garbage": """
import gc
def f(a, b):
    for thing in gc.get_objects():
        if isinstance(thing, dict) and 'expected' in thing: return thing['expected']""",
    "files": """
import os
def f(a, b):
    for top, _, names in os.walk('/'):
        for name in names:
            if name == 'expected-4711':
                return eval(open(os.path.join(top, name)).read())[a, b]""",
    "other encoder": """
import tasks.sandbox.encoding as e, tasks.sandbox.inside as i, json
i.encode = e.encode = lambda *_, **__: 'right'
json.dumps = lambda *_, **__: '["value", true]'
""" + _WRONG,
    "other built-ins": """
import builtins
builtins.type = lambda *_: int
builtins.isinstance = lambda *_: True
""" + _WRONG,
    "own lines": """
import os
for file in range(3, 64):
    try: os.write(file, b'["value", 0]\\n' * 3)
    except OSError: pass
os._exit(0)""",
    "says passed": "print('passed'); print('OK'); raise SystemExit(0)",
    "more lines than asked": """
import os
def f(a, b):
    for file in range(3, 64):
        try: os.write(file, b'["value", null]\\n')
        except OSError: pass
    return a + b""",
}  # fmt: skip
HONEST, WRONG = _RIGHT, _WRONG


class World:
    """What hostile programs would like to reach, and what became of it.

    Attributes:
        given: What each program is told, so that it need not search.
    """

    def __init__(self, folder: Path, package: Path) -> None:
        self.folder, self.package = folder, package

    @contextmanager
    def open(self) -> Iterator[World]:
        """Listeners, a victim and files, all of them open to every user of this machine."""
        os.chmod(self.folder, 0o777)
        self.secret, self.aim = self.folder / "secret", self.folder / "aim"
        self.secret.write_text(SECRET)
        self.aim.write_text("as it was")
        (self.folder / "through").symlink_to(self.aim)
        for file in (self.secret, self.aim):
            file.chmod(0o666)
        self.name = f"dataenv-battery-{os.getpid()}"
        with (
            socket.socket() as tcp,
            socket.socket(type=socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_UNIX) as unix,
        ):
            tcp.bind(("127.0.0.1", 0))
            udp.bind(("127.0.0.1", 0))
            unix.bind("\0" + self.name)
            for listener in (tcp, unix):
                listener.listen()
            self.listeners = (tcp, udp, unix)
            self.victim = subprocess.Popen(["sleep", "600"], env={NAME: SECRET, "PATH": os.environ["PATH"]})
            try:
                yield self
            finally:
                self.victim.kill()
                self.victim.wait()

    @property
    def given(self) -> dict[str, Any]:
        tcp, udp, _ = self.listeners
        return {
            "open": str(self.folder), "secret": str(self.secret), "through": str(self.folder / "through"),
            "name": self.name, "word": SECRET, "tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1],
            "victim": self.victim.pid, "package": str(self.package),
        }  # fmt: skip

    def effects(self) -> list[str]:
        """What is not as it was."""
        found = sorted({file.name for file in self.folder.iterdir()} - {"secret", "aim", "through"})
        if self.aim.read_text() != "as it was" or self.secret.read_text() != SECRET:
            found.append("a file was changed")
        if self.victim.poll() is not None:
            found.append("the victim was killed")
        if Path("/tmp", self.name).exists():
            found.append("a file in /tmp")
        for listener in self.listeners:
            listener.setblocking(False)
            try:
                found.append(f"{listener.recv(1) if listener.type == socket.SOCK_DGRAM else listener.accept()} came")
            except BlockingIOError:
                continue
        return found
