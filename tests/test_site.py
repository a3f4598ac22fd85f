"""The site's pages: each stands in one list of contents, and each has one title."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(path.stem for path in DOCS.glob("*.md"))


def listed() -> list[str]:
    """The names in the lists of contents of the first page, in order."""
    lists = re.findall(r"^```\{toctree\}\n(.*?)^```$", (DOCS / "index.md").read_text(), re.MULTILINE | re.DOTALL)
    return [line for each in lists for line in each.splitlines() if line and not line.startswith(":")]


def test_every_page_is_listed_once() -> None:
    names = [name for name in listed() if not name.startswith("_generated/")]
    assert sorted(names) == sorted(set(PAGES) - {"index"})


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_one_title(page: str) -> None:
    text = re.sub(
        r"^```.*?^```$", "", (DOCS / f"{page}.md").read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    titles = re.findall(r"^# .+$", text, flags=re.MULTILINE)
    included = page in ("contributing", "changelog")
    assert len(titles) == (0 if included else 1)


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_hold(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", text)
    assert [target for target in targets if not (DOCS / target).exists()] == []
