"""Adjusted mutual information: known values, the expectation by brute force, and what must hold of any labels."""

from __future__ import annotations

from itertools import permutations
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataenv.discovery.agreement import adjusted_mutual_information

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


def test_a_value_that_scikit_learn_gives() -> None:
    """Of its own test of ``adjusted_mutual_info_score``."""
    a = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3]
    b = [1, 1, 1, 1, 2, 1, 2, 2, 2, 2, 3, 1, 3, 3, 3, 2, 2]
    assert adjusted_mutual_information(a, b) == pytest.approx(0.27821, abs=5e-6)


def test_the_definition_by_all_permutations() -> None:
    a, b = "xxxyyz", "ppqqqp"

    def entropy(labels: list[object]) -> float:
        shares = [labels.count(label) / len(labels) for label in set(labels)]
        return -sum(p * log(p) for p in shares)

    def mutual(labels: tuple[str, ...]) -> float:
        return entropy(list(a)) + entropy(list(labels)) - entropy(list(zip(a, labels, strict=True)))

    chance = float(np.mean([mutual(p) for p in permutations(b)]))
    mean = (entropy(list(a)) + entropy(list(b))) / 2
    assert adjusted_mutual_information(a, b) == pytest.approx((mutual(tuple(b)) - chance) / (mean - chance))


@given(LABELS)
def test_what_holds_of_any_labels(pairs: list[tuple[int, int]]) -> None:
    a, b = (list(side) for side in zip(*pairs, strict=True))
    found = adjusted_mutual_information(a, b)
    assert found <= 1 + 1e-9
    assert found == pytest.approx(adjusted_mutual_information(b, a), abs=1e-9)
    renamed = [f"{7 - x} is another name" for x in a]
    assert found == pytest.approx(adjusted_mutual_information(renamed, b), abs=1e-9)
    assert adjusted_mutual_information(a, renamed) == pytest.approx(1)


def test_independent_labels_agree_by_chance_alone() -> None:
    rng = np.random.default_rng(0)
    found = [
        adjusted_mutual_information(rng.integers(16, size=400).tolist(), rng.integers(5, size=400).tolist())
        for _ in range(30)
    ]
    assert abs(np.mean(found)) < 0.005
    assert adjusted_mutual_information("aaaa", "abcd") == 0


@pytest.mark.parametrize(("a", "b"), [("", ""), ("ab", "a")])
def test_what_has_no_pairs_is_refused(a: str, b: str) -> None:
    with pytest.raises(ValueError, match="give one of each for every item"):
        adjusted_mutual_information(a, b)
