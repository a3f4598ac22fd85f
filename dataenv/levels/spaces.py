"""Spaces that carry text. ``gymnasium.spaces.Text`` holds alphanumeric strings only, unless told every character."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from gymnasium.spaces.utils import flatdim, flatten, flatten_space, unflatten

from tasks.media import shown_by

if TYPE_CHECKING:
    from dataenv.setting import Setting

DIGEST = 64
"""Characters of a picture's digest."""
SAMPLE_CHARACTERS = "".join(map(chr, range(32, 127)))


class Unicode(spaces.Text):
    """Any string of at most ``max_length`` characters; samples are printable ASCII.

    Args:
        max_length: Characters at the most.
        seed: Of ``sample``.
    """

    def __init__(self, max_length: int, *, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(max_length, min_length=0, charset=SAMPLE_CHARACTERS, seed=seed)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a string that is short enough."""
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        return f"Unicode({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unicode) and self.max_length == other.max_length

    def __hash__(self) -> int:
        return hash(("Unicode", self.max_length))


@flatdim.register(Unicode)
def _flatdim(space: Unicode) -> int:
    return space.max_length


@flatten_space.register(Unicode)
def _flatten_space(space: Unicode) -> spaces.Box:
    return spaces.Box(-1, 0x10FFFF, (space.max_length,), np.int32)


@flatten.register(Unicode)
def _flatten(space: Unicode, x: str) -> np.ndarray[Any, np.dtype[np.int32]]:  # type: ignore[misc]
    out = np.full(space.max_length, -1, np.int32)
    out[: len(x)] = [ord(c) for c in x]
    return out


@unflatten.register(Unicode)
def _unflatten(space: Unicode, x: np.ndarray[Any, np.dtype[np.int32]]) -> str:  # type: ignore[misc]
    return "".join(chr(c) for c in x if c >= 0)


def unit_box(k: int) -> spaces.Box:
    """``k`` numbers in [0, 1], float32."""
    return spaces.Box(0.0, 1.0, (k,), np.float32)


def amounts(k: int) -> spaces.Box:
    """``k`` numbers that are not negative, float32."""
    return spaces.Box(0.0, np.inf, (k,), np.float32)


def records(**lengths: int) -> spaces.Sequence:
    """A tuple of dicts of text; ``lengths`` gives each field's longest text."""
    return spaces.Sequence(spaces.Dict({name: Unicode(length) for name, length in lengths.items()}))


def mistakes(setting: Setting, *names: str) -> spaces.Sequence:
    """The space of mistakes: some texts, and the digests of the pictures where the task shows any."""
    lengths = dict.fromkeys(names, setting.shown.characters)
    if "image" in shown_by(setting.built_task):
        most = max(len(problem.media) for problem in setting.exam_items("feedback"))
        lengths["media"] = most * (DIGEST + 1)
    return records(**lengths)
