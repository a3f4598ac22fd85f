"""``check_metric``: one finite number a row or None, whatever kind of row it meets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dataenv.checks.common import class_of, demand, own_randomness, says_what_it_is, survives
from dataenv.leaderboard.metric import PERCENT, Metric
from dataenv.leaderboard.rows import Row
from tasks.records import SPLITS


def _step(i: int) -> dict[str, Any]:
    tally = {"correct": [i + 1, 4 - i], "n": [5, 5]}
    offered = 16 if i else 0
    return {
        "step": i, "spent": 100 * i, "state": f"state {i}", "reward": 0.1 * i, "selection": tally, "feedback": tally,
        "loss": [1.0 / (i + 1), 0.5], "mixture": [0.25, 0.75] if i else None, "offered": offered,
        "kept": max(0, offered - 2), "rejected": {"leak": 2} if i else {}, "lesson": f"lesson {i}" if i else None,
    }  # fmt: skip


def _row(**changes: Any) -> Row:
    row = {
        "schema": 1, "board": "check", "teacher": "somebody", "role": "teacher", "level": "skill-list", "seed": 0,
        "simulated": False, "setting": {"task": "arithmetic"}, "setting_digest": "0", "commit": "0", "dirty": False,
        "versions": {}, "hashes": {}, "skills": ["one", "two"], "ended": "spent",
        "budget": {"total": 1000, "spent": 250, "training": 200, "probes": 50, "examples": 28, "prior": 0},
        "steps": [_step(i) for i in range(3)], "selected": 2,
        "test": {"correct": "110100", "n": [3, 3], "by_skill": [2, 1]}, "transfer": {"correct": "01", "n": 2},
    }  # fmt: skip
    return Row.model_validate(row | changes)


ROWS = (
    _row(),
    _row(transfer=None),
    _row(steps=[_step(0)], selected=0, ended="stopped"),
    _row(steps=[], selected=0, test=None, transfer=None, ended="failed", error="the loss became NaN"),
)
"""A run like any other, one without a transfer split, one that taught nothing, and one that failed at once."""


def check_metric(metric: str | type[Metric], rows: Sequence[Row] = ROWS) -> None:
    """Check a metric on some rows.

    Args:
        metric: A registered name, or a class.
        rows: What it is asked of.

    Raises:
        ContractError: With the first rule that is broken.
    """
    kind = class_of("metric", metric, Metric)
    says_what_it_is("metric", kind)
    unit = getattr(kind, "unit", None)
    demand(isinstance(unit, str) and bool(unit), f"unit is {unit!r}; set it to '%' for a share in [0, 1], or a word")
    demand(
        kind.higher_is_better in (True, False, None),
        f"higher_is_better is {kind.higher_is_better!r}; set it to True, False, or None where neither end is better",
    )
    demand(kind.split in ("", *SPLITS), f"split is {kind.split!r}; set it to one of {', '.join(SPLITS)}, or leave it")
    made = kind()
    for row in rows:
        what = f"of() a run that {row.ended} with {len(row.steps)} steps"
        with own_randomness(what):
            value = survives(lambda row=row: made.of(row), what, "None where it cannot be told")  # type: ignore[misc]
        a_number = isinstance(value, int | float) and not isinstance(value, bool)
        demand(
            value is None or (a_number and math.isfinite(value)),
            f"{what} gives {value!r:.60}; give a finite number, or None where it cannot be told",
        )
        demand(value == made.of(row), f"{what} differs between two calls; let it depend on the row alone")
        share = value is None or unit != PERCENT or -1 <= value <= 1
        demand(share, f"{what} gives {value}; give a share in [0, 1], or another unit than '%'")
