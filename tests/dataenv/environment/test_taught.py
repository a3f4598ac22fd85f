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


@given(lessons=st.lists(st.lists(example, max_size=5).map(tuple), max_size=5))
def test_counts_grow_with_each_lesson(lessons: list[tuple[Example, ...]]) -> None:
    taught = TaughtLessons.of(SKILLS, lessons)
    first = Counter(e.skills[0] for lesson in lessons for e in lesson if e.skills)
    assert taught.counts.tolist() == [first[skill] for skill in SKILLS]
    assert (taught.total, taught.lessons) == (sum(map(len, lessons)), tuple(lessons))
    if lessons:
        before = TaughtLessons.of(SKILLS, lessons[:-1])
        assert np.array_equal(taught.latest, taught.counts - before.counts)
        assert before.total == sum(map(len, lessons[:-1]))  # the one before is left as it was
