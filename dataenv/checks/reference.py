"""``check_reference``: a Setting of its own that depends on the board's alone, and actions like any teacher's."""

from __future__ import annotations

from typing import Any

from dataenv.checks.common import ContractError, class_of, demand, says_what_it_is
from dataenv.checks.teacher import QUICK, check_teacher
from dataenv.environment.env import TeachingEnv
from dataenv.errors import DataenvError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.references import Reference
from dataenv.setting import Setting, make_setting


def check_reference(reference: str | type[Reference], setting: dict[str, Any] | None = None) -> None:
    """Check a reference by two short episodes of equal seed, within the Setting that it plays in.

    Args:
        reference: A registered name, or a class.
        setting: Fields of the Setting of the board.

    Raises:
        ContractError: With the first rule that is broken.
    """
    kind = class_of("reference", reference, Reference)
    says_what_it_is("reference", kind)
    board = make_setting(setting or QUICK)
    try:
        kind.check(board)
    except DataenvError as error:
        raise ContractError(f"check() refuses the Setting that it is checked in ({error}); give another") from error
    within = kind.within(board)
    demand(isinstance(within, Setting), f"within() gives {type(within).__name__}; give a Setting")
    demand(within == kind.within(board), "within() differs between two calls; make it of the board's Setting alone")
    same = (within.task, within.student) == (board.task, board.student)
    demand(same, "within() gives another task or student; a reference is held against teachers on the same two")
    runner = Runner(Store())
    check_teacher(kind(), lambda: TeachingEnv(kind.level, runner=runner, setting=within))
