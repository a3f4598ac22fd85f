"""A factorial board: three policies, each with two engines, so that policy and engine are told apart.

    .venv/bin/python tests/bench/policy_engine.py            # about ten minutes on two cores
    .venv/bin/python tests/bench/policy_engine.py --seeds 2  # for a look

The language model is a script (``teachers.chat.tutor``) behind a real OpenAI-compatible server: it varies references
that it is shown and solves them, one solution in five wrong. So the figures say nothing about language models. They
show that any policy can be given any engine, what its filter lets through, and what it is paid.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from common import machine

POLICIES = ("stratified", "frontier", "learning-progress")
SETTING: dict[str, Any] = {
    "lesson_size": 48,
    "warm_start": {"examples": 20_000},
    "recipe": {"updates": 8, "batch": 64, "rate": 5e-4, "replay": 0.5, "optimiser": "reset"},
    "items": {"feedback": 50, "selection": 60, "test": 200, "transfer": 0},
    "budget": {"student_tokens": 130_000, "teacher_tokens": 20_000_000},
}


def board(chat: dict[str, Any], seeds: int) -> dict[str, Any]:
    """The board, as its file would hold it."""
    written = {"engine": "llm", "engine_args": {"chat": chat}}
    plain = [{"name": name} for name in POLICIES]
    paired = [{"name": name, "label": f"{name}-llm"} | written for name in POLICIES]
    return {
        "name": "policy-engine",
        "seeds": list(range(seeds)),
        "teachers": plain + paired,
        "references": ["nothing"],
        "setting": SETTING,
    }


def main() -> None:
    """Play the board and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("runs/policy-engine"))
    parser.add_argument("--executor", default="processes")
    given = parser.parse_args()
    from dataenv.execution.executors import make_executor
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import open_store
    from dataenv.leaderboard.config import Board
    from dataenv.leaderboard.play import play
    from dataenv.leaderboard.report.tables import terminal_table, write_csv
    from teachers.chat.scripted import Server, serving
    from teachers.chat.tutor import arithmetic

    print(machine())
    runner = Runner(open_store(given.out / ".store"), make_executor(given.executor))
    with serving(Server(arithmetic)) as server:
        chat = {"base_url": server.base_url, "model": "scripted"}
        rows = play(Board.model_validate(board(chat, given.seeds)), runner, given.out, replace=True)
    runner.executor.close()
    from rich.console import Console

    Console().print(terminal_table(rows))
    write_csv(rows, given.out / "leaderboard.csv")
    for row in rows:
        if row.asked:
            kept = sum(step.kept for step in row.steps)
            right = sum(step.judged.get("right", 0) for step in row.steps)
            requests = sum(row.asked.values())
            print(f"{row.teacher} seed {row.seed}: {requests} requests, {row.budget.teacher_tokens:,} teacher tokens,"
                  f" {kept} examples taught, {right} of them right")  # fmt: skip


if __name__ == "__main__":
    main()
