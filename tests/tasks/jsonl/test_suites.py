"""Published suites by name: parts of the test exam and transfer suites, and what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tasks.difficulty import difficulty_of
from tasks.jsonl import Jsonl
from tests.benchmark_files import gsm8k_rows, math_rows, stat_math_files, write_rows
from tests.toys import Reverse

pytest.importorskip("math_verify")


def given(folder: Path, **more: Any) -> dict[str, Any]:
    files = {name.removeprefix("task_args."): path for name, path in stat_math_files(folder).items()}
    transfer = {name.removeprefix("transfer."): path for name, path in files.items() if "." in name}
    return {"train": files["train"], "test": files["test"], "format": "math", "transfer": transfer} | more


def test_parts_of_the_test_are_named_and_nothing_else_changes(tmp_path: Path) -> None:
    fields = given(tmp_path)
    plain, named = Jsonl(**fields), Jsonl(**fields, suites=["math-hard", "amc23"])
    hard = [p for p in named.split("test") if p.suite]
    assert Counter(p.suite for p in named.split("test")) == {"": 36, "math-hard": 24}
    assert {p.difficulty for p in hard} == {0.75, 1.0}
    bare = [p.model_copy(update={"suite": ""}) for p in named.split("test")]
    assert (tuple(bare), named.version) == (plain.split("test"), plain.version)
    assert set(named._asked) == set(plain._asked)


def test_every_suite_is_read_in_its_own_form_and_graded_by_one_checker(tmp_path: Path) -> None:
    task = Jsonl(**given(tmp_path, suites=["gsm8k", "amc23", "aime24", "aime25"]))
    first = {p.suite: p for p in reversed(task.split("transfer"))}
    assert set(first) == {"gsm8k", "amc23", "aime24", "aime25"}
    assert all(p.answer.startswith("\\boxed{") for p in first.values())
    [row] = [row for row in gsm8k_rows(20, "gsm8k") if row["question"] == first["gsm8k"].prompt]
    assert first["gsm8k"].answer == f"\\boxed{{{row['answer'].rpartition('#### ')[2]}}}"


def test_the_pool_says_how_difficult_its_items_are(tmp_path: Path) -> None:
    task = Jsonl(**given(tmp_path))
    told = {e.prompt: difficulty_of(task, e.prompt) for e in task.pool()}
    levels = {row["problem"]: (int(row["level"][-1]) - 1) / 4 for row in math_rows(300)}
    assert told == {prompt: levels[prompt] for prompt in told}
    assert difficulty_of(Reverse(), "abc>") is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"suites": ["amc32"]}, r"suites names 'amc32'; did you mean 'amc23'\?"),
        ({"suites": ["olympiads"]}, "suites names 'olympiads'; give math-hard, gsm8k, amc23"),
        ({"suites": "math-hard"}, r"suites is 'math-hard'; give a list of names, such as"),
        ({"suites": ["aime24", "aime24"]}, "suites names 'aime24' twice; name each once"),
        ({"suites": ["aime24"], "transfer": "x.jsonl"}, "transfer is one file and suites names others; give the file"),
    ],
)
def test_what_is_refused(more: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        Jsonl(**given(tmp_path) | more)


def test_a_test_file_without_levels_has_no_hard_part(tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "level"} for row in math_rows(60, "flat")]
    flat = write_rows(tmp_path / "flat.jsonl", rows)
    words = "suite 'math-hard' is of the test problems of levels 4 and 5, and .*flat.jsonl says of none that it is one"
    with pytest.raises(ValueError, match=words):
        Jsonl(**given(tmp_path, test=flat, suites=["math-hard"]))
