"""How long a lesson and an exam take whose every answer is slow to check: ``python -m tests.bench.slow_checkers``.

An innocent pattern and responses of 29 characters, and an expression that ``math_verify`` never finishes.
"""

from __future__ import annotations

import time

from tasks.checkers import Gold, Patience, make_checker

CASES = {
    "regex": (Gold("1 2", pattern=r"\s*(\d+\s*)+"), "1" * 28 + "!"),
    "math-verify": (Gold("72"), "9**9**9**9"),
}


def main() -> None:
    """Print seconds, and how many responses were checked or given up, for some sizes of a batch."""
    for name, (gold, said) in CASES.items():
        for n in (6, 300, 4096):
            check, patience, began = make_checker(name), Patience(), time.perf_counter()
            grades = [check(gold, said, patience) for _ in range(n)]
            tried = sum("not checked" not in str(grade.error) for grade in grades)
            print(f"{name:12} {n:5} responses: {time.perf_counter() - began:6.1f} s, {tried} tried, {n - tried} not")


if __name__ == "__main__":
    main()
