"""Each picture is in one part, whatever copies there are of it."""

import numpy as np
import pytest

from tasks.images.sorting import long_tail, sort_out
from tasks.records import stream

PICTURES = stream(0, "p").integers(256, size=(200, 4, 4)).astype(np.uint8)
LABELS = np.repeat([0, 1], 100)


def test_parts_are_disjoint_and_shared_out_by_class() -> None:
    found = sort_out(PICTURES, LABELS).rows
    rows = np.concatenate(list(found.values()))
    assert len(set(rows.tolist())) == len(rows) == 200
    assert {name: len(some) for name, some in found.items()} == {
        "feedback": 10,
        "selection": 20,
        "test": 70,
        "pool": 100,
    }
    assert LABELS[found["test"]].tolist() == [0] * 35 + [1] * 35


def test_copies_count_once() -> None:
    twice = np.concatenate([PICTURES, PICTURES[:50]])
    labels = np.concatenate([LABELS, LABELS[:50]])
    assert sum(map(len, sort_out(twice, labels).rows.values())) == 200


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match=r"class 1 has 5 different pictures.*at least 20"):
        sort_out(PICTURES[:105], LABELS[:105])


def test_a_long_tail_falls_to_the_ratio() -> None:
    rows = np.arange(200)
    kept = long_tail(LABELS, rows, 50.0)
    assert np.bincount(LABELS[kept]).tolist() == [100, 2]
    assert len(long_tail(LABELS, rows, 1.0)) == 200
