"""The page in a browser: it can be read at any width, in light, dark and print, and by keyboard."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from dataenv.analysis.transfer import Gain, Matrix, picture
from dataenv.leaderboard.report.tables import terminal_table
from tests.dataenv.leaderboard.report.browser import NAME, Browser, planted_rows, view
from tests.dataenv.leaderboard.synthetic import HOSTILE, SKILLS, TEST_N, make_large_board, make_row

WIDTHS = (1280, 768, 390)
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def boards(board: Rows, hostile_board: Rows) -> dict[str, Rows]:
    return {
        "usual": board,
        "hostile": hostile_board,
        "names": planted_rows("a name of some length " * 7),
        "word": planted_rows("m" * NAME),
        "large": make_large_board(),
        "bare": [make_row("alone")],
        "shades": shades(),
    }


def shades() -> Rows:
    """A board whose skills are right in every number of cases, from 0 to all."""
    rows = [make_row(f"t{i}") for i in range(TEST_N // len(SKILLS) + 1)]
    for i, row in enumerate(rows):
        right = [min(TEST_N, i * len(SKILLS) + j) for j in range(len(SKILLS))]
        correct = "".join("1" * k + "0" * (TEST_N - k) for k in right)
        row["test"] |= {"correct": correct, "by_skill": right}
    return rows


def unfold(browser: Browser, rows: Rows) -> None:
    """Open a board, and everything in it that opens."""
    browser.board(rows)
    browser.probe("for (const each of document.querySelectorAll('details')) each.open = true")


@pytest.mark.parametrize("name", ["usual", "hostile", "names", "word", "large", "bare"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_or_squeezed(browser: Browser, boards: dict[str, Rows], name: str, width: int) -> None:
    view(browser.driver, width)
    unfold(browser, boards[name])
    assert browser.probe("return layout()") == []


@pytest.mark.parametrize("width", [768, 390])
def test_the_first_column_stays(browser: Browser, boards: dict[str, Rows], width: int) -> None:
    view(browser.driver, width)
    browser.board(boards["usual"])
    seen, wrong = browser.probe("return sticky()")
    assert wrong == []
    assert seen > 20


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "width"), [("usual", 1280), ("hostile", 390), ("shades", 768)])
def test_every_text_stands_out(browser: Browser, boards: dict[str, Rows], name: str, width: int, scheme: str) -> None:
    view(browser.driver, width, scheme)
    unfold(browser, boards[name])
    seen, wrong = browser.probe("return contrast()")
    assert wrong == []
    assert seen > 500
    dark = browser.probe("return luminance(background(document.body))") < 0.1
    assert dark == (scheme == "dark")


def test_print_is_dark_on_light_and_as_wide_as_the_paper(browser: Browser, boards: dict[str, Rows]) -> None:
    """A4 on its side has 1,031 CSS pixels between the margins; who prints from a dark screen prints on white paper."""
    view(browser.driver, 1031, "dark", "print")
    browser.board(boards["usual"])
    assert browser.probe("return [...layout(), ...contrast()[1]]") == []
    assert browser.probe("return luminance(background(document.body))") > 0.9


@pytest.mark.parametrize("name", ["usual", "names", "bare"])
def test_the_page_is_in_order(browser: Browser, boards: dict[str, Rows], name: str) -> None:
    view(browser.driver)
    unfold(browser, boards[name])
    assert browser.probe("return structure()") == []


WORSE = {
    "scrolled away": ".name { position: static !important }",
    "lets through": ".name { background: transparent !important }",
    "covered": ".name { z-index: -1 !important }",
    "wider than the window": ".scroll { overflow: visible !important }",
    "outside the window": ".scroll { overflow: visible !important }",
    "cut off": ".name { white-space: nowrap !important; min-width: 0 !important; max-width: 50px !important }",
    "spills": ".name { overflow: visible !important; overflow-wrap: normal !important; max-width: 50px !important; "
    "min-width: 0 !important }",
    "lines for": ".name { overflow-wrap: anywhere !important; min-width: 0 !important }",
    "4.4": ":root { --soft: #777 !important }",
    "no key reaches it": ".facts { overflow: auto !important }",
}


@pytest.mark.parametrize("complaint", WORSE)
def test_the_probes_see_what_is_wrong(browser: Browser, boards: dict[str, Rows], complaint: str) -> None:
    view(browser.driver, 390)
    browser.board(boards["usual"])
    style = "document.head.append(Object.assign(document.createElement('style'), { textContent: arguments[0] }));"
    browser.probe(style, WORSE[complaint])
    found = browser.probe("return [...layout(), ...sticky()[1], ...contrast()[1], ...structure()]")
    assert any(complaint in sentence for sentence in found)


def test_a_keyboard_opens_and_scrolls(browser: Browser, boards: dict[str, Rows]) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    view(browser.driver, 390)
    browser.board(boards["usual"])
    page = browser.driver.find_element(By.TAG_NAME, "body")
    reached = set()
    for _ in range(60):
        page.send_keys(Keys.TAB)
        page = browser.driver.switch_to.active_element
        reached.add(page)
        if page.tag_name == "summary":
            break
    assert reached.issuperset(browser.driver.find_elements(By.CSS_SELECTOR, "a, .scroll"))
    for key, opened in ((Keys.ENTER, True), (Keys.SPACE, False)):
        page.send_keys(key)
        assert browser.probe("return arguments[0].parentElement.open", page) == opened
    table = browser.driver.find_element(By.CSS_SELECTOR, "[aria-labelledby=ranking]")
    table.send_keys(Keys.ARROW_RIGHT)
    WebDriverWait(browser.driver, 10).until(lambda _: browser.probe("return arguments[0].scrollLeft", table) > 0)


def test_a_large_board_stays_small_and_readable(browser: Browser, boards: dict[str, Rows]) -> None:
    browser.board(boards["large"])
    assert (browser.folder / "board.html").stat().st_size < 3_000_000
    console = Console(width=100, file=io.StringIO(), force_terminal=False)
    console.print(terminal_table(boards["large"]))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) < 100


# --- the transfer matrix ---------------------------------------------------------------------------------------------


def matrix(skills: tuple[str, ...]) -> Matrix:
    """Gains of every size, from one end of the colours to the other."""
    k = len(skills)
    means = np.linspace(-1, 1, k * k).reshape(k, k)
    gains = tuple(tuple(Gain(mean=m, low=m - 0.1, high=m + 0.1, p=0.5) for m in row) for row in means)
    none = ((0,) * k,) * 2
    return Matrix(
        skills=skills, seeds=(0, 1), updates=32, setting_digest="d", n=(50,) * k, before=none, after=(none,) * 2,
        gains=gains,
    )  # fmt: skip


@pytest.mark.parametrize("skills", [SKILLS, HOSTILE, ("a", "b")], ids=["usual", "hostile", "two"])
def test_the_transfer_matrix_is_a_picture_and_nothing_else(browser: Browser, skills: tuple[str, ...]) -> None:
    named = tuple(skill.encode("utf-8", "replace").decode() for skill in skills)
    path = browser.folder / "transfer.svg"
    path.write_text(picture(matrix(named)), encoding="utf-8")
    browser.driver.get(path.as_uri())
    k = len(skills)
    count = "const all = (tag) => document.querySelectorAll(tag).length; return "
    assert browser.probe(count + "['rect', 'text', 'title', '*'].map(all)") == [
        1 + k * k, 2 * k + k * k + 2, k * k, 1 + (1 + k * k) + (2 * k + k * k + 2) + k * k,
    ]  # fmt: skip
    assert browser.probe("return document.documentElement.getAttribute('aria-label')").startswith("Transfer between")
    assert browser.probe("return picture()") == []
