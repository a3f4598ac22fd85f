"""Executors run Jobs: in this process, in worker processes, or on Ray. JSON goes in; JSON and a blob come out.

Which class a kind is, ``dataenv.registry`` says. One from outside is a class with ``from_spec`` and one name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dataenv import registry
from dataenv.errors import SettingError, did_you_mean
from dataenv.execution.executors.base import cores
from dataenv.execution.executors.local import Processes
from dataenv.execution.inline import Executor, Inline, WorkerLostError
from dataenv.execution.spec import ExecutorSpec
from dataenv.validation import explain

__all__ = ["Executor", "ExecutorSpec", "Inline", "Processes", "WorkerLostError", "cores", "make_executor", "read_spec"]
MEMBERS = ("submit", "close", "width")
"""What an executor has."""


def read_spec(given: str | Mapping[str, Any] | ExecutorSpec) -> ExecutorSpec:
    """An ExecutorSpec from a name (``inline``, ``processes``, ``ray`` …), from ``name:N`` with workers, or its fields.

    Raises:
        SettingError: With the field that is wrong.
    """
    if isinstance(given, ExecutorSpec):
        return given
    if isinstance(given, str):
        given = _fields_of(given)
    try:
        return ExecutorSpec.model_validate(dict(given))
    except ValidationError as error:
        raise SettingError(f"executor: {explain(error, ExecutorSpec)}") from None


def _fields_of(given: str) -> dict[str, Any]:
    """Kind and workers out of ``processes:2``; the kind may be ``module:Class``."""
    known = registry.names("executor")
    kind, colon, count = given.partition(":")
    if kind not in known:
        try:
            registry.must_know("executor", given)
        except SettingError:
            raise SettingError(f"executor is {given!r}; {did_you_mean(kind, known)}") from None
        return {"kind": given}
    if colon and (kind == "inline" or not (count.isdecimal() and 1 <= int(count) <= 1024)):
        raise SettingError(
            f"executor is {given!r}; give one of {', '.join(known)}, all but 'inline' with a number of workers from 1 "
            "to 1024 if you like, such as 'processes:2'"
        )
    return {"kind": kind, "workers": int(count or 0)}


def make_executor(given: str | Mapping[str, Any] | ExecutorSpec) -> Executor:
    """The executor of a spec; see ``read_spec``.

    Raises:
        SettingError: If the spec is wrong, asks for what is not there, or its kind is no executor.
    """
    spec = read_spec(given)
    found = registry.find("executor", spec.kind)
    if not callable(getattr(found, "from_spec", None)):
        raise SettingError(f"executor {spec.kind!r} has no from_spec(spec); add that classmethod, see Executor")
    executor = found.from_spec(spec)
    lacking = [name for name in MEMBERS if not hasattr(executor, name)]
    if lacking:
        raise SettingError(f"executor {spec.kind!r} has no {lacking[0]}; add it, see dataenv.executors.Executor")
    made: Executor = executor
    return made
