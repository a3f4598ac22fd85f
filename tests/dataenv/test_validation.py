"""One field set by its path: what is there, what becomes of the others, and what a wrong path is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataenv.errors import SettingError
from dataenv.learning.policy import CARD, WEIGHTS, load
from dataenv.setting import Setting, make_setting
from dataenv.skill_files import read_discovery, read_proposal
from dataenv.validation import all_faults, assigned


def put(path: str, value: Any, **fields: Any) -> Setting:
    return make_setting(assigned(fields, path, value, Setting, "-s"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("lesson_size", 7),
        ("recipe.rate", 0.5),
        ("warm_start.recipe.rate", 0.5),
        ("warm_start.examples", 3),
        ("budget.examples", 99),
        ("decoding.temperature", 0.5),
    ],
)
def test_one_field_changes_and_all_others_stay(path: str, value: Any) -> None:
    expected = Setting().model_dump()
    inner, names = expected, path.split(".")
    for name in names[:-1]:
        inner = inner[name]
    inner[names[-1]] = value
    assert put(path, value).model_dump() == expected


def test_what_is_given_already_stays() -> None:
    assert put("recipe.rate", 0.5, recipe={"updates": 3}).recipe.updates == 3
    given = {"recipe": {"updates": 3}}
    assigned(given, "recipe.rate", 0.5, Setting, "-s")
    assert given == {"recipe": {"updates": 3}}


def test_a_mapping_takes_any_name_and_a_record_inside_it_its_own() -> None:
    assert put("task_args.a.b", 1).task_args == {"a": {"b": 1}}
    assert put("student_args.width", 16, student_args={"layers": 1}).student_args == {"layers": 1, "width": 16}
    assert put("recipes.slow.rate", 0.25).recipes["slow"].rate == 0.25
    assert put("recipe.grpo.group", 4, recipe={"method": "grpo"}).recipe.grpo.group == 4  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("lesson_sise", "-s: lesson_sise is no field; did you mean 'lesson_size'?"),
        ("recipe.raet", "-s: recipe.raet is no field; did you mean 'rate'?"),
        ("warm_start.recipe.bacth", "-s: warm_start.recipe.bacth is no field; did you mean 'batch'?"),
        ("recipes.slow.raet", "-s: recipes.slow.raet is no field; did you mean 'rate'?"),
        ("items.zzz", "-s: items.zzz is no field; known: feedback, selection, test, transfer."),
        ("recipe.rate.x", "-s: recipe.rate holds no fields, so there is no recipe.rate.x; give recipe.rate=VALUE"),
    ],
)
def test_a_wrong_path_is_told_the_nearest_name_at_its_level(path: str, sentence: str) -> None:
    with pytest.raises(SettingError) as caught:
        put(path, 1)
    assert str(caught.value) == sentence


def test_what_is_no_mapping_is_not_written_into() -> None:
    with pytest.raises(SettingError, match=r"recipe is 3, which holds no fields; give it whole"):
        put("recipe.rate", 1, recipe=3)


def test_the_nearest_field_is_found_inside_a_tuple_too() -> None:
    with pytest.raises(SettingError, match=r"finish\.0\.shar is no field; did you mean share"):
        make_setting({"finish": [{"shar": 0.7}]})


SECRETS = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "json": '{"auths": {"https://registry": {"auth": "c2VjcmV0"}}}',
    "known fields": '{"skills": "c2VjcmV0", "items": {"c2VjcmV0": ["c2VjcmV0"]}, "rule": "c2VjcmV0"}',
    "list": '["c2VjcmV0"]',
    "text": '"c2VjcmV0"',
    "no text": "\x00\x7fELFc2VjcmV0",
}


@pytest.mark.parametrize("text", SECRETS)
@pytest.mark.parametrize("read", [read_discovery, read_proposal, lambda path: load(Path(path))])
def test_a_file_that_somebody_else_named_is_not_quoted(
    tmp_path: Path, text: str, read: Callable[[str], object]
) -> None:
    """A board of others may name any file; whoever checks it must not read that file out to them."""
    for name in ("named", CARD, WEIGHTS):
        (tmp_path / name).write_text(SECRETS[text])
    given = str(tmp_path if read not in (read_discovery, read_proposal) else tmp_path / "named")
    with pytest.raises(SettingError) as caught:
        read(given)
    said = str(caught.value).replace(given, "")
    assert not [word for word in ("root", "auths", "registry", "c2VjcmV0", "ELF") if word in said]
    assert "\n" not in said


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"lesson_size": "many"}, "lesson_size is 'many'; give a whole number"),
    ({"lesson_size": 2.5}, "lesson_size is 2.5; give a whole number"),
    ({"lesson_size": 0}, "lesson_size is 0; give at least 1"),
    ({"mastery": 2}, "mastery is 2; give at most 1"),
    ({"mastery": 0}, "mastery is 0; give more than 0"),
    ({"verify": "maybe"}, "verify is 'maybe'; give true or false"),
    ({"task": 7}, "task is 7; give text in quotes"),
    ({"task_args": 7}, "task_args is 7; give fields, such as { name = 1 }"),
    ({"recipe": "fast"}, "recipe is 'fast'; give its fields, such as { name = 1 }"),
    ({"recipe": {"start": "bse"}}, "recipe.start is 'bse'; give 'current' or 'base'"),
    ({"targets": "add"}, "targets is 'add'; give a list such as ['add']"),
    ({"targets": 3}, "targets is 3; give a list such as [0, 1, 2]"),
    ({"targets": True}, "targets is true; give a list"),
    ({"items": {"feedbak": 1}}, "items.feedbak is no field; did you mean feedback?"),
    ({"updates": 3}, "updates is no field; did you mean warm_start.recipe.updates?"),
    ({"zzzzzz": 3}, "zzzzzz is no field; remove it"),
    ({"recipe": {"method": "dpo", "replay": 0.5}}, "recipe: "),
    ({"targets": ["a", "a"]}, "targets names a skill twice; name each once"),
]


@pytest.mark.parametrize(("fields", "sentence"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_said_in_plain_words(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingError) as caught:
        make_setting(fields)
    said = str(caught.value)
    assert said.startswith(f"Setting: {sentence}")
    assert not any(word in said for word in ("input should", "Input", "tuple", "dictionary", "alue error", "instance"))


def test_every_fault_is_found_at_once_and_none_is_made_up() -> None:
    from dataenv.leaderboard.config import STAND_IN, Board

    fields: dict[str, Any] = {
        "nam": "x",
        "seeds": 3,
        "teachers": ["stratified", {"nme": "failure"}],
        "references": ["nothing", "nothink"],
        "setting": {
            "task": 7,
            "targets": ["a", "a"],
            "budget": {"student_tokens": -1},
            "warm_start": {"recipe": {"method": "grpo"}},
        },
    }
    board, found = all_faults(Board, fields, STAND_IN)
    assert board is None
    expected = (
        "nam is no field; did you mean name?",
        "name is missing; add it",
        "seeds is 3; give a list such as [0, 1, 2]",
        "teachers.1.nme is no field; did you mean name?",
        "teachers.1.name is missing; add it",
        "setting.task is 7; give text in quotes",
        "setting.budget.student_tokens is -1; give at least 0",
        "setting: warm_start.recipe.method is 'grpo'; give 'sft'",
        "reference 'nothink' is not registered; did you mean 'nothing'?",
    )
    assert sorted(found) == sorted(expected)


def test_faults_of_the_whole_are_found_though_fields_are_wrong() -> None:
    from dataenv.leaderboard.config import STAND_IN, Board

    _, found = all_faults(Board, {"name": "x", "seeds": [1, 1], "teachers": ["failure"], "lesson_size": 4}, STAND_IN)
    assert found == [
        "lesson_size is no field; did you mean setting.lesson_size?",
        "teachers lack 'stratified', which the others are measured against; add it",
        "seeds hold one seed twice; a seed is one run",
    ]


def test_a_record_whose_required_field_has_no_stand_in_ends_too() -> None:
    from dataenv.leaderboard.config import Board

    made, found = all_faults(Board, {}, {})
    assert made is None
    assert found == ["name is missing; add it", "seeds is missing; add it", "teachers is missing; add it"]
