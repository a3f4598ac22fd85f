"""Levels: how much structure the environment gives. One module a level; chosen by the registered id."""

from __future__ import annotations

from dataenv.errors import SettingError
from dataenv.levels.base import Level, Plan, View
from dataenv.levels.open_ended import OpenEnded
from dataenv.levels.skill_list import SkillList

LEVELS: dict[str, type[Level]] = {"open-ended": OpenEnded, "skill-list": SkillList}


def make_level(name: str, skills: tuple[str, ...], lesson_size: int) -> Level:
    """The level of a name.

    Raises:
        SettingError: If there is none.
    """
    if name not in LEVELS:
        raise SettingError(f"level is {name!r}; give one of {', '.join(LEVELS)}")
    return LEVELS[name](skills, lesson_size)


__all__ = ["LEVELS", "Level", "OpenEnded", "Plan", "SkillList", "View", "make_level"]
