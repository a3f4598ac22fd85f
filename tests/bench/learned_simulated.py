"""Learned and hand-written teachers on simulated students, not varied, of seeds that training did not draw.

    python tests/bench/learned_simulated.py shipped reinforce=runs/teachers/reinforce

Expected accuracy in %, and the gain over `stratified` and over `frontier` (paired t over students); docs/learned.md.
"""

from __future__ import annotations

import argparse
from typing import Any

from common import machine, table

SLOW, KNOWN = ("times", "hash", "add-carry", "sub-borrow"), ("first", "second", "succ", "rotate", "chain")
HAND: dict[str, dict[str, Any]] = {
    "stratified": {},
    "frontier": {},
    "learning-progress": {},
    "failure": {},
    "static": {"weights": {**dict.fromkeys(KNOWN, 0.5), **dict.fromkeys(SLOW, 0.0)}, "other": 1.0},
}


def main(policies: list[str], students: int) -> None:
    """Print the table."""
    import numpy as np

    from dataenv import registry
    from dataenv.environment.env import TeachingEnv
    from dataenv.episode.context import Context
    from dataenv.leaderboard.statistics.formulas import paired_t
    from dataenv.learning.oracle import worth
    from dataenv.setting import make_setting
    from dataenv.vector.simulated import SimulatedVectorEnv

    setting = make_setting({"student": "simulated", "items": {"feedback": 50, "selection": 60, "test": 1}})
    seeds = list(range(2_000_000, 2_000_000 + students))
    env = TeachingEnv("skill-list", setting=setting)
    env.reset(seed=0)
    context, envs = Context(env), SimulatedVectorEnv(students, autoreset_mode="SameStep", setting=setting)
    entries = {name: (name, args) for name, args in HAND.items()}
    for given in policies:
        label, _, path = given.partition("=")
        entries[f"learned-{label}"] = ("learned", {"path": path})
    found = {}
    for label, (name, args) in entries.items():
        each = [registry.build("teacher", name, args) for _ in seeds]
        for teacher in each:
            teacher.begin(context)

        def teach(batch: dict[str, Any], each: list[Any] = each) -> Any:
            rows = [{name: values[i] for name, values in batch.items()} for i in range(len(each))]
            return np.stack([teacher.act(row, {}) for teacher, row in zip(each, rows, strict=True)])

        found[label] = worth(teach, envs, seeds)
    rows = []
    for label, values in sorted(found.items(), key=lambda item: -item[1].mean()):
        gains = [paired_t((values - found[other]).tolist()) for other in ("stratified", "frontier")]
        cells = [f"{100 * t.gain:+.1f} [{100 * t.low:+.1f}, {100 * t.high:+.1f}]" for t in gains]
        rows.append([label, f"{100 * values.mean():.1f}", *cells])
    table(f"Expected accuracy, %, n = {students} simulated students", ["", "value", "over stratified", "over frontier"],
          rows)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policies", nargs="*", default=["shipped"], help="label, or label=folder")
    parser.add_argument("--students", type=int, default=16)
    given = parser.parse_args()
    print(machine("numpy"))
    main(given.policies, given.students)
