"""Image classification: real pictures with sealed splits, shifted copies, and a pool. Skills are classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tasks import media
from tasks.base import Task
from tasks.images.packaged import Labels, Pictures
from tasks.images.shifts import SHIFTS, shifted
from tasks.images.sorting import Sorted, long_tail
from tasks.records import SPLITS, Example, Grade, Problem, Split, stream

_SEED = 0
_SHORT = 16
"""Characters of a picture's digest that its prompt shows."""


class ImageClasses(Task):
    """Pictures to be told apart. A subclass says where they come from.

    The prompt names the picture by its digest, so that no two problems have the same prompt; a student looks at the
    picture. The answer is the name of a class.

    Args:
        data: Pictures by part.
        classes: Their names, in the order of the labels.
        imbalance: How many times as many pictures the pool holds of the first class as of the last; 1 for all of them.

    Attributes:
        shows: What problems show.
    """

    shows: ClassVar[tuple[str, ...]] = ("text", "image")

    def __init__(self, data: Sorted, classes: Sequence[str], imbalance: float = 1.0) -> None:
        if not 1 <= imbalance < np.inf:
            raise ValueError(f"task_args.imbalance is {imbalance}; give a number of at least 1")
        self.skills = tuple(classes)
        self._data, self._imbalance = data, imbalance

    def split(self, name: Split) -> Sequence[Problem]:
        """The pictures of a split, class by class; ``transfer`` holds shifted copies of the test pictures by suite."""
        return self._splits[name]

    def grade(self, problem: Problem, response: str) -> Grade:
        """Right if the response is the name of the class, up to spaces at its ends."""
        return Grade(correct=response.strip(" ") == problem.answer)

    def identity(self, prompt: str) -> str:
        """The prompt, which names its picture."""
        return prompt.strip()

    def pool(self) -> Sequence[Example]:
        """The real pictures that may be taught."""
        return self._pool

    def judge(self, example: Example) -> bool | None:
        """Whether the class is that of a real picture; ``None`` for a picture that is not of the pool."""
        known = self._known.get(example.media[0]) if len(example.media) == 1 else None
        return None if known is None else known == example.response.strip(" ")

    def examples(self, pictures: Pictures, labels: Labels, origin: str) -> list[Example]:
        """Pictures ``(n, height, width, ...)`` as examples of their classes ``(n,)``; the album holds them then."""
        named = zip(_kept(pictures), labels.tolist(), strict=True)
        return [
            Example(prompt=_prompt(d), response=(s := self.skills[i]), skills=(s,), origin=origin, media=(d,))
            for d, i in named
        ]

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        rows = long_tail(self._data.labels, self._data.rows["pool"], self._imbalance)
        return tuple(self.examples(self._data.pictures[rows], self._data.labels[rows], self.name))

    @cached_property
    def _known(self) -> Mapping[str, str]:
        """The class of each picture of the pool, by digest."""
        return {example.media[0]: example.response for example in self._pool}

    @cached_property
    def _splits(self) -> Mapping[Split, tuple[Problem, ...]]:
        made = {name: self._problems(name, self._data.rows[name]) for name in SPLITS if name != "transfer"}
        tests = self._data.rows["test"]
        places = {row: i for some in self._by_class(tests) for i, row in enumerate(some)}
        in_turn = np.array(sorted(tests.tolist(), key=places.__getitem__), np.int64)  # any prefix has all classes
        suites = (self._problems("transfer", in_turn, suite) for suite in SHIFTS)
        return made | {"transfer": tuple(problem for some in suites for problem in some)}

    def _by_class(self, rows: npt.NDArray[np.int64]) -> list[list[int]]:
        return [rows[self._data.labels[rows] == i].tolist() for i in range(len(self.skills))]

    def _problems(self, split: Split, rows: npt.NDArray[np.int64], suite: str = "") -> tuple[Problem, ...]:
        pictures, labels = self._data.pictures[rows], self._data.labels[rows]
        if suite:
            pictures = shifted(pictures, suite, stream(_SEED, f"shift {suite}"))
        where = f"{split}/{suite}" if suite else split
        return tuple(
            Problem(
                id=f"{where}/{row}",
                prompt=_prompt(digest),
                answer=self.skills[label],
                skills=(self.skills[label],),
                split=split,
                media=(digest,),
                suite=suite,
            )
            for row, label, digest in zip(rows.tolist(), labels.tolist(), _kept(pictures), strict=True)
        )


def _prompt(digest: str) -> str:
    return f"Which class is picture {digest[:_SHORT]}?"


def _kept(pictures: Pictures) -> list[str]:
    """The digests of pictures, which the album holds from then on."""
    return [media.keep(media.encode(picture)) for picture in pictures]
