"""docs/benchmarks.md as a reader would follow it: its boards are played from exactly the lines that it gives."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import dataenv
from dataenv.cli import main
from dataenv.environment.env import TeachingEnv
from dataenv.leaderboard.config import read
from dataenv.leaderboard.folder import read_rows
from tasks.jsonl.formats import FORMATS
from tests.benchmark_files import gsm8k_rows, math_rows, stat_math_files, write_rows
from tests.code_files import humaneval_rows, mbpp_rows
from tests.tiny_lm import save_tiny

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
ROWS = {"gsm8k": gsm8k_rows, "math": math_rows}
SUITES = ("aime24", "aime25", "amc23", "gsm8k")
SMALLER = """
setting.budget = { student_tokens = 700_000 }
setting.items = { feedback = 8, selection = 8, test = 20 }
"""


def boards() -> dict[str, str]:
    """The boards of the page by name."""
    found = re.findall(r"^```toml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return {re.findall(r'^name = "(\w+)"$', text, flags=re.MULTILINE)[0]: text for text in found}


def files_of(name: str, folder: Path) -> None:
    """Made-up rows in the columns of a benchmark, and a tiny model."""
    pytest.importorskip("math_verify")
    save_tiny(folder / "my-model", positions=1024)
    write_rows(folder / "train.jsonl", ROWS[name](300))
    write_rows(folder / "test.jsonl", ROWS[name](60, "test"))


def test_the_page_names_every_form() -> None:
    named = re.findall(r"^\| `([\w+]+)` \|.*\| (?:recognised|must be named) \|$", PAGE, flags=re.MULTILINE)
    assert named == [*FORMATS]
    assert set(boards()) == {"gsm8k", "math"}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["gsm8k", "math"])
def test_the_six_lines_teach(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tiny model, and one lesson of an episode with smaller exams."""
    files_of(name, tmp_path)
    monkeypatch.chdir(tmp_path)
    [lines] = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len([line for line in lines.splitlines() if line]) == 6
    lines = lines.replace('"gsm8k"', f'"{name}"').replace("**how)", 'items={"feedback": 8, "selection": 8}, **how)')
    lines = lines.replace("print(dataenv.run(env,", "result = (dataenv.run(gym.wrappers.TimeLimit(env, 1),")
    found: dict[str, Any] = {}
    exec(lines, found)  # the page's own lines
    first = found["result"].steps[-1]
    assert first.kept == 64
    assert first.spent > 0
    assert first.loss != found["result"].steps[0].loss, "it is really trained"
    assert not first.grader_errors


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["gsm8k", "math"])
def test_a_board_of_the_page_is_played(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tiny model, but for one seed, less to spend and smaller exams."""
    files_of(name, tmp_path)
    toml = boards()[name].replace("[0, 1, 2, 3, 4, 5]", "[0]") + SMALLER
    assert toml.count("[0]") == 1
    (tmp_path / f"{name}.toml").write_text(toml, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    [commands] = re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    for line in commands.replace("math.toml", f"{name}.toml").splitlines():
        more = ["--workers", "1"] if "leaderboard" in line else []
        monkeypatch.setattr("sys.argv", [*shlex.split(line), *more])
        with pytest.raises(SystemExit, match="0"):
            main()
    rows = {row.teacher: row for row in read_rows(tmp_path / "runs" / name)}
    published = [row.get("question") or row["problem"] for row in ROWS[name](60, "test")]
    taught = rows["stratified"]
    assert set(rows) == {*re.findall(r'"([\w-]+)"', toml.partition("teachers = ")[2].splitlines()[0]), "nothing"}
    assert taught.setting["task_args"] == {"train": "train.jsonl", "test": "test.jsonl", "format": name}
    assert taught.ended == "spent"
    assert taught.test is not None
    assert sum(taught.test.n) == (20 if name == "gsm8k" else 40)
    assert not taught.test.grader_errors
    losses = [sum(step.loss) for step in taught.steps]
    assert len(losses) > 1
    assert losses[-1] < 0.9 * losses[0], "it is really trained"
    prompts = {json.dumps(e.prompt) for lesson in taught.lessons for e in lesson.examples}
    assert prompts
    assert not prompts & set(map(json.dumps, published))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_stat_math_is_played_with_files_and_a_model_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command of docs/stat.md, with a tiny model, made-up rows, and sizes for these."""
    files_of("math", tmp_path)
    monkeypatch.chdir(tmp_path)
    smaller = stat_math_files(tmp_path) | {
        "student_args.path": "my-model", "student_args.context": "1024", "seeds": "[0]", "tune.rates": "[2e-3, 2e-4]",
        "lesson_size": "64", "recipe.updates": "16", "recipe.warmup": "2", "budget.student_tokens": "70000",
        "decoding.max_tokens": "24", "items.feedback": "8", "items.selection": "8", "items.test": "20",
        "items.transfer": "5",
    }  # fmt: skip
    changes = [word for path, value in smaller.items() for word in ("-s", f"{path}={value}")]
    teachers = read("stat-math")[1]["teachers"]
    for entry in (entry for entry in teachers if isinstance(entry, dict)):
        for phase in entry.get("finish", ()):
            phase["recipe"] |= {"batch": 8, "updates": 8}
    changes += ["-s", f"teachers={json.dumps(teachers)}"]
    monkeypatch.setattr("sys.argv", ["dataenv", "leaderboard", "stat-math", *changes, "--workers", "1"])
    with pytest.raises(SystemExit, match="0"):
        main()
    rows = {row.teacher: row for row in read_rows(tmp_path / "runs" / "stat-math")}
    taught = {"stratified", "stat-sel", "con-sel", "embed-sel", "hard-only", "math-hard"}
    practised = {"stratified-grpo", "stat-sel-grpo"}
    assert set(rows) == taught | practised | {"nothing"}
    assert {row.ended for name, row in rows.items() if name != "nothing"} == {"spent"}
    assert all(row.tuned is not None and row.tuned.rate in (2e-3, 2e-4) for row in rows.values())
    assert {name for name, row in rows.items() if any(step.practice for step in row.steps)} == practised
    assert {name for name, row in rows.items() if row.profiles} == {"stat-sel", "con-sel", "stat-sel-grpo"}
    hard = {row["problem"] for row in math_rows(300) if row["level"] in ("Level 4", "Level 5")}
    assert {e.prompt for lesson in rows["math-hard"].lessons for e in lesson.examples} <= hard
    for row in rows.values():
        assert row.test is not None
        assert row.transfer is not None
        assert row.test.by_part["math-hard"][1] == row.test.parts[0].of.count("1") > 0
        assert {name: n for name, (_, n) in row.transfer.by_suite.items()} == dict.fromkeys(SUITES, 5)
    page = (tmp_path / "runs" / "stat-math" / "leaderboard.html").read_text()
    for said in (
        "Learning rates, chosen on other seeds and the selection split",
        "Missing skills",
        "math-hard",
        *SUITES,
    ):
        assert said in page


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_tiny_model_is_taught_and_asked_for_code(tmp_path: Path) -> None:
    """Taught on one form and asked in another one. The reference solutions are right all the same."""
    files = {"train": write_rows(tmp_path / "train.jsonl", mbpp_rows(60))}
    files["test"] = write_rows(tmp_path / "test.jsonl", humaneval_rows(20))
    student = f"causal-lm:{save_tiny(tmp_path / 'my-model', positions=512)}"
    fields: dict[str, Any] = {
        "task": "jsonl", "task_args": {**files, "natural": False}, "student": student, "store": "off",
        "engine": "pool",
        "lesson_size": 8, "decoding": {"max_tokens": 40, "temperature": 1.0}, "recipe": {"batch": 4, "rate": 7e-4},
        "exam": {"samples": 2, "score": "pass", "k": 1}, "items": {"feedback": 4, "selection": 4, "test": 4},
    }  # fmt: skip
    env = TeachingEnv("skill-list", **fields)
    step = dataenv.run(gym.wrappers.TimeLimit(env, 1), "stratified", seed=0).steps[-1]
    assert step.kept == 8
    assert not step.grader_errors
    task = env.setting.built_task
    assert [grade.correct for grade in task.grades([(p, p.answer) for p in task.split("test")])] == [True] * 20
