"""Published benchmarks of code by their columns: read, judged in the sandbox, and refused row by row."""

from __future__ import annotations

import base64
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from dataenv import check_task
from tasks.code import CodeTests
from tasks.jsonl import Jsonl
from tests.benchmark_files import gsm8k_rows, write_rows
from tests.code_files import (
    humaneval_plus_rows,
    humaneval_rows,
    livecodebench_answer,
    livecodebench_rows,
    mbpp_rows,
    sanitized_rows,
)


def loaded(folder: Path, rows: list[dict[str, Any]], **more: Any) -> Jsonl:
    return Jsonl(write_rows(folder / "rows.jsonl", rows), least=1, **more)


@pytest.mark.parametrize(
    ("rows", "form"),
    [(humaneval_rows(20), "humaneval"), (humaneval_plus_rows(20), "humaneval+"), (mbpp_rows(20), "mbpp"),
     (sanitized_rows(20), "mbpp")],
)  # fmt: skip
def test_a_form_is_recognised_and_judged(rows: list[dict[str, Any]], form: str, tmp_path: Path) -> None:
    task = loaded(tmp_path, rows, deadline=0.5)
    assert (task.form, task.refused) == (form, [])
    check_task(task)
    problem = task.split("test")[0]
    wrongly = problem.answer.replace("return", "return 1 +")
    endlessly = problem.answer.replace("return", "while x or not x: y =")
    right, wrong, endless = task.grades([(problem, answer) for answer in (problem.answer, wrongly, endlessly)])
    assert right.correct
    assert right.parts is not None
    assert all(right.parts.values())
    assert not wrong.correct
    assert (endless.correct, endless.error) == (False, None)
    assert task.judges(list(task.pool())[:2]) == [True, True]
    assert loaded(tmp_path, rows, format=form).fingerprint == task.fingerprint


def test_what_a_benchmark_asks(tmp_path: Path) -> None:
    mbpp = loaded(tmp_path, mbpp_rows(20)).split("test")[0]
    number = mbpp.id.rpartition("/")[2]
    assert mbpp.prompt.endswith(f"assert times_{number}(1) == {number}")
    tests = CodeTests.read(mbpp.check)
    assert tests is not None
    assert (tests.entry, len(tests.cases), tests.inside) == (f"times_{number}", 3, ())
    plus = CodeTests.read(loaded(tmp_path, humaneval_plus_rows(20)).split("test")[0].check)
    assert plus is not None
    assert [(case.part, call) for case in plus.cases for call in case.calls] == [
        ("base", [1]), ("base", [2]), ("plus", [-5]), ("plus", [["f", (0.5).hex()]])
    ]  # fmt: skip
    assert CodeTests.read('{"tests": []}') is None


@pytest.mark.parametrize("packed", [False, True])
def test_livecodebench(packed: bool, tmp_path: Path) -> None:
    files = {"train": write_rows(tmp_path / "train.jsonl", mbpp_rows(20)),
             "test": write_rows(tmp_path / "test.jsonl", livecodebench_rows(6, packed))}  # fmt: skip
    task = Jsonl(**files, least=1)
    check_task(task)
    problems = {problem.id: problem for problem in task.split("test")}
    assert [problem.difficulty for problem in problems.values()] == [0.0, 0.5, 1.0] * 2
    asked = [(problems[f"test/p{i}"], livecodebench_answer(i)) for i in range(6)]
    assert [grade.parts for grade in task.grades(asked)] == [{"public": True, "private": True}] * 6
    hard_coded = "```python\nprint('3\\n0')\n```"
    assert task.grade(problems["test/p0"], hard_coded).parts == {"public": True, "private": False}
    assert "class Solution" in problems["test/p1"].prompt
    assert "standard input" in problems["test/p0"].prompt


