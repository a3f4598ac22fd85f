"""Whether a picture is that of a sealed problem: the same, or in tasks of natural pictures one that looks alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Literal

from tasks import media
from tasks.media.likeness import NEAR, Hashes, dhash, hashes, nearest
from tasks.records import Problem

Seen = tuple[Problem, Literal["picture", "near-picture"]]


class PictureLeaks:
    """What the sealed problems of a task show.

    Args:
        problems: All that are sealed.
        natural: Whether pictures are natural: photographs, and not drawn by a generator. Generated pictures look like
            each other, so of these only the same is a copy.
    """

    def __init__(self, problems: Sequence[Problem], natural: bool) -> None:
        self._sealed: dict[str, Problem] = {}
        for problem in problems:
            for name in problem.media:
                self._sealed.setdefault(name, problem)
        self._natural = natural

    def find(self, shown: Sequence[str]) -> Seen | None:
        """The sealed problem that the first copy among some pictures is of, and how that was seen."""
        for name in shown:
            if (problem := self._sealed.get(name)) is not None:
                return problem, "picture"
        if self._natural and self._sealed:
            for name in shown:
                found = nearest(_hash_of(name), self._hashes)
                if found is not None and found[1] <= NEAR:
                    return list(self._sealed.values())[found[0]], "near-picture"
        return None

    @cached_property
    def _hashes(self) -> Hashes:
        return hashes([media.picture(name) for name in self._sealed])


@lru_cache(maxsize=1 << 16)
def _hash_of(name: str) -> int:
    return dhash(media.picture(name))
