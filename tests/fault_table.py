"""The fault table: tests marked `fault("what is done", "what must hold")` report what they saw, and it becomes a page.

`make faults` sets $DATAENV_FAULT_TABLE to the page that is written; without it nothing is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HEAD = """# Faults

Every line is a test that does what it says, to real processes on one machine. The table is written by

    make faults

from the tests' own reports: what was done, what must hold, and what was seen.

| fault | must hold | seen | |
|---|---|---|---|
"""


@pytest.fixture
def observed(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Says what was seen, for the table."""
    return lambda said: request.node.user_properties.append(("observed", said))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Let the report carry the marker, for it may cross to another process."""
    marker = item.get_closest_marker("fault")
    if marker is not None and call.when == "call":
        item.user_properties.append(("fault", list(marker.args)))
    yield


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Write the page."""
    target = os.environ.get("DATAENV_FAULT_TABLE")
    if not target:
        return
    lines: dict[str, list[str]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            told = list(report.user_properties)
            for name, value in told:
                if name == "fault" and report.when == "call":
                    seen = "; ".join(str(v) for n, v in told if n == "observed") or "as it must"
                    case = report.nodeid.partition("[")[2].removesuffix("]")
                    fault = value[0] + (f" ({case})" if case else "")
                    lines[report.nodeid] = [fault, value[1], seen, "green" if outcome == "passed" else "RED"]
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in lines[name]) + " |\n" for name in sorted(lines)]
    Path(target).write_text(HEAD + "".join(rows), encoding="utf-8")
