"""Levels: how much structure the environment gives. One module a level, one line in ``dataenv.registry.LEVELS``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataenv import registry
from dataenv.levels.base import Level, Plan, View

if TYPE_CHECKING:
    from dataenv.setting import Setting


def level_class(name: str) -> type[Level]:
    """The class of a level.

    Raises:
        SettingError: If there is none of that name, or it is no level.
    """
    found: type[Level] = registry.find_class("level", name, Level)
    return found


def make_level(name: str, setting: Setting) -> Level:
    """The level of a name.

    Raises:
        SettingError: If there is none.
    """
    return level_class(name)(setting)


__all__ = ["Level", "Plan", "View", "level_class", "make_level"]
