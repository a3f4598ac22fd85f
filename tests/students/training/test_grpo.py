"""Learning from verified answers: the formulas by hand, nothing without a contrast, and every token counted."""

from __future__ import annotations

from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from students.base import Data, Recipe, Trained
from students.causal_lm.student import CausalLM
from students.pocket.student import Pocket
from students.training.grpo import advantages, divergence, surrogate
from tasks.records import Example, stream
from tests.tiny_lm import save_tiny

STUDENT = Pocket(width=32, layers=1, heads=2, context=16)
LONGEST = 5
GRPO: dict[str, Any] = {"method": "grpo", "updates": 24, "batch": 64, "rate": 2e-3, "grpo": {"max_tokens": LONGEST}}


def right(example: Example, response: str) -> bool:
    return response == example.response


def words(n: int, purpose: str) -> tuple[Example, ...]:
    """Words of three letters out of four, to be written backwards."""
    letters = stream(0, purpose).integers(4, size=(n, 3)) + ord("a")
    made = ["".join(map(chr, row)) for row in letters.tolist()]
    return tuple(Example(prompt=f"{word}>", response=word[::-1]) for word in made)


LESSON, EXAM = words(48, "lesson"), words(64, "exam")


def data(verdict: Any = right, lesson: tuple[Example, ...] = LESSON) -> Data:
    return Data(lesson, verdict=verdict and (lambda asked: list(starmap(verdict, asked))), checker="test")


def recipe(**changes: Any) -> Recipe:
    own = {
        name: changes.pop(name) for name in list(changes) if name in ("group", "variant", "kl", "passes", "allowance")
    }
    return Recipe.model_validate(GRPO | {"grpo": GRPO["grpo"] | own} | changes)


@pytest.fixture(scope="module")
def half() -> bytes:
    """A student that can do it now and then."""
    return STUDENT.fit(STUDENT.initial(0), Data(LESSON), Recipe(updates=30, batch=32, rate=1e-2), 0)[0]


# --- the formulas -----------------------------------------------------------------------------------------------------


def test_advantages_by_hand() -> None:
    rewards = np.array([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [1.0, np.nan, 0.0, np.nan]])
    plain = advantages(rewards, "dr-grpo")
    np.testing.assert_allclose(plain[0], [0.75, -0.25, -0.25, -0.25])
    assert not plain[1:3].any()
    np.testing.assert_allclose(plain[3], [0.5, 0.0, -0.5, 0.0])
    np.testing.assert_allclose(advantages(rewards)[0], plain[0] / (0.5 + 1e-4))
    np.testing.assert_allclose(advantages(rewards)[3], plain[3] / (np.sqrt(0.5) + 1e-4))


rewards_ = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 9)), elements=st.sampled_from([0.0, 1.0]))


@given(rewards=rewards_, variant=st.sampled_from(["grpo", "dr-grpo"]), scale=st.floats(0.01, 3), shift=st.floats(-3, 3))
def test_advantages_compare_within_a_group_alone(rewards: np.ndarray, variant: str, scale: float, shift: float) -> None:
    found = advantages(rewards, variant)
    np.testing.assert_allclose(found.sum(1), 0, atol=1e-9)
    np.testing.assert_allclose(advantages(rewards + shift, variant), found, atol=1e-6)
    equal = rewards.max(1) == rewards.min(1)
    assert not advantages(rewards * scale + shift, variant)[equal].any(), "exactly none, whatever the reward is"
    assert found[~equal].any(1).all()


def test_the_surrogate_is_the_policy_gradient_until_it_is_clipped() -> None:
    scores = torch.tensor([[-1.0, -2.0], [-0.5, -3.0]], requires_grad=True)
    worth = torch.tensor([[2.0], [-1.0]])
    surrogate(scores, scores.detach(), worth, 0.2).sum().backward()
    np.testing.assert_allclose(scores.grad, [[-2.0, -2.0], [1.0, 1.0]])  # -A for each token
    moved = (scores.detach() + torch.tensor([[0.5, -0.5], [0.5, -0.5]])).requires_grad_()
    surrogate(moved, scores.detach(), worth, 0.2).sum().backward()
    # What has gone far enough in its own direction is let be; what has gone astray comes back.
    np.testing.assert_allclose(moved.grad, [[0.0, -2 * np.exp(-0.5)], [np.exp(0.5), 0.0]], rtol=1e-6)


@given(st.lists(st.floats(-4, 0), min_size=2, max_size=2))
def test_the_divergence_is_none_from_itself_and_never_negative(pair: list[float]) -> None:
    one, other = (torch.tensor([[x]], dtype=torch.float64) for x in pair)
    assert float(divergence(one, one)) == 0
    assert float(divergence(one, other)) >= 0


# --- a student that practises -----------------------------------------------------------------------------------------


def test_the_reward_rises_on_what_is_half_learnt(half: bytes) -> None:
    practice = STUDENT.fit(half, data(), recipe(updates=40), 0)[1].practice
    assert practice is not None
    assert practice.reward is not None
    first, last = practice.reward
    assert 0.05 < first < 0.6
    assert last > first + 0.15


def test_equal_runs_equal_bytes(half: bytes) -> None:
    once = STUDENT.fit(half, data(), recipe(updates=6), 0)
    assert once == STUDENT.fit(half, data(), recipe(updates=6), 0)
    assert once[0] != STUDENT.fit(half, data(), recipe(updates=6), 1)[0]


