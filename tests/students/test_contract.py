"""Every registered student keeps its contract, at its smallest size."""

from __future__ import annotations

from typing import Any

import pytest

from dataenv import check_student, registry

SMALL: dict[str, dict[str, Any]] = {"pocket": {"width": 16, "layers": 1, "heads": 2, "context": 32}}


@pytest.mark.parametrize("name", sorted(registry.STUDENTS))
def test_student(name: str) -> None:
    check_student(registry.build("student", name, SMALL.get(name)), export=True)
