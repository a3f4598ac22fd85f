"""``dataenv list``: every kind, one sentence each, as wide as a terminal is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from dataenv import registry
from dataenv.cli import app


def listed(*words: str, columns: str = "80") -> Any:
    return CliRunner(env={"COLUMNS": columns}).invoke(app, ["list", *words])


def test_every_kind_and_name_is_listed_with_a_sentence() -> None:
    found = json.loads(listed("--json").stdout)
    for kind in registry.KINDS:
        named = {entry["name"]: entry["sentence"] for entry in found if entry["kind"] == kind}
        assert list(named) == list(registry.names(kind))
        assert all(" " in sentence and "cannot be loaded" not in sentence for sentence in named.values())
    assert {"smoke", "quick"} <= {entry["name"] for entry in found if entry["kind"] == "board"}


def test_one_kind_fits_a_terminal() -> None:
    out = listed("metric").stdout
    assert "transfer" in out
    assert "arithmetic" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_what_cannot_be_loaded_is_listed_with_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._HERE["metric"], "gone", "no.module:Here")
    done = listed("metric", columns="200")
    assert done.exit_code == 0
    assert "metric 'gone' is 'no.module:Here', which cannot be loaded" in done.stdout
    assert "worst-skill" in done.stdout