@pytest.mark.parametrize("always", [True, False, None])
@pytest.mark.parametrize("variant", ["grpo", "dr-grpo"])
def test_without_a_contrast_nothing_moves(half: bytes, always: bool | None, variant: str) -> None:
    """Neither weights nor moments, by no weight decay and no momentum: the blob is the same."""
    weights, report = STUDENT.fit(half, data(lambda e, r: always), recipe(updates=3, variant=variant), 0)
    assert weights == half
    assert report.practice is not None
    assert (report.tokens, report.loss, report.practice.groups) == (0, (0.0, 0.0), 24)
    assert (report.practice.right, report.practice.wrong) == (24 * (always is True), 24 * (always is False))
    assert report.practice.unknown == (0 if always is not None else 192)
    assert report.practice.reward == (None if always is None else (float(always), float(always)))


def counted(half: bytes, how: Recipe) -> tuple[Trained, int, int]:
    """The report, and the tokens of all answers, and of those in groups with a contrast, counted from their texts."""
    said: list[tuple[int, bool]] = []

    def listens(example: Example, response: str) -> bool:
        written = min(len(response) + 1, LONGEST)  # and the token that ends it, where there was room for one
        said.append((len(example.prompt) + written, right(example, response)))
        return said[-1][1]

    assert how.grpo is not None
    report = STUDENT.fit(half, data(listens), how, 3)[1]
    groups = [said[i : i + how.grpo.group] for i in range(0, len(said), how.grpo.group)]
    mixed = [group for group in groups if len({ok for _, ok in group}) == 2]
    assert report.practice is not None
    assert report.practice.groups - report.practice.right - report.practice.wrong == len(mixed)
    return report, sum(n for n, _ in said), sum(n for group in mixed for n, _ in group)


def test_every_token_is_counted(half: bytes) -> None:
    report, everything, mixed = counted(half, recipe(updates=5))
    assert (report.forward, report.tokens, report.updates) == (everything, mixed, 5)
    twice, everything, mixed = counted(half, recipe(updates=6, passes=2))
    assert (twice.forward, twice.tokens) == (everything, 2 * mixed)
    assert twice.practice is not None
    assert twice.practice.answers == 3 * 64
    kept, everything, _ = counted(half, recipe(updates=2, kl=0.1))
    assert (kept.forward, kept.tokens) == (2 * everything, everything)


@pytest.mark.parametrize("allowance", [3_000, 9_000, 20_000])
def test_an_allowance_is_kept_and_used(half: bytes, allowance: int) -> None:
    report = STUDENT.fit(half, data(), recipe(updates=1000, allowance=allowance), 0)[1]
    cost, another = report.forward + 3 * report.tokens, 4 * 64 * (4 + LONGEST)
    assert cost <= allowance
    assert cost > allowance - another, "another batch would have been paid"


def test_a_divergence_holds_the_student_back(half: bytes) -> None:
    def moved(kl: float) -> float:
        weights = STUDENT.fit(half, data(), recipe(updates=6, kl=kl), 0)[0]
        return float(np.abs(np.subtract(STUDENT.losses(weights, EXAM), STUDENT.losses(half, EXAM))).mean())

    assert moved(3.0) < 0.6 * moved(0.0)


def test_a_checker_that_cannot_tell_teaches_nothing_about_that_answer(half: bytes) -> None:
    def half_blind(example: Example, response: str) -> bool | None:
        return right(example, response) if response[:1] < "c" else None

    practice = STUDENT.fit(half, data(half_blind), recipe(updates=3), 0)[1].practice
    assert practice is not None
    assert 0 < practice.unknown < practice.answers


def test_a_causal_lm_practises_too(tmp_path: Path) -> None:
    student = CausalLM(path=str(save_tiny(tmp_path)), context=96, rank=4)
    untaught = student.initial(0)
    short = recipe(updates=3, batch=16, rate=1e-2)

    def starts(example: Example, response: str) -> bool:
        return bool(response) and response[0] < "N"

    weights, report = student.fit(untaught, data(starts), short, 0)
    assert (weights, report) == student.fit(untaught, data(starts), short, 0)
    assert weights != untaught
    assert 0 < report.tokens <= report.forward
    still, none = student.fit(untaught, data(lambda e, r: True), short, 0)
    assert (still == untaught, none.tokens) == (True, 0)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"method": "grpo", "batch": 60}, "groups of 8 do not fill"),
        ({"grpo": {}}, "grpo is given and method is 'sft'"),
        ({"method": "grpo", "replay": 0.5}, "leave them out with 'grpo'"),
        ({"method": "grpo", "patience": 1}, "leave them out with 'grpo'"),
        ({"method": "grpo", "grpo": {"group": 1}}, "greater than or equal to 2"),
    ],
)
def test_recipes_that_do_not_fit(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Recipe.model_validate(fields)


def test_a_recipe_keeps_its_name() -> None:
    """Of a recipe without it, which must be called what it was called before there was any."""
    assert "grpo" not in Recipe().model_dump(mode="json")
    again = Recipe.model_validate_json(recipe().model_dump_json())
    assert again == recipe()
    assert Recipe.model_validate({"method": "grpo"}).grpo is not None


def test_what_is_missing_is_said(half: bytes) -> None:
    with pytest.raises(ValueError, match="needs a checker"):
        STUDENT.fit(half, Data(LESSON), recipe(), 0)
    with pytest.raises(ValueError, match="allowance is 9 and answers may cost 2304; give that or more"):
        STUDENT.fit(half, data(), recipe(allowance=9), 0)
    with pytest.raises(ValueError, match="max_tokens is missing"):
        STUDENT.fit(half, data(), Recipe.model_validate({"method": "grpo"}), 0)
