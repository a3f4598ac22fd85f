"""Levels: how much structure the environment gives. One module a level; chosen by the registered id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataenv.errors import SettingError
from dataenv.levels.base import Level, Plan, View
from dataenv.levels.open_ended import OpenEnded
from dataenv.levels.skill_list import SkillList
from dataenv.levels.skill_tree import SkillTree

if TYPE_CHECKING:
    from dataenv.setting import Setting

LEVELS: dict[str, type[Level]] = {"open-ended": OpenEnded, "skill-list": SkillList, "skill-tree": SkillTree}


def level_class(name: str) -> type[Level]:
    """The class of a level.

    Raises:
        SettingError: If there is none of that name.
    """
    if name not in LEVELS:
        raise SettingError(f"level is {name!r}; give one of {', '.join(LEVELS)}")
    return LEVELS[name]


def make_level(name: str, setting: Setting) -> Level:
    """The level of a name.

    Raises:
        SettingError: If there is none.
    """
    return level_class(name)(setting)


__all__ = ["LEVELS", "Level", "OpenEnded", "Plan", "SkillList", "SkillTree", "View", "level_class", "make_level"]
