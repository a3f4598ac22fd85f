"""Who is isolated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.isolation import choice
from tasks.sandbox.records import SandboxError
from tests.tiny import TINY
from tests.typed import Cli


@pytest.mark.usefixtures("needs_sandbox")
def test_those_from_outside_or_all_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._HERE["teacher"], "lambda", lambda observation: observation)
    names = ("stratified", "mine:Name", "lambda")
    expected = {"none": (False,) * 3, "outside": (False, True, False), "all": (True, True, False)}
    for who, found in expected.items():
        monkeypatch.setenv(choice.VARIABLE, who)
        assert tuple(map(choice.isolated, names)) == found
    monkeypatch.setenv(choice.VARIABLE, "some")
    with pytest.raises(SettingError, match="give outside, all, none"):
        choice.isolated("stratified")


def test_without_a_sandbox_only_what_must_be_isolated_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none() -> None:
        raise SandboxError("no sandbox holds")

    monkeypatch.setattr(choice, "chosen", none)
    monkeypatch.setenv(choice.VARIABLE, "outside")
    assert not choice.isolated("mine:Name")
    assert "without isolation" in caplog.text
    monkeypatch.setenv(choice.VARIABLE, "all")
    with pytest.raises(SettingError, match="no sandbox holds"):
        choice.isolated("stratified")


@pytest.mark.usefixtures("needs_sandbox")
def test_a_teacher_of_ones_own_is_isolated_unless_told(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(TELLS, encoding="utf-8")
    command = ("run", "--teacher", "mine:Tells", "--setting", json.dumps(TINY), "--store", "off", "--force", "--quiet")
    assert "of its own" in cli(*command).err
    assert choice.who() == "none"
    assert "here" in cli(*command, "--isolated", "none").err
    refused = cli(*command, "--isolated", "some")
    assert refused.code == 2
    assert "give outside, all, none" in refused.err


TELLS = """
import os

class Tells:
    def act(self, observation, info):
        raise RuntimeError("here" if "PATH" in os.environ else "of its own")
"""
