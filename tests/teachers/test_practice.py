"""Deliberate Practice: whom it draws, how often it asks, and that it never asks for more than the purse can bear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.errors import BudgetSpentError, SettingError
from tasks.records import Example, stream
from teachers.practice import DeliberatePractice, deal, log_weights, preference, take
from tests.tiny import TINY
from tests.toys import TOYS

SKILLS = ("easy", "hard", "odd")
SCORES = arrays(np.float64, st.integers(1, 40), elements=st.floats(allow_nan=False, allow_infinity=False))
OMEGAS = st.floats(0, 1e6)
PLAIN: dict[str, Any] = {"trim": 0.0, "unguided": 0.0}


class Purse:
    """A budget of which every scored candidate takes one, or whatever it takes in truth."""

    step_price, example_price = 100, 1

    def __init__(self, total: int) -> None:
        self.total, self.spent = total, 0

    @property
    def remaining(self) -> int:
        return self.total - self.spent


class Context:
    """A generator whose examples say how hard they are, and a student that is as unsure of them as that."""

    lesson_size = 12
    skills = SKILLS

    def __init__(self, purse: int = 10**6, seed: int = 0) -> None:
        self.rng, self.budget = stream(seed, "teacher"), Purse(purse)
        self.probes: list[tuple[int, str]] = []
        self.generated = 0

    def generate(self, skill: str, n: int, difficulty: float | None = None) -> list[Example]:
        start, self.generated = self.generated, self.generated + n
        level = 0 if difficulty == 0 else 1 + SKILLS.index(skill)
        return [Example(prompt=f"{level}.{start + i:05d}", response="r", skills=(skill,)) for i in range(n)]

    def probe(self, examples: Sequence[Example], kind: str) -> Any:
        if len(examples) > self.budget.remaining:
            raise BudgetSpentError("the purse does not hold that much")
        self.budget.spent += len(examples)
        self.probes.append((len(examples), kind))
        return np.array([float(e.prompt) for e in examples])


def teach(teacher: DeliberatePractice, context: Context) -> list[list[str]]:
    """The skills of every lesson until it stops."""
    teacher.begin(context)  # type: ignore[arg-type]
    lessons = []
    while lesson := teacher.act({}, {}):
        assert len(set(lesson)) == len(lesson), "nothing twice in one lesson"
        lessons.append([e.skills[0] for e in lesson])
    return lessons


@given(SCORES, OMEGAS)
def test_weights_are_a_distribution_that_rises_with_the_score(scores: Any, omega: float) -> None:
    weights = np.exp(log_weights(scores, omega))
    assert weights.sum() == pytest.approx(1.0)
    order = np.argsort(scores)
    assert (np.diff(weights[order]) >= -1e-12).all()
    np.testing.assert_allclose(np.exp(log_weights(scores, 0.0)), 1 / len(scores))


@given(arrays(np.float64, 5, elements=st.floats(0, 5)), st.floats(0, 10))
def test_weights_are_proportional_to_the_exponential(scores: Any, omega: float) -> None:
    plain = np.exp(omega * scores)
    np.testing.assert_allclose(np.exp(log_weights(scores, omega)), plain / plain.sum(), rtol=1e-9)


@given(SCORES, st.one_of(OMEGAS, st.just(np.inf)), st.floats(0, 0.99), st.integers(0, 99))
def test_the_trimmed_tail_is_never_drawn_and_all_else_is_once(
    scores: Any, omega: float, trim: float, seed: int
) -> None:
    order = preference(scores, omega, trim, stream(seed, "draw"))
    assert len(set(order.tolist())) == len(order) == len(scores) - int(trim * len(scores))
    left_out = np.setdiff1d(np.arange(len(scores)), order)
    if len(left_out) and len(order):
        assert scores[left_out].min() >= scores[order].max()
    if np.isinf(omega):
        assert (np.diff(scores[order]) <= 0).all()


@pytest.mark.parametrize("omega", [0.0, 1.0, 3.0])
def test_who_is_drawn_first_follows_the_weights(omega: float) -> None:
    scores, rng = np.array([0.0, 0.5, 1.0]), stream(0, "draw")
    first = np.bincount([preference(scores, omega, 0.0, rng)[0] for _ in range(4000)], minlength=3) / 4000
    np.testing.assert_allclose(first, np.exp(log_weights(scores, omega)), atol=4 * 0.5 / 4000**0.5)


def test_who_is_drawn_second_is_drawn_from_the_others() -> None:
    scores, rng = np.log([1.0, 2.0, 4.0]), stream(0, "draw")
    orders = [tuple(preference(scores, 1.0, 0.0, rng).tolist()) for _ in range(4000)]
    found = Counter(orders)[2, 1, 0] / 4000
    assert found == pytest.approx(4 / 7 * 2 / 3, abs=4 * 0.5 / 4000**0.5)


@given(arrays(np.float64, 5, elements=st.floats(0.01, 1)), st.integers(0, 300), st.integers(0, 99))
def test_deal_rounds_up_or_down_and_sums_up(weights: Any, n: int, seed: int) -> None:
    mixture = weights / weights.sum()
    counts = deal(mixture, n, stream(seed, "deal"))
    assert counts.sum() == n
    assert (np.abs(counts - mixture * n) < 1 + 1e-9).all()


def test_a_rare_skill_gets_its_turn() -> None:
    rng = stream(0, "deal")
    rare = sum(int(deal(np.array([0.99, 0.01]), 10, rng)[1]) for _ in range(2000))
    assert rare == pytest.approx(200, abs=4 * (2000 * 0.1 * 0.9) ** 0.5)


def test_no_skill_has_more_than_its_cap_while_others_are_left() -> None:
    made = [Example(prompt=f"{i}", response="r", skills=(s,)) for i, s in enumerate("aaaabbc")]
    assert [e.skills[0] for e in take(made, 5, 2)] == ["a", "a", "b", "b", "c"]
    assert [e.prompt for e in take(made, 7, 2)] == ["0", "1", "4", "5", "6", "2", "3"]
    assert len(take(made, 9, 1)) == 7


def test_the_first_lesson_is_unguided_and_later_ones_are_what_is_uncertain() -> None:
    context = Context()
    lessons = teach(DeliberatePractice(additions=2, candidates=4, select="top", **PLAIN), context)
    assert list(map(Counter, lessons)) == [Counter(dict.fromkeys(SKILLS, 4)), Counter(odd=12), Counter(odd=12)]
    assert context.probes == [(48, "entropy")] * 2, "scored anew for every lesson"


def test_static_never_asks() -> None:
    context = Context()
    lessons = teach(DeliberatePractice(omega=0.0, additions=3, **PLAIN), context)
    assert list(map(Counter, lessons)) == [Counter(dict.fromkeys(SKILLS, 4))] * 4
    assert context.probes == []
    assert context.generated == 48


def test_prune_asks_once_for_all_lessons() -> None:
    context = Context()
    lessons = teach(DeliberatePractice(rescore=False, additions=3, candidates=4, select="top", **PLAIN), context)
    assert context.probes == [(144, "entropy")]
    assert list(map(len, lessons)) == [12] * 4
    assert sum(map(Counter, lessons[1:]), Counter()) == Counter(odd=36)


def test_shares_of_a_lesson() -> None:
    """A quarter unguided, the cap on one skill, the prior, and the easy mode."""
    context = Context()
    lessons = teach(DeliberatePractice(additions=1, select="top", trim=0.0, unguided=0.25, cap=0.5), context)
    assert Counter(lessons[1][:9]) == Counter(odd=4, hard=4, easy=1)
    assert Counter(lessons[1][9:]) == Counter(SKILLS)
    tailed = teach(DeliberatePractice(omega=0.0, additions=1, prior={"easy": 10, "odd": 0}), Context())
    assert all(Counter(lesson)["odd"] == 0 and Counter(lesson)["easy"] >= 10 for lesson in tailed)
    teacher, context = DeliberatePractice(omega=0.0, additions=1, easy=1.0), Context()
    teacher.begin(context)  # type: ignore[arg-type]
    assert {e.prompt[0] for e in teacher.act({}, {})} == {"0"}


def test_loss_may_be_the_signal() -> None:
    context = Context()
    teach(DeliberatePractice(signal="loss", additions=1, candidates=2, **PLAIN), context)
    assert context.probes == [(24, "loss")]


@pytest.mark.parametrize(("purse", "asked"), [(47, 0), (147, 0), (148, 1), (195, 1), (196, 2)])
def test_where_the_purse_is_low_lessons_are_static(purse: int, asked: int) -> None:
    """Scoring costs 48 and must leave a step's price, 100."""
    context = Context(purse)
    lessons = teach(DeliberatePractice(additions=2, candidates=4, select="top", **PLAIN), context)
    assert len(context.probes) == asked
    assert list(map(len, lessons)) == [12] * 3
    assert Counter(lessons[-1]) == (Counter(odd=12) if asked == 2 else Counter(dict.fromkeys(SKILLS, 4)))


