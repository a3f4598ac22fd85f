"""Workers that share a CUDA card through Ray. ``make test-gpu`` runs these; elsewhere they skip."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataenv.errors import SettingError
from dataenv.execution.executors import Executor, make_executor
from dataenv.execution.jobs import BuildSpec, Exam, Training, from_initial, student_of
from dataenv.execution.runner import Runner, run_all
from dataenv.execution.store import Store
from students.base import Recipe
from tasks.records import Example
from tests.tiny_lm import save_tiny

pytestmark = pytest.mark.gpu
ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = tuple(Example(prompt=f"turn {word}>", response=word[::-1]) for word in ("abc", "bcd", "cab", "dab"))
EXAM = Exam(name="golds", prompts=tuple(e.prompt for e in EXAMPLES), golds=tuple(e.response for e in EXAMPLES))
SHARE = 0.5


@pytest.fixture
def student(tmp_path: Path) -> BuildSpec:
    args: dict[str, Any] = {"path": str(save_tiny(tmp_path / "tiny")), "context": 96, "rank": 4, "device": "cuda"}
    return BuildSpec(name="causal-lm", args=args)


@pytest.fixture
def sharing() -> Iterator[Executor]:
    """Two jobs at once on one card."""
    made = make_executor({"kind": "ray", "workers": 2, "num_gpus": SHARE})
    yield made
    made.close()


def test_two_workers_that_share_a_card_give_what_this_process_gives(
    student: BuildSpec, sharing: Executor, tmp_path: Path
) -> None:
    """Bit for bit: states, answers and losses."""
    assert student_of(student).numerics["device"] == "cuda"
    assert sharing.width == 2
    recipe = Recipe(updates=8, batch=4, rate=1e-2)
    trainings = [Training(lesson=EXAMPLES, recipe=recipe, seed=seed) for seed in range(4)]
    jobs = [from_initial(student, 0, training, (EXAM,)) for training in trainings]
    here = run_all(Runner(Store(tmp_path / "here")), jobs)
    there = run_all(Runner(Store(tmp_path / "there"), sharing), jobs)
    assert [outcome.blob for outcome in there] == [outcome.blob for outcome in here]
    assert there == here


def test_more_cards_than_there_are_is_refused(sharing: Executor) -> None:
    """Ray is up: this is answered at once, and not never."""
    import torch

    cards = torch.cuda.device_count()
    with pytest.raises(SettingError, match=f"the largest Ray node has {cards}"):
        make_executor({"kind": "ray", "num_gpus": cards + 1})


def test_a_worker_cannot_take_more_memory_than_its_share() -> None:
    """Ray's share is a number in its books; the memory is ours to divide."""
    code = f"""
import torch
from dataenv.execution.executors.worker import Limits, _is_memory, _let_go, _prepare
_prepare(Limits(gpu_share={SHARE / 2}))
total = torch.cuda.get_device_properties(0).total_memory
held = torch.empty(int(total * {SHARE / 8}), dtype=torch.uint8, device="cuda")
try:
    torch.empty(int(total * {SHARE}), dtype=torch.uint8, device="cuda")
except Exception as error:
    assert _is_memory(error), error
    print("refused")
del held
_let_go()
print(torch.cuda.memory_reserved())
"""
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=env, timeout=120)
    assert done.stdout.split() == ["refused", "0"], done.stderr
