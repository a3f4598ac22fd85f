"""What an untaught student has seen: examples of some skills, each by its share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tasks.columns import joined, taken
from tasks.records import Example


def check_shares(known: object, skills: Sequence[str]) -> None:
    """Refuse shares that no examples can be drawn by.

    Args:
        known: By skill, relative to each other.
        skills: Which there are.

    Raises:
        ValueError: If it is no table, a skill is not among them, or a share is no number above zero.
    """
    if not isinstance(known, Mapping):
        raise ValueError(f"known is a {type(known).__name__}; give a table of skills and shares")
    unknown = [name for name in known if name not in skills]
    if unknown:
        raise ValueError(f"known has {unknown[0]!r}; give some of {', '.join(skills)}")
    for name, share in known.items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < float("inf"):
            raise ValueError(f"known.{name} is {share!r}; give a number above 0, or leave it out")


def by_share(
    shares: Mapping[str, float], n: int, rng: np.random.Generator, make: Callable[[str, int], Sequence[Example]]
) -> Sequence[Example]:
    """``n`` examples, mixed, each skill by its share; none without any share.

    Args:
        shares: By skill, relative to each other; those of 0 have none.
        n: How many in all.
        rng: Where every draw comes from.
        make: As many examples of a skill as are asked for.
    """
    known = {name: share for name, share in shares.items() if share}
    if not known:
        return []
    weights = np.array(list(known.values()))
    counts = rng.multinomial(n, weights / weights.sum()).tolist()
    made = joined([make(name, count) for name, count in zip(known, counts, strict=True)])
    return taken(made, rng.permutation(len(made)).tolist())
