"""What was taught is counted lesson by lesson, and comes to what counting all of it would."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dataenv.environment.taught import TaughtLessons
from tasks.records import Example

SKILLS = ("a", "b", "c")
example = st.builds(
    Example,
    prompt=st.just("x"),
    response=st.just("y"),
    skills=st.lists(st.sampled_from(["a", "b", "c", "none of them"]), max_size=2).map(tuple),
)


def unread(name: str) -> tuple[Example, ...]:
    raise AssertionError(f"lesson {name} is read again")


@given(lessons=st.lists(st.lists(example, max_size=5).map(tuple), max_size=5))
def test_counts_grow_with_each_lesson(lessons: list[tuple[Example, ...]]) -> None:
    named = {str(i): lesson for i, lesson in enumerate(lessons)}
    nothing = TaughtLessons.nothing(SKILLS)
    taught = nothing.at(list(named), named.__getitem__)
    first = Counter(e.skills[0] for lesson in lessons for e in lesson if e.skills)
    assert taught.counts.tolist() == [first[skill] for skill in SKILLS]
    assert (taught.total, taught.lessons, taught.names) == (sum(map(len, lessons)), tuple(lessons), tuple(named))
    if lessons:
        before = taught.at(list(named)[:-1], named.__getitem__)
        assert np.array_equal(taught.latest, taught.counts - before.counts)
        assert before.total == sum(map(len, lessons[:-1]))  # the one before is left as it was
    assert taught.at(list(named), unread) is taught
