"""Answers with the adapter merged: equal to those with the adapter beside the weights, which stay as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from students.base import Data, Decoding, asked
from students.causal_lm import network
from tests.students.causal_lm.test_student import EXAMPLES, PROMPTS, RECIPE, student_of
from tests.tiny_lm import save_tiny

TARGETS = ("embed_tokens", "q_proj", "down_proj")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def looks(student: Any, weights: bytes) -> tuple[list[float], list[str]]:
    return student.losses(weights, EXAMPLES), student.answer(weights, asked(PROMPTS), Decoding(max_tokens=6), 0)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_merged_adapter_answers_as_one_beside_the_weights(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each State its own; gpt2 keeps its weights transposed."""
    args: dict[str, Any] = {"targets": list(TARGETS)} if kind == "llama" else {}
    student = student_of(save_tiny(tmp_path, kind), **args)
    states = [student.initial(0)]
    for seed in (0, 1):
        states.append(student.fit(states[0], Data(EXAMPLES), RECIPE, seed)[0])
    assert student._network._merging.layers
    merged = [looks(student, weights) for weights in (*states, *states)]
    assert merged[:3] == merged[3:]
    monkeypatch.setattr(network, "TWICE", 0)
    beside = student_of(tmp_path, **args)
    assert not beside._network._merging.layers
    for (losses, answers), weights in zip(merged, states, strict=False):
        expected = looks(beside, weights)
        assert losses == pytest.approx(expected[0], abs=1e-4)
        assert answers == expected[1]


def test_the_weights_stay_as_they_were_also_where_an_answer_fails(tiny: Path) -> None:
    student = student_of(tiny, targets=list(TARGETS))
    weights, _ = student.fit(student.initial(0), Data(EXAMPLES), RECIPE, 0)
    whole, layers = student._network._loaded[0], student._network._merging.layers
    assert len(layers) == 5
    before = {name: tensor.clone() for name, tensor in whole.state_dict().items()}

    def fail() -> None:
        with student._network.ready(weights):
            assert all(layer.merged for layer in layers)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not any(layer.merged for layer in layers)
    assert all(tensor.equal(before[name]) for name, tensor in whole.state_dict().items())


def test_the_same_adapter_is_merged_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from peft.tuners.lora import Linear

    student, merged, delta = student_of(tiny, targets=["q_proj"]), [], Linear.get_delta_weight
    weights = student.initial(0), student.initial(1)

    def spy(self: Any, adapter: str) -> Any:
        merged.append(adapter)
        return delta(self, adapter)

    monkeypatch.setattr(Linear, "get_delta_weight", spy)
    counts = []
    for i in (0, 0, 1, 0):
        student.losses(weights[i], EXAMPLES[:1])
        counts.append(len(merged))
    assert counts == [2, 2, 4, 6]


def test_in_bfloat16_an_adapter_stays_beside_weights_that_would_round_it_away(tiny: Path) -> None:
    assert not student_of(tiny, dtype="bfloat16")._network._merging.layers
