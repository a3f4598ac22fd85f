"""Published splits stay as published: the test exam is the file, nothing of it is taught, and suites have names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataenv import check_task
from dataenv.errors import SettingError
from dataenv.registry import build
from dataenv.setting import make_setting
from tasks.jsonl import Jsonl
from tests.benchmark_files import gsm8k_rows, write_rows


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Made-up files in the form of GSM8K, by role."""
    sizes = {"train": 120, "test": 40, "validation": 60, "svamp": 12, "asdiv": 30}
    return {name: write_rows(tmp_path / f"{name}.jsonl", gsm8k_rows(n, name)) for name, n in sizes.items()}


def prompts(task: Jsonl, name: Any) -> list[str]:
    return [problem.prompt for problem in task.split(name)]


def published(files: dict[str, str], **more: Any) -> Jsonl:
    return Jsonl(train=files["train"], test=files["test"], format="gsm8k", **more)


def test_test_is_the_file_and_feedback_comes_out_of_train(files: dict[str, str]) -> None:
    task = published(files)
    check_task(task)
    assert prompts(task, "test") == [row["question"] for row in gsm8k_rows(40, "test")], "all rows, in their order"
    own = {row["question"] for row in gsm8k_rows(120, "train")}
    feedback, selection = set(prompts(task, "feedback")), set(prompts(task, "selection"))
    taught = {example.prompt for example in task.pool()}
    assert feedback | selection | taught == own
    assert len(feedback) + len(selection) + len(taught) == 120
    assert 8 <= len(feedback) <= 30
    assert not task.dropped
    assert not task.split("transfer")


def test_validation_is_all_of_feedback_and_selection(files: dict[str, str]) -> None:
    task = published(files, validation=files["validation"])
    check_task(task)
    asked = [*prompts(task, "feedback"), *prompts(task, "selection")]
    assert sorted(asked) == sorted(row["question"] for row in gsm8k_rows(60, "validation"))
    assert len(task.pool()) == 120, "all of train may be taught"
    assert 20 <= len(task.split("feedback")) <= 40
    more = published(files, validation=files["validation"], shares={"feedback": 0.45})
    assert len(more.split("feedback")) > len(task.split("feedback"))


def test_what_is_asked_is_not_taught(files: dict[str, str], tmp_path: Path) -> None:
    test, validation = gsm8k_rows(40, "test"), gsm8k_rows(60, "validation")
    other = test[1] | {"question": f"  {test[1]['question']} ", "answer": "#### 0"}
    train = [*gsm8k_rows(120, "train"), test[0], other, validation[0]]
    files["train"] = write_rows(tmp_path / "t.jsonl", train)
    files["validation"] = write_rows(tmp_path / "v.jsonl", [*validation, test[2]])
    task = published(files, validation=files["validation"], transfer={"svamp": files["svamp"]})
    assert task.dropped == {"validation": 1, "train": 3}
    assert len(task.pool()) == 120
    assert prompts(task, "test") == [row["question"] for row in test]
    assert not {task.identity(e.prompt) for e in task.pool()} & task.sealed


def test_rows_of_test_that_stand_there_twice_stay(files: dict[str, str], tmp_path: Path) -> None:
    rows = gsm8k_rows(40, "test")
    files["test"] = write_rows(tmp_path / "twice.jsonl", [*rows, rows[3]])
    task = published(files)
    assert prompts(task, "test") == [row["question"] for row in (*rows, rows[3])]
    assert len({problem.id for problem in task.split("test")}) == 41
    check_task(task)
    files["test"] = write_rows(tmp_path / "two.jsonl", [*rows, rows[3] | {"answer": "#### 7"}])
    with pytest.raises(ValueError, match=r"line 41, asks what two\.jsonl, line 4, asks and has another answer"):
        published(files)


def test_order_inside_a_skill_is_that_of_the_file(tmp_path: Path) -> None:
    rows = [row | {"skill": "ba"[i % 2]} for i, row in enumerate(gsm8k_rows(40, "test"))]
    train = [row | {"skill": "ba"[i % 2]} for i, row in enumerate(gsm8k_rows(160, "train"))]
    args = {"train": write_rows(tmp_path / "a.jsonl", train), "test": write_rows(tmp_path / "b.jsonl", rows)}
    fields = {
        "task": "jsonl",
        "task_args": args | {"format": "gsm8k", "least": 1},
        "engine": "pool",
        "items": {"test": 7},
    }
    asked = [problem.prompt for problem in make_setting(fields).exam_items("test")]
    assert asked == [rows[i]["question"] for i in (*range(1, 15, 2), *range(0, 14, 2))]


