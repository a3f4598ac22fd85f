"""``check_task``, ``check_student``, ``check_teacher``: the three contracts as code, after gymnasium's ``check_env``.

Each rule is a small function; a rule that is broken raises ``ContractError`` with one sentence that says what is wrong
and what mends it. They find what would otherwise show as a wrong figure on a board.
"""

from __future__ import annotations

from dataenv.checks.common import ContractError
from dataenv.checks.engine import check_engine
from dataenv.checks.student import check_student
from dataenv.checks.task import check_task
from dataenv.checks.teacher import check_teacher

__all__ = ["ContractError", "check_engine", "check_student", "check_task", "check_teacher"]
