"""A restore looks up once how each state came about, and believes no snapshot that paid less."""

from __future__ import annotations

import numpy as np
import pytest

from dataenv.environment import restore
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SnapshotError
from dataenv.execution import lineage
from tests.tiny import TINY


def test_a_state_that_was_looked_up_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    env = TeachingEnv("skill-list", **TINY | {"store": "off"})
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.ones(len(env.task.skills), np.float32))
    snapshot, read, asked = env.snapshot(), lineage.read, list[str]()

    def counted(row: object, store: object) -> object:
        asked.append("row")
        return read(row, store)  # type: ignore[arg-type]

    monkeypatch.setattr(restore.lineage, "read", counted)
    for _ in range(2):
        other = TeachingEnv("skill-list", runner=env.runner, setting=env.setting)
        other.reset(options={"snapshot": snapshot})
        assert (other.state, other.purse.spent) == (env.state, env.purse.spent)
        with pytest.raises(SnapshotError, match="less than the"):
            other.reset(options={"snapshot": snapshot.model_copy(update={"training": snapshot.training - 1})})
        with pytest.raises(SnapshotError, match="leaves out what its student was taught"):
            other.reset(options={"snapshot": snapshot.model_copy(update={"lessons": snapshot.lessons[1:]})})
    assert len(asked) == 3
