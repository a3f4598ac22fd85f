"""What these tests share: a sandbox, without which some of them are skipped, and fail where ``CI`` is set."""

from __future__ import annotations

import os

import pytest

from tasks.sandbox import SandboxError, in_force


@pytest.fixture(scope="session")
def sandbox() -> str:
    """The sandbox in force."""
    try:
        return in_force()
    except SandboxError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
