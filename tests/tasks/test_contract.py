"""Every registered task keeps its contract."""

from __future__ import annotations

import pytest

from dataenv import check_task, registry


@pytest.mark.parametrize("name", sorted(registry.TASKS))
def test_task(name: str) -> None:
    check_task(registry.build("task", name))


@pytest.mark.parametrize("name", sorted(registry.TASKS))
def test_two_builds_are_the_same_task(name: str) -> None:
    assert registry.build("task", name).fingerprint == registry.build("task", name).fingerprint
