r"""Published forms of a benchmark: which columns they have, and where in a worked answer the final one stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.jsonl.reading import Raw

BOX = "\\boxed"
NEARLY_ALL = 0.9
"""Share of the solutions with a box, from which on a row without one is a slip."""
CODE = "code"
"""In place of a checker: the answer is right where the tests of its row pass (``tasks.code``)."""


@dataclass(frozen=True)
class PublishedFormat:
    r"""A published form.

    Attributes:
        columns: Names by purpose that are looked for before the usual ones (``columns.USUAL``).
        needs: Purposes that must have a column.
        marker: What stands before the final answer.
        box: Whether the final answer stands in the last ``\boxed{…}`` of the worked one.
        checker: The checker; ``None`` to go by the answers.
    """

    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    needs: tuple[str, ...] = ("prompt", "answer")
    marker: str = ""
    box: bool = False
    checker: str | None = None


FORMATS: dict[str, PublishedFormat] = {
    "gsm8k": PublishedFormat(marker="####"),
    "math": PublishedFormat(
        columns={"skill": ("type", "subject"), "difficulty": ("level", "difficulty")},
        needs=("prompt",),
        box=True,
        checker="math-verify",
    ),
    "mmlu": PublishedFormat(needs=("prompt", "answer", "choices"), checker="choice"),
    "humaneval": PublishedFormat(
        columns={
            "prompt": ("prompt",),
            "answer": ("canonical_solution",),
            "id": ("task_id",),
            "tests": ("test",),
            "entry": ("entry_point",),
        },
        needs=("prompt", "answer", "tests", "entry"),
        checker=CODE,
    ),
    "humaneval+": PublishedFormat(
        columns={
            "prompt": ("prompt",),
            "answer": ("canonical_solution",),
            "id": ("task_id",),
            "tests": ("plus_input",),
            "entry": ("entry_point",),
        },
        needs=("prompt", "answer", "tests", "entry"),
        checker=CODE,
    ),
    "mbpp": PublishedFormat(
        columns={
            "prompt": ("text", "prompt"),
            "answer": ("code",),
            "id": ("task_id",),
            "tests": ("test_list",),
        },
        needs=("prompt", "answer", "tests"),
        checker=CODE,
    ),
    "livecodebench": PublishedFormat(
        columns={
            "prompt": ("question_content",),
            "answer": ("solution", "code"),
            "id": ("question_id",),
            "tests": ("public_test_cases", "private_test_cases"),
            "difficulty": ("difficulty",),
        },
        needs=("prompt", "tests"),
        checker=CODE,
    ),
}
"""By the name that ``format=`` takes. Each is after the data set of that name; others of its form are read alike."""
CODE_FORMS = {
    "humaneval+": ("prompt", "canonical_solution", "plus_input", "entry_point"),
    "humaneval": ("prompt", "canonical_solution", "test", "entry_point"),
    "mbpp": ("code", "test_list"),
    "livecodebench": ("question_content", "public_test_cases"),
}
"""Columns by which a file of questions about code is recognised."""
PLAIN = PublishedFormat()
"""The form of a file that is none of these."""


def recognised(rows: Sequence[Raw], given: Mapping[str, str | None], plain: bool, answered: bool) -> str:
    """The form of a file that could not be read without one; empty where it can.

    Args:
        rows: All rows; the first shows the columns.
        given: Column by purpose, as for ``columns.recognise``.
        plain: Whether neither checker nor marker is given.
        answered: Whether a column is called like an answer.
    """
    there = rows[0].fields
    if not answered and given["answer"] is None:
        code = next((form for form, columns in CODE_FORMS.items() if all(column in there for column in columns)), "")
        if code:
            return code
    solution = "solution" if given["solution"] is None else given["solution"]
    others = [name for name in ("choices", "options", "pattern", "regex") if name in there]
    others += [name for name in ("choices", "pattern") if given[name]]
    boxes = sum(bool(last_box(str(row.fields.get(solution, "")))) for row in rows) if solution else 0
    return "math" if plain and not others and boxes >= NEARLY_ALL * len(rows) else ""


def last_box(text: str) -> str:
    r"""What stands in the last ``\boxed{…}`` of a text, or behind a last ``\boxed x``; empty where there is none.

    A few solutions of MATH have a ``\fbox{…}`` instead.
    """
    at = max((text.rfind(box), len(box)) for box in (BOX, "\\fbox"))
    rest = text[sum(at) :].lstrip() if at[0] >= 0 else ""
    if not rest.startswith("{"):
        return (rest.split("$")[0].split() or [""])[0]
    depth, i = 0, 0
    while i < len(rest):
        if rest[i] == "\\":
            i += 2  # \{ and \} are signs of the answer
            continue
        depth += (rest[i] == "{") - (rest[i] == "}")
        if not depth:
            return rest[1:i].strip()
        i += 1
    return ""