def test_tests_that_cannot_be_taken_apart_run_inside(tmp_path: Path) -> None:
    rows = humaneval_rows(20)
    for i, row in enumerate(rows):
        row["test"] = f"def check(candidate):\n    j = 1\n    j += 1\n    assert candidate(j) == {i + 2}\n"
    task = loaded(tmp_path, rows)
    assert task.refused == []
    problem = task.split("test")[0]
    cheats = [
        "    raise SystemExit(0)\n", "    import os\n    os._exit(0)\n",
        "    import atexit, os\n    atexit.register(os._exit, 0)\n",
        "    class E:\n        def __eq__(self, other):\n            return True\n    return E()\n",
        "    class E(int):\n        def __eq__(self, other):\n            return True\n    return E()\n",
        "    import sys\n    sys.excepthook = lambda *a: None\n    raise ValueError\n", "    print('passed')\n",
    ]  # fmt: skip
    right, *grades = task.grades([(problem, problem.answer), *((problem, cheat) for cheat in cheats)])
    assert (right.correct, right.parts) == (True, {"inside": True})
    assert [(grade.correct, grade.error) for grade in grades] == [(False, None)] * len(cheats)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"canonical_solution": "    return x\n"}, "its reference solution fails its own tests (test 1, 1)"),
        ({"canonical_solution": "    while True: x\n"}, "its reference solution fails its own tests (test 1, cpu)"),
        ({"canonical_solution": "    return x +\n"}, "its reference solution fails its own tests (no program)"),
        ({"test": "def check(candidate):\n    pass\n"}, "it has no tests"),
        ({"test": ""}, "it has no tests"),
        ({"test": "assert add_3(1) == 4"}, "its tests define no function check(candidate)"),
        ({"test": "def check(candidate):\n    while 1: pass\n"}, "fails its own tests (inside, cpu)"),
    ],
)
def test_a_row_is_refused_by_name_and_the_others_go_on(change: dict[str, str], said: str, tmp_path: Path) -> None:
    rows = humaneval_rows(20)
    rows[3] |= change
    task = loaded(tmp_path, rows, deadline=0.3)
    assert task.refused == [task.refused[0]]
    assert task.refused[0].startswith("rows.jsonl, line 4, is left out: ")
    assert task.refused[0].endswith(said)
    assert task.refused[0] in task.told
    assert sum(len(task.split(name)) for name in ("feedback", "selection", "test")) + len(task.pool()) == 19


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"test_list": []}, "it has no tests"),
        ({"test_list": "none"}, "its tests are neither JSON nor packed"),
        ({"test_list": ["assert other(1) == 2"]}, "its tests call no function of its reference solution"),
        ({"code": "def times_3(x"}, "its reference solution is no Python"),
    ],
)
def test_a_row_of_mbpp_that_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    rows = mbpp_rows(20)
    rows[3] |= change
    assert said in loaded(tmp_path, rows).refused[0]


class Harm:
    """What would run if it were unpickled."""

    def __reduce__(self) -> Any:
        return print, ("harm",)


def test_a_pickle_is_read_as_a_text_and_never_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = livecodebench_rows(4, packed=True)
    rows[0]["private_test_cases"] = base64.b64encode(zlib.compress(pickle.dumps(Harm()))).decode()
    rows[1]["private_test_cases"] = base64.b64encode(zlib.compress(b"\x80\x04no pickle")).decode()
    train = write_rows(tmp_path / "train.jsonl", mbpp_rows(20))
    task = Jsonl(train=train, test=write_rows(tmp_path / "test.jsonl", rows), least=1)
    assert len(task.refused) == 2
    assert "its packed tests are no text" in task.refused[0]
    assert len(task.split("test")) == 2
    assert "harm" not in capsys.readouterr().out


def test_files_that_do_not_go_together(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.jsonl", mbpp_rows(20))
    with pytest.raises(ValueError, match="has no reference solution; give one in a column 'solution'"):
        loaded(tmp_path, livecodebench_rows(20))
    with pytest.raises(ValueError, match="is no question about code"):
        Jsonl(train=train, test=write_rows(tmp_path / "g.jsonl", gsm8k_rows(9)), least=1)
    broken = [row | {"code": "def times(x):\n    return 0\n"} for row in mbpp_rows(9)]
    with pytest.raises(ValueError, match=r"no row can be asked; rows\.jsonl, line 1, is left out"):
        loaded(tmp_path, broken)
    solved = [row | {"solution": livecodebench_answer(i)} for i, row in enumerate(livecodebench_rows(20))]
    assert len(loaded(tmp_path, solved).pool()) > 0
