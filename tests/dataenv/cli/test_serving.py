"""``dataenv serve``: what it refuses before it opens anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.served import needed
from tests.tiny import TINY
from tests.typed import Cli


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), "--anywhere"),
        (("nothing.json",), "cannot be read"),
        (("list.json",), "holds a list"),
        (("tiny.json", "--seeds", "a"), "whole numbers"),
        (("tiny.json", "-s", "budget.students=1"), "did you mean 'student_tokens'"),
        (("tiny.json", "--level", "skil-list"), "did you mean 'skill-list'"),
        (("smok",), "did you mean 'smoke'"),
    ],
)
def test_refusals_are_one_sentence(words: tuple[str, ...], said: str, cli: Cli, tmp_path: Path) -> None:
    needed("mcp")
    (tmp_path / "tiny.json").write_text(json.dumps(TINY), encoding="utf-8")
    (tmp_path / "list.json").write_text("[1]", encoding="utf-8")
    done = cli("serve", *words, "--port", "0", "--store", "off")
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_without_its_package_it_says_what_to_install(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataenv.serve.run.importlib.util.find_spec", lambda name: None)
    done = cli("serve", "smoke")
    assert done.code == 2
    assert "pip install 'mcp" in done.err


def test_a_short_token_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    needed("mcp")
    monkeypatch.setenv("DATAENV_TOKEN", "short")
    assert "16" in cli("serve", "smoke").err
