"""Missing-skill profiles: what a teacher found that the answers of its student lack (STAT, arXiv 2510.10023, stage 2).

A teacher that makes such profiles keeps those of its episode in ``profiles``; a board writes them into the run's row.
"""

from __future__ import annotations

from operator import not_
from typing import Annotated, Self

from pydantic import Field, model_validator

from dataenv.episode.teacher import TeacherLike
from dataenv.errors import SettingError
from dataenv.validation import LARGEST, Count, RowPart, Text, validated

KEPT = 512
"""Problems whose diagnoses are kept one by one. The paper diagnoses 500."""
Weight = Annotated[float, Field(gt=0, le=LARGEST)]


class SkillProfile(RowPart):
    """One profile: which skills the wrong answers of a student lack, by one diagnoser.

    Attributes:
        step: Of the student that was looked at; 0 is the untaught one.
        diagnoser: Who said what is missing: ``task`` (its own rules) or ``chat`` (a language model).
        used: Whether the teacher taught by it. Else it stands beside another one of the same problems.
        problems: Difficult problems that were diagnosed.
        missing: By skill, how many difficult problems lack it. A problem stands for several where the observation does
            not show all mistakes of its skill, so these need not be whole numbers. Skills that nothing lacks are left
            out.
        lacks: By problem, the skills that its answer lacks, none where nothing was found. Kept for the untaught
            student, which is the same for all teachers of a seed, and for the first ``KEPT`` problems.
    """

    step: Count
    diagnoser: Text
    used: bool = Field(default=True, exclude_if=bool)
    problems: Count
    missing: dict[Text, Weight]
    lacks: dict[Text, tuple[Text, ...]] = Field(default={}, exclude_if=not_)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if len(self.lacks) > self.problems:
            raise ValueError(f"lacks has {len(self.lacks)} problems and problems is {self.problems}")
        return self

    @property
    def shares(self) -> dict[str, float]:
        """By skill, its share of all that is missing, in (0, 1]: the largest first, then by name; empty for none."""
        total = sum(self.missing.values())
        return {skill: n / total for skill, n in sorted(self.missing.items(), key=lambda item: (-item[1], item[0]))}


def profiles_of(teacher: TeacherLike) -> list[SkillProfile]:
    """The profiles that a teacher made in this episode; of one around another, the other's.

    Raises:
        SettingError: If what it calls so are none.
    """
    found = list(teacher.profiles)
    if not found and teacher.inner is not None:
        return profiles_of(teacher.inner)
    where = f"profiles of teacher {teacher.name}"
    return [
        one if isinstance(one, SkillProfile) else validated(SkillProfile, _fields(one, where), where, SettingError)
        for one in found
    ]


def _fields(one: object, where: str) -> dict[str, object]:
    if not isinstance(one, dict):
        raise SettingError(f"{where} hold a {type(one).__name__}; give SkillProfile records, or dicts of their fields")
    return one
