"""Whatever fails in this folder says what to do about it."""

from __future__ import annotations

from collections.abc import Generator

import pytest

ON_PURPOSE = (
    "the format has changed. If that was not meant, mend the code: users hold such files. If it was meant, raise the "
    "format's number where older files can no longer be read, say in CHANGELOG.md what becomes of them, and write the "
    "golden files anew: python -m tests.golden.make"
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the sentence to the report of a test that failed, or that did not get as far as to begin."""
    report = yield
    if report.failed:
        report.sections.append(("What to do", ON_PURPOSE))
    return report
