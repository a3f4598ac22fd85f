"""Commands of single runs, in this process and on a toy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.dataenv.cli.test_boards import cli, once, play, played, trained
from tests.typed import Cli

__all__ = ["cli", "once", "played"]  # the fixtures
SHORT = "setting.decoding.max_tokens"


def test_a_run_is_checked_too(cli: Cli) -> None:
    words = ("run", "--task", "reverse", "--student", "apprentice", "-s", "warm_start.examples=0")
    few = ("-s", "recipe.updates=4", "-s", "recipe.batch=4", "-s", "lesson_size=16", "-s", "budget.student_tokens=1200")
    refused = cli(*words, *few, "-s", "decoding.max_tokens=2")
    assert refused.code == 2
    assert f"{SHORT} is 2 and a gold answer of feedback has 5 tokens" in refused.err
    assert cli(*words, *few, "-s", "decoding.max_tokens=2", "--force").code == 0
    assert cli(*words, *few, "-s", "decoding.max_tokens=8").code == 0


TEACHERS = """
import sys

class Broken:
    def __init__(self, where="act"):
        self.args, self.where = {"where": where}, where
    def act(self, observation, info):
        if self.where == "act":
            raise LookupError("no such \\x1b[31mskill")
        if self.where == "exit":
            sys.exit(0)
        while self.where == "hang":
            pass
        return observation["accuracy"] * 0 + 1
    def learn(self, transition):
        if self.where == "learn":
            1 / 0
"""


# Such a teacher is from outside, so it runs in a process of its own.
@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("act", "dataenv: LookupError: no such"),
        ("learn", "dataenv: ZeroDivisionError: division by zero (mine.py:"),
        ("exit", "SystemExit: 0 (mine.py:"),
        ("hang", "act() was not done within 1 seconds (in a process of its own)"),
    ],
)
def test_a_teacher_that_fails_is_one_sentence(cli: Cli, tmp_path: Path, where: str, said: str) -> None:
    (tmp_path / "mine.py").write_text(TEACHERS)
    words = ("run", "--task", "reverse", "--student", "apprentice", "-s", "warm_start.examples=0", "--force")
    few = ("-s", "recipe.updates=4", "-s", "recipe.batch=4", "-s", "lesson_size=16", "-s", "budget.student_tokens=1200")
    failed = cli(*words, *few, "--teacher", "mine:Broken", "-t", f"where={where}", "--act-deadline", "1")
    assert failed.code == 2
    assert said in failed.err
    assert "Traceback" not in failed.err
    assert "\x1b" not in failed.err


def test_the_export_of_an_untaught_student_says_so(cli: Cli, played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.toys import Apprentice

    monkeypatch.setattr(Apprentice, "export", lambda self, weights, folder: folder.mkdir(exist_ok=True))
    taught = cli("export", "runs/toy/rows/stratified--0.json")
    assert "untaught" not in taught.out
    assert json.loads(cli("export", "runs/toy/rows/stratified--0.json", "--json").out)["untaught"] is False
    untaught = cli("export", "runs/toy/rows/nothing--0.json")
    assert untaught.out.startswith("0 examples in ")
    assert "this is the untaught student" in untaught.out
    assert json.loads(cli("export", "runs/toy/rows/nothing--0.json", "--json").out)["untaught"] is True


def test_force_plays_what_validate_refuses_and_it_is_resumed_without(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.toys import Apprentice

    monkeypatch.setattr(
        Apprentice,
        "answer",
        lambda self, weights, asked, decoding, seed: [text[-2::-1][: decoding.max_tokens] for text, _ in asked],
    )
    words = ("-s", "decoding.max_tokens=2", "--quiet")
    refused = play(cli, *words)
    assert refused.code == 2
    assert f"{SHORT} is 2 and a gold answer of feedback has 5 tokens; give at least 5" in refused.err
    assert "--force" in refused.err
    forced = play(cli, *words, "--force")
    assert forced.code == 0
    assert "Nobody answered any test problem right" in forced.out
    assert f"An answer ends after 2 tokens at the latest ({SHORT})" in forced.out
    assert "smallest gain" not in forced.out
    resumed = play(cli, *words)
    assert resumed.code == 0
    assert trained(resumed) == 0
    summary = json.loads(play(cli, *words, "--json").out)
    assert summary["nobody_right"] is True
