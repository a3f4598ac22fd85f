"""What ``validate`` says of data: every sentence where it belongs, and none where the data is fine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dataenv import registry
from dataenv.cli import main
from dataenv.leaderboard.planning.validate import examine, noted
from tests.benchmark_files import gsm8k_rows, math_rows, mmlu_rows, write_rows
from tests.code_files import humaneval_rows
from tests.toys import Parrot, write_toml


class Reader(Parrot):
    """A parrot that reads texts of any length."""

    name = "reader"

    def refuse(self, example: Any) -> str | None:
        return None


@pytest.fixture(autouse=True)
def reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.STUDENTS, "reader", f"{__name__}:Reader")


def board(folder: Path, task: dict[str, Any], teachers: Sequence[str] = ("stratified",), **setting: Any) -> str:
    fields: dict[str, Any] = {
        "task": "jsonl", "task_args": task, "engine": "pool", "student": "reader", "warm_start": {"examples": 0},
        "recipe": {"updates": 2, "batch": 4}, "lesson_size": 8, "decoding": {"max_tokens": 500},
        "budget": {"student_tokens": 10**6},
    }  # fmt: skip
    text: dict[str, Any] = {"name": "data", "seeds": [0], "teachers": list(teachers), "references": ["nothing"]}
    text["setting"] = fields | setting
    return write_toml(folder / "b.toml", text)


def two_skills(n: int) -> list[dict[str, Any]]:
    return [row | {"skill": ("odd", "even")[i % 2]} for i, row in enumerate(gsm8k_rows(n))]


def test_sound_data(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "g.jsonl", two_skills(200))
    assert examine(board(tmp_path, {"path": path, "format": "gsm8k"}, ["stratified", "frontier"])) == []


def test_a_pool_that_cannot_fill_a_lesson(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "g.jsonl", two_skills(200))
    task = {"path": path, "format": "gsm8k"}
    [said] = examine(board(tmp_path, task, ["stratified", "frontier"], lesson_size=64))
    assert "setting.lesson_size is 64 and the pool has " in said
    assert "a lesson may be all of one skill, so the rest of it would be copies; " not in said
    rows = int(said.partition("the pool has ")[2].split()[0])
    assert f"give a lesson_size of at most {rows}, or more rows to teach" in said
    assert examine(board(tmp_path, task, ["stratified", "frontier"], lesson_size=rows)) == []
    assert examine(board(tmp_path, task, ["stratified"], lesson_size=64)) == [], "uniform sampling asks half of it"
    [said] = examine(board(tmp_path, task, ["stratified"], lesson_size=128))
    assert "a lesson asks 64 of each skill" in said
    assert f"at most {2 * rows}" in said


def test_one_skill_leaves_a_mixture_nothing_to_choose(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "g.jsonl", gsm8k_rows(200))
    task = {"path": path, "format": "gsm8k"}
    [said] = examine(board(tmp_path, task, ["stratified", "frontier", "failure"]))
    assert "teachers: frontier, failure choose between skills, and the task has one, 'all'" in said
    assert "find skills by dataenv discover" in said
    assert examine(board(tmp_path, task, ["stratified", "self-improve"])) == []


@pytest.mark.parametrize(
    ("rows", "mark", "form"), [(gsm8k_rows(200), "####", "gsm8k"), (math_rows(200), "boxed", "math")]
)
def test_worked_answers_under_exact(rows: list[dict[str, Any]], mark: str, form: str, tmp_path: Path) -> None:
    bare = [{"question": r.get("question") or r["problem"], "answer": r.get("answer") or r["solution"]} for r in rows]
    path = write_rows(tmp_path / "g.jsonl", bare)
    [said] = examine(board(tmp_path, {"path": path}))
    assert "nearly all answers hold" in said
    assert mark in said
    assert said.endswith(f"give setting.task_args.format = '{form}'")
    assert examine(board(tmp_path, {"path": path, "format": form})) == []
    if mark == "####":
        assert examine(board(tmp_path, {"path": path, "marker": "####"})) == []
    few = [row | ({"answer": "5"} if i % 4 else {}) for i, row in enumerate(bare)]
    assert examine(board(tmp_path, {"path": write_rows(tmp_path / "f.jsonl", few)})) == [], "a quarter of them"


def test_code_has_no_faults_and_rows_that_are_left_out_are_noted(tmp_path: Path) -> None:
    rows = humaneval_rows(80)
    rows[7]["canonical_solution"] = "    return None\n"
    which = board(tmp_path, {"path": write_rows(tmp_path / "h.jsonl", rows), "natural": False})
    assert examine(which) == []
    [said] = [note for note in noted(which) if "left out" in note]
    assert said.startswith("setting.task: h.jsonl, line 8, is left out: its reference solution fails its own tests")


def test_notes_are_no_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rows(tmp_path / "g.jsonl", [*gsm8k_rows(200), gsm8k_rows(1)[0]])
    which = board(tmp_path, {"path": path, "format": "gsm8k"})
    cut, merged = [note for note in noted(which) if "one file" in note or "another row" in note]
    assert "and 8" in cut or "may be taught; give train and test in place of path" in cut
    assert merged == "setting.task: rows left out, for another row asks the same: 1"
    test = write_rows(tmp_path / "t.jsonl", gsm8k_rows(40, "test"))
    train = write_rows(tmp_path / "tr.jsonl", [*gsm8k_rows(200), *gsm8k_rows(3, "test")])
    split = board(tmp_path, {"train": train, "test": test, "format": "gsm8k"})
    told = [
        "setting.task: the rows are read in the form 'gsm8k'",
        "setting.task: rows of train left out, for a sealed split asks the same: 3",
    ]
    assert noted(split) == told
    few = "setting.items.test: the test exam asks 25 of the 40 published problems; give test = 40 to ask all"
    assert noted(split, {"setting.items.test": 25}) == [*told, few]
    for words in ((), ("--json",)):
        monkeypatch.setattr("sys.argv", ["dataenv", "validate", split, "--store", "off", *words])
        with pytest.raises(SystemExit, match="0"):
            main()
    shown, _, told = capsys.readouterr().out.partition("{")
    assert "sound\nnote: setting.task: the rows are read" in shown
    assert len(json.loads("{" + told)["notes"]) == 2
    assert noted(board(tmp_path, {"path": "missing.jsonl"})) == [], "why it cannot be read is a fault"


def test_options_that_nobody_is_shown(tmp_path: Path) -> None:
    rows = [{"question": r["question"], "A": "1", "B": "2", "C": "3", "answer": "A"} for r in mmlu_rows(80)]
    path = write_rows(tmp_path / "l.jsonl", rows)
    assert any("labels of the columns A, B, C, and no options" in n for n in noted(board(tmp_path, {"path": path})))
    assert not any("labels" in note for note in noted(board(tmp_path, {"path": path, "format": "mmlu"})))


def test_long_answers_that_must_be_repeated_to_the_letter(tmp_path: Path) -> None:
    words = [{"question": f"Why {i}?", "answer": f"because of {i} " * 10} for i in range(120)]
    path = write_rows(tmp_path / "w.jsonl", words)
    [told] = [note for note in noted(board(tmp_path, {"path": path})) if "to the letter" in note]
    assert "setting.task: the answers have about 30 words, and a student must repeat them" in told
    marked = [row | {"answer": f"{row['answer']} #### {i}"} for i, row in enumerate(words)]
    which = board(tmp_path, {"path": write_rows(tmp_path / "m.jsonl", marked), "marker": "####"})
    assert not [note for note in noted(which) if "to the letter" in note]


def test_one_answer_that_is_no_number(tmp_path: Path) -> None:
    rows = [{"question": f"What is {i} and 1?", "answer": i + 1} for i in range(200)]
    path = write_rows(tmp_path / "n.jsonl", [*rows, {"question": "And how many?", "answer": "many"}])
    told = [note for note in noted(board(tmp_path, {"path": path})) if "compared as text" in note]
    assert told == [
        "setting.task: all answers are compared as text, for 200 of 201 are numbers and 'many' (n.jsonl, line 201) is "
        "none; give checker = 'number', or mend the rows"
    ]
    assert not any("as text" in note for note in noted(board(tmp_path, {"path": path, "checker": "exact"})))
    words = [row | {"answer": "many"} if i % 5 == 0 else row for i, row in enumerate(rows)]
    mixed = board(tmp_path, {"path": write_rows(tmp_path / "w.jsonl", words)})
    assert not any("as text" in note for note in noted(mixed)), "a fifth of them is no slip"


def test_too_many_items_of_a_suite(tmp_path: Path) -> None:
    files = {name: write_rows(tmp_path / f"{name}.jsonl", gsm8k_rows(n, name)) for name, n in
             (("train", 200), ("test", 40), ("svamp", 12), ("asdiv", 30))}  # fmt: skip
    task = {"train": files["train"], "test": files["test"], "format": "gsm8k"}
    task |= {"transfer": {name: files[name] for name in ("svamp", "asdiv")}}
    [said] = examine(board(tmp_path, task, items={"transfer": 20}))
    assert "setting.items.transfer asks 20 problems and suite 'svamp' has 12; ask for those" in said
