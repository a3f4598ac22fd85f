"""Properties of the checker ``regex``: strict wants the whole response, lenient a place in it."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tasks.checkers import Gold, make_checker

# Ordinary characters, what means something in a pattern, and letters that have a composed and a decomposed form.
TEXT = st.text("abZ09 .*+?()[]{}|^$\\-/éßıç가", min_size=1, max_size=12).map(str.strip).filter(bool)
OTHER = st.sampled_from("abZ09xé")


def verdict(pattern: str, said: str, fold_case: bool = False) -> tuple[bool, bool | None]:
    grade = make_checker("regex", fold_case=fold_case, deadline=5.0)(Gold("", pattern=pattern), said)
    assert grade.error is None, grade.error
    return grade.correct, grade.lenient


@settings(deadline=None, max_examples=50)
@given(TEXT)
def test_an_escaped_answer_is_right_whatever_is_in_it(answer: str) -> None:
    pattern = re.escape(answer)
    assert verdict(pattern, f" {answer}\n") == (True, True)
    assert verdict(pattern, f"it is: {answer}!") == (False, True)


@settings(deadline=None, max_examples=50)
@given(TEXT, OTHER, st.data())
def test_a_response_near_the_answer_is_not_right(answer: str, letter: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(answer) - 1))
    near = (
        answer[:place] + answer[place + 1 :],
        answer[:place] + letter + answer[place + 1 :],
        answer[:place] + letter + answer[place:],
        answer[::-1],
    )
    for wrong in near:
        if wrong.strip() != answer:
            assert verdict(re.escape(answer), wrong)[0] is False
    for wrong in near:  # leniently right is only what holds the answer
        assert verdict(re.escape(answer), wrong)[1] is (answer in wrong)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**9), st.integers(1, 9))
def test_a_number_is_right_to_its_last_digit(n: int, by: int) -> None:
    pattern = rf"0*{n}(?:\.0+)?"
    assert verdict(pattern, f"{n}.0") == (True, True)
    for wrong in (n + by, n * 10 + by, -n - 1):
        assert verdict(pattern, str(wrong))[0] is False


@settings(deadline=None, max_examples=50)
@given(st.lists(TEXT, min_size=2, max_size=4, unique=True), TEXT)
def test_of_alternatives_each_is_right_and_nothing_else(answers: list[str], other: str) -> None:
    assume(other not in answers)
    pattern = "|".join(map(re.escape, answers))
    for answer in answers:
        assert verdict(pattern, answer)[0] is True
    assert verdict(pattern, other)[0] is False
    assert verdict(pattern, "".join(answers))[0] is ("".join(answers) in answers)


@settings(deadline=None, max_examples=50)
@given(TEXT, st.sampled_from(["NFC", "NFD"]), st.sampled_from(["NFC", "NFD"]))
def test_composed_and_decomposed_characters_are_the_same(answer: str, written: str, said: str) -> None:
    pattern = unicodedata.normalize(written, re.escape(answer))
    assert verdict(pattern, unicodedata.normalize(said, answer)) == (True, True)


@settings(deadline=None, max_examples=50)
@given(st.text("abçZé", min_size=1, max_size=8))
def test_case_counts_unless_it_is_folded(answer: str) -> None:
    swapped = answer.swapcase()
    assume(swapped != answer)
    assert verdict(re.escape(answer), swapped)[0] is False
    assert verdict(re.escape(answer), swapped, fold_case=True) == (True, True)
