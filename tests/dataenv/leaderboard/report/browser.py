"""A headless Chromium for the tests of the page, a web server that counts, and rows with one text in every field."""

from __future__ import annotations

import copy
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dataenv.leaderboard.report.tables import write_page
from tests.dataenv.leaderboard.synthetic import make_row

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-default-browser-check",
)  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
INSTALL = "install a browser to run these tests, on Debian by `apt-get install chromium chromium-driver`"
NAME = 150
"""Characters of a text that a name holds, with room for what keeps names apart; rows allow 200."""


def find() -> tuple[str, str]:
    """Paths of Chromium and its driver; where one is missing the tests are skipped, and under CI they fail."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        missing = "chromium" if browser is None else "chromedriver"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{missing} is missing: {INSTALL}")
    return browser, driver


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A browser with a profile of its own; Selenium is told where both programs are, so that it looks for neither."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    browser, driver = find()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.unhandled_prompt_behavior = "ignore"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "localhost,127.0.0.1")
        patch.setenv("SE_OFFLINE", "true")
        running = webdriver.Chrome(options=options, service=Service(driver))
        # A headless browser beside others may never be given the focus, and some attacks wait for it.
        running.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        try:
            yield running
        finally:
            running.quit()


@contextmanager
def counting_server() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine: its address, and the paths it was asked for so far."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(b"window.hit = 1")

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def view(driver: Any, width: int = 1280, scheme: str = "light", media: str = "") -> None:
    """Set the width of the window in CSS pixels, the colour scheme and the medium; a narrow window is a phone."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


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
        return [path.removeprefix(f"/{mark}/").rstrip("?") for path in self.asked if path.startswith(f"/{mark}/")]

    def probe(self, code: str, *arguments: Any) -> Any:
        """Run code with the functions of ``probes.js`` and return what it returns."""
        return self.driver.execute_script(PROBES + code, *arguments)

    def board(self, rows: list[dict[str, Any]]) -> None:
        """Open the page of these rows."""
        write_page(rows, self.folder / "board.html")
        self.open((self.folder / "board.html").read_text(encoding="utf-8"))


# --- rows ------------------------------------------------------------------------------------------------------------

CLOSED = ("role", "ended", "correct")
"""Fields that hold text, and only text of a closed form."""


def planted_rows(text: str) -> list[dict[str, Any]]:
    """A small board with this text in every field that takes text: three teachers, one of which fails, a reference."""
    rows = [make_row(name, seed, steps=2) for name in ("stratified", "t1", "t2") for seed in (0, 1)]
    rows += [make_row("nothing", seed, role="reference", steps=0, ended="stopped") for seed in (0, 1)]
    for row in rows:
        if row["teacher"] == "t2":
            row |= {"ended": "failed", "error": "sentence", "test": None, "transfer": None}
        row |= {"registered": "name", "teacher_args": {"argument": "value", "list": ["value"]}}
        for step in row["steps"]:
            step |= {"lesson": "digest", "judged": {"right": 1}}
        for mistake in row["mistakes"]:
            mistake["failing"] = "call"
    return [_plant(row, text) for row in rows]


def _plant(row: dict[str, Any], text: str) -> dict[str, Any]:
    def plant(value: Any, field: str = "") -> Any:
        if isinstance(value, dict):
            free = field in ("rejected", "judged", "versions", "hashes", "setting", "teacher_args")
            return {f"{name} {text[:NAME]}" if free else name: plant(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [plant(item, field) for item in value]
        return text if isinstance(value, str) and field not in CLOSED else value

    planted = plant(copy.deepcopy(row))
    if planted["transfer"]:
        planted["transfer"]["suites"] = [{"name": f"suite {text[:NAME]}", "n": planted["transfer"]["n"]}]
    known = {"stratified", "nothing"}  # names the board knows; what they are called is not a stranger's choice
    name = row["teacher"] if row["teacher"] in known else f"{row['teacher']} {text[:NAME]}"
    short = dict.fromkeys(("board", "level", "setting_digest"), text[:NAME])
    return planted | short | {"teacher": name, "skills": [f"{i} {text[:NAME]}" for i in range(len(row["skills"]))]}
