"""Steps: what does not add up is refused where it is written down, and a row holds a step byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dataenv.environment.env import TeachingEnv
from dataenv.environment.steps import StepRecord, StepRow, Tally
from dataenv.leaderboard.rows import Row
from tests.dataenv.leaderboard.synthetic import make_row
from tests.tiny import TINY


def step(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = make_row("t")["steps"][1]
    return made | changes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"offered": 1}, "offered is 1, but kept"),
        ({"loss": [float("nan")]}, "finite"),
        ({"spent": -1}, "greater than or equal to 0"),
        ({"mixture": [1.5]}, "less than or equal to"),
        ({"ended": "spent"}, "Extra inputs"),
        ({"selection": {"correct": [1, 2], "n": [3]}}, "one count a skill"),
        ({"selection": {"correct": [4], "n": [3]}}, "correct is larger than n"),
    ],
)
def test_a_step_that_does_not_add_up_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        StepRow.model_validate(step(**changes))


def test_lone_surrogates_of_reasons_are_replaced() -> None:
    held = StepRow.model_validate(step(offered=1, kept=0, rejected={"\ud800": 1}))
    assert held.rejected == {"?": 1}


def test_the_history_of_an_episode_stands_in_a_row_as_it_is() -> None:
    """A row of the same JSON, but for why the episode ended: a row says that once."""
    env = TeachingEnv("skill-list", **TINY)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    shown = [record.model_dump(mode="json", exclude={"ended"}) for record in env.history]
    assert [StepRow.model_validate(one).model_dump(mode="json") for one in shown] == shown
    assert all(isinstance(record, StepRecord) and isinstance(record.selection, Tally) for record in env.history)


def test_a_row_keeps_the_order_of_the_fields_of_a_step() -> None:
    """The order is part of the bytes of a row's file."""
    dumped = Row.model_validate(make_row("t")).model_dump(mode="json")["steps"][1]
    assert list(dumped) == [
        "step", "spent", "teacher_tokens", "money", "state", "reward", "selection", "feedback", "loss", "mixture",
        "offered", "kept", "rejected", "judged", "lesson",
    ]  # fmt: skip
