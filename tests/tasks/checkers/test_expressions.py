"""What ``math-verify`` takes for right: never a permuted word, another base, another unit or another number."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tasks.checkers import Gold, expressions, make_checker
from tasks.checkers.expressions import last_box, settled

WORDS = st.sampled_from(["cat", "Paris", "Monday", "no", "yes", "even", "undefined", "Zoë", "no solution"])
check = make_checker("math-verify")


@given(WORDS, st.randoms(use_true_random=False))
def test_a_word_is_no_product_of_its_letters(word: str, rng) -> None:
    mixed = "".join(rng.sample(word, len(word)))
    assume(mixed.split() != word.split())
    for form in ("{}", "\\text{{{}}}", "$\\text{{ {} }}$"):
        assert settled(word, form.format(word)) == (True, True)
        assert settled(form.format(word), word) == (True, True)
        assert settled(form.format(word), form.format(mixed)) == (False, False)


@given(st.integers(0, 10**9), st.integers(2, 16), st.integers(2, 16))
def test_a_number_of_another_base_is_another(n: int, base: int, other: int) -> None:
    gold = f"{n}_{{{base}}}"
    assert settled(gold, f"${n}_{{{base}}}$") == (True, True)
    assert settled(gold, str(n)) == (False, False)
    assert settled(str(n), gold) == (False, False)
    assert settled(gold, f"{n}_{{{other}}}") == ((base == other,) * 2)
    assert settled(gold, f"{n + 1}_{{{base}}}") == (False, False)


@given(
    st.integers(-(10**9), 10**9),
    st.sampled_from([("cm", "m"), ("m", "cm"), ("cm^2", "cm^3"), ("kg", "g"), ("km/h", "m/s")]),
)
def test_another_unit_is_another_answer(n: int, units: tuple[str, str]) -> None:
    gold = f"{n} \\text{{ {units[0]}}}"
    for form in ("{} {}", "{}{}", "{}\\,\\mathrm{{{}}}", "{}\\text{{ {}}}"):
        assert settled(gold, form.format(n, units[0])) == (True, True)
        assert settled(gold, form.format(n, units[1])) == (False, False)
        assert settled(gold, form.format(n + 1, units[0])) == (False, False)
    assert settled(gold, str(n)) == (True, True)  # as the graders of MATH have it: no unit is no wrong unit
    assert settled(gold, str(n + 1)) == (False, False)


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**7), st.integers(-3, 3))
def test_plain_numbers_are_exact(above: int, below: int, by: int) -> None:
    gold, said = f"\\frac{{{above}}}{{{below}}}", f"{above + by}/{below}"
    assert settled(gold, said) == ((by == 0,) * 2)
    assert settled(str(above), f"${above + by}$") == ((by == 0,) * 2)
    assert settled(gold, str(Fraction(above, below))) == (True, True)


@given(st.integers(1, 10**6), st.integers(1, 99), st.integers(1, 99), st.sampled_from(["", "-"]))
def test_a_mixed_number_is_a_sum_and_no_longer_numerator(whole: int, above: int, below: int, sign: str) -> None:
    mixed = f"{sign}{whole}\\frac{{{above}}}{{{below}}}"
    right, glued = f"{sign}{whole * below + above}/{below}", f"{sign}\\frac{{{whole}{above}}}{{{below}}}"
    for gold, said in ((mixed, right), (right, mixed), (mixed, mixed.replace("\\frac", " \\dfrac"))):
        assert settled(gold, said) == (True, True)
    assume(Fraction(int(f"{whole}{above}"), below) != whole + Fraction(above, below))
    assert settled(mixed, glued) == settled(glued, mixed) == (False, False)


@pytest.mark.parametrize(
    "answer",
    [r"\text{6:00 p.m.}", r"\text{A, B, C}", r"1 \quad 2", "10,\\!000", r"0.1\overline{3}", r"\triangle ABC", "3:4"],
)
def test_an_answer_as_the_file_has_it_is_right(answer: str) -> None:
    """Also where it is no mathematics: ``math_verify`` cannot read all that MATH gives as an answer."""
    assert settled(answer, answer) == (True, True)
    assert settled(r"\text{8:00 AM}", r"8:00 \text{ AM}") == (True, True)
    assert settled("12", r"1 \quad 2") != (True, True)
    assert settled(r"1\,234", "1234") == (True, True)


@pytest.mark.parametrize(
    ("gold", "said", "strict", "lenient"),
    [
        ("6", r"\boxed{5}. No, that is wrong: \boxed{6}", True, True),
        ("5", r"\boxed{5}. No, that is wrong: \boxed{6}", False, False),
        (r"\frac{1}{2}", r"so $\boxed{\frac{1}{2}}$ it is", True, True),
        ("6", r"\boxed{6", False, False),
        ("6", r"\boxed{5}. No, $\boxed 6$.", True, True),
        ("5", r"\boxed{5}. No, $\boxed6$.", False, False),
        (r"\frac{1}{2}", r"so $\boxed\frac{1}{2}$", True, True),
        (r"90^\circ", r"\boxed{90°}", True, True),
        ("(1,2)", r"\boxed{\{1,2\}}", False, False),
        (r"\{1,2\}", r"\boxed{\left(1, 2\right)}", False, False),
        ("(1,2),(3,4)", r"\boxed{\{(1,2),(3,4)\}}", True, True),
        (r"90^\circ", r"\boxed{80°}", False, False),
        ("90°", r"\boxed{90^\circ}", True, True),
        ("x+1", "$1+x$", True, True),
        ("x^2-1", r"\boxed{(x-1)(x+1)}", True, True),
        ("x^2-1", r"\boxed{(x-1)(x-1)}", False, False),
        ("2xy", "2yx", True, True),
        ("2a", "2A", False, False),
        ("cat+1", "1+act", False, False),
        (r"\sqrt{2}", "1.414214", True, True),
        (r"\sqrt{2}", "1.4142", False, False),
        ("(0.0000001,1)", "(0.0000002,1)", False, False),
        (r"4.0\cdot 10^{-7}", r"3.0\cdot 10^{-7}", False, False),
        (r"\{1,2\}", r"\{2,1\}", True, True),
        (r"\{1,2\}", r"\{1,3\}", False, False),
        ("[1,2)", "(1,2]", False, False),
        (r"\text{(C)}", "C", True, True),
        (r"\text{(C)}", "(B)", False, False),
        (r"5 \text{ cm}", "the answer is 5 m.", False, False),
        (r"5 \text{ cm}", "the answer is 5 cm", False, True),
        ("Zoe\u0308", "Zo\u00eb", True, True),
    ],
)
def test_math_verify(gold: str, said: str, strict: bool, lenient: bool) -> None:
    pytest.importorskip("math_verify")
    grade = check(Gold(gold), said)
    assert grade.error is None
    assert (grade.correct, grade.lenient) == (strict, lenient)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=2, max_size=4), st.data())
def test_a_polynomial_with_a_changed_coefficient_is_wrong(coefficients: list[int], data: st.DataObject) -> None:
    pytest.importorskip("math_verify")
    assume(any(coefficients[1:]))
    at = data.draw(st.integers(0, len(coefficients) - 1))
    changed = [c + (i == at) for i, c in enumerate(coefficients)]
    gold = Gold(polynomial(coefficients))
    assert check(gold, polynomial(coefficients)).correct
    assert check(gold, "+".join(reversed(polynomial(coefficients).split("+")))).correct
    assert not check(gold, polynomial(changed)).correct
    assert not check(gold, polynomial([-c for c in coefficients])).correct


def polynomial(coefficients: list[int]) -> str:
    return "+".join(f"({c})*x^{{{power}}}" for power, c in enumerate(coefficients))


def test_the_last_box() -> None:
    assert last_box(r"a \boxed{1} b \boxed{\frac{1}{2}} c") == r"\frac{1}{2}"
    assert last_box(r"\fbox{3}") == "3"
    assert last_box(r"\boxed{\{1,2\}}") == r"\{1,2\}"
    assert last_box(" none ") == "none"
    assert last_box(r"\boxed{1} \boxed{2") is None


@pytest.mark.parametrize("piece", [r"\boxed{", "{", r"\text{a", "1 a", r"\frac{1}", "a ", "1_", r"\text{a}1 "])
def test_time_is_linear(piece: str) -> None:
    long = (piece * expressions.LONGEST)[: expressions.LONGEST]
    began = time.process_time()
    last_box(long)
    settled("5 cm", long)
    settled("cat", long)
    expressions.places(long, long)
    assert time.process_time() - began < 3
