"""Pre-trained students on a CUDA card: they train, answer and name it. `make test-gpu` runs these.

Nothing is compared bit for bit with a processor: another arithmetic is another name for a state.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataenv import check_student
from students.base import Data, Decoding, Recipe, asked
from students.causal_lm.student import CausalLM
from students.pocket.stacked_student import PocketStacked
from students.training.loop import unpack
from students.training.many import Fit, answer_many, fit_many
from tasks.records import Example
from tests.tiny_lm import save_tiny

pytestmark = pytest.mark.gpu
WORDS = ("abc", "bcdef", "cd", "badcab", "d", "ace", "fedcba", "cab")
EXAMPLES = tuple(Example(prompt=f"turn {word}>", response=word[::-1]) for word in WORDS)
DATA = Data(EXAMPLES, earlier=EXAMPLES[:2])
RECIPE = Recipe(updates=16, batch=4, rate=1e-2, replay=0.25)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def student_of(folder: Path, **args: Any) -> CausalLM:
    return CausalLM(path=str(folder), **{"context": 96, "rank": 4, "dtype": "float32", "device": "cuda", **args})


def test_the_numerics_name_the_card(tiny: Path) -> None:
    """A state of a card never passes for one of a processor, nor one of another class of card for one of this."""
    import torch

    card, processor = student_of(tiny), student_of(tiny, device="cpu")
    assert card.numerics["device"] == "cuda"
    assert card.numerics["isa"] == "sm_{}{}".format(*torch.cuda.get_device_capability())
    assert card.fingerprint != processor.fingerprint
    assert {k: v for k, v in card.numerics.items() if k not in ("device", "isa")} == {
        k: v for k, v in processor.numerics.items() if k not in ("device", "isa")
    }


def test_auto_is_the_card_in_bfloat16(tiny: Path) -> None:
    numerics = student_of(tiny, device="auto", dtype="auto").numerics
    assert (numerics["device"], numerics["dtype"]) == ("cuda", "bfloat16")


def test_untaught_it_is_the_student_of_the_processor(tiny: Path) -> None:
    """The same adapter byte for byte, for it is drawn on the processor; and losses equal to rounding."""
    card, processor = student_of(tiny), student_of(tiny, device="cpu")
    weights = card.initial(3)
    assert weights == processor.initial(3)
    assert card.losses(weights, EXAMPLES) == pytest.approx(processor.losses(weights, EXAMPLES), abs=1e-2)


@pytest.mark.parametrize("args", [{"adapter": "lora"}, {"adapter": "none"}, {"dtype": "bfloat16"}], ids=str)
def test_training_is_repeated_bit_for_bit(tiny: Path, args: dict[str, Any]) -> None:
    """Twice in one process and by another instance: the kernels are the deterministic ones."""
    student, twin = student_of(tiny, **args), student_of(tiny, **args)
    weights = student.initial(0)
    taught, report = student.fit(weights, DATA, RECIPE, 1)
    assert report.updates == RECIPE.updates
    assert taught == student.fit(weights, DATA, RECIPE, 1)[0] == twin.fit(weights, DATA, RECIPE, 1)[0]
    decoding = Decoding(temperature=1.0, max_tokens=8)
    prompts = asked([e.prompt for e in EXAMPLES])
    answers = student.answer(taught, prompts, decoding, 7)
    assert len(answers) == len(prompts)
    assert answers == twin.answer(taught, prompts, decoding, 7)


def test_lora_in_bfloat16_learns_and_holds_float32(tiny: Path) -> None:
    student = student_of(tiny, dtype="bfloat16")
    assert student.numerics["dtype"] == "bfloat16"
    weights = student.initial(0)
    taught, _ = student.fit(weights, DATA, RECIPE, 0)
    model, moments = unpack(taught)
    assert all("lora_" in name for name in model)
    assert {str(t.dtype) for part in (model, moments) for t in part.values()} == {"torch.float32"}
    before, after = (float(np.mean(student.losses(w, EXAMPLES))) for w in (weights, taught))
    assert after < before - 0.1
    exact = float(np.mean(student_of(tiny).losses(taught, EXAMPLES)))
    assert after == pytest.approx(exact, rel=0.1)  # eight bits of fraction


@pytest.mark.parametrize("args", [{}, {"dtype": "bfloat16"}], ids=str)
def test_contract(tiny: Path, args: dict[str, Any]) -> None:
    check_student(student_of(tiny, **args), export=True)


@pytest.mark.parametrize("kind", ["pocket-stacked", "causal-lm"])
def test_states_side_by_side_have_the_bits_that_they_have_alone(kind: str, tiny: Path) -> None:
    """Whatever their number, slot and neighbours; the answers too."""
    if kind == "causal-lm":
        student: Any = student_of(tiny, slots=8)
    else:
        student = PocketStacked(width=32, heads=2, context=48, slots=8, device="cuda")
    lessons = [Data(EXAMPLES[i:] + EXAMPLES[:i]) for i in range(8)]
    fits = [Fit(student.initial(i), data, Recipe(updates=4, batch=4), i) for i, data in enumerate(lessons)]
    alone = [student.fit(fit.weights, fit.data, fit.recipe, fit.seed) for fit in fits]
    assert fit_many(student, fits) == alone
    assert fit_many(student, fits[::-1]) == alone[::-1]
    assert fit_many(student, [fits[3], fits[1]]) == [alone[3], alone[1]]
    states, prompts = [each[0] for each in alone], asked(e.prompt for e in EXAMPLES)
    for decoding in (Decoding(max_tokens=6), Decoding(max_tokens=6, temperature=1.0)):
        found = answer_many(student, states, prompts, decoding, 1)
        assert found == [student.answer(state, prompts, decoding, 1) for state in states]
