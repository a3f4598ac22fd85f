"""Each step in both styles is read back, and its code computes what the derivation computes, in the sandbox."""

from __future__ import annotations

import pytest

from tasks.programs.checking import hidden
from tasks.programs.derivation import Derivation, Step, read
from tasks.programs.forms import FORMS, NUMBERS, OPERATIONS, SIGN, Form, Style
from tasks.sandbox import Program, judge, same_value


def steps(form: Form, n: int) -> list[Step]:
    """Steps of a form with constants from their least to their most."""
    found = []
    for i in range(n):
        given = {}
        for letter in form.letters:
            low, high = form.bounds(letter) if letter in NUMBERS else (0, 0)
            number = str(low + (high - low) * i // max(n - 1, 1))
            given[letter] = number if letter in NUMBERS else ",;:/-"[i % 5] if letter == SIGN else "aezk"[i % 4]
        found.append(Step.of(form, given))
    return found


def alone(step: Step) -> Derivation:
    """A program with this step; numbers of a text are added up, for what was read is no plain value."""
    takes = "v" if "v" in step.form.takes else step.form.takes[0]
    after = [Step.of(form, {}) for form in FORMS if form.compact == "sum"] if step.form.gives == "i" else []
    return Derivation(takes, (step, *after))


@pytest.mark.parametrize("style", ["compact", "english"])
def test_what_a_form_writes_it_reads(style: Style) -> None:
    for form in FORMS:
        for step in steps(form, 3):
            asked = alone(step)
            assert read(asked.describe(style)) == asked, asked.describe(style)


def test_no_two_forms_are_described_alike() -> None:
    for texts in ([form.compact for form in FORMS], [form.english for form in FORMS]):
        twice = {text for text in texts if texts.count(text) > 1}
        kinds = [(form.takes, form.compact) for form in FORMS if form.compact in twice or form.english in twice]
        assert len(kinds) == len(set(kinds))


@pytest.mark.usefixtures("needs_sandbox")
def test_the_code_of_each_form_computes_what_its_description_asks() -> None:
    """Expected values come from ``run``, beside the code and apart from it; the sandbox runs the code."""
    asked = [alone(step) for form in FORMS for step in steps(form, 2)]
    assert len(asked) > 200
    inputs = [[given for given, _ in hidden(derivation)] for derivation in asked]
    assert min(map(len, inputs)) >= 4
    programs = [
        Program(f"f = lambda {d.letter}: ({d.code})", "f", [[given] for given in rows])
        for d, rows in zip(asked, inputs, strict=True)
    ]
    for derivation, outcome in zip(asked, judge(programs), strict=True):
        assert outcome.reason is None, derivation.code
        values = [value for _, value in hidden(derivation)]
        assert all(map(same_value, outcome.values, values)), derivation.code


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.word)
def test_an_operation_computes_by_hand(operation: object) -> None:
    by_hand = {"plus": 17, "minus": 7, "times": 60, "mod": 2}
    assert operation.run(12, 5) == by_hand[operation.word]  # type: ignore[attr-defined]


def test_constants_out_of_their_range_are_not_read() -> None:
    assert read("n: mod 2=") is not None
    assert read("n: mod 0=") is None
    assert read("v: first 07=") is None
    assert read("v: first 1000=") is None


def test_a_form_has_as_many_sets_of_constants_as_its_ranges_say() -> None:
    forms = {form.compact: form for form in FORMS}
    assert forms["from {a} to {b}"].size == 8 * 12
    assert forms["replace {p} by {q}"].size == 26 * 26
    assert forms["sort"].size == 1
