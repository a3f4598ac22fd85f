"""What is given by ``-t``, ``-s`` and ``--add``, read."""

from __future__ import annotations

from typing import Any

import pytest

from dataenv.cli.given import additions, arguments, pairs, setting_fields, value_of
from dataenv.errors import SettingError
from dataenv.leaderboard.config import Entry, load


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2), ("1e-3", 1e-3), ("true", True), ("null", None), ("[0,1]", [0, 1]), ('{"a": 1}', {"a": 1}),
        ('"2"', "2"), ("pool", "pool"), ("", ""), ("NaN", "NaN"), ("Infinity", "Infinity"), ("a=b", "a=b"),
        ("[0,", "[0,"),
    ],
)  # fmt: skip
def test_a_value_is_json_where_it_is_some_and_text_elsewhere(text: str, value: Any) -> None:
    assert pairs("-s", [f"x.y={text}"], "") == {"x.y": value}
    assert type(value_of(text)) is type(value)


@pytest.mark.parametrize("text", ["alpha", "=2", ".x=2", "x.=2", ""])
def test_what_is_no_pair_is_said(text: str) -> None:
    with pytest.raises(SettingError, match="give a name, '=' and a value, such as -t alpha=2"):
        arguments("{}", [text])


def test_one_by_one_goes_over_all_at_once_and_the_last_over_the_first() -> None:
    assert arguments('{"a": 1, "b": 1}', ["a=2", "chat.model=m", "a=3"]) == {"a": 3, "b": 1, "chat": {"model": "m"}}
    assert setting_fields(
        '{"task": "lego", "verify": true}', ["verify=false"], task="arithmetic", student="pocket"
    ) == {
        "task": "lego",
        "student": "pocket",
        "verify": False,
    }


def test_fields_of_a_board_with_and_without_the_word_setting() -> None:
    plain = load("quick")
    board = load("quick", {"seeds": [3], "recipe.rate": 0.5, "setting.verify": True, "mixtures.seeds": [9]})
    assert board.seeds == (3,)
    assert board.mixtures.seeds == (9,)
    assert board.mixtures.weights == plain.mixtures.weights
    assert board.setting == plain.setting.changed(
        recipe=plain.setting.recipe.model_copy(update={"rate": 0.5}), verify=True
    )


def test_no_field_of_a_board_has_the_name_of_one_of_its_setting() -> None:
    """So that ``recipe.rate`` means one thing."""
    from dataenv.leaderboard.config import Board
    from dataenv.setting import Setting

    assert not Board.model_fields.keys() & Setting.model_fields.keys()


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("sedes", 1, "did you mean 'seeds'?"),
        ("recipee.rate", 1, "did you mean 'recipe'?"),
        ("setting.recipe.raet", 1, "setting.recipe.raet is no field; did you mean 'rate'?"),
        ("recipe.rate", "fast", "board smoke as changed: setting.recipe.rate is 'fast'; give a number"),
        ("seeds", [1, 1], "seeds hold one seed twice"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_board_is_named(path: str, value: Any, sentence: str) -> None:
    with pytest.raises(SettingError) as caught:
        load("smoke", {path: value})
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "entry", "shown"),
    [
        ("failure", Entry(name="failure"), "failure"),
        ("tests.toys:Reverse", Entry(name="tests.toys:Reverse"), "Reverse"),
        ("other=failure", Entry(name="failure", label="other"), "other"),
        ("learned:runs/p", Entry(name="learned:runs/p"), "learned"),
        ('{"name": "failure", "args": {"alpha": 3}, "label": "f3"}',
         Entry(name="failure", args={"alpha": 3}, label="f3"), "f3"),
    ],
)  # fmt: skip
def test_who_is_added(text: str, entry: Entry, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataenv.episode.teacher.build_teacher", lambda *_: None)
    assert additions([text]) == (entry,)
    assert entry.shown == shown


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fialure", "did you mean 'failure'?"),
        ("a=fialure", "did you mean 'failure'?"),
        ('{"nam": "failure"}', "did you mean name?"),
        ("{", "--add is no JSON"),
        ("no_such_module:Name", "No module named 'no_such_module'"),
    ],
)
def test_who_cannot_be_added_is_said(text: str, sentence: str) -> None:
    with pytest.raises(SettingError) as caught:
        additions([text])
    assert sentence in str(caught.value)


def test_the_same_teacher_twice_is_added_once() -> None:
    assert additions(["frontier", "frontier"]) == (Entry(name="frontier"),)
