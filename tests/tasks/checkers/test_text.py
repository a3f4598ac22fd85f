"""Properties of the checkers that compare texts: what is near the right answer is not right, and the answer itself is.

A response is strictly right, leniently right, or neither; strictly right is leniently right.
"""

from __future__ import annotations

import time
import unicodedata
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tasks.checkers import CHECKERS, Gold, make_checker
from tasks.checkers.text import choice, exact, folded, number

WHOLE = st.integers(-(10**12), 10**12)
TEXT = st.text("abZzéßñıİ가e\u0301\u0308\u030a \t+-−.,%$()'\"²½", min_size=1, max_size=12).filter(str.strip)
UNITS = ("cm", "m", "km", "mm", "kg", "g", "%", "°", "km/h", "m/s", "m²", "m³", "apples", "mW", "MW")
NEAR = (
    lambda n: -n,
    lambda n: n + 1,
    lambda n: n - 1,
    lambda n: n * 10,
    lambda n: int(str(abs(n))[::-1]),
    lambda n: n + (1 if n % 10 < 9 else -1),
)
"""What somebody writes who has nearly got a whole number."""


@given(WHOLE, st.sampled_from(NEAR))
def test_a_whole_number_is_right_to_its_last_digit(n: int, change) -> None:
    wrong = change(n)
    assume(wrong != n)
    assert number(str(n), str(wrong)) == (False, False)
    assert number(str(n), f"The answer is {wrong}.") == (False, False)
    assert number(str(n), f"{n}.000001") == (False, False)
    for right in (f"{n}", f"{n:,}", f" {n}.0\n", f"{n * 3}/3"):
        assert number(str(n), right) == (True, True)


@given(
    st.integers(1, 10**9),
    st.sampled_from("$€£¥₹"),
    st.sampled_from(["-{1}{0}", "{1}-{0}", "It lost −{1}{0}.", "(-{1}{0})"]),
)
def test_a_sign_stands_before_a_currency_too(n: int, currency: str, form: str) -> None:
    said = form.format(n, currency)
    for unit in ("", currency):
        assert number(f"{unit}{n}", said) == (False, False)
        assert number(f"-{unit}{n}", said)[1] is True
    assert number(f"{currency}{n}", f"from 3-{currency}{n}")[1] is True, "up to"
    if currency != "$":
        assert number(f"${n}", f"{n} {currency}") == (False, False)
        assert number(f"{currency}{n}", f"{n} {currency}") == (True, True)
    assert number(f"{n} cm", f"${n}$ cm")[1] is True, "LaTeX"


def decimal(n: int, places: int) -> str:
    """``n / 10**places``, written out."""
    return f"{'-' if n < 0 else ''}{abs(n) // 10**places}.{abs(n) % 10**places:0{places}d}"


@given(WHOLE, st.integers(1, 9), st.integers(1, 9))
def test_a_decimal_is_right_to_its_last_digit(n: int, places: int, step: int) -> None:
    gold, wrong = (
        f"{'-' if m < 0 else ''}{abs(m) // 10**places}.{abs(m) % 10**places:0{places}d}" for m in (n, n + step)
    )
    assert number(gold, wrong)[0] is False
    assert number(gold, gold) == (True, True)
    assert number(gold, str(Fraction(n, 10**places))) == (True, True)


@given(st.integers(-10_000, 10_000), st.integers(1, 10_000), st.sampled_from([(1, 0), (0, 1), (-1, 0), (0, 7)]))
def test_another_fraction_is_wrong(above: int, below: int, by: tuple[int, int]) -> None:
    other = above + by[0], below + by[1]
    gold = f"{above}/{below}"
    assert number(gold, gold) == (True, True)
    same = Fraction(*other) == Fraction(above, below)
    assert number(gold, f"{other[0]}/{other[1]}") == (same, same)
    if above:
        assert number(gold, f"{-above}/{below}") == (False, False)


@given(WHOLE, st.sampled_from(UNITS), st.sampled_from(UNITS), st.sampled_from(["", " "]))
def test_another_unit_is_wrong(n: int, unit: str, other: str, space: str) -> None:
    gold = f"{n} {unit}"
    assert number(gold, f"{n}{space}{unit}") == (True, True)
    assert number(gold, f"{n}") == (False, True)
    if other != unit:
        assert number(gold, f"{n}{space}{other}") == (False, False)
        assert number(gold, f"It is {n}{space}{other}") == (False, False)
    if unit[0].isalpha():
        assert number(str(n), f"It takes {n}{space}{unit}") == (False, True)


@given(TEXT, TEXT, st.booleans())
def test_exact_is_equality_of_what_is_written(gold: str, other: str, fold_case: bool) -> None:
    same = unicodedata.normalize("NFC", gold).strip() == unicodedata.normalize("NFC", other).strip()
    assert exact(gold, other, False)[0] == same
    assert exact(gold, gold, fold_case) == (True, True)
    if same:
        assert exact(gold, other, fold_case)[0]
    if folded(gold) != folded(other):
        assert not exact(gold, other, fold_case)[0]