def test_a_price_that_is_higher_than_is_usual_makes_a_static_lesson_too() -> None:
    context = Context(47)
    context.budget.step_price = context.budget.example_price = 0  # type: ignore[misc]
    lessons = teach(DeliberatePractice(additions=2, candidates=4, select="top", **PLAIN), context)
    assert list(map(Counter, lessons)) == [Counter(dict.fromkeys(SKILLS, 4))] * 3
    assert context.budget.spent == 0


@pytest.mark.parametrize("tokens", [4_000, 9_000, 20_000])
def test_a_real_student_is_asked_and_the_purse_is_never_exceeded(tokens: int) -> None:
    env = TeachingEnv("open-ended", **(TINY | {"budget": {"student_tokens": tokens}}))
    episode = dataenv.run(env, DeliberatePractice(candidates=2, additions=3), seed=0)
    snap = episode.snapshot
    assert snap.training + snap.probes <= tokens
    assert (snap.probes > 0) == (tokens > 4_000)
    assert all(step.kept == step.offered for step in episode.steps), "nothing that the screen rejects"
    assert episode.steps[-1].ended == ("stopped" if tokens == 20_000 else "spent")


def test_entropy_is_paid_as_loss_is_and_is_another_number() -> None:
    env = TeachingEnv("open-ended", **TINY)
    env.reset(seed=0)
    context = dataenv.Context(env)
    examples = context.generate("max", 4)
    entropies = context.probe(examples, "entropy")
    price = sum(env.student.tokens(e) for e in examples)
    assert env.purse.uses["probes"] == price
    assert not np.allclose(entropies, context.probe(examples, "loss"))
    assert ((entropies > 0) & (entropies < np.log(97))).all()
    np.testing.assert_array_equal(entropies, context.probe(examples, "entropy"))


