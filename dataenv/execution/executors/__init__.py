"""Executors run Jobs: in this process, in worker processes, or on Ray. JSON goes in; JSON and a blob come out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dataenv.errors import SettingError
from dataenv.execution.executors.base import ExecutorSpec, cores
from dataenv.execution.executors.local import Processes
from dataenv.execution.executors.worker import Limits
from dataenv.execution.inline import Executor, Inline, WorkerLostError
from dataenv.validation import explain

__all__ = ["Executor", "ExecutorSpec", "Inline", "Processes", "WorkerLostError", "cores", "make_executor", "read_spec"]


def read_spec(given: str | Mapping[str, Any] | ExecutorSpec) -> ExecutorSpec:
    """An ExecutorSpec from ``inline``, ``processes``, ``processes:N``, ``ray``, ``ray:N``, or from its fields.

    Raises:
        SettingError: With the field that is wrong.
    """
    if isinstance(given, ExecutorSpec):
        return given
    if isinstance(given, str):
        kind, _, count = given.partition(":")
        known = kind in ("processes", "ray") or given == "inline"
        if not known or (":" in given and not (count.isdecimal() and 1 <= int(count) <= 1024)):
            raise SettingError(
                f"executor is {given!r}; give 'inline', 'processes' or 'ray', the last two with a number of workers "
                "from 1 to 1024 if you like, such as 'processes:2'"
            )
        given = {"kind": kind, "workers": int(count or 0)}
    try:
        return ExecutorSpec.model_validate(dict(given))
    except ValidationError as error:
        raise SettingError(f"executor: {explain(error, ExecutorSpec)}") from None


def make_executor(given: str | Mapping[str, Any] | ExecutorSpec) -> Executor:
    """The executor of a spec; see ``read_spec``.

    Raises:
        SettingError: If the spec is wrong, or asks for what is not there.
    """
    spec = read_spec(given)
    if spec.kind == "inline":
        return Inline()
    if spec.kind == "processes":
        return Processes(spec.workers or cores(), Limits(threads=spec.threads, deadline=spec.deadline))
    from dataenv.execution.executors.ray_tasks import RayTasks

    return RayTasks(spec)
