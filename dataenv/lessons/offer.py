"""Offer: what is put forward to be trained, before it is screened, and what is trained of it, before it is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from students.base import Recipe
from tasks.records import Example

Lessons = Sequence[Sequence[Example]]


@dataclass(frozen=True)
class Offer:
    """A lesson to be trained.

    Attributes:
        examples: New examples; whatever a teacher gave in their place, until the screen has seen them.
        before: Every lesson so far.
        seen: What of those may be trained on again, under ``data="all"`` or by replay; ``None`` for all of it.
        taken: How far the pool has been walked, by skill.
        recipe: How it is trained; ``None`` for the Setting's recipe.
    """

    examples: Sequence[Any]
    before: Lessons = ()
    seen: Lessons | None = None
    taken: dict[str, int] = field(default_factory=dict)
    recipe: Recipe | None = None
