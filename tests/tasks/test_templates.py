"""Templates of any lexicon: what may fill a place, and what is read back. Tasks test their own templates too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from tasks.templates import Lexicon, Template, spoken


@dataclass(frozen=True)
class Farm(Template):
    lexicon: ClassVar[Lexicon] = Lexicon(
        {"animal": ("cow", "hen", "pig", "cat"), "number": tuple(map(str, range(9)))},
        {"k": "animal", "l": "animal", "n": "number"},
    )


def test_words_and_numbers_keep_to_their_limits() -> None:
    template, rng = Farm("{n} of {k} or {l}"), np.random.default_rng(0)
    rows = template.fill(300, {"n": (2, 4), "k": (1, 2)}, rng)
    assert {row["n"] for row in rows} == {"2", "3", "4"}
    assert {(row["k"], row["l"]) for row in rows} == {("hen", "pig"), ("pig", "hen")}
    free = template.fill(300, {"n": (8, 8)}, rng)
    assert {row["k"] for row in free} == {"cow", "hen", "pig", "cat"}
    assert all(row["k"] != row["l"] for row in free)


@pytest.mark.parametrize("text", ["3 of cow or pig", "  3 OF Cow, or pig! "])
def test_what_was_written_is_read_back(text: str) -> None:
    template, words = Farm("{n} of {k} or {l}"), spoken(text)
    assert template.lexicon.skeleton(words) == template.skeleton == ("number", "of", "animal", "or", "animal")
    assert template.read(words) == {"n": "3", "k": "cow", "l": "pig"}
    assert template.read(spoken("3 of cow or cow")) is None
