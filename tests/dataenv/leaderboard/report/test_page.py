"""The page in a browser: what others wrote can be read in it, and does nothing."""

from __future__ import annotations

import contextlib
import re
import time
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest

from dataenv.errors import SettingError
from dataenv.leaderboard.format import visible
from dataenv.leaderboard.report import page as page_module
from dataenv.leaderboard.report.page import LONGEST, render
from dataenv.leaderboard.rows import Row, read
from dataenv.leaderboard.statistics.summary import summarise
from tests.dataenv.leaderboard.report.browser import CLOSED, NAME, Browser, find, planted_rows
from tests.dataenv.leaderboard.synthetic import HOSTILE, make_board

SCRIPT, REQUEST, MARKUP = "a script ran", "something was asked for", "the elements are others"

ATTACKS: dict[str, tuple[str, str]] = {
    # Scripts, and handlers that fire without anybody's doing.
    "script": (SCRIPT, "<script>hit=1</script>"),
    "script in capitals": (SCRIPT, "<ScRiPt >hit=1</sCrIpT >"),
    "script after a script": (SCRIPT, "</script><script>hit=1</script>"),
    "script after the style": (SCRIPT, "</style><script>hit=1</script>"),
    "script after the title": (SCRIPT, "</title><script>hit=1</script>"),
    "script after a comment": (SCRIPT, "--><script>hit=1</script><!--"),
    "script after an attribute": (SCRIPT, "\"><script>hit=1</script>"),
    "script from elsewhere": (REQUEST, "<script src=URL/script></script>"),
    "module from elsewhere": (REQUEST, "<script type=module>import 'URL/module'</script>"),
    "alert": (SCRIPT, "<script>alert(1)</script>"),
    "title": (SCRIPT, "<script>document.title='owned'</script>"),
    "image error": (SCRIPT, "<img src=x: onerror=hit=1>"),
    "image error after an attribute": (SCRIPT, "'\"><img src=x: onerror=hit=1>"),
    "focus inside an attribute": (SCRIPT, "\" tabindex=0 autofocus onfocus=hit=1 x=\""),
    "details": (SCRIPT, "<details open ontoggle=hit=1>"),
    "media error": (SCRIPT, "<video><source src=x: onerror=hit=1></video>"),
    "focus": (SCRIPT, "<input autofocus onfocus=hit=1>"),
    "svg script": (SCRIPT, "<svg><script>hit=1</script></svg>"),
    "svg load": (SCRIPT, "<svg onload=hit=1>"),
    "svg animation": (SCRIPT, "<svg><animate onbegin=hit=1 attributeName=x dur=1s>"),
    "frame with a document": (SCRIPT, "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>"),
    # Links and forms that wait for a click; every link, button and summary is clicked.
    "javascript link": (SCRIPT, "<a href='javascript:hit=1'>here</a>"),
    "javascript link, spelt": (SCRIPT, "<a href='&#106;ava&#9;script:hit=1'>here</a>"),
    "svg link": (SCRIPT, "<svg><a href='javascript:hit=1'><text y=20>here</text></a></svg>"),
    "click": (SCRIPT, "<button onclick=hit=1>here</button>"),
    "form": (REQUEST, "<form action=URL/form><button>here</button></form>"),
    "form with a script": (SCRIPT, "<form action='javascript:hit=1'><button>here</button></form>"),
    "link": (REQUEST, "<a href=URL/link>here</a>"),
    "ping": (REQUEST, "<a href='#' ping=URL/ping>here</a>"),
    # Requests that no script makes.
    "image": (REQUEST, "<img src=URL/image>"),
    "picture": (REQUEST, "<picture><source srcset=URL/picture><img></picture>"),
    "video": (REQUEST, "<video src=URL/video poster=URL/poster></video>"),
    "svg image": (REQUEST, "<svg><image href=URL/image width=9 height=9 /></svg>"),
    "style sheet": (REQUEST, "<link rel=stylesheet href=URL/sheet>"),
    "preload": (REQUEST, "<link rel=preload as=script href=URL/preload>"),
    "style with an address": (REQUEST, "<style>body { background: url(URL/background) }</style>"),
    "style with an import": (REQUEST, "<style>@import 'URL/import';</style>"),
    "style after the style": (REQUEST, "*/ body { background: url(URL/background) } /*"),
    "style attribute": (REQUEST, "\" style=\"background: url(URL/attribute)"),
    "refresh": (REQUEST, "<meta http-equiv=refresh content='0;url=URL/refresh'>"),
    "base": (REQUEST, "<base href=URL/base/><img src=image>"),
    "frame": (REQUEST, "<iframe src=URL/frame></iframe>"),
    "object": (REQUEST, "<object data=URL/object></object>"),
    "data address": (REQUEST, "<iframe src='data:text/html,<img src=URL/data>'></iframe>"),
    # Markup that hides, swallows or redraws what follows.
    "plain text": (MARKUP, "<plaintext>"),
    "open comment": (MARKUP, "<!--"),
    "open text area": (MARKUP, "<textarea>"),
    "open style": (MARKUP, "<style>"),
    "open tag": (MARKUP, "<b class='"),
    "open cell": (MARKUP, "</td></tr></table></div><h1>Winner"),
    "closed page": (MARKUP, "</main></body></html>"),
    "cover": (MARKUP, "<p style='position:fixed;inset:0;background:#fff'>Nothing to see"),
}  # fmt: skip
TEXTS = (
    *HOSTILE,
    "{{ 7*7 }} {{ cycler.__init__.__globals__ }} ${7*7} #{7*7} <%= 7*7 %>",
    "\u202eright to left\u202c \u2066isolated\u2069 \u061c שלום",
    "Z" + "\u0300\u0316" * 60,
    "一" * 5000,
    "&lt;script&gt; &#60; &amp;amp; &quot",
)


