"""Several adapters over one model: the bits of each state are those that it has alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from students.base import Data, Decoding, Recipe, TrainingDivergedError, asked
from students.causal_lm.checkpoint import CheckpointError
from students.causal_lm.student import CausalLM
from students.training import slots as stacks
from students.training.loop import pack, unpack
from students.training.many import Fit, answer_many, entropies_many, fit_many, losses_many
from tasks.records import Example
from tests.students.causal_lm.test_student import EXAMPLES, PROMPTS, student_of
from tests.tiny_lm import save_tiny

RECIPE = Recipe(updates=4, batch=3, rate=1e-2, replay=0.3)
GREEDY, WARM = Decoding(max_tokens=8), Decoding(max_tokens=8, temperature=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def student(folder: Path) -> CausalLM:
    return student_of(folder, slots=8)


def fits(student: CausalLM, k: int, recipe: Recipe = RECIPE) -> list[Fit]:
    """With lessons of their own, each from an adapter of its own."""
    turned = [EXAMPLES[i:] + EXAMPLES[:i] for i in range(k)]
    return [Fit(student.initial(i), Data(each[:6], earlier=each[6:]), recipe, i) for i, each in enumerate(turned)]


@pytest.fixture(scope="module")
def alone(student: CausalLM) -> list[bytes]:
    """Eight states, each trained by itself."""
    return [student.fit(each.weights, each.data, each.recipe, each.seed)[0] for each in fits(student, 8)]


def made(found: Sequence[Any]) -> list[bytes]:
    return [each[0] for each in found]


@pytest.mark.parametrize("order", [[0, 1], [3, 2, 1, 0], [*range(8)], [7, 7, 4]])
def test_neither_number_nor_slot_nor_neighbours_count(order: list[int], student: CausalLM, alone: list[bytes]) -> None:
    every = fits(student, 8)
    assert len({student.alike(each) for each in every}) == 1
    assert made(fit_many(student, [every[i] for i in order])) == [alone[i] for i in order]


def test_slots_that_are_filled_up_as_on_a_card(
    student: CausalLM, alone: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks, "room_of", lambda device, slots, used: slots)
    assert made(fit_many(student, fits(student, 2))) == alone[:2]
    found = answer_many(student, alone[2:4], asked(PROMPTS), WARM, 0)
    assert student.answer(alone[3], PROMPTS, WARM, 0) == found[1]


@pytest.mark.parametrize("decoding", [GREEDY, WARM])
def test_answers_are_those_alone_and_those_of_one_slot(
    decoding: Decoding, folder: Path, student: CausalLM, alone: list[bytes]
) -> None:
    found = answer_many(student, alone, asked(PROMPTS), decoding, 3)
    assert found == [student.answer(weights, PROMPTS, decoding, 3) for weights in alone]
    assert found[2] == student_of(folder).answer(alone[2], PROMPTS, decoding, 3)


def test_losses_and_entropies_are_those_alone_and_those_of_one_slot(
    folder: Path, student: CausalLM, alone: list[bytes]
) -> None:
    for act, measure in ((losses_many, "losses"), (entropies_many, "entropies")):
        found = act(student, alone, EXAMPLES)
        assert found == [getattr(student, measure)(weights, EXAMPLES) for weights in alone]
        assert found[1] == pytest.approx(getattr(student_of(folder), measure)(alone[1], EXAMPLES), abs=1e-4)


def test_it_is_trained_as_with_one_slot(folder: Path, student: CausalLM) -> None:
    each = fits(student, 1)[0]
    weights, report = student.fit(each.weights, each.data, each.recipe, each.seed)
    expected, said = student_of(folder).fit(each.weights, each.data, each.recipe, each.seed)
    assert (report.tokens, report.updates) == (said.tokens, said.updates)
    assert report.loss == pytest.approx(said.loss, rel=1e-4)
    first = unpack(each.weights)[0]
    for name, value in unpack(expected)[0].items():
        assert float((unpack(weights)[0][name] - value).abs().max()) < 1e-3, name
        assert float((first[name] - value).abs().max()) > 2e-3, name


def test_patience_looks_at_each_state_alone(student: CausalLM, alone: list[bytes]) -> None:
    recipe = Recipe(updates=6, batch=3, rate=0.05, patience=1, interval=2)
    several = [Fit(w, Data(EXAMPLES[i : i + 4], watched=EXAMPLES[:3]), recipe, i) for i, w in enumerate(alone[:3])]
    singly = [student.fit(each.weights, each.data, each.recipe, each.seed) for each in several]
    assert fit_many(student, several) == singly


def test_a_slot_that_is_not_a_number_fails_alone(student: CausalLM, alone: list[bytes]) -> None:
    broken = pack({name: value * float("nan") for name, value in unpack(student.initial(0))[0].items()})
    every = fits(student, 3)
    every[1] = Fit(broken, every[1].data, every[1].recipe, 1)
    found = fit_many(student, every)
    assert isinstance(found[1], TrainingDivergedError)
    assert [found[0][0], found[2][0]] == [alone[0], alone[2]]  # type: ignore[index]


def test_the_model_is_left_as_it_was(student: CausalLM, alone: list[bytes]) -> None:
    """The adapter takes part again, and linear layers multiply as before."""
    layer = student._network._merging.layers[0]
    assert layer.merged_adapters == []
    assert student.losses(alone[0], EXAMPLES) != student.losses(student.initial(0), EXAMPLES)


def test_parts_of_a_batch_add_up(folder: Path, student: CausalLM) -> None:
    """Equal bits among others, and equal to a whole batch but for rounding."""
    parts = student_of(folder, slots=8, micro_batch=2)
    singly = [parts.fit(each.weights, each.data, each.recipe, each.seed) for each in fits(parts, 3)]
    assert fit_many(parts, fits(parts, 3)) == singly
    whole = student.fit(*(getattr(fits(student, 1)[0], name) for name in ("weights", "data", "recipe", "seed")))
    assert singly[0][1].loss == pytest.approx(whole[1].loss, rel=1e-5)


def test_practice_is_one_at_a_time(student: CausalLM) -> None:
    recipe = Recipe(method="grpo", updates=2, batch=4, grpo={"group": 4, "max_tokens": 4})  # type: ignore[arg-type]
    data = Data(EXAMPLES[:4], verdict=lambda asked: [len(response) % 2 == 0 for _, response in asked])
    several = [Fit(student.initial(i), data, recipe, i) for i in range(2)]
    singly = [student.fit(each.weights, each.data, each.recipe, each.seed) for each in several]
    assert fit_many(student, several) == singly


def test_what_cannot_stand_side_by_side_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="slots is 4 and adapter is 'none'"):
        student_of(folder, adapter="none", slots=4)
    with pytest.raises(ValueError, match="slots is 0"):
        student_of(folder, slots=0)
    other = student_of(save_tiny(tmp_path / "gpt2", kind="gpt2"), slots=2)
    with pytest.raises(CheckpointError, match="other than linear layers"):
        other.fit(other.initial(0), Data(EXAMPLES), RECIPE, 0)


def test_slots_are_a_name_of_their_own(folder: Path) -> None:
    assert len({student_of(folder, slots=n).fingerprint for n in (1, 2, 4)}) == 3


def test_a_full_batch_takes_the_same_kernel(student: CausalLM) -> None:
    """Rows that fill a unit of columns exactly leave no place empty but the one to spare."""
    exact = next(
        Example(prompt="turn " + "a" * n, response="ab")
        for n in range(1, 40)
        if student.tokens(Example(prompt="turn " + "a" * n, response="ab")) % 16 == 0
    )
    recipe = Recipe(updates=3, batch=2, rate=1e-2)
    several = [Fit(student.initial(i), Data((exact,) * 2), recipe, i) for i in range(2)]
    shorter = Example(prompt=exact.prompt[:-1], response="ba")
    several.append(Fit(student.initial(2), Data((exact, shorter)), recipe, 2))
    singly = [student.fit(each.weights, each.data, each.recipe, each.seed) for each in several]
    assert fit_many(student, several) == singly
