"""The catalogue: skills that are drawn as they say, and compositions that no lesson holds."""

from __future__ import annotations

import pytest

from tasks.programs.derivation import Derivation
from tasks.programs.skills import CATALOGUE, UNTAUGHT, chosen, skills_of
from tasks.records import stream

NAMES = [skill.name for skill in CATALOGUE]


@pytest.mark.parametrize("skill", CATALOGUE, ids=NAMES)
def test_programs_need_what_their_skill_says(skill: object) -> None:
    rng = stream(0, "skills")
    for shape in skill.shapes:  # type: ignore[attr-defined]
        drawn = [shape.draw(rng) for _ in range(20)]
        assert len({d.describe("compact") for d in drawn}) >= 10
        for derivation in drawn:
            assert set(skills_of(skill.name, derivation)) <= set(skill.needs)  # type: ignore[attr-defined]
            assert shape.holds(derivation.letter, [s.form for s in derivation.steps], bool(derivation.shown))


def test_numbers_keep_to_their_share() -> None:
    (shape,) = (shape for shape in CATALOGUE[NAMES.index("filter")].shapes if shape.name == "bounds")
    rng = stream(0, "share")
    low = [int(c) for _ in range(100) for c in shape.draw(rng, 1 / 3).constants]
    free = [int(c) for _ in range(100) for c in shape.draw(rng).constants]
    assert max(low) <= 21 < max(free)


def test_lessons_leave_out_pairs_of_forms_and_teach_each_form_in_others() -> None:
    rng, rows = stream(0, "pairs"), {skill.name: skill for skill in CATALOGUE}
    for left in UNTAUGHT["kinds"]:
        for taught, unseen in zip(rows[left.name].shapes, left.shapes, strict=True):
            seen, out = ({steps_of(shape.draw(rng)) for _ in range(1500)} for shape in (taught, unseen))
            assert out
            assert not seen & out
            for place, group in enumerate(taught.groups):
                assert {forms[place] for forms in seen} == {form.compact for form in group}


def steps_of(derivation: Derivation) -> tuple[str, ...]:
    return tuple(step.form.compact for step in derivation.steps)


def test_untaught_compositions_are_of_no_taught_shape() -> None:
    rng = stream(0, "untaught")
    for skill in (skill for rows in UNTAUGHT.values() for skill in rows):
        derivation = skill.shapes[0].draw(rng)
        forms = [step.form for step in derivation.steps]
        assert not any(shape.holds(derivation.letter, forms, False) for row in CATALOGUE for shape in row.shapes)
        assert set(skill.needs) <= set(NAMES)


@pytest.mark.parametrize(
    ("skills", "known", "sentence"),
    [
        (["slices"], {}, "skills has 'slices'; give some of slice, map"),
        (["map", "map"], {}, "skills names one twice"),
        (["pipe", "slice"], {}, "skills has 'pipe', which needs 'sort'; name 'sort' too"),
        (["map"], {"sort": 1}, "known has 'sort'; give some of map"),
        ([], {"sort": 0}, "known.sort is 0; give a number above 0"),
        ([], {"sort": float("inf")}, "known.sort is inf"),
    ],
)
def test_bad_choices_are_refused(skills: list[str], known: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match="^" + sentence.replace("(", r"\(")):
        chosen(skills, known)
