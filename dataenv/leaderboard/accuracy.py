"""The only accuracies that a board shows: k of n items of a named split, and what is computed from such counts alone.

An ``Accuracy`` is a count. A ``Derived`` is a number that ``derive`` computed from counts; it keeps their split and how
many graded answers stand behind it. Terminal, page and CSV render these two and refuse a bare number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, StrictInt, model_validator

from tasks.records import Record, Split

Floats = npt.NDArray[np.float64]


class Accuracy(Record):
    """``k`` right answers to ``n`` items of a split.

    Raises:
        pydantic.ValidationError: If the counts are no counts, ``k`` is above ``n``, or the split has no name of ours.
    """

    k: Annotated[StrictInt, Field(ge=0)]
    n: Annotated[StrictInt, Field(ge=1)]
    split: Split

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.k > self.n:
            raise ValueError(f"k is {self.k}, more than n, {self.n}; count each item once")
        return self

    @property
    def value(self) -> float:
        """k/n, in [0, 1]."""
        return self.k / self.n


class Derived(Record):
    """A number computed from shares of one split. Made by ``derive`` (and read back from JSON), nowhere else.

    Attributes:
        value: The number, finite; shares and their differences lie in [-1, 1], the ends of an interval need not.
        split: Where the answers come from.
        n: Graded answers behind it: the ``n`` of all the shares it was computed from.
    """

    value: Annotated[float, Field(allow_inf_nan=False)]
    split: Split
    n: Annotated[StrictInt, Field(ge=1)]


Counted = Accuracy | Derived
"""What a board may show."""


def derive(function: Callable[[Floats], Any], parts: Sequence[Counted]) -> Derived:
    """Compute a number from counted ones: the one way to a ``Derived``.

    Args:
        function: From the values of the parts, ``(len(parts),)``, to a finite number.
        parts: At least one, all of one split.

    Raises:
        TypeError: If a part is a bare number.
        ValueError: If there are no parts, they are of several splits, or the result is not finite.
    """
    values = np.array([number(part) for part in parts], dtype=np.float64)
    splits = sorted({part.split for part in parts})
    if len(splits) != 1:
        said = f"of the splits {' and '.join(splits)}" if splits else "missing"
        raise ValueError(f"the parts of a figure are {said}; give at least one, all of one split")
    return Derived(value=float(function(values)), split=splits[0], n=sum(part.n for part in parts))


def number(counted: Counted) -> float:
    """The value of a share or figure.

    Raises:
        TypeError: If it is anything else, such as a bare float.
    """
    if not isinstance(counted, Counted):
        raise TypeError(
            f"{counted!r} does not say on which items it was counted; "
            "give a Share (k, n, split), or derive a Figure from shares"
        )
    return counted.value


def mean(parts: Sequence[Counted]) -> Derived:
    """Their mean, each counting the same: over skills (macro) or over seeds."""
    return derive(np.mean, parts)


def difference(ours: Counted, theirs: Counted) -> Derived:
    """``ours`` − ``theirs``, paired.

    Raises:
        ValueError: If they were counted on different splits or numbers of answers, so that nothing is paired.
    """
    if ours.n != theirs.n:
        raise ValueError(f"a paired difference needs the same items, but these are of {ours.n} and {theirs.n} answers")
    return derive(lambda values: values[0] - values[1], (ours, theirs))
