"""Boards that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.play import play
from tests.dataenv.leaderboard.report.browser import Browser, chromium, counting_server
from tests.dataenv.leaderboard.synthetic import HOSTILE, make_board
from tests.toys import TOY_BOARD


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


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("browser")
    with chromium(folder / "profile") as driver, counting_server() as (address, asked):
        yield Browser(driver, address, asked, folder)


@pytest.fixture
def toy_store() -> Store:
    """The store of ``toy_folder``."""
    return Store(None)


@pytest.fixture
def toy_folder(toys: None, toy_store: Store, tmp_path: Path) -> Path:
    """The folder of a toy board that was played."""
    play(Board.model_validate(TOY_BOARD), Runner(toy_store), tmp_path / "toy")
    return tmp_path / "toy"
