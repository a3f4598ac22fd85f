"""What ``docs/practice.md`` quotes of a board that was played: curves, samples to equal accuracy, and what was picked.

dataenv leaderboard practice --out runs
python tests/bench/practice_ratios.py runs/practice --baseline static 576 960 1152
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from common import table

from dataenv.leaderboard.folder import read_rows
from dataenv.leaderboard.format import portion
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.statistics.sample_efficiency import Axis, accuracy_at, curves_of, ratios, sentence


def curves(rows: Sequence[Row], sizes: Sequence[int]) -> None:
    """Mean over seeds of selection accuracy at each size, and the share of the purse's use that went to probes."""
    body = []
    for name, by_seed in sorted(curves_of(rows).items()):
        ran = [row for row in rows if row.teacher == name]
        at = [[accuracy_at(curve, size) for curve in by_seed.values()] for size in sizes]
        means = [
            portion(float(np.mean([a.value for a in known])), 1) if (known := list(filter(None, a))) else "–"
            for a in at
        ]
        probes = sum(row.budget.probes for row in ran) / max(1, sum(row.budget.spent for row in ran))
        spent = np.mean([row.budget.spent for row in ran]) / 1e6
        body.append([name, *means, f"{spent:.2f}", portion(probes, 1), len(by_seed)])
    head = ["selection accuracy, %", *(f"{size:,}" for size in sizes), "spent, M tokens", "of it probes, %", "seeds"]
    table("Examples taught", head, body)


def picked(rows: Sequence[Row]) -> None:
    """What share of all lessons but the first each skill had, over all seeds."""
    names = sorted({row.teacher for row in rows if row.role == "teacher"})
    shares = []
    for name in names:
        later = [s for row in rows if row.teacher == name for s in row.steps[2:] if s.lesson and s.mixture]
        total = sum(s.kept for s in later)
        shares.append(sum(s.kept * np.array(s.mixture) for s in later) / total)
    body = [[skill, *(portion(share[i], 1) for share in shares)] for i, skill in enumerate(rows[0].skills)]
    table("Share of the later lessons, %", ["skill", *names], body)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a board that was played")
    parser.add_argument("sizes", type=int, nargs="+", help="examples taught")
    parser.add_argument("--baseline", action="append", required=True, help="a teacher of the board; may be repeated")
    parser.add_argument("--of", type=Path, help="of another board, on which the baselines go on for longer")
    parser.add_argument("--axis", choices=get_args(Axis), default="examples", help="what the sizes count")
    asked = parser.parse_args()
    rows = read_rows(asked.folder)
    of = read_rows(asked.of) if asked.of else None
    if asked.axis == "examples":
        curves(rows, asked.sizes)
        picked(rows)
    for baseline in asked.baseline:
        print(f"\n{asked.axis.capitalize()} to equal accuracy, against {baseline}, selection split")
        for made in ratios(rows, baseline, asked.sizes, of, asked.axis):
            print("  " + sentence(made, asked.axis))


if __name__ == "__main__":
    main()
