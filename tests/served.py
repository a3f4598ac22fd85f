"""The package of the extra ``serve``, for tests that need it."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest


def needed(name: str) -> Any:
    """A module of the extra. Without it a test is skipped, and where ``CI`` is set it fails."""
    if os.environ.get("CI"):
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed; `make dev` installs it")
