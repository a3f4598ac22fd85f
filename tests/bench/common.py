"""What the benchmark scripts share: the environment they measure, and how a table is printed."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.pop("DATAENV_STORE", None)

FREE = {"budget": {"student_tokens": 10**12}, "mastery": 1.0}
"""Nothing ends the episode."""


def make(store: str | None = None):  # type: ignore[no-untyped-def]
    """The environment of the README, without an end."""
    import gymnasium as gym

    import dataenv  # noqa: F401

    return gym.make("dataenv/SkillList-v0", task="arithmetic", student="pocket", store=store, **FREE)


def machine(*packages: str) -> str:
    """One line about where this was measured, with the versions of ``packages``."""
    from importlib.metadata import version

    busy = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    parts = [f"{os.cpu_count()} cores, one torch thread", busy, f"Python {platform.python_version()}"]
    return ", ".join([p for p in parts if p] + [f"{name} {version(name)}" for name in packages])


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table that a page takes as it is."""
    print()
    for row in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(map(str, row))} |")


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table with the first column to the left."""
    cells = [list(map(str, row)) for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    print(f"\n{title}")
    for row in cells:
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        print("  " + "  ".join([row[0].ljust(widths[0]), *rest]))


def verdict(claims: dict[str, bool]) -> int:
    """Print the claims of a simulation; the exit code says whether all of them hold."""
    print("\n± is 1.96 Monte Carlo standard errors. Claims:")
    for claim, holds in claims.items():
        print(f"  {'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    return 0 if all(claims.values()) else 1
