"""The flat figures of a step, which ``info`` holds: the same keys at every step, so that vectors can stack them."""

from __future__ import annotations

from typing import Any

from dataenv.budget.purse import Purse
from dataenv.budget.teacher import Cost
from dataenv.environment.exams import Evaluation
from dataenv.lessons.screen import REASONS, Screened
from dataenv.snapshot import Snapshot
from students.base import Trained


def figures(
    snap: Snapshot,
    standing: Evaluation,
    screened: Screened,
    trained: Trained | None,
    price: int,
    purse: Purse,
    teacher: Cost,
) -> dict[str, Any]:
    """What a step came to.

    Args:
        snap: The moment after it.
        standing: How the student stands then.
        screened: What the screen made of the lesson.
        trained: What training reports, where there was any.
        price: Student tokens that were paid.
        purse: Of the episode.
        teacher: What was spent on language models so far.
    """
    came = trained.practice if trained else None
    spent = purse.spent  # read once, for branches may be spending in other threads
    return {
        "step": snap.step,
        "state": snap.state,
        "score": standing.selection.score,
        "offered": screened.offered,
        "kept": len(screened.kept),
        **{f"rejected/{reason}": screened.rejected.get(reason, 0) for reason in REASONS},
        **{f"judged/{v}": screened.judged.get(v, 0) for v in ("right", "wrong", "unknown")},
        "updates": trained.updates if trained else 0,
        "price": price,
        "spent": spent,
        "remaining": purse.open - spent,
        "teacher_tokens": teacher.tokens,
        "money": teacher.money,
        "finishing": snap.finishing > 0 and not snap.ended,
        "groups": came.groups if came else 0,
        "groups/right": came.right if came else 0,
        "groups/wrong": came.wrong if came else 0,
        "grader_errors": standing.grader_errors,
    }
