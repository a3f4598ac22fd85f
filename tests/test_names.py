"""Names that stay: an optional field more in a record renames nothing that is stored, and code that trains does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("dataenv", "teachers", "students", "tasks")
NAMES = """
import json
from dataenv.leaderboard.config import load
from dataenv.leaderboard.runs import run_identity, known_runs
from dataenv.execution.jobs import Exam, Training, from_initial, student_of
from dataenv.setting import Setting
from students.base import initial_key
from tasks.records import Example, canonical_json, digest_examples, stream
names = {}
for which, setting in (("plain", Setting()), ("quick", load("quick").setting), ("lego", load("lego").setting)):
    student, task = setting.built_student, setting.built_task
    lesson = tuple(task.generate(task.skills[0], 8, stream(0, "names")))
    grpo = setting.changed(recipe={"method": "grpo"}).recipe
    trainings = [Training(lesson=lesson, recipe=recipe, seed=1) for recipe in (setting.recipe, grpo)]
    names[which] = [
        setting.digest, task.fingerprint, student.fingerprint, initial_key(student, 0), digest_examples(lesson),
        *(from_initial(setting.student_spec, 0, training).key() for training in trainings),
        Exam(name="x", prompts=("a",)).key("state"),
    ]
board = load("smoke")
hashes = {"task": board.setting.built_task.fingerprint, "student": student.fingerprint}
names["runs"] = [run_identity(cell, board, hashes) for cell in known_runs(board)]
print(json.dumps(names))
"""
FIELD = "    added: str | None = Field(default=None, exclude_if=absent)\n"


def names_in(folder: Path) -> dict[str, list[str]]:
    """The names that the packages of a folder give."""
    done = subprocess.run(
        [sys.executable, "-c", NAMES],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def before() -> dict[str, list[str]]:
    """The names that this code gives."""
    return names_in(ROOT)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages, with what is compiled of them: only what is changed is compiled again."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def add_field(path: Path, record: str, after: str) -> None:
    """Give a record one more optional field, before one of its own."""
    text = path.read_text(encoding="utf-8")
    start = text.index(f"class {record}(Record):")
    place = text.index(f"    {after}:", start)
    path.write_text(text[:place] + FIELD + text[place:], encoding="utf-8")


@pytest.mark.timeout(300)
def test_an_optional_field_more_changes_no_name(copy: Path, before: dict[str, list[str]]) -> None:
    records = copy / "tasks" / "records.py"
    add_field(records, "Example", "prompt")
    add_field(records, "Problem", "id")
    add_field(records, "Grade", "correct")
    add_field(copy / "students" / "base.py", "Recipe", "updates")
    add_field(copy / "students" / "base.py", "Grpo", "group")
    add_field(copy / "dataenv" / "setting.py", "Setting", "task")
    assert names_in(copy) == before


@pytest.mark.timeout(300)
def test_other_training_code_is_another_student(copy: Path, before: dict[str, list[str]]) -> None:
    adamw = copy / "students" / "training" / "adamw.py"
    text = adamw.read_text(encoding="utf-8")
    assert "BETAS = (0.9, 0.95)" in text
    adamw.write_text(text.replace("BETAS = (0.9, 0.95)", "BETAS = (0.9, 0.96)"), encoding="utf-8")
    after = names_in(copy)
    assert after["quick"][2] != before["quick"][2]  # the student's fingerprint
    assert after["quick"][:2] == before["quick"][:2]  # neither the Setting nor the task
