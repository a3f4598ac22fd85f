"""TRL's GRPOTrainer, for real, on a model that teaches: it finds the tool, calls it, and its lessons get better."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from teachers.rollouts import environments
from tests.rl.legs import package
from tests.toys import PAYING

package("trl", leg="trl")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("toys")]


def example() -> ModuleType:
    """The example, as who runs it has it."""
    spec = importlib.util.spec_from_file_location(
        "trl_grpo", Path(__file__).resolve().parents[1] / "bench" / "trl_grpo.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore:You are using 'environment_factory'")
def test_grpo_makes_lessons_better(tmp_path: Path) -> None:
    """One skill of two cannot be learnt; a lesson in the other gains 0.1, and half of the first calls give it."""
    torch.set_num_threads(1)
    trainer = example().train(environments(errors=0, **PAYING), ("short", "long"), str(tmp_path), steps=10)
    log = [line for line in trainer.state.log_history if "reward" in line]
    assert [line["step"] for line in log] == list(range(1, 11))
    assert log[0]["tools/call_frequency"] > 0.5, "most of what it says is a call that TRL reads"
    assert all(line["rewards/Weights/mean"] == line["reward"] for line in log), (
        "the environment's reward is the only one"
    )
    first, last = (np.mean([line["reward"] for line in part]) for part in (log[:3], log[-3:]))
    assert 0 < first < last
