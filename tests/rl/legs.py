"""Legs of the tests: ``make test-NAME`` runs what needs packages that the plain environment does without."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest


def package(name: str, leg: str) -> Any:
    """A package that ``make test-LEG`` installs.

    Where it is missing, the module is skipped; in the leg itself it fails.
    """
    if os.environ.get("DATAENV_LEG") == leg:
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed; `make test-{leg}` installs it and runs this")
