r"""Made-up rows with the columns of published benchmarks: GSM8K, MATH, MMLU, ARC."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.records import stream

Row = dict[str, Any]
NAMES = ("Ann", "Ben", "Cy", "Dora", "Ed", "Fay", "Gus", "Hal", "Ida", "Jo", "Kim", "Lee", "Mo", "Nia", "Oz", "Pia")
THINGS = ("figs", "pens", "cups", "nuts", "hats", "keys", "bags", "toys", "eggs", "pins", "jars", "coins", "cards")
PLACES = ("home", "work", "school", "market", "garden", "castle", "bakery", "museum", "airport")
TYPES = ("Algebra", "Geometry")


def gsm8k_rows(n: int, name: str = "train") -> list[Row]:
    """``question`` and ``answer``: a worked answer that ends in ``#### number``."""
    rng, rows = stream(0, f"gsm8k/{name}"), []
    for i in range(n):
        a, b = (int(x) for x in rng.integers(2, 60, 2))
        who, what, where = (str(rng.choice(words)) for words in (NAMES, THINGS, PLACES))
        question = f"{who} has {a} {what} ({name} {i}). {b} more are at {where}. How many?"
        rows.append({"question": question, "answer": f"{a}+{b}=<<{a}+{b}={a + b}>>{a + b}\n#### {a + b}"})
    return rows


def math_rows(n: int, name: str = "train") -> list[Row]:
    r"""``problem``, ``level``, ``type`` and ``solution``, whose answer is in a ``\boxed{…}``."""
    rng, rows = stream(0, f"math/{name}"), []
    for i in range(n):
        a, b = (int(x) for x in rng.integers(2, 99, 2))
        kind, (x, y) = TYPES[i % 2], (str(z) for z in rng.choice(list("cdfghkmnpqrstuvwz"), 2, replace=False))
        problem = f"${x}={a}$, ${y}={b}$ ({name} {i}). Find ${x}+{y}$."
        solution = f"${a}+{b}=\\boxed{{{a + b}}}$."
        rows.append({"problem": problem, "level": f"Level {1 + i % 5}", "type": kind, "solution": solution})
    return rows


def mmlu_rows(n: int, name: str = "train") -> list[Row]:
    """``question``, ``subject``, ``choices`` and ``answer``, the place of the right one from 0."""
    return [
        {"question": f"Which is {name} {i}?", "subject": "sums", "choices": [str(i + k) for k in range(4)], "answer": 0}
        for i in range(n)
    ]


def write_rows(path: Path, rows: Sequence[Row]) -> str:
    """As JSONL; gives the path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def stat_math_files(folder: Path, train: int = 300, test: int = 60) -> dict[str, str]:
    """Made-up files in place of those that the board ``stat-math`` names, by the fields that take them."""
    gsm8k = gsm8k_rows(20, "gsm8k")
    amc = [{"id": i, "question": f"What is {i}+{i + 2}?", "answer": float(2 * i + 2), "url": ""} for i in range(20)]
    aime = [
        {"id": str(i), "problem": f"What is {i}+{i + 1}?", "solution": f"\\boxed{{{2 * i + 1}}}"} for i in range(20)
    ]
    later = [{"id": str(i), "problem": f"What is {i}+{i + 5}?", "answer": str(2 * i + 5)} for i in range(20)]
    rows = {"train": math_rows(train), "test": math_rows(test, "test"), "transfer.gsm8k": gsm8k}
    rows |= {"transfer.amc23": amc, "transfer.aime24": aime, "transfer.aime25": later}
    return {f"task_args.{name}": write_rows(folder / f"{name}.jsonl", some) for name, some in rows.items()}
