"""The catalogue: skills that are drawn as they say, and compositions that no lesson holds."""

from __future__ import annotations

import pytest

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
