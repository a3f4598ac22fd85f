"""The commands that start a sandbox of this machine: with bubblewrap, or with Landlock and no namespaces."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tasks.sandbox.records import SandboxError

NOBODY = 65534
PROCESSES = 8
"""In bubblewrap's user namespace: its own, the one that forks, and the program; the filter allows no other."""
ENVIRONMENT = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
SHIPPED = ("frames", "encoding", "cage", "inside")
"""Modules that run within the wall, in the order in which they need one another."""
_HERE = Path(__file__).parent
_BOOT = """
import json, sys, types
given = json.loads(sys.argv.pop())
for name, source in given.pop("modules").items():
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = []
    parent, _, leaf = name.rpartition(".")
    setattr(sys.modules[parent or name], leaf, module)
    exec(compile(source, name, "exec"), module.__dict__)
sys.modules["tasks.sandbox.inside"].serve(**given)
"""


@dataclass(frozen=True)
class Within:
    """What can be read within a wall.

    Attributes:
        command: The interpreter.
        readable: It, its standard library, the folders of the libraries that it loads, and what else is let in.
        hidden: Folders beneath ``readable`` that are not.
    """

    command: Path
    readable: tuple[Path, ...]
    hidden: tuple[Path, ...]


@cache
def interpreter() -> Within:
    """This process's interpreter, without the packages installed for it: data of benchmarks is among those."""
    command = Path(sys.executable).resolve()
    ask = "import os; print(os.__file__); print(open('/proc/self/maps').read())"
    found = subprocess.run([command, "-I", "-S", "-c", ask], capture_output=True, text=True, check=True, timeout=60)
    library, _, maps = found.stdout.partition("\n")
    loaded = {Path(line[line.index("/") :]).resolve().parent for line in maps.splitlines() if ".so" in line}
    folders = sorted({Path(library).resolve().parent} | loaded)
    folders = [f for f in folders if not any(f != other and f.is_relative_to(other) for other in folders)]
    packages = [p for f in folders for depth in ("", "python*/") for p in f.glob(f"{depth}*-packages") if p.is_dir()]
    loaders = [p.parent.resolve() / p.name for p in Path("/").glob("lib*/ld-*.so*")]  # the kernel asks for it by name
    return Within(command, (command, *folders, *dict.fromkeys(loaders)), tuple(packages))


def _without(path: Path, hidden: Sequence[Path]) -> list[Path]:
    """A folder, or where something in it is hidden all else that it holds."""
    beneath = [other for other in hidden if other.is_relative_to(path)]
    if not beneath:
        return [path]
    return [found for child in sorted(path.iterdir()) if child not in hidden for found in _without(child, beneath)]


def landlock_command(told: int) -> list[str]:
    """The command of a sandbox made of Landlock, seccomp and limits.

    Args:
        told: The descriptor that it writes endings to.
    """
    python = interpreter()
    return as_nobody(_serve(python, told, *openings(python), 0), python)


def openings(within: Within) -> tuple[list[str], list[str]]:
    """What ``cage.hide_files`` is given: the files and folders that can be read, and the folders that can be listed."""
    readable = [str(found) for path in within.readable for found in _without(path, within.hidden)]
    above = {folder for path in within.hidden for folder in path.parents}
    return readable, [str(f) for f in sorted(above) if any(f.is_relative_to(path) for path in within.readable)]


def bubblewrap_command(told: int) -> list[str]:
    """The command of a sandbox made of bubblewrap's namespaces, seccomp and limits.

    Args:
        told: The descriptor that it writes endings to.

    Raises:
        SandboxError: If bubblewrap is not installed.
    """
    python = interpreter()
    return as_nobody(walled(_serve(python, told, [], [], PROCESSES), python), python)


def walled(command: Sequence[str], within: Within, *options: str) -> list[str]:
    """A command within bubblewrap's namespaces.

    Args:
        command: Run there.
        within: The files that it finds.
        options: More of bubblewrap's own.

    Raises:
        SandboxError: If bubblewrap is not installed.
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise SandboxError("bubblewrap is not installed; on Debian and Ubuntu: apt-get install bubblewrap")
    user = ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY), "--cap-drop", "ALL"]
    once = ["--disable-userns"] if "--disable-userns" in _help(bwrap) else []
    files = [word for path in within.readable for word in ("--ro-bind", str(path), str(path))]
    links = [
        word for link in ("/lib", "/lib64") if os.path.islink(link) for word in ("--symlink", os.readlink(link), link)
    ]
    covers = [word for path in within.hidden for word in ("--tmpfs", str(path), "--remount-ro", str(path))]
    null = ["--dev-bind", "/dev/null", "/dev/null", "--remount-ro", "/", "--chdir", "/"]
    wall = [bwrap, "--unshare-all", "--new-session", *user, *once, *files, *links, *covers, *null, *options]
    return [*wall, "--", *command]


@cache
def _help(bwrap: str) -> str:
    return subprocess.run([bwrap, "--help"], capture_output=True, text=True, timeout=60).stdout


def _serve(python: Within, told: int, readable: list[str], listed: list[str], processes: int) -> list[str]:
    """The interpreter, and as an argument all that it runs: within the wall there is no file of ours."""
    ours = {f"tasks.sandbox.{name}": (_HERE / f"{name}.py").read_text("utf-8") for name in SHIPPED}
    modules = {"tasks": "", "tasks.sandbox": ""} | ours
    given = {"modules": modules, "told": told, "readable": readable, "listed": listed, "processes": processes}
    return [str(python.command), "-s", "-S", "-P", "-B", "-X", "utf8", "-c", _BOOT, json.dumps(given)]


def as_nobody(command: list[str], within: Within) -> list[str]:
    """The command, run by a user who is not root, and who can read what is within."""
    if os.getuid() != 0:
        return command
    paths = within.readable
    closed = {path: _first_closed(path) for path in paths}
    covered = sorted({str(folder) for folder in closed.values() if folder})
    kept = [str(path) for path in paths if closed[path]]
    given = {"covered": covered, "kept": kept, "uid": NOBODY, "command": command}
    return [sys.executable, "-I", "-S", str(_HERE / "enter.py"), json.dumps(given)]


def _first_closed(path: Path) -> Path | None:
    """The outermost folder above a path that other users cannot enter."""
    above = [folder for folder in reversed(path.parents) if not folder.stat().st_mode & 1]
    return above[0] if above else None