@pytest.mark.usefixtures("toys")
def test_a_student_without_entropy_is_asked_for_its_loss() -> None:
    env = TeachingEnv("open-ended", **TOYS, budget={"student_tokens": 2_000})
    with pytest.raises(SettingError, match="kind is 'entropy', which student 'parrot' does not measure; give 'loss'"):
        dataenv.run(env, DeliberatePractice(first=4, added=4), seed=0)
    assert env.purse.uses["probes"] == 0
    episode = dataenv.run(env, DeliberatePractice(first=4, added=4, additions=2, signal="loss"), seed=0)
    assert [step.kept for step in episode.steps] == [0, 4, 4, 4, 0]


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ({"first": 0}, "first is 0; give a whole number of at least 1"),
        ({"omega": np.inf}, "omega is inf; give a finite number >= 0, or select='top'"),
        ({"select": "best"}, "select is 'best'; give 'resample' or 'top'"),
        ({"signal": "luck"}, "signal is 'luck'; give 'entropy' or 'loss'"),
        ({"trim": 1.0}, r"trim is 1.0; give a number in \[0, 1\)"),
        ({"candidates": 1, "trim": 0.5}, "candidates is 1; with trim 0.5 too few are left; give more"),
        ({"prior": {"max": -1}}, "prior.max is -1; give a finite number >= 0"),
        ({"cap": 2.0}, r"cap is 2.0; give a number in \[0, 1\]"),
        ({"steer": {"omega": -1}}, r"steer\.omega is -1; give a finite number >= 0"),
        ({"steer": {"scale": "x"}}, r"steer\.scale is 'x'; give a finite number"),
        ({"steer": {"checked": 1}}, r"steer\.checked is 1; give true or false"),
        ({"steer": {"steps": 3}}, r"steer\.steps is 3; give some of omega, scale, checked"),
    ],
)
def test_a_bad_argument_is_refused_by_name(argument: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DeliberatePractice(**argument)


def test_a_prior_of_another_task_is_refused_before_anything_is_spent() -> None:
    with pytest.raises(SettingError, match="cannot begin: prior is 'sums'; the task has first, second"):
        dataenv.run(TeachingEnv("open-ended", **TINY), DeliberatePractice(prior={"sums": 1}), seed=0)
