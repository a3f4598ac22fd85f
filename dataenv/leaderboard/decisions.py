"""What is decided of teachers where seeds are added until they are decided: records of looks at a board."""

from __future__ import annotations

from typing import Literal

from tasks.records import Record

Decision = Literal["better", "worse", "futile", "undecided"]


class Judged(Record):
    """What one look says of one teacher.

    Attributes:
        teacher: Its label.
        seeds: Declared seeds that were played before it was decided, or before this look.
        pairs: Of them those that are compared.
        gain: Mean difference, in parts of 1.
        low: Lower end of the interval that holds the true gain at all looks together with 95 % (``high`` the upper);
            not corrected for several teachers.
        p: Of this look alone.
        p_sequential: Over the looks so far.
        p_holm: The same after Holm over the teachers.
        decision: ``undecided`` teachers go on while there are looks.
    """

    teacher: str
    seeds: int
    pairs: int
    gain: float | None
    low: float | None
    high: float | None
    p: float | None
    p_sequential: float
    p_holm: float
    decision: Decision


class Look(Record):
    """One look at a board: its number from 1, declared seeds so far, and every teacher but the baseline."""

    number: int
    seeds: int
    teachers: tuple[Judged, ...]

    @property
    def undecided(self) -> tuple[str, ...]:
        """Who goes on."""
        return tuple(one.teacher for one in self.teachers if one.decision == "undecided")
