"""Which rows can stand on one board: those of one setting, one task, one engine that answers, and each run once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tasks.records import digest

OWN = ("finish", "engine", "engine_args")
"""Fields of a Setting that a teacher of a board may have of its own."""


def check_one_board(rows: Sequence[Any]) -> None:
    """Refuse rows (``Row``) that cannot be compared.

    Raises:
        ValueError: If there are none, one run is there twice, or they differ in what all runs of a board share.
    """
    if not rows:
        raise ValueError("rows is empty: a board needs at least one run")
    twice = [pair for pair, times in Counter((row.teacher, row.seed) for row in rows).items() if times > 1]
    if twice:
        raise ValueError(f"rows hold teacher {twice[0][0]!r}, seed {twice[0][1]} twice; keep one")
    same: dict[str, set[Any]] = {
        "board": {row.board for row in rows},
        "skills": {row.skills for row in rows},
        "simulated": {row.simulated for row in rows},
        "setting_digest": _compared([row for row in rows if row.role == "teacher"]),
        "test.n": {row.test.n for row in rows if row.test is not None},
        "curve (the board's primary outcome)": {row.primary for row in rows if row.test is not None},
        "curve.purse": {row.curve.purse for row in rows if row.curve is not None},
        "hashes.task": {row.hashes.get("task") for row in rows},
        "hashes.answers (the engine that answered)": {row.hashes.get("answers") for row in rows},
    }
    for field, values in same.items():
        if len(values) > 1:
            raise ValueError(f"rows differ in {field}; teachers are compared within one setting: make a board of each")
    for teacher in sorted({row.teacher for row in rows}):
        kinds = {(row.role, row.level, row.mask, row.own) for row in rows if row.teacher == teacher}
        if len(kinds) > 1:
            raise ValueError(
                f"rows of teacher {teacher!r} differ in role, level, mask, finish or engine; name each by itself"
            )


def _compared(rows: Sequence[Any]) -> set[str]:
    """Digests of the Settings that rows are compared within: what a teacher may have of its own plays no part."""
    by_own: dict[str, set[str]] = {}
    for row in rows:
        by_own.setdefault(row.own, set()).add(row.setting_digest)
    differing = next((digests for digests in by_own.values() if len(digests) > 1), None)
    if differing or len(by_own) < 2:
        return differing or set().union(*by_own.values())
    return {_without_own(row) for row in rows}


def _without_own(row: Any) -> str:
    """Digest of what is not the teacher's own; that of the row where it is none of the Setting that the row holds."""
    rest = {name: value for name, value in row.setting.items() if name not in OWN}
    if row.tuned and isinstance(recipe := rest.get("recipe"), dict):
        rest["recipe"] = {name: value for name, value in recipe.items() if name != "rate"}
    by_content = any(row.setting.get(name) for name in ("skills", "subskills"))  # files, named by what they hold
    if not by_content and digest(row.setting) != row.setting_digest:
        return str(row.setting_digest)
    return digest(rest)
