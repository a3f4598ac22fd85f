"""Boards that the tests of this folder share."""

from __future__ import annotations

import shutil
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


@pytest.fixture(scope="module")
def toy_played(toys: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``toy``, the folder of a toy board that was played, and ``store``. It is to be copied."""
    home = tmp_path_factory.mktemp("toy")
    store = Store(home / "store")
    play(Board.model_validate(TOY_BOARD), Runner(store), home / "toy")
    store.close()
    return home


@pytest.fixture
def toy_store(toy_played: Path, tmp_path: Path) -> Iterator[Store]:
    """The store of ``toy_folder``."""
    shutil.copytree(toy_played / "store", tmp_path / "toy-store")
    store = Store(tmp_path / "toy-store")
    yield store
    store.close()


@pytest.fixture
def toy_folder(toy_played: Path, tmp_path: Path) -> Path:
    """The folder of a toy board that was played."""
    shutil.copytree(toy_played / "toy", tmp_path / "toy")
    return tmp_path / "toy"
