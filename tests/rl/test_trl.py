"""TRL's GRPOTrainer, for real, on a model that teaches: it finds the tool, calls it, and trains on what that gained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from teachers.trl import environments
from tests.rl.legs import package
from tests.scripts import script
from tests.toys import PAYING

package("trl", leg="trl")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("toys")]


@pytest.mark.timeout(900)  # half a minute of CPU, and minutes on a machine that others use
@pytest.mark.filterwarnings("ignore:You are using 'environment_factory'")
def test_grpo_trains_on_lessons(tmp_path: Path) -> None:
    """One skill of two cannot be learnt; a lesson in the other gains 0.1, and about half of the calls give it."""
    torch.set_num_threads(1)
    trainer = script("trl_grpo").train(environments(errors=0, **PAYING), ("short", "long"), str(tmp_path), steps=2)
    log = [line for line in trainer.state.log_history if "reward" in line]
    assert [line["step"] for line in log] == [1, 2]
    for line in log:
        assert line["tools/call_frequency"] > 0.5, "most of what it says is a call that TRL reads"
        assert line["tools/failure_frequency"] < 0.5, "and that is a lesson"
        assert 0 < line["reward"] < 0.1
        assert line["rewards/Weights/mean"] == line["reward"], "no reward but the environment's"
        assert line["reward_std"] > 0
    assert log[0]["grad_norm"] > 0
