"""What may be asked from outside, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dataenv.episode.context import Context
from dataenv.errors import DataenvError, SettingError
from dataenv.isolation.desk import ASKED, MOST_BRANCHES, ContextDesk, require_open


class Recorded:
    def __init__(self) -> None:
        self.closed: list[int] = []
        self.forks = 0

    def probe(self, examples: Any, kind: str = "loss") -> Any:
        return [examples, kind]

    def fork(self) -> Any:
        self.forks += 1
        number = self.forks
        return SimpleNamespace(close=lambda: self.closed.append(number))


@pytest.mark.parametrize("name", ["_env", "fork", "rng", "chats", "teacher_purse", "__class__", "budget", "drawn", ""])
def test_nothing_else_can_be_asked(name: str) -> None:
    with pytest.raises(SettingError, match="nothing that a teacher can ask"):
        ContextDesk(Recorded()).ask(name, {})


def test_methods_are_those_of_the_context() -> None:
    assert all(callable(getattr(Context, name)) for name in ASKED)
    assert ContextDesk(Recorded()).ask("probe", {"examples": [], "kind": "entropy"}) == [[], "entropy"]


def test_branches_are_counted_and_closed() -> None:
    context = Recorded()
    desk = ContextDesk(context)
    numbers = [desk.fork() for _ in range(MOST_BRANCHES)]
    with pytest.raises(SettingError, match="which is the most"):
        desk.fork()
    desk.leave(numbers[0])
    with pytest.raises(SettingError, match="branch 1 is not open"):
        desk.branch(numbers[0])
    assert desk.fork() == MOST_BRANCHES + 1
    desk.close()
    assert sorted(context.closed) == list(range(1, MOST_BRANCHES + 2))
    with pytest.raises(SettingError, match="at the most"):
        desk.try_lessons([0] * (MOST_BRANCHES + 1))


def test_an_episode_that_is_over_answers_nothing() -> None:
    require_open("")
    with pytest.raises(DataenvError, match="ended \\(spent\\)"):
        require_open("spent")
