"""Are ``tasks``, ``students`` and ``teachers`` ours? Four top-level names are easy to shadow by a file of one's own."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def check() -> None:
    """Say so in one sentence where one of the names resolves outside this installation.

    Raises:
        ImportError: If it does.
    """
    home = Path(__file__).resolve().parent.parent
    for name in ("tasks", "students", "teachers"):
        spec = importlib.util.find_spec(name)
        origin = spec and (spec.origin or next(iter(spec.submodule_search_locations or []), None))
        if not origin or home not in Path(origin).resolve().parents:
            raise ImportError(
                f"dataenv needs its own package {name!r} and Python found {origin or 'none'}; rename that one or run "
                "from another folder"
            )