def test_named_suites(files: dict[str, str]) -> None:
    task = published(files, transfer={"svamp": files["svamp"], "asdiv": files["asdiv"]})
    check_task(task)
    transfer = task.split("transfer")
    assert [p.suite for p in transfer] == ["asdiv"] * 30 + ["svamp"] * 12
    wanted = [row["question"] for name, n in (("asdiv", 30), ("svamp", 12)) for row in gsm8k_rows(n, name)]
    assert [p.prompt for p in transfer] == wanted
    args = {name: files[name] for name in ("train", "test")}
    args |= {"format": "gsm8k", "transfer": {name: files[name] for name in ("svamp", "asdiv")}}
    fields = {"task": "jsonl", "task_args": args, "engine": "pool", "items": {"transfer": 20}}
    asked = make_setting(fields).exam_items("transfer")
    assert [p.suite for p in asked] == ["asdiv"] * 20 + ["svamp"] * 12, "so many of each suite"


def test_a_suite_may_have_other_names_for_its_columns(files: dict[str, str], tmp_path: Path) -> None:
    rows = [{"problem": row["question"], "target": row["answer"]} for row in gsm8k_rows(20, "svamp")]
    task = published(files, transfer={"far": write_rows(tmp_path / "far.jsonl", rows)})
    assert prompts(task, "transfer") == [row["problem"] for row in rows]


def test_two_suites_may_share_a_question(files: dict[str, str], tmp_path: Path) -> None:
    rows = gsm8k_rows(12, "svamp")
    again = write_rows(tmp_path / "again.jsonl", rows[:5])
    task = published(files, transfer={"svamp": files["svamp"], "again": again})
    assert len({p.id for p in task.split("transfer")}) == 17
    check_task(task)
    other = write_rows(tmp_path / "other.jsonl", [rows[0] | {"answer": "#### 1"}])
    with pytest.raises(ValueError, match="asks and has another answer"):
        published(files, transfer={"svamp": files["svamp"], "other": other})
    with pytest.raises(ValueError, match=r"test\.jsonl, line 1 of transfer, asks what test\.jsonl, line 1, asks"):
        published(files, transfer={"svamp": files["test"]})


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({}, "no file is given; give path, or train and test"),
        ({"train": "train"}, "test is missing; give path, or train and test"),
        ({"test": "test"}, "train is missing"),
        ({"validation": "test"}, "no file is given"),
        ({"path": "train", "test": "test"}, "path is one file that is cut up; leave it out"),
        ({"path": "train", "validation": "test"}, "path is one file that is cut up"),
        ({"train": "train", "test": "test", "shares": {"test": 0.2}}, "shares has 'test'; .* test is the published"),
        ({"train": "train", "test": "test", "least": 10_000}, "of which .* fall to feedback and least= asks 10000"),
        ({"train": "train", "test": "test", "transfer": {"a": ""}}, "transfer has 'a': ''"),
        ({"train": "train", "test": "test", "transfer": {"a\x1b": "train"}}, "names a suite"),
        ({"train": "train", "test": "test", "transfer": ["train"]}, "transfer is a list; give a path"),
    ],
)  # fmt: skip
def test_bad_sources(files: dict[str, str], args: dict[str, Any], words: str) -> None:
    given = {key: files.get(value, value) if isinstance(value, str) else value for key, value in args.items()}
    with pytest.raises(SettingError, match=words):
        build("task", "jsonl", given | {"format": "gsm8k"})


def test_a_skill_of_train_that_test_does_not_ask(files: dict[str, str], tmp_path: Path) -> None:
    rows = [row | {"skill": "ab"[i % 2]} for i, row in enumerate(gsm8k_rows(240, "train"))]
    files["train"] = write_rows(tmp_path / "a.jsonl", rows)
    files["test"] = write_rows(tmp_path / "b.jsonl", [row | {"skill": "a"} for row in gsm8k_rows(40, "test")])
    with pytest.raises(ValueError, match="skill 'b' has 120 rows, of which 0 fall to test and least= asks 5"):
        published(files)


def test_the_splits_of_a_data_set(files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    parts = {name: datasets.Dataset.from_list(gsm8k_rows(n, name)) for name, n in (("train", 120), ("test", 40))}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "both"))
    task = Jsonl(train=f"datasets:{tmp_path}/both::train", test=f"datasets:{tmp_path}/both::test", format="gsm8k")
    assert task.fingerprint == published(files).fingerprint
