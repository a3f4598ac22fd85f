"""An episode as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from dataenv.budget.purse import Purse
from dataenv.environment.steps import StepRecord

BAR = 20
SIMULATED = "simulated student"
"""What stands beside figures of one: they say nothing about a real one."""


def ansi(skills: Sequence[str], history: Sequence[StepRecord], purse: Purse) -> str:
    """A table of skills: feedback accuracy as a bar, and as right answers of problems; then score and purse."""
    if not history:
        return "not reset yet"
    now = history[-1]
    width = max(map(len, skills))
    share = now.mixture or (0.0,) * len(skills)
    lines = [f"{'skill':<{width}}  {'feedback':<{BAR}}  {'right':>9}  {'lesson':>6}"]
    for skill, right, n, part in zip(skills, now.feedback.correct, now.feedback.n, share, strict=True):
        bar = "#" * (round(BAR * right / n) if n else 0)
        lines.append(f"{skill:<{width}}  {bar:<{BAR}}  {f'{right}/{n}':>9}  {part:>6.0%}")
    right, n = sum(now.selection.correct), sum(now.selection.n)
    lines.append(
        f"step {now.step}: selection {right}/{n} = {right / max(n, 1):.1%}, reward {now.reward:+.3f}, "
        f"purse {purse.remaining:,} of {purse.total:,} student tokens left"
        + (f", teacher {now.teacher_tokens:,} tokens" if now.teacher_tokens else "")
        + (f" for {now.money:.4f}" if now.money else "")
        + (f", ended: {now.ended}" if now.ended else "")
    )
    return "\n".join(lines)
