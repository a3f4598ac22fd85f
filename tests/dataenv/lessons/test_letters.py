"""One look at all letters: a text that holds a beginning is always named, and hardly any other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataenv.lessons.letters import MOST, FirstLetters

few = st.text("ab\x00é\U0001f600\ud800", max_size=10)


@given(beginnings=st.lists(few, max_size=4), texts=st.lists(few, max_size=8))
def test_no_text_that_holds_a_beginning_is_passed_over(beginnings: list[str], texts: list[str]) -> None:
    found = FirstLetters(beginnings).stand_in(texts)
    assert len(found) == len(texts)
    assert all(said for said, text in zip(found, texts, strict=True) if any(b in text for b in beginnings))


def test_what_is_named_is_where_the_letters_stand() -> None:
    searched = FirstLetters(["abcdefgh", "12345678 and more"])
    texts = ["xabcdefgh", "abcdefg", "h", "", "1234567", "812345678", "abcdefg" + "h"]
    assert searched.stand_in(texts) == [True, False, False, False, False, True, True]
    assert len("abcdefgh") == MOST


def test_two_texts_are_not_read_as_one() -> None:
    assert FirstLetters(["abcd"]).stand_in(["ab", "cd", "abcd"]) == [False, False, True]


def test_nothing_is_found_of_nothing_and_an_empty_beginning_everywhere() -> None:
    assert FirstLetters([]).stand_in(["a"]) == [False]
    assert FirstLetters(["", "b"]).stand_in(["a", ""]) == [True, True]
