"""Warm-up, stable, cool-down: exams see the cooled branch, training goes on from the trunk, patience ends it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from students.base import Data, Recipe, Student
from students.pocket.by_torch import TorchModel
from students.pocket.student import Pocket
from students.pocket.vocabulary import ALPHABET, EOS, FIRST
from tasks.errors import UnsupportedError
from tasks.records import Example, stream
from tests.toys import Parrot

SMALL: dict[str, Any] = {"width": 16, "layers": 1, "heads": 2, "context": 16}
RECIPE = Recipe(updates=8, batch=8, rate=1e-2)


def reversals(n: int, purpose: str) -> tuple[Example, ...]:
    """Words of four letters, to be written backwards."""
    letters = stream(0, purpose).integers(6, size=(n, 4)) + ord("a")
    words = ["".join(map(chr, row)) for row in letters.tolist()]
    return tuple(Example(prompt=f"{word}>", response=word[::-1]) for word in words)


LESSONS = [Data(reversals(32, f"lesson {i}")) for i in range(3)]
EXAM = reversals(16, "exam")
STUDENT = Pocket(**SMALL)


def trained(*recipes: Recipe) -> bytes:
    """A student after a lesson by each recipe, one after the other."""
    weights = STUDENT.initial(0)
    for i, recipe in enumerate(recipes):
        weights, _ = STUDENT.fit(weights, LESSONS[i], recipe, i)
    return weights


def changed(**fields: Any) -> Recipe:
    return RECIPE.model_copy(update=fields)


def part(weights: bytes, name: str) -> dict[str, Any]:
    return {k.removeprefix(name): v for k, v in load(weights).items() if k.startswith(name)}


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one) and one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_training_goes_on_from_the_trunk_as_if_there_had_been_no_branch() -> None:
    """Bit for bit, weights and moments: the last lesson has no branch, so its whole blobs are compared."""
    branched = trained(changed(cooldown=5), changed(cooldown=3), RECIPE)
    assert branched == trained(RECIPE, RECIPE, RECIPE)
    other = trained(changed(cooldown=1), RECIPE, RECIPE)
    assert other == branched, "however long the branch was"


def test_exams_see_the_branch() -> None:
    plain, branched = trained(RECIPE), trained(changed(cooldown=8))
    assert equal(part(branched, "trunk."), part(plain, "model."))
    assert equal(part(branched, "adam."), part(plain, "adam."))
    assert not equal(part(branched, "model."), part(branched, "trunk."))
    alone = save({f"model.{k}": v for k, v in part(branched, "model.").items()})
    assert STUDENT.losses(branched, EXAM) == STUDENT.losses(alone, EXAM) != STUDENT.losses(plain, EXAM)
    assert STUDENT.entropies(branched, EXAM) == STUDENT.entropies(alone, EXAM)


def test_a_cooled_branch_is_better_than_its_trunk() -> None:
    """What the branch is for: at a high rate the trunk is noisy, and what it has learnt shows when it cools down."""
    weights = trained(changed(updates=64, rate=2e-2, cooldown=32))
    trunk = save({f"model.{k}": v for k, v in part(weights, "trunk.").items()})
    assert np.mean(STUDENT.losses(weights, LESSONS[0].lesson)) < np.mean(STUDENT.losses(trunk, LESSONS[0].lesson))


@pytest.mark.parametrize(("patience", "looks"), [(1, 3), (2, 4), (3, 8), (4, 10)])
def test_patience_ends_training_after_so_many_looks_without_a_better_one(
    patience: int, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = iter([3.0, 2.0, 2.5, 2.0, 1.9, 2.0, 2.0, 1.9, 1.8, 5.0])
    monkeypatch.setattr(Pocket, "_losses", lambda student, model, watched: [next(seen)])
    recipe = changed(updates=20, patience=patience, interval=2)
    _, report = STUDENT.fit(STUDENT.initial(0), Data(LESSONS[0].lesson, watched=EXAM), recipe, 0)
    assert (report.looks, report.updates) == (looks, 2 * looks)


def test_patience_lasts_while_the_watched_examples_get_better_and_looking_changes_nothing() -> None:
    watched = Data(LESSONS[0].lesson, watched=LESSONS[0].lesson)
    recipe = changed(patience=1, interval=4)
    after, report = STUDENT.fit(STUDENT.initial(0), watched, recipe, 0)
    assert (report.looks, report.updates) == (2, RECIPE.updates)
    assert after == trained(RECIPE)
    _, careless = STUDENT.fit(STUDENT.initial(0), watched, RECIPE, 0)
    assert careless.looks == 0


def test_the_rate_warms_up_once() -> None:
    warm = changed(warmup=4)
    once = STUDENT.fit(trained(warm), LESSONS[1], warm, 1)[0]
    assert once == STUDENT.fit(trained(warm), LESSONS[1], RECIPE, 1)[0]
    assert trained(warm) != trained(RECIPE)
    again = STUDENT.fit(trained(warm), LESSONS[1], changed(warmup=4, optimiser="reset"), 1)[0]
    assert again != STUDENT.fit(trained(warm), LESSONS[1], changed(optimiser="reset"), 1)[0]


def test_entropy_is_that_of_the_uniform_distribution_where_all_logits_are_equal() -> None:
    tensors = load(STUDENT.initial(0))
    head = {k: np.zeros_like(v) for k, v in tensors.items() if k == "model.lm_head.weight"}
    assert head
    blank = save(tensors | head)
    everything = np.log(FIRST + len(ALPHABET))
    np.testing.assert_allclose(STUDENT.entropies(blank, EXAM), everything, rtol=1e-5)
    np.testing.assert_allclose(STUDENT.losses(blank, EXAM), everything, rtol=1e-5)


def test_entropy_is_the_mean_over_the_response_and_its_end() -> None:
    """Against the definition, token by token, one example of another length at a time."""
    import torch

    weights = trained(RECIPE)
    examples = [Example(prompt="ab>", response="ba"), Example(prompt="abcd>", response="dcba"), EXAM[0]]
    model = TorchModel(weights, False, STUDENT.heads, STUDENT.context, 1).model
    for example, found in zip(examples, STUDENT.entropies(weights, examples), strict=True):
        ids = [ord(c) - 32 + FIRST for c in example.prompt + example.response] + [EOS]
        logits = model.eval()(input_ids=torch.tensor([ids[:-1]])).logits[0, len(example.prompt) - 1 :]
        each = torch.distributions.Categorical(logits=logits).entropy()
        assert len(each) == len(example.response) + 1
        assert found == pytest.approx(each.mean().item(), rel=1e-4)


def test_entropy_falls_with_what_is_learnt_and_needs_no_gold_answer_to_be_right() -> None:
    fresh, taught = STUDENT.initial(0), trained(changed(updates=64))
    assert np.mean(STUDENT.entropies(taught, EXAM)) < np.mean(STUDENT.entropies(fresh, EXAM))
    assert STUDENT.entropies(taught, []) == []


def test_a_student_that_measures_no_entropy_says_so() -> None:
    student: Student = Parrot()
    with pytest.raises(UnsupportedError, match="student 'parrot' does not measure entropy; probe kind='loss'"):
        student.entropies(student.initial(0), EXAM)
