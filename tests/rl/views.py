"""The numeric views that the libraries are tried on."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

import dataenv
from tests.toys import PAYING

LISTED, TREE = "dataenv/SkillList-v0", "dataenv/SkillTree-v0"
VIEWS = [(id_, actions) for id_ in (LISTED, TREE) for actions in ("box", "multi-discrete", "discrete")]


def make(id_: str, actions: Any, final: bool = False) -> gym.Env[Any, Any]:
    """A numeric view of a toy of four lessons and two skills, one of which cannot be learnt: 0.5 is to be had."""
    return dataenv.numeric(gym.make(id_, **PAYING), actions, final=final)
