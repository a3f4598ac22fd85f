"""Which lines the tests reach: SlipCover watches, for a tenth of what a tracer costs, and coverage.py reports.

SlipCover's own plugin does the watching, in the processes of pytest-xdist, where $SLIPCOVER_ENABLED is set; each leaves
a file in the folder $SLIPCOVER_COVERAGE_DIR. `make coverage` sets the first; without it nothing is measured.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("dataenv", "teachers", "students", "tasks")


def reached(folder: Path) -> dict[str, set[int]]:
    """The lines of every module of ours that were executed in some process.

    Args:
        folder: Where each process has left its file.
    """
    lines = {str(path): set[int]() for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    for file in folder.glob("coverage-gw*.json"):
        for name, found in json.loads(file.read_text(encoding="utf-8"))["files"].items():
            lines.setdefault(str(ROOT / name), set()).update(found["executed_lines"])
    return lines


def share_of(lines: dict[str, set[int]]) -> tuple[float, float]:
    """Print the report of what is missing; return the percentage reached, and the floor under it (pyproject.toml)."""
    import coverage

    made = coverage.Coverage(data_file=None, config_file=str(ROOT / "pyproject.toml"))
    made.get_data().add_lines(lines)
    return made.report(), float(made.get_option("report:fail_under") or 0)  # type: ignore[arg-type]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report in the process that started the others, and fail below the floor."""
    if not os.environ.get("SLIPCOVER_ENABLED") or os.environ.get("PYTEST_XDIST_WORKER"):
        return
    print()
    share, floor = share_of(reached(Path(os.environ["SLIPCOVER_COVERAGE_DIR"])))
    if share < floor:
        print(f"FAIL: the tests reach {share:.1f} % of the lines; the floor is {floor:g} % (pyproject.toml)")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
