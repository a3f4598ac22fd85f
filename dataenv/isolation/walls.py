"""What the process of a teacher can read, and the command that starts it behind the walls of ``tasks.sandbox``."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from dataenv import registry
from dataenv.errors import SettingError
from tasks.sandbox.choice import chosen
from tasks.sandbox.walls import ENVIRONMENT, PROCESSES, Within, as_nobody, interpreter, openings, walled

OURS = Path(__file__).resolve().parents[2]
PACKAGES = ("dataenv", "students", "teachers")
LIBRARIES = ("gymnasium", "numpy", "scipy", "pydantic", "jinja2", "safetensors")
"""Distributions that a teacher may import, with all that they require."""
HANDED_ON = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_CBWR")
"""Variables that decide the bits of sums; they hold nothing of anybody's."""
LENT = {"images": ("denoiser", "sizing", "convolution")}
"""Modules of a task's package that our own code imports, and that make no problem; the package itself is not run."""
_BOOT = """
import importlib, json, os, sys, types
given = json.loads(sys.argv.pop())
sys.path[:] = [p for p in sys.path if p] + given.pop("path")
import tasks
for name, folder in given.pop("bare").items():
    package = sys.modules["tasks." + name] = types.ModuleType("tasks." + name)
    package.__path__ = [folder]
    setattr(tasks, name, package)
from dataenv.episode.inside import serve
serve(**given)
"""


@dataclass(frozen=True)
class TeacherLimits:
    """Of one teacher's process, over all its episodes.

    Attributes:
        cpu: Seconds of computing.
        memory: Bytes of address space.
    """

    cpu: float = 3600.0
    memory: int = 4 << 30


def started_by(name: str, args: Mapping[str, Any], limits: TeacherLimits) -> tuple[list[str], dict[str, str]]:
    """The command of a teacher's process, and its environment.

    Args:
        name: Of the teacher, as registered or ``module:Class``.
        args: Its arguments.
        limits: Of the process.

    Raises:
        SettingError: If its module is not found.
        SandboxError: If this machine has no sandbox that holds.
    """
    where = registry.names("teacher").get(name, name)
    packages = [path.parent for path in _libraries()]
    let_in = [*_ours(), *_libraries(), *_theirs(where), *_files(args)]
    within = Within(interpreter().command, (*interpreter().readable, *dict.fromkeys(let_in)), interpreter().hidden)
    kind = chosen().name
    places = [str(path) for path in dict.fromkeys((OURS, *packages, *_roots(where)))]
    given = {"path": places, "name": name, "where": where, "args": dict(args), "cpu": limits.cpu}
    given["bare"] = {family: str(OURS / "tasks" / family) for family in LENT}
    given |= {"memory": limits.memory, "readable": [], "listed": [], "processes": PROCESSES, "parent": 0}
    if kind == "landlock":
        readable, listed = openings(within)
        given |= {"readable": readable, "listed": [*listed, *filter(os.path.isdir, places)], "processes": 0}
        given["parent"] = os.getpid()
    python = [str(within.command), "-s", "-S", "-P", "-B", "-X", "utf8", "-c", _BOOT, json.dumps(given)]
    command = python if kind == "landlock" else walled(python, _uncovered(within), "--die-with-parent")
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    kept = {key: os.environ[key] for key in HANDED_ON if key in os.environ}
    return as_nobody(command, within), ENVIRONMENT | threads | kept


def _uncovered(within: Within) -> Within:
    """The same file by file, where something is let in from a folder that is hidden: an empty one would cover it."""
    beneath = any(path.is_relative_to(folder) for path in within.readable for folder in within.hidden)
    if not beneath:
        return within
    python = interpreter()
    let_in = [path for path in within.readable if path not in python.readable]
    return Within(within.command, (*map(Path, openings(python)[0]), *let_in), ())


def _ours() -> Iterator[Path]:
    """Our own code, without the tasks: the module of a task can make its sealed problems."""
    yield from (OURS / name for name in PACKAGES)
    where = [place.partition(":")[0].split(".") for place in registry.TASKS.values()]
    families = {parts[1] for parts in where if parts[0] == "tasks"}
    yield from (OURS / "tasks" / family / f"{name}.py" for family, names in LENT.items() for name in names)
    for path in sorted((OURS / "tasks").iterdir()):
        if path.stem not in families and path.name != "__pycache__":
            yield path


@cache
def _libraries() -> tuple[Path, ...]:
    return tuple(path for name in _required(LIBRARIES) for path in _of(name))


def _required(names: tuple[str, ...]) -> list[str]:
    """Distributions with all that they require here."""
    found: dict[str, None] = {}
    rest = list(names)
    while rest:
        name = rest.pop()
        if name in found:
            continue
        try:
            wanted = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found[name] = None
        rest += [re.split(r"[^A-Za-z0-9._-]", text)[0] for text in wanted if "extra ==" not in text]
    return list(found)


def _of(distribution: str) -> Iterator[Path]:
    """Files and folders at the top of a distribution."""
    dist = metadata.distribution(distribution)
    tops = {file.parts[0] for file in dist.files or () if file.parts[0] not in ("..", "__pycache__")}
    yield from (path for top in sorted(tops) if (path := Path(str(dist.locate_file(top)))).exists())


def require_found(name: str) -> None:
    """Refuse a teacher whose module is not there any more, before anything of its board is played.

    Raises:
        SettingError: If its module is not found.
    """
    importlib.invalidate_caches()
    next(_theirs(registry.names("teacher").get(name, name)), None)


def _theirs(where: str) -> Iterator[Path]:
    """The module or package of a teacher, and what its distribution requires."""
    top = where.partition(":")[0].split(".")[0]
    if top in PACKAGES or top == "tasks":
        return
    spec = importlib.util.find_spec(top)
    if spec is None or not (spec.origin or spec.submodule_search_locations):
        raise SettingError(f"module {top!r} of teacher {where!r} is not found; start in its folder, or install it")
    yield from map(Path, spec.submodule_search_locations or [spec.origin or ""])
    for name in metadata.packages_distributions().get(top, ()):
        yield from (path for one in _required((name,)) for path in _of(one))


def _roots(where: str) -> Iterator[Path]:
    """The folder from which a teacher's module is imported."""
    yield from (path.parent for path in list(_theirs(where))[:1])


def _files(value: Any) -> Iterator[Path]:
    """Files that a teacher's arguments name: whoever wrote them let it read these."""
    if isinstance(value, Mapping | list | tuple):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _files(one)
    elif isinstance(value, str) and 0 < len(value) < 4096 and "\0" not in value and Path(value).is_file():
        yield Path(value).resolve()
