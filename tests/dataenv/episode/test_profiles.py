"""Profiles as records: shares in order, those of a teacher around another, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from dataenv.episode.profiles import SkillProfile, profiles_of
from dataenv.episode.teacher import as_teacher
from dataenv.errors import SettingError

ONE = SkillProfile(step=0, diagnoser="task", problems=3, missing={"b": 1.0, "a": 1.0, "c": 2.0})


def teacher(**more: Any) -> Any:
    return as_teacher(SimpleNamespace(act=lambda observation: (), **more), "made-up")


def test_shares_are_the_largest_first_and_sum_to_one() -> None:
    assert list(ONE.shares.items()) == [("c", 0.5), ("a", 0.25), ("b", 0.25)]
    assert SkillProfile(step=0, diagnoser="task", problems=0, missing={}).shares == {}


def test_a_profile_comes_back_from_its_json() -> None:
    beside = ONE.model_copy(update={"used": False, "lacks": {"p": ("a",)}})
    for one in (ONE, beside):
        assert SkillProfile.model_validate_json(one.model_dump_json()) == one
    assert "used" not in ONE.model_dump_json()


def test_a_teacher_around_another_tells_the_others_profiles() -> None:
    assert profiles_of(teacher()) == []
    assert profiles_of(teacher(profiles=[ONE])) == [ONE]
    assert profiles_of(teacher(inner=teacher(profiles=(ONE,)))) == [ONE]
    assert profiles_of(teacher(profiles=[ONE.model_dump()])) == [ONE], "a teacher that knows nothing of ours"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("x", "profiles of teacher made-up hold a str; give SkillProfile records, or dicts of their fields"),
        ({"step": 0, "diagnoser": "me", "problems": 1, "missing": {"a": -1}}, "missing.a is -1"),
        ({"step": 0, "diagnoser": "me", "problems": 1, "missing": {}, "skils": 1}, "skils is no field"),
    ],
)
def test_what_is_no_profile_is_one_sentence(given: Any, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        profiles_of(teacher(profiles=[given]))


def test_more_diagnoses_than_problems_do_not_add_up() -> None:
    with pytest.raises(ValidationError, match="lacks has 2 problems and problems is 1"):
        SkillProfile(step=0, diagnoser="task", problems=1, missing={}, lacks={"p": (), "q": ()})
