"""The self-test chooses, and refuses where nothing holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dataenv.leaderboard.provenance import sandbox_of
from tasks.sandbox import SandboxError, choice, judge
from tasks.sandbox.local import LocalSandbox
from tasks.sandbox.records import Program
from tests.tasks.sandbox.conftest import without_walls


@pytest.fixture
def unchosen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(choice, "_CHOSEN", [])
    monkeypatch.setattr(choice, "_FAULTS", {})
    yield
    choice._close()


def broken(told: int) -> list[str]:
    return ["/bin/sh", "-c", "echo no namespaces here >&2; exit 1"]


def test_a_sandbox_that_holds_nothing_fails_its_self_test(no_sandbox: LocalSandbox) -> None:
    assert choice.self_test(no_sandbox) == "a program reads a file of ours"


@pytest.mark.usefixtures("unchosen")
def test_where_none_holds_no_program_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "COMMANDS", {"bubblewrap": broken, "landlock": without_walls})
    with pytest.raises(SandboxError, match=r"bubblewrap: it does not start: no namespaces here; landlock: a program"):
        judge([Program("", "f", [()])])
    assert choice.report().startswith("none; only tasks that run programs need one: no sandbox holds")


@pytest.mark.usefixtures("unchosen")
def test_the_choice_is_in_rows_and_in_doctor(sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "COMMANDS", {"better": broken, sandbox.name: sandbox._command})

    class Runs:
        sandbox = staticmethod(choice.in_force)

    assert sandbox_of(Runs())["sandbox"].startswith(f"{sandbox.name}, Python 3.")  # type: ignore[arg-type]
    assert sandbox_of(object()) == {}  # type: ignore[arg-type]
    assert "better is better, but it does not start: no namespaces here: install bubblewrap" in choice.report()
