"""dataenv: Gymnasium environments whose step fine-tunes a student, for teachers that make its training data."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import gymnasium

from dataenv import _house
from dataenv.registry import LEVEL_IDS

if TYPE_CHECKING:
    from dataenv.checks import (
        check_engine,
        check_executor,
        check_level,
        check_method,
        check_metric,
        check_probe,
        check_reference,
        check_student,
        check_task,
        check_teacher,
        check_tracker,
    )
    from dataenv.environment.branch import fork
    from dataenv.environment.env import TeachingEnv
    from dataenv.episode.context import Context
    from dataenv.episode.loop import Episode, run
    from dataenv.episode.teacher import Transition, as_teacher
    from dataenv.errors import (
        ActionError,
        BudgetSpentError,
        DataenvError,
        JobFailedError,
        RefusedError,
        SettingError,
        SnapshotError,
        StoreError,
    )
    from dataenv.registry import register
    from dataenv.setting import Setting
    from dataenv.snapshot import Snapshot
    from dataenv.wrappers.mask import Mask
    from dataenv.wrappers.numeric import numeric
    from tasks.records import Example, Grade, Problem

_house.check()

__all__ = [
    "ActionError",
    "BudgetSpentError",
    "Context",
    "DataenvError",
    "Episode",
    "Example",
    "Grade",
    "JobFailedError",
    "Mask",
    "Problem",
    "RefusedError",
    "Setting",
    "SettingError",
    "Snapshot",
    "SnapshotError",
    "StoreError",
    "TeachingEnv",
    "Transition",
    "__version__",
    "as_teacher",
    "check_engine",
    "check_executor",
    "check_level",
    "check_method",
    "check_metric",
    "check_probe",
    "check_reference",
    "check_student",
    "check_task",
    "check_teacher",
    "check_tracker",
    "fork",
    "numeric",
    "register",
    "run",
]
_MODULES = {
    "dataenv.checks": (
        "check_engine check_executor check_level check_method check_metric check_probe check_reference check_student "
        "check_task check_teacher check_tracker"
    ),
    "dataenv.environment.branch": "fork",
    "dataenv.environment.env": "TeachingEnv",
    "dataenv.episode.context": "Context",
    "dataenv.episode.loop": "Episode run",
    "dataenv.episode.teacher": "Transition as_teacher",
    "dataenv.errors": (
        "ActionError BudgetSpentError DataenvError JobFailedError RefusedError SettingError SnapshotError StoreError"
    ),
    "dataenv.registry": "register",
    "dataenv.setting": "Setting",
    "dataenv.snapshot": "Snapshot",
    "dataenv.wrappers.mask": "Mask",
    "dataenv.wrappers.numeric": "numeric",
    "tasks.records": "Example Grade Problem",
}
_LAZY = {name: module for module, listed in _MODULES.items() for name in listed.split()}
__version__ = "0.1.0"

for _level, _id in LEVEL_IDS.items():
    gymnasium.register(
        id=_id,
        entry_point="dataenv.environment.env:TeachingEnv",
        vector_entry_point="dataenv.vector.vector_env:TeachingVectorEnv",
        kwargs={"level": _level},
    )
gymnasium.register(
    id="dataenv/Simulated-v0",
    entry_point="dataenv.environment.env:TeachingEnv",
    vector_entry_point="dataenv.vector.simulated:SimulatedVectorEnv",
    kwargs={"level": "skill-list", "student": "simulated"},
)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing this package stays quick."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'dataenv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
