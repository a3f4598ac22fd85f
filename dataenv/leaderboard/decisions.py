"""What is decided of teachers where seeds are added until they are decided: records of looks at a board."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

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
            not corrected for several teachers. ``None`` at a look that can call nobody better or worse.
        p: Of this look and this teacher alone, over seeds and items.
        p_adjusted: Of this look, corrected for the number of teachers; ``None`` at a look that can call nobody better
            or worse.
        p_sequential: The same over all looks so far: what counts.
        p_holm: In logs of releases before this test: ``p_sequential`` after Holm over the teachers.
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
    decision: Decision
    p_adjusted: float | None = None
    p_holm: float | None = Field(default=None, exclude_if=lambda value: value is None)


class Look(Record):
    """One look at a board: its number from 1, declared seeds so far, and every teacher but the baseline."""

    number: int
    seeds: int
    teachers: tuple[Judged, ...]

    @property
    def undecided(self) -> tuple[str, ...]:
        """Who goes on."""
        return tuple(one.teacher for one in self.teachers if one.decision == "undecided")
