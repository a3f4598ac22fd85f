"""Columns are the examples that they stand for, whatever is asked of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.columns import ExampleColumns, ExampleLabels, columns, different, distinct, joined, primary_skills, taken
from tasks.records import Example

FIELDS = tuple(Example.model_fields)
labels = st.sampled_from(
    [ExampleLabels(), ExampleLabels(("add", "carry"), "edit", "generator"), ExampleLabels(("sub",), origin='"')]
)
rows = st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9), labels), max_size=12)
Rows = Sequence[tuple[str, str, ExampleLabels]]


def columns_of(rows: Rows) -> ExampleColumns:
    return ExampleColumns([p for p, _, _ in rows], [r for _, r, _ in rows], [some for _, _, some in rows])


def examples_of(rows: Rows) -> list[Example]:
    return [Example(prompt=p, response=r, **some._asdict()) for p, r, some in rows]


@given(rows=rows, data=st.data())
def test_they_are_a_sequence_of_their_examples(rows: Rows, data: st.DataObject) -> None:
    held, objects = columns_of(rows), examples_of(rows)
    assert held == objects == list(held)
    assert tuple(objects) == held
    assert (len(held), repr(held)) == (len(objects), repr(tuple(objects)))
    cut = slice(*(data.draw(st.none() | st.integers(-9, 9)) for _ in range(2)))
    assert type(held[cut]) is ExampleColumns
    assert held[cut] == objects[cut]
    places = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=9)) if rows else []
    assert list(taken(held, places)) == taken(objects, places) == [held[i] for i in places]
    for made, written in zip(held, objects, strict=True):
        assert made.model_dump_json() == written.model_dump_json()


@given(parts=st.lists(rows, max_size=3))
def test_parts_are_joined_as_their_examples_are(parts: list[Rows]) -> None:
    objects = [example for part in parts for example in examples_of(part)]
    assert list(joined([columns_of(part) for part in parts])) == objects
    assert joined([examples_of(part) for part in parts]) == objects


@given(rows=rows)
def test_fields_are_those_of_the_examples(rows: Rows) -> None:
    held, plain = columns(columns_of(rows), *FIELDS), columns(examples_of(rows), *FIELDS)
    assert [list(field) for field in held] == plain


@given(rows=rows)
def test_what_examples_share_is_looked_at_once(rows: Rows) -> None:
    held, objects = columns_of(rows), examples_of(rows)
    for name in ("skills", "kind", "origin", "rejected", "check", "media"):
        assert {str(value) for value in distinct(held, name)} >= {str(getattr(e, name)) for e in objects}
        assert len(distinct(held, name)) <= 3
    counted = Counter(e.skills[0] for e in objects if e.skills)
    assert dict(primary_skills(held)) == dict(primary_skills(objects)) == dict(counted)


def test_columns_that_are_not_as_long_are_refused() -> None:
    with pytest.raises(ValueError, match="2 prompts, 1 responses and 2 labels are given; give as many of each"):
        ExampleColumns(["a", "b"], ["c"], [ExampleLabels()] * 2)


def test_they_equal_nothing_else_and_are_not_hashed() -> None:
    held = columns_of([("a", "b", ExampleLabels())])
    assert held not in ("ab", None, {})
    assert held != columns_of([("a", "c", ExampleLabels())])
    with pytest.raises(TypeError):
        hash(held)


def test_labels_that_are_one_object_are_looked_at_once() -> None:
    one, other = ("add",), tuple(map(str, ("add",)))
    assert different([one, other, one]) == [one, other]
