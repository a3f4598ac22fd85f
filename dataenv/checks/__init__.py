"""``check_task``, ``check_student``, ``check_teacher`` …: the contracts as code, after gymnasium's ``check_env``.

Each rule is a small function; a rule that is broken raises ``ContractError`` with one sentence that says what is wrong
and what mends it. They find what would otherwise show as a wrong figure on a board. There is one for each kind of thing
that has a name in ``dataenv.registry``.
"""

from __future__ import annotations

from dataenv.checks.common import ContractError
from dataenv.checks.engine import check_engine
from dataenv.checks.executor import check_executor
from dataenv.checks.level import check_level
from dataenv.checks.method import check_method
from dataenv.checks.metric import check_metric
from dataenv.checks.probe import check_probe
from dataenv.checks.reference import check_reference
from dataenv.checks.student import check_student
from dataenv.checks.task import check_task
from dataenv.checks.teacher import check_teacher
from dataenv.checks.tracker import check_tracker

__all__ = [
    "ContractError",
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
]
