"""Wordings: templates of this task's words. What was written by a wording can be read back by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tasks.templates import Lexicon, Limits, Slots, Template
from tasks.words.lexicon import FILLERS, PLACEHOLDERS

__all__ = ["Limits", "Slots", "Wording", "skeleton"]

LEXICON = Lexicon(FILLERS, PLACEHOLDERS)
skeleton = LEXICON.skeleton


@dataclass(frozen=True)
class Wording(Template):
    """One way to ask or to tell something.

    Attributes:
        text: A sentence or several, with letters of ``lexicon.PLACEHOLDERS`` in braces.
    """

    lexicon: ClassVar[Lexicon] = LEXICON
