"""Legs of the tests: ``make test-NAME`` runs what needs packages that the plain environment does without."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from typing import Any

import pytest


def package(name: str, leg: str) -> Any:
    """A package that ``make test-LEG`` installs.

    Where it is missing, the module is skipped; in the leg itself it fails.
    """
    if os.environ.get("DATAENV_LEG") == leg:
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed; `make test-{leg}` installs it and runs this")


def run_block(heading: str) -> dict[str, Any]:
    """Run the Python of a section of docs/rl.md, as a reader would; what it leaves behind."""
    text = Path(__file__).resolve().parents[2].joinpath("docs", "rl.md").read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL):
        exec(compile(block, f"docs/rl.md, {heading}", "exec"), names)
    assert names
    return names
