"""Limits that make no sense are refused by name."""

from __future__ import annotations

import pytest

from tasks.sandbox import ProgramLimits


@pytest.mark.parametrize(
    ("name", "value"),
    [("cpu", 0.0), ("cpu", float("nan")), ("wall", -1.0), ("memory", 1), ("output", 0), ("output", 1 << 40)],
)
def test_a_limit_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is .*; give (seconds|bytes) from"):
        ProgramLimits(**{name: value})
