"""Boards that say nothing, and why: nobody answered anything right, or the student that was selected is untaught."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dataenv.leaderboard.format import visible
from dataenv.leaderboard.rows import Mistake, Row

EXAMPLES, TEXT = 3, 80
"""Mistakes that are shown, and characters of each text."""


def nobody_right(board: Sequence[Row]) -> bool:
    """Whether there are test exams, and no answer in any of them is right."""
    exams = [row.test for row in board if row.test is not None]
    return bool(exams) and not any(sum(exam.by_skill) for exam in exams)


def why_nobody(board: Sequence[Row]) -> list[str]:
    """What is said of a board on which nobody answered anything right: the counts, what may be the cause, mistakes."""
    exams = [row.test for row in board if row.test is not None]
    n = sum(len(exam.correct) for exam in exams)
    said = [f"Nobody answered any test problem right (0 of {n:,} answers), so this board says nothing of its teachers."]
    lenient = [exam.lenient for exam in exams if exam.lenient is not None]
    if lenient:
        forgiven = sum(bits.count("1") for bits in lenient)
        advice = "look at the form of the answers" if forgiven else "the form is not what they lack"
        said.append(f"If only the form is forgiven, {forgiven:,} of {sum(map(len, lenient)):,} are right: {advice}.")
    mistakes = _last_mistakes(board)
    said += _of_length(board[0].setting, mistakes)
    for mistake in mistakes[:EXAMPLES]:
        asked, answered, right = (
            repr(visible(text, TEXT)) for text in (mistake.prompt, mistake.response, mistake.answer)
        )
        said.append(f"Asked {asked}, a student answered {answered}; right is {right}.")
    said.append(
        "Give students more to learn from (a larger budget or rate, more updates, a longer warm start) or easier "
        "problems; `dataenv validate` looks at the checker and at the room for answers."
    )
    return said


def _last_mistakes(board: Sequence[Row]) -> list[Mistake]:
    """One mistake a run, of its latest step, and of a problem that no other shows, if there is one."""
    found: dict[str, Mistake] = {}
    for row in board:
        latest = [mistake for mistake in row.mistakes if mistake.step == max(m.step for m in row.mistakes)]
        fresh = next((mistake for mistake in latest if mistake.prompt not in found), None)
        if fresh is not None:
            found[fresh.prompt] = fresh
    return list(found.values())


def _of_length(setting: Mapping[str, Any], mistakes: Sequence[Mistake]) -> list[str]:
    """How much room there was for answers, beside how long they are and should be."""
    decoding = setting.get("decoding")
    room = decoding.get("max_tokens") if isinstance(decoding, Mapping) else None
    if not mistakes or not isinstance(room, int):
        return []
    gold, given = (max(map(len, texts)) for texts in zip(*((m.answer, m.response) for m in mistakes), strict=True))
    cut = given < gold and gold > room
    return [
        f"An answer ends after {room} tokens at the latest (setting.decoding.max_tokens); right answers have up to "
        f"{gold:,} characters here, and those of the students {given:,}"
        + (": there may be too little room, so give more." if cut else ".")
    ]


def untaught_selected(board: Sequence[Row]) -> dict[str, list[int]]:
    """By teacher the seeds on which the selected student is the untaught one, though it was taught something."""
    found: dict[str, list[int]] = {}
    for row in board:
        if not row.failed and row.selected == 0 and any(step.lesson for step in row.steps):
            found.setdefault(row.teacher, []).append(row.seed)
    return found


def untaught_sentences(board: Sequence[Row]) -> list[str]:
    """A sentence for each teacher whose selected student is the untaught one on some seeds."""
    said = []
    for teacher, seeds in untaught_selected(board).items():
        ran = sum(row.teacher == teacher for row in board)
        numbers = ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(map(str, sorted(seeds)))
        said.append(
            f"{teacher}: on {len(seeds)} of {ran} seeds ({numbers}) no lesson made the "
            "student better on the selection exam, so the untaught student was selected, and its score is shown."
        )
    return said
