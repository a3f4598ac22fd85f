"""Wordings: what may fill a place, and that a wording reads what it wrote."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.words.kinds import CATALOGUE
from tasks.words.lexicon import FILLERS, KIND_OF, PLACEHOLDERS, spoken
from tasks.words.wording import Wording, skeleton

ALL = [wording for kind in CATALOGUE for wording in kind.wordings]


def test_no_wording_uses_a_filler_or_a_single_letter_as_a_word_of_its_own() -> None:
    assert len(KIND_OF) == sum(map(len, FILLERS.values()))  # no word is of two kinds
    for kind in CATALOGUE:
        for text in (*kind.taught, kind.other, kind.told):
            own = spoken(Wording(text).text.format_map(dict.fromkeys(PLACEHOLDERS, "") | {"answer": ""}))
            assert not set(own) & set(KIND_OF), text
            assert all(len(word) > 1 for word in own), text


@given(which=st.integers(0, len(ALL) - 1), seed=st.integers(0, 2**32 - 1))
def test_what_was_written_is_read_back(which: int, seed: int) -> None:
    wording = ALL[which]
    limits = dict.fromkeys("xyz", (1, 99))
    (slots,) = wording.fill(1, limits, np.random.default_rng(seed))
    words = spoken(wording.write(slots))
    assert skeleton(words) == wording.skeleton
    assert wording.read(words) == slots


def test_numbers_keep_to_their_limits_and_names_differ() -> None:
    rows = Wording("{a} {b} {x} {y}").fill(2000, {"x": (3, 5), "y": (7, 7)}, np.random.default_rng(0))
    assert {row["x"] for row in rows} == {"3", "4", "5"}
    assert {row["y"] for row in rows} == {"7"}
    assert all(row["a"] != row["b"] for row in rows)
    assert len({row["a"] for row in rows}) == len(FILLERS["person"])


@pytest.mark.parametrize("text", ["tom sees ann and ben", "tom sees tom and tom"])
def test_places_that_do_not_agree_are_not_read(text: str) -> None:
    assert Wording("{a} sees {b} and {a}").read(spoken(text)) is None
