"""What a board's page says first and how it ranks, word for word: ``tests/golden/page.txt``."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from dataenv.leaderboard.conduct import BoardCost, Conduct
from dataenv.leaderboard.report.page import render
from dataenv.leaderboard.rows import read
from dataenv.leaderboard.statistics.summary import summarise
from tests.dataenv.leaderboard.statistics.test_outcomes import with_curve
from tests.dataenv.leaderboard.synthetic import make_row

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "page.txt"
"""Where what the page says is meant to change, delete the file, run this test, and read what it wrote."""


def text_of(page: str) -> str:
    """Header and ranking of a page as lines of text."""
    header, ranking = (re.search(pattern, page, re.DOTALL) for pattern in (
        r"<header>.*?<nav", r'<h2 id="ranking">.*?</section>'))  # fmt: skip
    assert header is not None
    assert ranking is not None
    text = html.unescape(re.sub(r"<[^>]*>?", "\n", header.group() + ranking.group()))
    return "\n".join(line.strip() for line in text.splitlines() if line.strip()) + "\n"


@pytest.fixture(scope="module")
def said() -> str:
    rows = [with_curve(name, seed) for name in ("stratified", "failure", "frontier", "random") for seed in range(6)]
    untaught = [make_row("nothing", seed, role="reference", steps=0, ended="stopped") for seed in range(6)]
    rows += [
        row | {"curve": {"purse": 1_200_000, "points": [{"step": 0, "correct": row["test"]["correct"]}]}}
        for row in untaught
    ]
    board = read([row for row in rows if (row["teacher"], row["seed"]) != ("random", 5)])
    conduct = Conduct(
        runs=dict.fromkeys(("stratified", "failure", "frontier", "random", "nothing"), 6),
        replayed={"failure": 2},
        failed={"failure": 1},
        cost=BoardCost(seconds=1200, unknown=0),
    )
    return text_of(render(board, summarise(board, (), conduct)))


def test_the_page_says_what_it_did(said: str) -> None:
    if not GOLDEN.exists():
        GOLDEN.write_text(said, encoding="utf-8")
        pytest.fail(f"{GOLDEN} was not there and is written; read it, and run the test again")
    assert said == GOLDEN.read_text(encoding="utf-8")


def test_what_it_says_first_names_the_outcome_and_what_weakens_it(said: str) -> None:
    assert "Over 6 seeds, by area under the learning curve on the test split:" in said
    assert "× √20.0 core-minutes" in said
    assert "1 of 30 runs have no row here: random 1." in said
    assert "failure: 1 row changed when the run was played again" in said
    assert "failure: 1 run failed first and was played again." in said
    assert "5 of 6 runs" in said