@given(st.lists(TEXT, min_size=2, max_size=5, unique_by=folded), st.data())
def test_the_text_of_one_option_is_never_another(texts: list[str], data: st.DataObject) -> None:
    options = dict(zip("ABCDE", texts, strict=False))
    assume(all(folded(text) for text in texts))
    assume(not any(folded(text).strip("().: ") in "abcde" for text in texts))  # the file may not call one like another
    right = data.draw(st.sampled_from(list(options)))
    for label, text in options.items():
        for said in (text, text.upper().lower(), f" {text}\n", label, f"({label})"):
            assume(folded(said) in (folded(text), folded(label), folded(f"({label})")))
            assert choice(right, said, options)[0] == (label == right), (said, options, right)


SIGNS = (
    "{}",
    "-{}",
    "+{}",
    "{}%",
    "${}",
    ">{}",
    "<{}",
    "{}!",
    "{}'",
    "1/{}",
    "{}++",
    "√{}",
    "{}²",
    "{}°",
    "¬{}",
    "{}*",
)


@given(st.sampled_from(["52", "x", "C", "p"]), st.permutations(SIGNS))
def test_options_that_differ_in_a_sign_alone(word: str, signs: list[str]) -> None:
    options = {label: sign.format(word) for label, sign in zip("ABDE", signs, strict=False)}
    beyond = signs[4].format(word)
    for right, text in options.items():
        assert choice(right, text, options) == (True, True)
        for other in (*(o for o in options.values() if o != text), beyond):
            assert not choice(right, other, options)[0]
            assert not choice(right, f"I think it is {other}", options)[1] or other == beyond


@given(st.permutations("ABCDEFGHIJ"))
def test_another_label_is_wrong(labels: list[str]) -> None:
    right, wrong = labels[:2]
    for form in ("{}", "({})", "{}.", "{})", "{}:"):
        assert choice(right, form.format(right), {}) == (True, True)
        assert choice(right, form.format(wrong), {}) == (False, False)
    for form in ("The answer is {}.", "Answer: {}", "**{}**", "so it must be {}", "The answer is ({}), I am sure."):
        assert choice(right, form.format(right), {}) == (False, True)
        assert choice(right, form.format(wrong), {}) == (False, False)


@pytest.mark.parametrize(
    ("label", "said", "lenient"),
    [
        ("I", "I do not know.", False),
        ("I", "I'm not sure", False),
        ("I", "The answer is I.", True),
        ("A", "A dog barks", False),
        ("A", "A is right", True),
        ("A", "I say A, because it fits", True),
        ("B", "The answer is B. I am sure.", True),
        ("B", "The answer is B, not A", True),
        ("A", "The answer is B, not A", False),
        ("C", "Option C: A thing of beauty", True),
    ],
)
def test_the_pronoun_and_the_article_are_no_labels(label: str, said: str, lenient: bool) -> None:
    assert choice(label, said, {}) == (False, lenient)


@pytest.mark.parametrize(
    ("answer", "said", "strict", "lenient"),
    [
        ("100000", "1,00,000", True, True),
        ("1", "1,00,000", False, False),
        ("0", "0,0", False, False),
        ("7", "7,2", False, False),
        ("1", "1/2/2020", False, False),
        ("1.2", "version 1.2.3", False, False),
        ("12", "the 12th", False, True),
        ("0", "0x1F", False, False),
        ("1", "1e99999", False, False),
        ("0.0000001", "0.0000002", False, False),
        ("1/3", "0.33333", False, False),
        ("1/3", "0.33333333", True, True),
        ("$18", "$18.00", True, True),
        ("$18", "£18", False, False),
        ("-$5", "$5", False, False),
    ],
)
def test_what_is_a_number(answer: str, said: str, strict: bool, lenient: bool) -> None:
    assert number(answer, said) == (strict, lenient)


def test_a_tolerance_that_is_given_is_for_whole_numbers_too() -> None:
    assert number("1000", "1001", 1e-3) == (True, True)
    assert number("1000", "1002", 1e-3) == (False, False)
    assert number("0.5", "0.5000001", 0.0) == (False, False)


@settings(deadline=None, max_examples=60)
@given(TEXT, TEXT, st.sampled_from(["exact", "number", "choice"]), st.booleans())
def test_composition_never_matters_and_strict_is_lenient(gold: str, said: str, name: str, fold_case: bool) -> None:
    check = make_checker(name, fold_case=fold_case)
    grades = [
        check(Gold(change(gold), {change(gold): change(gold + said), "B": "Rome"}), other(said))
        for change in (composed, decomposed)
        for other in (composed, decomposed)
    ]
    assert all(grade == grades[0] for grade in grades)
    assert not grades[0].correct or grades[0].lenient


def composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize("name", [name for name in CHECKERS if name not in ("regex", "math-verify")])
@pytest.mark.parametrize(
    "piece", ["1,", "1/", "1 ", "answer ", "answer is ", "1a", "a ", "(", " ", "1.", "5 aaa/", "A "]
)
def test_time_is_linear(name: str, piece: str) -> None:
    check, gold = make_checker(name), Gold("B" if name == "choice" else "5 cm", {"A": "a b", "B": "a c"})
    began = time.process_time()
    check(gold, piece * 40_000)
    assert time.process_time() - began < 3
