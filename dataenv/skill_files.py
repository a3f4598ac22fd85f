"""Files of discovered skills and proposed subskills: read once, and put around a task."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from dataenv.errors import SettingError
from dataenv.validation import explain
from tasks.base import Task
from tasks.discovered import Discovered, Discovery
from tasks.proposed import Proposal, Proposed
from tasks.records import Record

R = TypeVar("R", bound=Record)


def read_discovery(path: str) -> Discovery:
    """The skills of a file; read once for each state that it is in.

    Raises:
        SettingError: If there is none, or it holds no discovery.
    """
    return _kept(path, Discovery, "skills", "dataenv discover")


def read_proposal(path: str) -> Proposal:
    """The subskills of a file; see ``read_discovery``."""
    return _kept(path, Proposal, "subskills", "dataenv discover --subskills")


def _kept(path: str, model: type[R], field: str, command: str) -> R:
    try:
        stat = os.stat(path)
        return cast("R", _read(os.path.abspath(path), stat.st_mtime_ns, stat.st_size, model, field, command))
    except OSError as error:
        raise SettingError(
            f"{field} {path!r} cannot be read ({error.strerror}); make the file with `{command}`"
        ) from None


@lru_cache(maxsize=16)
def _read(path: str, modified: int, size: int, model: type[Record], field: str, command: str) -> Record:
    try:
        return model.model_validate_json(Path(path).read_bytes())
    except ValidationError as error:
        said = explain(error, model, quoting=False)
    raise SettingError(f"{field} {path!r} is no {model.__name__.lower()} ({said}); make the file with `{command}`")


def under(task: Task, path: str) -> Task:
    """A task under the discovered skills of a file; one instance a process, as of the task itself.

    Raises:
        SettingError: If the file cannot be used, or its skills are not this task's.
    """
    return _wrapped(task, Discovered, read_discovery, path, "skills")


def divided(task: Task, path: str) -> Task:
    """A task under the proposed subskills of a file; see ``under``."""
    return _wrapped(task, Proposed, read_proposal, path, "subskills")


def _wrapped(task: Task, kind: Callable[..., Task], read: Callable[[str], Any], path: str, field: str) -> Task:
    try:
        return _under(task, kind, read, read(path).digest, path)
    except ValueError as error:
        raise error if isinstance(error, SettingError) else SettingError(f"{field} {path!r}: {error}") from None


@lru_cache(maxsize=8)
def _under(task: Task, kind: Callable[..., Task], read: Callable[[str], Any], name: str, path: str) -> Task:
    return kind(task, read(path))