# --- nothing in it acts ----------------------------------------------------------------------------------------------

ELEMENTS = "return [...document.querySelectorAll('*')].map(e => [e.tagName, ...e.getAttributeNames()].join(' ')).join()"
CLICK = """
const click = () => new MouseEvent('click', { bubbles: true, cancelable: true });
for (const each of document.querySelectorAll('a, button, summary')) each.dispatchEvent(click());
"""
LOADED = "return [window.hit || 0, document.title, performance.getEntriesByType('resource').map(e => e.name)]"


def events(browser: Browser, elements: str, mark: str) -> set[str]:
    """What happened on the page that was just opened, after everything that can be clicked was clicked.

    Args:
        browser: What it is open in.
        elements: What ``ELEMENTS`` gives where the text is a word.
        mark: Of the requests that this page, and no page before it, would make.
    """
    from selenium.common.exceptions import NoAlertPresentException, WebDriverException

    driver, found = browser.driver, set()
    with contextlib.suppress(NoAlertPresentException):
        while True:
            driver.switch_to.alert.accept()
            found.add(SCRIPT)
    try:
        if driver.execute_script(ELEMENTS) != elements:
            found.add(MARKUP)
        driver.execute_script(CLICK)
        time.sleep(0.05)  # for what a click has begun; what loading began is behind us
        hit, now, loaded = driver.execute_script(LOADED)
    except WebDriverException:
        return found | {REQUEST}  # the page went away under our hands
    if hit or now == "owned":
        found.add(SCRIPT)
    if loaded or browser.asked_by(mark) or not driver.current_url.split("#")[0].endswith("/page.html"):
        found.add(REQUEST)
    return found


def careless(text: str) -> str:
    """A page that puts a text into a title, a style, an attribute and a paragraph, as it is."""
    return (
        f"<!doctype html><title>{text}</title><style>p {{ color: red }} /* {text} */</style>"
        f'<main><p title="{text}">{text}</p><table><tr><td>{text}</td></tr></table><p>the end</p></main>'
    )


@pytest.fixture(scope="module")
def harmless(browser: Browser) -> tuple[str, str]:
    """The elements of our page and of a careless one when the text is a word."""
    browser.board(planted_rows("word"))
    ours = browser.driver.execute_script(ELEMENTS)
    browser.open(careless("word"))
    return ours, browser.driver.execute_script(ELEMENTS)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_works_on_a_careless_page_and_not_on_ours(
    browser: Browser, harmless: tuple[str, str], name: str
) -> None:
    effect, attack = ATTACKS[name]
    assert len(attack) <= NAME - 30  # room for the address
    browser.open(careless(browser.aimed(attack, "careless")))
    found, deadline = set[str](), time.monotonic() + 10
    while effect not in found and time.monotonic() < deadline:
        found |= events(browser, harmless[1], "careless")
    assert effect in found
    check_inert(browser, browser.aimed(attack, "ours"), harmless[0])


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_read_and_nothing_else(browser: Browser, harmless: tuple[str, str], text: str) -> None:
    check_inert(browser, text, harmless[0])


