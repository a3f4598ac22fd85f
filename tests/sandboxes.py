"""A sandbox for tests: without one they are skipped, and where ``CI`` is set they fail."""

from __future__ import annotations

import os

import pytest

from tasks.sandbox import SandboxError, in_force


@pytest.fixture(scope="session")
def needs_sandbox() -> str:
    """The sandbox in force."""
    try:
        return in_force()
    except SandboxError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
