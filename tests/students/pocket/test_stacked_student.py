"""Several pocket students in one computation: the bits of each are those that it has alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from students.base import Data, Decoding, Recipe, TrainingDivergedError, asked
from students.pocket.stacked_student import PocketStacked
from students.pocket.student import Pocket
from students.training import slots as stacks
from students.training.loop import pack, unpack
from students.training.many import Fit, answer_many, entropies_many, fit_many, losses_many
from tasks.arithmetic import Arithmetic
from tasks.records import Example, stream

TASK = Arithmetic()
SIZES: dict[str, Any] = {"width": 32, "layers": 2, "heads": 2, "context": 48}
STUDENT = PocketStacked(**SIZES, slots=8, device="cpu")
RECIPE = Recipe(updates=6, batch=5, rate=3e-3, warmup=2, replay=0.2)
GREEDY, WARM = Decoding(max_tokens=8), Decoding(max_tokens=8, temperature=1.0)


def lesson(seed: int, n: int = 24) -> tuple[Example, ...]:
    return tuple(e for skill in TASK.skills[:3] for e in TASK.generate(skill, n // 3, stream(seed, skill)))


def fits(k: int, recipe: Recipe = RECIPE) -> list[Fit]:
    """With lessons of their own, each from a state of its own."""
    return [Fit(STUDENT.initial(i), Data(lesson(i), earlier=lesson(100 + i, 6)), recipe, i) for i in range(k)]


@pytest.fixture(scope="module")
def alone() -> list[bytes]:
    """Eight states, each trained by itself."""
    return [STUDENT.fit(each.weights, each.data, each.recipe, each.seed)[0] for each in fits(8)]


def made(found: Sequence[Any]) -> list[bytes]:
    return [each[0] for each in found]


@pytest.mark.parametrize("k", [2, 4, 8])
def test_states_among_others_are_those_alone(k: int, alone: list[bytes]) -> None:
    assert made(fit_many(STUDENT, fits(8)[:k])) == alone[:k]


@pytest.mark.parametrize("order", [[3, 1], [7, 6, 5, 4, 3, 2, 1, 0], [5, 5, 2]])
def test_neither_slot_nor_neighbours_count(order: list[int], alone: list[bytes]) -> None:
    every = fits(8)
    assert made(fit_many(STUDENT, [every[i] for i in order])) == [alone[i] for i in order]


def test_more_states_than_slots_are_computed_in_turn(alone: list[bytes]) -> None:
    few = PocketStacked(**SIZES, slots=3, device="cpu")
    assert made(fit_many(few, fits(8))) == alone


@pytest.mark.parametrize("room", [8])
def test_slots_that_are_filled_up_as_on_a_card(room: int, alone: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """There a computation always has all its slots."""
    monkeypatch.setattr(stacks, "room_of", lambda device, slots, used: slots)
    assert made(fit_many(STUDENT, fits(2))) == alone[:2]
    prompts = asked(e.prompt for e in lesson(50))
    assert STUDENT.answer(alone[3], prompts, GREEDY, 0) == answer_many(STUDENT, alone[2:4], prompts, GREEDY, 0)[1]
    assert len(STUDENT.losses_many(alone[:2], lesson(50))) == 2


def test_carried_moments_a_branch_and_patience(alone: list[bytes]) -> None:
    """Training goes on; exams see the branch; patience looks at each state alone."""
    watched = lesson(60, 6)
    for recipe in (
        Recipe(updates=4, batch=4, cooldown=2),
        Recipe(updates=8, batch=4, patience=1, interval=2, rate=0.1),
    ):
        several = [Fit(w, Data(lesson(20 + i), watched=watched), recipe, i) for i, w in enumerate(alone[:4])]
        singly = [STUDENT.fit(each.weights, each.data, each.recipe, each.seed) for each in several]
        assert fit_many(STUDENT, several) == singly
        assert float(unpack(singly[0][0])[1]["step"]) > RECIPE.updates


@pytest.mark.parametrize("decoding", [GREEDY, WARM])
def test_answers_are_those_alone_and_those_of_pocket(decoding: Decoding, alone: list[bytes]) -> None:
    prompts = asked([e.prompt for e in lesson(50, 150)] + ["x" * 60, "1"])
    found = answer_many(STUDENT, alone, prompts, decoding, 3)
    assert found == [STUDENT.answer(weights, prompts, decoding, 3) for weights in alone]
    assert found[2] == Pocket(**SIZES).answer(alone[2], prompts, decoding, 3)
    assert len({tuple(each) for each in found}) > 1


def test_losses_and_entropies_are_those_alone_and_those_of_pocket(alone: list[bytes]) -> None:
    examples = lesson(50, 150)
    for act, measure in ((losses_many, "losses"), (entropies_many, "entropies")):
        found = act(STUDENT, alone, examples)
        assert found == [getattr(STUDENT, measure)(weights, examples) for weights in alone]
        assert found[1] == pytest.approx(getattr(Pocket(**SIZES), measure)(alone[1], examples), abs=1e-4)


def test_it_is_trained_as_pocket_is() -> None:
    """Another arithmetic, equal to rounding."""
    each = fits(1)[0]
    weights, report = STUDENT.fit(each.weights, each.data, each.recipe, each.seed)
    expected, said = Pocket(**SIZES).fit(each.weights, each.data, each.recipe, each.seed)
    assert (report.tokens, report.updates) == (said.tokens, said.updates)
    assert report.loss == pytest.approx(said.loss, rel=1e-4)
    for name, value in unpack(expected)[0].items():
        assert np.abs(unpack(weights)[0][name].numpy() - value.numpy()).max() < 1e-4, name


def test_a_slot_that_is_not_a_number_fails_alone(alone: list[bytes]) -> None:
    broken = pack({name: value * float("nan") for name, value in unpack(STUDENT.initial(0))[0].items()})
    every = fits(3)
    every[1] = Fit(broken, every[1].data, every[1].recipe, 1)
    found = fit_many(STUDENT, every)
    assert isinstance(found[1], TrainingDivergedError)
    assert [found[0][0], found[2][0]] == [alone[0], alone[2]]  # type: ignore[index]


def test_rows_of_another_width_are_not_in_one_computation(alone: list[bytes]) -> None:
    """The width decides bits, so it is a matter of each lesson alone."""
    long = (Example(prompt="1" * 30, response="2" * 10), *lesson(70, 6))
    several = [*fits(2), Fit(STUDENT.initial(5), Data(long), RECIPE, 5)]
    assert STUDENT.alike(several[0]) != STUDENT.alike(several[2])
    assert made(fit_many(STUDENT, several))[:2] == alone[:2]


@pytest.mark.parametrize(
    ("args", "said"),
    [({"slots": 0}, "slots is 0"), ({"slots": True}, "slots is True"), ({"device": "tpu"}, "device is 'tpu'")],
)
def test_bad_arguments(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PocketStacked(**args)


def test_an_empty_lesson_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.lesson is empty"):
        STUDENT.fit(STUDENT.initial(0), Data(()), RECIPE, 0)
