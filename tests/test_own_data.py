"""docs/own-data.md as a reader would follow it, with a small student in place of a language model."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dataenv.cli import app

ROOT = Path(__file__).resolve().parents[1]
SMALL = """
setting.student = "pocket"
setting.student_args = { width = 16, layers = 1, heads = 2, context = 32 }
setting.recipe = { updates = 24, batch = 16, rate = 0.01 }
setting.budget = { student_tokens = 50_000 }
"""


def blocks(kind: str) -> str:
    page = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(rf"^```{kind}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL))


def board(extra: str = "") -> str:
    """The page's board, with a student that soon knows what answers to `questions` look like."""
    lines = [line for line in blocks("toml").splitlines() if not line.startswith("setting.student")]
    items = "setting.items = { feedback = 5, selection = 5, test = 10, transfer = 0 }"
    extra = extra or "setting.task_args = { natural = false }"  # sums are made from two templates
    return "\n".join([*lines, SMALL, items, extra]).replace("[0, 1, 2, 3, 4, 5]", "[0]")


def questions(folder: Path) -> None:
    rows = [
        {"question": f"{a:02} {o} {b:02} =", "answer": int(a > b), "skill": o}
        for a in range(12)
        for b in range(12)
        for o in "+-"
    ]
    (folder / "eval.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


@pytest.mark.slow
def test_the_fifteen_lines(tmp_path: Path) -> None:
    questions(tmp_path)
    (tmp_path / "mine.py").write_text(blocks("python"), encoding="utf-8")
    (tmp_path / "mine.toml").write_text(board(), encoding="utf-8")
    command = f"{shlex.quote(sys.executable)} -c 'from dataenv.cli import main; main()'"
    for line in blocks("sh").splitlines():
        line = re.sub("^python ", shlex.quote(sys.executable) + " ", re.sub("^dataenv ", command + " ", line))
        done = subprocess.run(
            shlex.split(line) + (["--workers", "1"] if "leaderboard" in line else []),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "runs/mine/rows/weakest--0"
    taught = [json.loads(line) for line in (folder / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    assert taught
    assert {row["origin"] for row in taught} == {"pool"}
    assert (folder / "student" / "model.safetensors").is_file()
    row = json.loads(folder.with_suffix(".json").read_text(encoding="utf-8"))
    assert row["setting"]["task"] == "jsonl:eval.jsonl"
    assert not row["test"]["grader_errors"]


def validated(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    monkeypatch.chdir(folder)
    (folder / "mine.toml").write_text(text.replace(', "weakest"', ""), encoding="utf-8")
    done = CliRunner().invoke(app, ["validate", "mine.toml", "--store", "off"])
    return done.exit_code, done.output.strip().splitlines()


def test_validate_of_a_sound_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions(tmp_path)
    assert validated(tmp_path, board(), monkeypatch) == (0, ["sound"])


def test_sizes_that_nobody_gave_are_what_a_small_file_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions(tmp_path)
    text = "\n".join(line for line in board().splitlines() if not line.startswith("setting.items"))
    assert validated(tmp_path, text, monkeypatch) == (0, ["sound"])


@pytest.mark.parametrize(
    ("line", "extra", "words"),
    [
        ('{"question": "01 + 01 =", "answer": 5, "skill": "+"}', "", "setting.task: .*eval.jsonl, line 289, asks what"),
        ("{", "", "setting.task: .*eval.jsonl, line 289, is no JSON"),
        ('{"question": "x", "answer": "x"}', 'setting.task_args = {checker = "number", skill = ""}', "289.*own answer"),
        ("", 'setting.task_args = { skill = "topic" }', "has no column 'topic'; give skill= one of 'question'"),
        ("", "setting.task_args = { shares = { feedback = 0.4, selection = 0.3, test = 0.3 } }", "seals all of its"),
    ],
)  # fmt: skip
def test_validate_says_what_is_wrong(
    line: str, extra: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions(tmp_path)
    with (tmp_path / "eval.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n" + line)
    code, said = validated(tmp_path, board(extra), monkeypatch)
    assert code == 2
    assert len(said) == 1
    assert re.search(words, said[0])


def test_validate_finds_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"question": f"I have {a} and get {b} more. So I have now", "answer": a + b}
        for a in range(20)
        for b in range(20)
    ]
    (tmp_path / "eval.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    for natural, found in (("true", ["natural = false"]), ("false", ["sound"])):
        text = board(f"setting.task_args = {{ natural = {natural} }}").replace("32", "64")
        code, said = validated(tmp_path, text, monkeypatch)
        assert code == (2 if natural == "true" else 0)
        assert len(said) == 1
        assert found[0] in said[0]
