"""Which students can be rebuilt from their lineage bit by bit: all but those that a service trains."""

from __future__ import annotations

from students.base import Student

REBUILT = "rebuilt"
"""In a student's ``numerics``; there alone where it is not rebuilt bit by bit."""
NOT_REBUILT = "not bit by bit"


def is_rebuilt(student: Student) -> bool:
    """Whether equal training gives this student equal bytes."""
    return student.numerics.get(REBUILT) != NOT_REBUILT
