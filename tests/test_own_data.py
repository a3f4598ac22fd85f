"""docs/own-data.md as a reader would follow them; faults are looked for with a small student."""

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
from tests.tiny_lm import save_tiny

ROOT = Path(__file__).resolve().parents[1]
SMALL = """
setting.student = "pocket"
setting.student_args = { width = 16, layers = 1, heads = 2, context = 32 }
setting.recipe = { updates = 24, batch = 16, rate = 0.01 }
setting.budget = { student_tokens = 50_000 }
setting.lesson_size = 32
"""


def blocks(kind: str, page: str = "docs/own-data.md") -> str:
    """A page's blocks of a kind, below its first heading."""
    _, text = (ROOT / page).read_text(encoding="utf-8").split("# My model, my evaluation file, my teacher\n")
    text = text.split("\n## ")[0]
    return "\n".join(re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))


def board(extra: str = "") -> str:
    """The page's board, with a student that soon knows what answers to `questions` look like."""
    own = ("setting.student", "setting.recipe", "setting.lesson_size")
    lines = [line for line in blocks("toml").splitlines() if not line.startswith(own)]
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


def test_a_teacher_and_a_board_are_fifteen_lines() -> None:
    code = [line for kind in ("python", "toml") for line in blocks(kind).splitlines() if line]
    assert 5 < len(code) <= 15


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_fifteen_lines(tmp_path: Path) -> None:
    """As the page has them, but for one seed, less to spend and smaller exams."""
    save_tiny(tmp_path / "my-model", positions=256)
    words = [f"{a}{b}" for a in ("am", "be", "co", "du", "el", "fi", "go") for b in ("ra", "so", "ti", "un", "vo")]
    rows = [
        {"question": f"Is {a} before {b} ?", "answer": "yes" if a < b else "no", "skill": ("late", "early")[a < "d"]}
        for a in words
        for b in words
    ]
    (tmp_path / "eval.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    smaller = (
        "setting.budget = { student_tokens = 160_000 }\nsetting.items = { feedback = 8, selection = 8, test = 8 }\n"
    )
    toml = blocks("toml").replace("[0, 1, 2, 3, 4, 5]", "[0]") + smaller
    (tmp_path / "mine.py").write_text(blocks("python"), encoding="utf-8")
    (tmp_path / "mine.toml").write_text(toml, encoding="utf-8")
    command = f"{shlex.quote(sys.executable)} -c 'from dataenv.cli import main; main()'"
    for line in blocks("sh").splitlines():
        line = re.sub("^dataenv ", command + " ", line)
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
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {f.name for f in (folder / "student").iterdir()}
    row = json.loads(folder.with_suffix(".json").read_text(encoding="utf-8"))
    assert (row["setting"]["task"], row["setting"]["student"]) == ("jsonl:eval.jsonl", "causal-lm:my-model")
    assert (row["setting"]["recipe"]["rate"], row["setting"]["recipe"]["batch"]) == (7e-4, 8)
    assert row["ended"] == "spent"
    assert len(row["steps"]) > 1
    assert not row["test"]["grader_errors"]


def validated(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    monkeypatch.chdir(folder)
    (folder / "mine.toml").write_text(text.replace(', "mine:weakest"', ""), encoding="utf-8")
    done = CliRunner().invoke(app, ["validate", "mine.toml", "--store", "off"])
    return done.exit_code, done.output.strip().splitlines()


def test_validate_of_a_sound_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions(tmp_path)
    code, said = validated(tmp_path, board(), monkeypatch)
    assert (code, said[0]) == (0, "sound")
    assert "note: setting.task: one file is both taught and asked: " in said[1]


def test_sizes_that_nobody_gave_are_what_a_small_file_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions(tmp_path)
    text = "\n".join(line for line in board().splitlines() if not line.startswith("setting.items"))
    code, said = validated(tmp_path, text, monkeypatch)
    assert (code, said[0]) == (0, "sound")


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
        assert len([line for line in said if not line.startswith("note: ")]) == 1
        assert found[0] in said[0]


def test_validate_does_not_advise_what_is_done_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``1 + 8 =`` stands in ``11 + 8 =``, and ``natural = false`` does not change that."""
    rows = [{"question": f"{a} + {b} =", "answer": a + b} for a in range(30) for b in range(30)]
    (tmp_path / "eval.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    code, said = validated(tmp_path, board(), monkeypatch)
    assert (code, len(said)) == (2, 1)
    assert "natural" not in said[0]
    found = re.search(r"'(\d+ \+ \d+ =)' stands in '(\d+ \+ \d+ =)', so write .*numbers in one width", said[0])
    assert found is not None
    assert found[1] in found[2] != found[1]
