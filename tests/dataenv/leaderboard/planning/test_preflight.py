"""What a command checks before it computes anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataenv.episode.teacher import build_teacher
from dataenv.errors import SettingError
from dataenv.leaderboard.folder import prepare
from dataenv.leaderboard.planning import preflight
from dataenv.leaderboard.planning.preflight import check_setting, checked_board
from dataenv.leaderboard.planning.validate import examine, faults_of_setting
from dataenv.setting import make_setting
from tests.toys import TOY_BOARD, write_toml


def board(folder: Path, **changes: Any) -> str:
    return write_toml(folder / "b.toml", TOY_BOARD | {"setting": TOY_BOARD["setting"] | changes})


def test_a_sound_board_passes(toys: None, tmp_path: Path) -> None:
    assert checked_board(board(tmp_path), {}, (), tmp_path).name == "toy"


def test_everything_is_told_at_once_and_force_goes_on(toys: None, tmp_path: Path) -> None:
    file = board(tmp_path, decoding={"max_tokens": 2}, budget={"student_tokens": 10})
    with pytest.raises(SettingError) as caught:
        checked_board(file, {}, (), tmp_path)
    said = str(caught.value)
    for fault in examine(file):
        assert f"\n  {fault}\n" in said
    assert said.splitlines()[0].endswith("faults, and nothing was computed:")
    assert said.endswith("--force")
    assert "give at least 5" in said
    assert "costs about" in said
    assert checked_board(file, {}, (), tmp_path, force=True).setting.decoding.max_tokens == 2


def test_what_cannot_be_read_cannot_be_forced(toys: None, tmp_path: Path) -> None:
    file = write_toml(tmp_path / "b.toml", TOY_BOARD | {"seeds": 3, "teachers": ["stratified", "failur"]})
    for force in (True, False):
        with pytest.raises(SettingError) as caught:
            checked_board(file, {}, (), tmp_path, force)
        assert "seeds is 3; give a list such as [0, 1, 2]" in str(caught.value)
        assert "did you mean 'failure'" in str(caught.value)
        assert "--force" not in str(caught.value)


def test_one_fault_names_its_file_once(toys: None, tmp_path: Path) -> None:
    file = write_toml(tmp_path / "b.toml", TOY_BOARD | {"seeds": 3})
    with pytest.raises(SettingError) as caught:
        checked_board(file, {}, (), tmp_path)
    assert str(caught.value) == f"{file}: seeds is 3; give a list such as [0, 1, 2]"


def test_a_board_that_was_begun_is_not_checked_again(
    toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = board(tmp_path)
    checked = checked_board(file, {}, (), tmp_path)
    asked = []
    monkeypatch.setattr(preflight, "examine", lambda *args: asked.append(args) or ["a fault"])
    with pytest.raises(SettingError, match="a fault"):
        checked_board(file, {}, (), tmp_path)
    prepare(checked, tmp_path / checked.name)
    asked.clear()
    assert checked_board(file, {}, (), tmp_path) == checked
    assert asked == []
    with pytest.raises(SettingError, match="a fault"):  # another configuration
        checked_board(file, {"seeds": [4]}, (), tmp_path)
    with pytest.raises(SettingError, match="a fault"):
        checked_board(file, {}, (), tmp_path, replace=True)


def test_a_setting_of_one_run(toys: None) -> None:
    fields = TOY_BOARD["setting"] | {"decoding": {"max_tokens": 2}}
    who = build_teacher("stratified", {})
    with pytest.raises(SettingError, match=r"this run: .*\n(.*\n)*.*give at least 5"):
        check_setting(make_setting(fields), who)
    check_setting(make_setting(fields), who, force=True)
    check_setting(make_setting(TOY_BOARD["setting"]), who)


def test_a_run_holds_no_exam_of_boards(toys: None) -> None:
    """The simulated student cannot read the transfer problems of its own task."""
    fields = {"student": "simulated", "items": {"feedback": 2, "selection": 2, "test": 10**6, "transfer": 10**6}}
    setting = make_setting(fields)
    assert any("setting.items.test asks" in fault for fault in faults_of_setting(setting))
    assert any("transfer" in fault for fault in faults_of_setting(setting))
    check_setting(setting, build_teacher("stratified", {}))


def test_who_brings_examples_needs_no_engine(toys: None) -> None:
    fields = TOY_BOARD["setting"] | {"budget": {"student_tokens": 10}}
    with pytest.raises(SettingError, match="student_tokens is 10"):
        check_setting(make_setting(fields), build_teacher("stratified", {}))

    class Own:
        level = "open-ended"

        def act(self, observation: Any, info: Any) -> Any:
            return []

    check_setting(make_setting(fields), Own())  # type: ignore[arg-type]
