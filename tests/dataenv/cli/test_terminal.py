"""What stands in a file or comes from a model never acts in the terminal, whatever way it goes there."""

from __future__ import annotations

import io
import json
import logging
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.live import Live
from rich.panel import Panel
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from dataenv.cli import main
from dataenv.cli.terminal import InertConsole, escaped, visible_lines, warn_visibly
from dataenv.errors import DataenvError
from tasks.records import canonical_json

ACTS = "\x1b]0;owned\x07 \x1b[2J \x9b31m \r \x08 \u202eright \u200b \ud800 \U000e0001 :x: [red]"


def acting(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c)[0] == "C" and c != "\n"}


def table() -> Table:
    made = Table(f"head {ACTS}", title=f"title {ACTS}", caption=ACTS)
    made.add_row(Text(ACTS))
    made.add_row(Panel(ACTS))
    return made


SHOWN: dict[str, Callable[[InertConsole], None]] = {
    "text": lambda c: c.print(ACTS, markup=False, highlight=False, soft_wrap=True),
    "text with markup": lambda c: c.print("a " + ACTS.replace("[red]", "")),
    "styled text": lambda c: c.print(Text(ACTS, style="red")),
    "a table": lambda c: c.print(table()),
    "several": lambda c: c.print("one", Text(ACTS), table()),
    "a rule": lambda c: c.rule(ACTS.replace("[red]", "")),
    "a log": lambda c: c.log(Text(ACTS)),
}


@pytest.mark.parametrize("shown", SHOWN)
def test_nothing_that_is_printed_acts(shown: str) -> None:
    out = io.StringIO()
    console = InertConsole(file=out, force_terminal=False, width=60, emoji=False)
    SHOWN[shown](console)
    assert acting(out.getvalue()) == set()
    assert "⟨ESC⟩" in out.getvalue()


def test_a_live_display_acts_by_itself_alone() -> None:
    def drawn(text: str) -> str:
        out = io.StringIO()
        console = InertConsole(file=out, force_terminal=True, color_system=None, width=60, emoji=False)
        with Live(Text(text), console=console, auto_refresh=False) as live:
            live.update(Text(text), refresh=True)
            console.print(text, markup=False, highlight=False)
        with Progress(console=console, auto_refresh=False) as bar:
            bar.add_task(text.replace("[", ""))
        return out.getvalue()

    assert acting(drawn("word")) == acting(drawn(ACTS)) <= {"\x1b", "\r"}
    assert "]0;owned" not in drawn(ACTS).replace("⟨ESC⟩]0;owned", "")


def test_no_word_becomes_a_picture() -> None:
    out = io.StringIO()
    InertConsole(file=out, emoji=False).print("root:x:0:0", markup=False)
    assert out.getvalue() == "root:x:0:0\n"


@given(st.text())
def test_json_is_escaped_and_of_the_same_value(text: str) -> None:
    said = escaped(canonical_json({text: [text]}))
    assert json.loads(said) == {text: [text]}
    assert acting(said) | {c for c in said if c == "\n"} == set()


@given(st.text())
def test_lines_stay_and_all_else_is_visible(text: str) -> None:
    shown = visible_lines(text)
    assert acting(shown) == set()
    assert shown.count("\n") == text.count("\n")
    assert visible_lines(shown) == shown


def test_the_sentence_of_an_error_is_visible(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise DataenvError(f"{ACTS}\nsecond line")

    monkeypatch.setattr("dataenv.cli.app", fail)
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert acting(said) == set()
    assert said.startswith("dataenv: ⟨ESC⟩]0;owned")
    assert said.endswith("\nsecond line\n")


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "\u202egnp.exe"])
def test_the_name_of_a_file_is_visible_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    def fail() -> None:
        Path(f"/not there/{name}").read_bytes()

    monkeypatch.setattr("dataenv.cli.app", fail)
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert acting(said) == set()
    assert "cannot be used: it is not there" in said


def test_warnings_are_visible(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert logging.lastResort is not None
    monkeypatch.setattr(logging.lastResort, "formatter", None)
    warn_visibly()
    logging.lastResort.handle(logging.LogRecord("dataenv", logging.WARNING, "", 0, "said %s", (ACTS,), None))
    said = capsys.readouterr().err
    assert said.startswith("said ⟨ESC⟩")
    assert acting(said) == set()
