"""``pocket`` in NumPy beside PyTorch: the same training, answers, scores and terms, and PyTorch is not even loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from students.base import Data, Decoding, Recipe, asked
from students.pocket.student import Pocket
from students.training.dpo import Preferring
from students.training.grpo import Practising
from students.training.loop import unpack_arrays
from tasks.records import Example, stream

SIZE: dict[str, Any] = {"width": 16, "layers": 2, "heads": 2, "context": 16}
ROOT = Path(__file__).resolve().parents[3]


def pair(**changes: Any) -> tuple[Pocket, Pocket]:
    """One student, computed by NumPy and by PyTorch."""
    return Pocket(**SIZE | changes), Pocket(**SIZE | changes, backend="torch")


def words(n: int, purpose: str, longest: int = 5) -> tuple[Example, ...]:
    """Words of any length, to be written backwards; the word itself is rejected."""
    rng = stream(0, purpose)
    made = ["".join(map(chr, rng.integers(97, 103, length))) for length in rng.integers(1, longest + 1, n)]
    return tuple(Example(prompt=f"{w}>", response=w[::-1], rejected=w + "a") for w in made)


LESSON, EXAM = words(96, "lesson"), words(80, "exam")


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 3), st.sampled_from([(1, 8), (2, 16), (4, 16)]), st.integers(0, 5), st.sampled_from([0, 3]))
def test_both_back_ends_train_and_answer_alike(layers: int, shape: tuple[int, int], seed: int, cooldown: int) -> None:
    numpy, reference = pair(layers=layers, heads=shape[0], width=shape[1])
    start = numpy.initial(seed)
    assert start == reference.initial(seed)
    recipe = Recipe(updates=6, batch=16, rate=3e-3, warmup=2, replay=0.25, cooldown=cooldown)
    data = Data(LESSON, EXAM)
    (mine, told), (theirs, said) = (student.fit(start, data, recipe, seed) for student in (numpy, reference))
    assert told.tokens == said.tokens
    np.testing.assert_allclose(told.loss, said.loss, rtol=1e-5)
    for trunk in (False, True):
        for found, want in zip(unpack_arrays(mine, trunk), unpack_arrays(theirs, trunk), strict=True):
            assert found.keys() == want.keys()
            for name in want:
                np.testing.assert_allclose(found[name], want[name], atol=2e-4, err_msg=name)
    np.testing.assert_allclose(numpy.losses(mine, EXAM), reference.losses(mine, EXAM), rtol=1e-5)
    np.testing.assert_allclose(numpy.entropies(mine, EXAM), reference.entropies(mine, EXAM), rtol=1e-5)
    prompts = asked(e.prompt for e in EXAM)
    for decoding in (Decoding(max_tokens=6), Decoding(max_tokens=6, temperature=1.0)):
        assert numpy.answer(mine, prompts, decoding, 1) == reference.answer(mine, prompts, decoding, 1)


TERMS: list[dict[str, Any]] = [
    {"method": "grpo", "grpo": {"max_tokens": 5}},
    {"method": "grpo", "grpo": {"max_tokens": 5, "variant": "dr-grpo", "temperature": 0.7, "kl": 0.3}},
    {"method": "dpo"},
    {"method": "dpo", "dpo": {"variant": "unlikelihood"}},
    {"method": "dpo", "dpo": {"rejected": "own", "max_tokens": 5}},
]


@pytest.mark.parametrize("fields", TERMS, ids=str)
def test_the_terms_of_other_methods_and_their_gradients_are_the_same(fields: dict[str, Any]) -> None:
    """At parameters that have moved from the reference, so that no ratio is one."""
    recipe, found = Recipe.model_validate({"updates": 2, "batch": 16} | fields), []
    data = Data(LESSON, verdict=lambda asked: [len(said) > 2 for _, said in asked], checker="test")
    weights = pair()[0].fit(pair()[0].initial(0), Data(LESSON), Recipe(updates=20, batch=32, rate=1e-2), 0)[0]
    for student in pair():
        model = student._model(weights, trunk=True)
        policy = student._policy(model, model.tensors()[0])
        kind = Practising if recipe.method == "grpo" else Preferring
        method = kind(policy, data, recipe, 0)
        batch = next(method._rollouts() if isinstance(method, Practising) else method._batches())
        method._loss(batch)  # type: ignore[arg-type]  # the student as it is now is the reference
        for name, parameter in policy.parameters.items():
            moved = stream(1, name).standard_normal(parameter.shape, np.float32)
            parameter.data += 0.02 * torch.from_numpy(moved)
        loss = method._loss(batch)  # type: ignore[arg-type]
        loss.backward()
        found.append((loss.item(), {name: p.grad for name, p in policy.parameters.items()}))
    (mine, gradients), (theirs, wanted) = found
    assert mine == pytest.approx(theirs, rel=1e-4)
    assert gradients.keys() == wanted.keys()
    for name, want in wanted.items():
        torch.testing.assert_close(gradients[name], want, rtol=1e-3, atol=1e-4 * float(want.abs().max()), msg=name)


def test_a_score_that_is_asked_for_without_a_gradient_has_none() -> None:
    student = Pocket(**SIZE)
    model = student._model(student.initial(0))
    policy = student._policy(model, model.tensors()[0])
    recipe = Recipe.model_validate({"method": "dpo", "updates": 1, "batch": 4})
    batch = next(Preferring(policy, Data(LESSON), recipe, 0)._batches())
    assert policy.score(batch, 1.0)[0].requires_grad
    with torch.no_grad():
        assert not policy.score(batch, 1.0)[0].requires_grad


def test_a_back_end_is_named_and_is_another_student() -> None:
    numpy, reference = pair()
    assert numpy.args["backend"] == "numpy"
    assert numpy.fingerprint != reference.fingerprint
    assert {"numpy", "blas", "isa", "threads", "torch"} <= numpy.numerics.keys()
    assert "transformers" not in numpy.numerics
    assert numpy.numerics["torch"] == reference.numerics["torch"]
    with pytest.raises(ValueError, match=r"student_args\.backend is 'jax'; give one of numpy, torch"):
        Pocket(backend="jax")


STUDENT = """
from students.base import Data, Decoding, Recipe, asked
from students.pocket.student import Pocket
from tasks.records import Example
lesson = [Example(prompt=w + ">", response=w[::-1]) for w in ("abc", "bca", "cab", "acb")]
student = Pocket(width=16, layers=1, heads=2, context=16)
weights = student.fit(student.initial(0), Data(tuple(lesson)), Recipe(updates=2, batch=4), 0)[0]
student.answer(weights, asked(e.prompt for e in lesson), Decoding(temperature=1.0), 0)
student.losses(weights, lesson), student.entropies(weights, lesson), student.fingerprint
"""
EPISODE = """
import numpy as np
from dataenv.environment.env import TeachingEnv
from tests.tiny import TINY
env = TeachingEnv("skill-list", store="off", **TINY)
env.reset(seed=0)
env.step(np.ones(len(env.task.skills), np.float32))
assert env.student.name == "pocket" and env.history[-1].kept
"""
WORKER = """
import tempfile
from pathlib import Path
from dataenv.execution.executors.worker import Limits, serialized, work
from dataenv.execution.jobs import BuildSpec, Training, from_initial
from dataenv.execution.store import ROWS
from students.base import Recipe
from tasks.records import Example
lesson = tuple(Example(prompt=w + ">", response=w[::-1]) for w in ("abc", "bca", "cab", "acb"))
spec = BuildSpec(name="pocket", args={"width": 16, "layers": 1, "heads": 2, "context": 16})
job = from_initial(spec, 0, Training(lesson=lesson, recipe=Recipe(updates=2, batch=4), seed=0))
with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / ROWS).touch()
    reply = work(*serialized(job, job.key(), Path(folder) / "blobs", Limits()))
assert reply[0] == "outcome", reply
"""
BOARD = """
from dataenv.cli import app
app(["validate", "smoke"], standalone_mode=False)
"""


def loaded(code: str) -> str:
    """What is heavy among the modules that are loaded when some code has run in a process of its own."""
    code += "\nimport sys; print(sorted({'torch', 'transformers', 'scipy', 'ray'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("code", [STUDENT, EPISODE, WORKER, BOARD], ids=["student", "episode", "worker", "board"])
def test_neither_torch_nor_transformers_is_loaded(code: str) -> None:
    assert loaded(code) == "[]"


def test_the_same_look_finds_torch_where_the_reference_computes() -> None:
    assert "torch" in loaded(STUDENT.replace("context=16", "context=16, backend='torch'"))