def check_inert(browser: Browser, text: str, elements: str) -> None:
    """With this text in every field: the elements of the page stay, nothing happens, and the text can be read."""
    browser.driver.get_log("browser")
    browser.board(planted_rows(text))
    assert events(browser, elements, "ours") == set()
    assert browser.driver.get_log("browser") == []
    scrubbed = text.encode("utf-8", "replace").decode()
    assert " ".join(browser.driver.title.split()) == " ".join(f"dataenv · board {visible(scrubbed[:NAME])}".split())
    read = browser.driver.execute_script("return document.body.textContent")
    assert read.count(visible(scrubbed[:NAME])) > 100
    assert read.count(visible(scrubbed, LONGEST)) > 20
    assert not [c for c in read if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"]


def test_every_field_that_takes_text_was_planted() -> None:
    def walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        if isinstance(value, dict):
            for name, item in value.items():
                yield from walk(item, (*path, name))
        elif isinstance(value, list):
            for item in value:
                yield from walk(item, path)
        elif isinstance(value, str):
            yield path, value

    texts: dict[tuple[str, ...], bool] = {}
    for row in planted_rows("word"):
        for path, value in walk(Row.model_validate(row).model_dump(mode="json"), ()):
            texts[path] = texts.get(path, False) or "word" in value
    assert {path for path, planted in texts.items() if not planted and path[-1] not in CLOSED} == set()
    assert len(texts) > 25


# What each does, once it stands in the page: it tells `hits`, or asks the server for its name.
INJECTED = {
    "script": "const s = add('script'); s.textContent = `hits.push('script')`; document.body.append(s)",
    "handler": "const b = add('b'); b.setAttribute('onclick', `hits.push('handler')`); b.click()",
    "address": "const a = add('a'); a.href = `javascript:hits.push('address')`; a.click()",
    "text": "setTimeout(`hits.push('text')`)",
    "source": "add('script').src = 'URL/source'",
    "image": "add('img').src = 'URL/image'",
    "fetch": "fetch('URL/fetch', { mode: 'no-cors' }).catch(() => {})",
    "beacon": "navigator.sendBeacon('URL/beacon')",
    "sheet": "Object.assign(add('link'), { rel: 'stylesheet', href: 'URL/sheet' })",
    "import": "add('style').textContent = '@import \"URL/import\"'",
    "background": "document.body.style.background = 'url(URL/background)'",
    "font": "const f = new FontFace('f', 'url(URL/font)'); document.fonts.add(f); f.load().catch(() => {})",
    "frame": "add('iframe').src = 'URL/frame'",
    "object": "add('object').data = 'URL/object'",
    "video": "add('video').src = 'URL/video'",
    "form": "add('iframe').name = 'f'; Object.assign(add('form'), { target: 'f', action: 'URL/form' }).submit()",
}
ADD = "const add = (tag) => document.body.appendChild(document.createElement(tag));"


def test_the_policy_refuses_what_got_in_all_the_same(browser: Browser, board: list[dict[str, Any]]) -> None:
    def inject(mark: str, wait: float) -> set[str]:
        browser.driver.execute_script("window.hits = []")
        for code in INJECTED.values():
            browser.driver.execute_script(ADD + browser.aimed(code, mark))
        found, deadline = set[str](), time.monotonic() + wait
        while found != set(INJECTED) and time.monotonic() < deadline:
            found |= {*browser.driver.execute_script("return hits"), *browser.asked_by(mark)}
            time.sleep(0.02)
        return found

    browser.open(careless("word"))
    assert inject("careless", 10) == set(INJECTED)
    browser.board(board)
    browser.driver.get_log("browser")
    assert inject("ours", 0.5) == set()
    said = [entry["message"] for entry in browser.driver.get_log("browser")]
    assert len(said) >= len(INJECTED)
    assert [message for message in said if not re.search("Content Security Policy|'default-src'", message)] == []


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_where_there_is_no_browser_it_is_said(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=r"chromium is missing: install .*apt-get install chromium"):
        find()


# --- it is bounded ---------------------------------------------------------------------------------------------------


def test_a_page_of_rows_without_end_stays_small_and_says_what_it_leaves_out() -> None:
    rows = make_board(2)
    big = next(row for row in rows if row["teacher"] == "random")
    example = {"prompt": "p" * 500, "response": "r", "skills": []}
    big["lessons"] = [{"step": i, "examples": [example] * 20} for i in range(2000)]
    big["mistakes"] = [{"step": 1, "skill": "s", "prompt": "p", "response": "r", "answer": "a"}] * 2000
    big["teacher_args"] = {"text": "x" * 300_000}
    big["versions"] = {f"package {i}": "1" for i in range(5000)}
    last = big["steps"][-1]
    big["steps"] += [last | {"step": last["step"] + 1 + i} for i in range(2000)]
    big["steps"][-1]["rejected"] = last["rejected"] | {f"reason {i}": 0 for i in range(5000)}
    small, page = rendered(make_board(2)), rendered(rows)
    assert len(page) < len(small) + 3_000_000
    assert "lessons 1,800, examples 1,600, mistakes 1,952" in page
    assert "of 2,008 steps" in page
    assert "Not shown" not in small
    assert "Shown are" not in small


def test_a_page_that_no_browser_would_show_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "LARGEST", 10_000)
    with pytest.raises(SettingError, match="hold too much for one page"):
        rendered(make_board(2))


def rendered(rows: list[dict[str, Any]]) -> str:
    board = read(rows)
    return render(board, summarise(board))
