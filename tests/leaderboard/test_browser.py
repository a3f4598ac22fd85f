"""The page in a browser: what others wrote does nothing in it, and it can be read at any width, in light and dark."""

from __future__ import annotations

import contextlib
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dataenv.leaderboard.page import LONGEST
from dataenv.leaderboard.report import write_page
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.text import visible
from tests.leaderboard.browser import CLOSED, NAME, chromium, counting_server, planted_rows, view
from tests.leaderboard.synthetic import HOSTILE

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


PROBES = Path(__file__).with_name("probes.js").read_text(encoding="utf-8")


class Browser(NamedTuple):
    """A browser, and a server beside it that nobody has a reason to ask for anything."""

    driver: Any
    address: str
    asked: list[str]
    folder: Path

    def open(self, page: str) -> None:
        """Open a page as a reader does, from a file."""
        path = self.folder / "page.html"
        path.write_text(page, encoding="utf-8")
        self.asked.clear()
        self.driver.get(path.as_uri())

    def aimed(self, text: str, mark: str) -> str:
        """A text whose ``URL`` is the server's; what it asks for is known by the mark."""
        return text.replace("URL", f"{self.address}/{mark}")

    def asked_by(self, mark: str) -> list[str]:
        """What texts of this mark asked for."""
        return [path.removeprefix(f"/{mark}/") for path in self.asked if path.startswith(f"/{mark}/")]

    def probe(self, code: str) -> Any:
        """Run code with the functions of ``probes.js`` and return what it returns."""
        return self.driver.execute_script(PROBES + code)

    def board(self, rows: list[dict[str, Any]]) -> None:
        """Open the page of these rows."""
        write_page(rows, self.folder / "board.html")
        self.open((self.folder / "board.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("browser")
    with chromium(folder / "profile") as driver, counting_server() as (address, asked):
        yield Browser(driver, address, asked, folder)


# --- nothing in it acts ----------------------------------------------------------------------------------------------

ELEMENTS = "return [...document.querySelectorAll('*')].map(e => [e.tagName, ...e.getAttributeNames()].join(' ')).join()"
CLICK = "for (const e of document.querySelectorAll('a, button, summary')) e.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))"
LOADED = "return [window.hit || 0, document.title, performance.getEntriesByType('resource').map(e => e.name)]"


def events(browser: Browser, elements: str) -> set[str]:
    """What happened on the page that was just opened, after everything that can be clicked was clicked."""
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
    if loaded or browser.asked or not driver.current_url.split("#")[0].endswith("/page.html"):
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
        found |= events(browser, harmless[1])
    assert effect in found
    check_inert(browser, browser.aimed(attack, "ours"), harmless[0])


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_read_and_nothing_else(browser: Browser, harmless: tuple[str, str], text: str) -> None:
    check_inert(browser, text, harmless[0])


def check_inert(browser: Browser, text: str, elements: str) -> None:
    """With this text in every field: the elements of the page stay, nothing happens, and the text can be read."""
    browser.driver.get_log("browser")
    browser.board(planted_rows(text))
    assert events(browser, elements) == set()
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
    "script": "const s = document.createElement('script'); s.textContent = `hits.push('script')`; document.body.append(s)",
    "handler": "const b = document.createElement('b'); b.setAttribute('onclick', `hits.push('handler')`); b.click()",
    "address": "const a = document.createElement('a'); a.href = `javascript:hits.push('address')`; document.body.append(a); a.click()",
    "text": "setTimeout(`hits.push('text')`)",
    "source": "const s = document.createElement('script'); s.src = 'URL/source'; document.body.append(s)",
    "image": "new Image().src = 'URL/image'",
    "fetch": "fetch('URL/fetch', { mode: 'no-cors' }).catch(() => {})",
    "beacon": "navigator.sendBeacon('URL/beacon')",
    "sheet": "document.head.insertAdjacentHTML('beforeend', '<link rel=stylesheet href=URL/sheet>')",
    "import": "document.head.insertAdjacentHTML('beforeend', '<style>@import \"URL/import\"</style>')",
    "background": "document.body.style.background = 'url(URL/background)'",
    "font": "document.fonts.add(new FontFace('f', 'url(URL/font)')); document.fonts.load('9px f').catch(() => {})",
    "frame": "document.body.insertAdjacentHTML('beforeend', '<iframe src=URL/frame></iframe>')",
    "object": "document.body.insertAdjacentHTML('beforeend', '<object data=URL/object></object>')",
    "video": "document.body.insertAdjacentHTML('beforeend', '<video src=URL/video></video>')",
    "form": "document.body.insertAdjacentHTML('beforeend', '<iframe name=f></iframe><form target=f action=URL/form>'); document.forms[0].submit()",
}  # fmt: skip


def test_the_policy_refuses_what_got_in_all_the_same(browser: Browser, board: list[dict[str, Any]]) -> None:
    def inject() -> set[str]:
        browser.driver.execute_script("window.hits = []")
        for code in INJECTED.values():
            browser.driver.execute_script(browser.aimed(code, "in"))
        deadline = time.monotonic() + wait
        while len(found := set(browser.driver.execute_script("return hits")) | set(browser.asked_by("in"))) < len(
            INJECTED
        ):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        return found

    wait = 10.0
    browser.open(careless("word"))
    assert inject() == set(INJECTED)
    wait = 0.5
    browser.board(board)
    browser.driver.get_log("browser")
    assert inject() == set()
    said = [entry["message"] for entry in browser.driver.get_log("browser")]
    assert len(said) >= len(INJECTED)
    assert [message for message in said if "Content Security Policy" not in message] == []


# --- it can be read --------------------------------------------------------------------------------------------------

SIZES = (1280, 768, 390)


@pytest.fixture(scope="module")
def pages(board: list[dict[str, Any]], hostile_board: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {
        "usual": board,
        "hostile": hostile_board,
        "names": planted_rows("a name of some length " * 7),
        "word": planted_rows("m" * NAME),
    }


@pytest.mark.parametrize("page", ["usual", "hostile", "names", "word"])
@pytest.mark.parametrize("width", SIZES)
def test_nothing_is_cut_off_or_squeezed(
    browser: Browser, pages: dict[str, list[dict[str, Any]]], page: str, width: int
) -> None:
    view(browser.driver, width)
    browser.board(pages[page])
    browser.probe("document.querySelectorAll('details').forEach((e) => { e.open = true })")
    assert browser.probe("return layout()") == []
    seen, wrong = browser.probe("return sticky()")
    assert wrong == []
    assert seen > 20 or width == SIZES[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("page", "width"), [("usual", 1280), ("hostile", 390)])
def test_every_text_stands_out(
    browser: Browser, pages: dict[str, list[dict[str, Any]]], page: str, width: int, scheme: str
) -> None:
    view(browser.driver, width, scheme)
    browser.board(pages[page])
    browser.probe("document.querySelectorAll('details').forEach((e) => { e.open = true })")
    seen, least, wrong = browser.probe("return contrast()")
    assert wrong == []
    assert seen > 1000
    assert least < 21
    dark = browser.probe("return luminance(background(document.body))") < 0.1
    assert dark == (scheme == "dark")


def test_the_page_is_in_order(browser: Browser, board: list[dict[str, Any]]) -> None:
    view(browser.driver)
    browser.board(board)
    assert browser.probe("return structure()") == []
