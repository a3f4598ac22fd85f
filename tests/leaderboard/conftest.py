"""Boards that the tests of this folder share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.leaderboard.synthetic import HOSTILE, make_board


@pytest.fixture(scope="session")
def board() -> list[dict[str, Any]]:
    return make_board()


@pytest.fixture(scope="session")
def hostile_board() -> list[dict[str, Any]]:
    rows = make_board(3, hostile=True)
    for row in rows:
        row["skills"] = ['<b onclick="x">\u202e', *row["skills"][1:]]
        if row["teacher"] == "random":
            row["teacher"] = "=cmd()<script>alert('x')</script>\x1b[31m[red]"
        if row["ended"] == "failed":
            row["error"] = HOSTILE[0] + HOSTILE[2]
    return rows
