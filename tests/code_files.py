"""Made-up rows with the columns of published benchmarks of code: HumanEval, HumanEval+, MBPP, LiveCodeBench."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from typing import Any

Row = dict[str, Any]
SOLUTION = "    return x + {i}\n"


def humaneval_rows(n: int, name: str = "HumanEval") -> list[Row]:
    """``task_id``, ``prompt``, ``canonical_solution``, ``test`` and ``entry_point``."""
    return [
        {
            "task_id": f"{name}/{i}",
            "prompt": f'from typing import List\n\n\ndef add_{i}(x: int) -> int:\n    """Add {i} to x ({name})."""\n',
            "canonical_solution": SOLUTION.format(i=i),
            "test": (
                "METADATA = {'author': 'nobody'}\n\n\ndef check(candidate):\n"
                f"    assert candidate(1) == {i + 1}\n    assert candidate(-{i}) == 0\n"
            ),
            "entry_point": f"add_{i}",
        }
        for i in range(n)
    ]


def humaneval_plus_rows(n: int, name: str = "HumanEval") -> list[Row]:
    """As ``evalplus`` has them: inputs alone; what is right is what the reference solution gives."""
    kept = ("task_id", "prompt", "canonical_solution", "entry_point")
    return [
        {column: row[column] for column in kept}
        | {"contract": "    assert type(x) == int\n", "base_input": [[1], [2]], "plus_input": [[-5], [0.5]], "atol": 0}
        for row in humaneval_rows(n, name)
    ]


def mbpp_rows(n: int, name: str = "train") -> list[Row]:
    """``text``, ``code``, ``test_list``, ``test_setup_code`` and ``challenge_test_list``."""
    return [
        {
            "task_id": i,
            "text": f"Write a function to multiply a number by {i} ({name}).",
            "code": f"def times_{i}(x):\r\n    return x * {i}\r\n",
            "test_list": [
                f"assert times_{i}(2) == {2 * i}",
                f"assert times_{i}(0) == 0",
                f"assert times_{i}(1) == {i}",
            ],
            "test_setup_code": "",
            "challenge_test_list": [],
        }
        for i in range(n)
    ]


def sanitized_rows(n: int, name: str = "train") -> list[Row]:
    """MBPP once more, with the columns of its sanitized form."""
    return [
        {"source_file": "none", "task_id": row["task_id"], "prompt": row["text"], "code": row["code"],
         "test_imports": ["import math"], "test_list": [*row["test_list"][:2], f"assert math.isclose({call}(1), {i})"]}
        for i, row in enumerate(mbpp_rows(n, name)) for call in (f"times_{i}",)
    ]  # fmt: skip


def livecodebench_rows(n: int, packed: bool = False) -> list[Row]:
    """Problems of standard input (even ones) and of a method; as published, without solutions."""
    return [_livecodebench_row(i, packed) for i in range(n)]


def _livecodebench_row(i: int, packed: bool) -> Row:
    if i % 2:
        cases = [{"input": f"[{k}, 2]\n{i}", "output": f"[{k + i}, {2 + i}]", "testtype": "functional"} for k in (1, 7)]
        starter = "class Solution:\n    def shift(self, nums: List[int], by: int) -> List[int]:\n        "
        metadata = {"func_name": "shift"}
    else:
        cases = [{"input": f"2\n{k} {i}\n", "output": f"{k + i}\n{k * i}\n", "testtype": "stdin"} for k in (3, 8)]
        starter, metadata = "", {}
    private = json.dumps(cases[1:])
    if packed:
        private = base64.b64encode(zlib.compress(pickle.dumps(private))).decode()
    return {
        "question_title": f"Problem {i}", "question_content": f"Do what problem {i} says.", "platform": "none",
        "question_id": f"p{i}", "contest_id": "c", "contest_date": "2030-01-01T00:00:00", "starter_code": starter,
        "difficulty": ("easy", "medium", "hard")[i % 3], "public_test_cases": json.dumps(cases[:1]),
        "private_test_cases": private, "metadata": json.dumps(metadata),
    }  # fmt: skip


def livecodebench_answer(i: int) -> str:
    """A right program for problem ``i``."""
    if i % 2:
        return (
            "class Solution:\n    def shift(self, nums: List[int], by: int):\n        return [n + by for n in nums]\n"
        )
    return "input()\na, b = map(int, input().split())\nprint(a + b)\nprint(a * b)\n"
