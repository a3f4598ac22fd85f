"""What each teacher weighs, against figures worked out by hand; and that any student's figures give a valid lesson."""

from __future__ import annotations

from collections.abc import Sequence
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dataenv import registry
from tasks.errors import UnsupportedError
from tasks.records import Example, stream
from teachers.base import Teacher, as_action, with_floor
from teachers.failure import Failure
from teachers.frontier import Frontier
from teachers.profile import missing_skills, stands_for
from teachers.progress import LearningProgress, slopes
from teachers.random_mixture import RandomMixture
from teachers.stat_sel import ConSel, StatSel, sampling_law
from teachers.stratified import Static, Stratified

SKILLS = ("add", "carry", "chain")
POOL = [("add",)] * 4 + [("carry", "add")] * 2 + [("chain", "add", "carry")] * 2
Vector = Any


def error(skill: str, *missing: str) -> dict[str, str]:
    """A mistake under a skill; its response says, for ``Context``, what is missing."""
    return {"id": f"{skill} {missing}", "skill": skill, "prompt": "?", "response": " ".join(missing), "answer": "!"}


class Context:
    """What a teacher is given, without an environment."""

    level, step = "skill-list", 0

    def __init__(self, skills: Sequence[str] = SKILLS, pool: Sequence[tuple[str, ...]] | None = POOL, seed: int = 0):
        self.skills, self.rng, self._pool = tuple(skills), stream(seed, "teacher"), pool

    def pool(self) -> list[Example]:
        if self._pool is None:
            raise UnsupportedError("no pool")
        return [Example(prompt=str(i), response="r", skills=s) for i, s in enumerate(self._pool)]

    def diagnose(self, error: dict[str, str]) -> tuple[str, ...]:
        return tuple(error["response"].split())

    def describe(self, error: dict[str, str]) -> tuple[str, float]:
        return error["skill"], 0.0


def see(accuracy: Any, loss: Any = None, errors: tuple[dict[str, str], ...] = ()) -> dict[str, Any]:
    """All that the level skill-list shows."""
    a = np.asarray(accuracy, np.float32)
    score, budget, counts = np.mean(a, keepdims=True), np.ones(1, np.float32), np.zeros_like(a)
    loss = np.asarray(1 - a if loss is None else loss, np.float32)
    figures = {"accuracy": a, "wrong": 10 * (1 - a), "loss": loss, "score": score, "budget": budget, "counts": counts}
    return figures | {"errors": errors}


def teach(teacher: Any, *observations: dict[str, Any], context: Any = None) -> Vector:
    """The last action of an episode of these observations."""
    teacher.begin(context or Context())
    for observation in observations:
        action = teacher.act(observation, {})
    return action


# The floor


def test_floor_mixes_with_the_uniform_mixture() -> None:
    np.testing.assert_allclose(with_floor([3, 1, 0, 0], 0.2), [0.65, 0.25, 0.05, 0.05])


def test_no_preference_is_uniform() -> None:
    np.testing.assert_allclose(with_floor(np.zeros(4), 0.0), np.full(4, 0.25))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
def test_figures_that_cannot_be_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"weights\[1\] is .*; give finite numbers"):
        with_floor([1.0, bad], 0.1)


@given(
    arrays(np.float64, st.integers(1, 40), elements=st.floats(0, allow_infinity=False, allow_nan=False)),
    st.floats(0, 1),
)
def test_floor_gives_a_mixture_whatever_the_weights(weights: Vector, floor: float) -> None:
    mixture = with_floor(weights, floor)
    assert mixture.sum() == pytest.approx(1)
    assert (mixture >= floor / len(weights) * (1 - 1e-12)).all()
    action = as_action(mixture)
    assert action.dtype == np.float32
    assert action.max() <= 1
    assert action.sum() > 0


# The simple laws


def test_stratified_is_even() -> None:
    np.testing.assert_allclose(teach(Stratified(), see([0.1, 0.9, 0.0])), np.full(3, 1 / 3), rtol=1e-6)


def test_random_comes_from_the_episodes_generator() -> None:
    first, again = (teach(RandomMixture(), see([0, 0, 0]), context=Context(seed=1)) for _ in range(2))
    other = teach(RandomMixture(), see([0, 0, 0]), context=Context(seed=2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.sum() == pytest.approx(1, abs=1e-6)


def test_random_is_even_over_many_steps_only() -> None:
    teacher = RandomMixture()
    teacher.begin(Context())
    drawn = np.stack([teacher.act(see([0, 0, 0]), {}) for _ in range(2000)])
    np.testing.assert_allclose(drawn.mean(0), np.full(3, 1 / 3), atol=0.02)
    np.testing.assert_allclose(drawn.var(0), np.full(3, 1 / 18), atol=0.01)  # of Dirichlet(1, 1, 1)


def test_static_is_put_in_the_order_of_the_skills() -> None:
    np.testing.assert_allclose(teach(Static({"chain": 3.0, "add": 1.0}), see([0, 0, 0])), [0.25, 0, 0.75])


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({}, "weights is {}; give at least one"),
        ({"add": 0.0}, "give at least one skill a weight above zero"),
        ({"add": -1.0}, r"weights.add is -1.0; give a finite number"),
        ({"add": float("nan")}, "weights.add is nan"),
    ],
)
def test_static_refuses_what_is_no_mixture(weights: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Static(weights)


def test_static_names_the_skill_that_was_meant() -> None:
    with pytest.raises(ValueError, match=r"'chian'.*did you mean 'chain'"):
        Static({"chian": 1.0}).begin(Context())
    with pytest.raises(RuntimeError, match="before begin"):
        Static({"chain": 1.0}).act(see([0, 0, 0]), {})


def test_failure_weighs_by_error_rate() -> None:
    observation = see([1.0, 0.5, 0.0])
    np.testing.assert_allclose(teach(Failure(floor=0.0), observation), [0, 1 / 3, 2 / 3], rtol=1e-6)
    np.testing.assert_allclose(teach(Failure(alpha=2, floor=0.0), observation), [0, 0.2, 0.8], rtol=1e-6)
    np.testing.assert_allclose(teach(Failure(), observation), [0.1 / 3, 0.3 + 0.1 / 3, 0.6 + 0.1 / 3], rtol=1e-6)


def test_frontier_weighs_by_learnability() -> None:
    observation = see([0.5, 0.9, 0.0])  # p (1 - p) = .25, .09, 0
    expected = np.array([0.25, 0.09, 0]) / 0.34 * 0.8 + 0.2 / 3
    np.testing.assert_allclose(teach(Frontier(), observation), expected, rtol=1e-6)


def test_nothing_at_the_frontier_is_uniform() -> None:
    np.testing.assert_allclose(teach(Frontier(), see([1.0, 0.0, 1.0])), np.full(3, 1 / 3), rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Failure(alpha=-1), "alpha is -1; give a finite number >= 0"),
        (lambda: Failure(floor=1.5), r"floor is 1.5; give a number in \[0, 1\]"),
        (lambda: Frontier(floor=float("nan")), "floor is nan"),
        (lambda: StatSel(floor=-0.1), "floor is -0.1"),
        (lambda: LearningProgress(window=1), "window is 1; give a whole number"),
        (lambda: LearningProgress(signal="score"), "signal is 'score'; give 'loss' or 'accuracy'"),  # type: ignore[arg-type]
    ],
)
def test_arguments_out_of_range_are_refused(make: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


# Learning progress


def test_slopes_are_least_squares() -> None:
    curves = np.array([[3.0, 1.0, 0.0], [2.0, 1.0, 4.0], [1.0, 1.0, 2.0]])
    np.testing.assert_allclose(slopes(curves), [-1, 0, 1])
    rng = np.random.default_rng(0)
    noisy = rng.normal(size=(5, 4))
    np.testing.assert_allclose(slopes(noisy), np.polyfit(np.arange(5), noisy, 1)[0])
    np.testing.assert_array_equal(slopes(noisy[:1]), np.zeros(4))


def test_progress_follows_the_loss_up_and_down() -> None:
    losses = [[4.0, 2.0, 1.0], [3.0, 2.0, 1.25], [2.0, 2.0, 1.5]]  # slopes -1, 0, +.25
    observations = [see([0, 0, 0], loss) for loss in losses]
    np.testing.assert_allclose(teach(LearningProgress(), observations[0]), np.full(3, 1 / 3), rtol=1e-6)
    expected = np.array([1, 0, 0.25]) / 1.25 * 0.8 + 0.2 / 3
    np.testing.assert_allclose(teach(LearningProgress(), *observations), expected, rtol=1e-6)


def test_progress_forgets_beyond_its_window() -> None:
    losses = [[9.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 2.0, 0.0]]
    action = teach(LearningProgress(window=2, floor=0), *[see([0, 0, 0], loss) for loss in losses])
    np.testing.assert_allclose(action, [0, 1, 0])


def test_progress_by_accuracy_starves_a_skill_whose_loss_alone_falls() -> None:
    observations = [see([0.0, 0.2, 1], [5.0, 1, 0]), see([0.0, 0.4, 1], [3.0, 1, 0])]
    np.testing.assert_allclose(teach(LearningProgress("accuracy", floor=0), *observations), [0, 1, 0])
    np.testing.assert_allclose(teach(LearningProgress("loss", floor=0), *observations), [1, 0, 0])


# STAT


def test_sampling_law_by_hand() -> None:
    law = sampling_law({"add": 8.0, "carry": 4.0, "chain": 2.0}, POOL)
    # |Map|: add 8, carry 4, chain 2, so an item of add gets 1, of carry 1 + 1, of chain 1 + 1 + 1; 4*1 + 2*2 + 2*3 = 14
    np.testing.assert_allclose(law, np.array([1, 1, 1, 1, 2, 2, 3, 3]) / 14)


def test_sampling_law_is_what_drawing_by_skill_gives() -> None:
    """The closed form against the procedure: for each error and each skill it lacks, one item of that skill's map."""
    lacking = [("add",), ("add", "carry"), ("chain",), ("chain", "carry")]
    maps = {s: [i for i, needed in enumerate(POOL) if s in needed] for s in SKILLS}
    rng, counts = np.random.default_rng(0), np.zeros(len(POOL))
    for _ in range(5000):
        for skills in lacking:
            for skill in skills:
                counts[rng.choice(maps[skill])] += 1
    profile = {s: float(sum(s in skills for skills in lacking)) for s in SKILLS}
    np.testing.assert_allclose(counts / counts.sum(), sampling_law(profile, POOL), atol=0.005)


def test_a_skill_named_twice_by_an_item_counts_once() -> None:
    np.testing.assert_allclose(sampling_law({"add": 1.0}, [("add", "add"), ("add",)]), [0.5, 0.5])


def test_profile_counts_errors_by_missing_skill() -> None:
    errors = (error("carry", "add"), error("carry", "add", "carry"), error("chain", "chain", "unheard of"))
    context: Any = Context()
    lacks = [context.diagnose(e) for e in errors]
    profile = missing_skills([(skills, 1.0) for skills in lacks], SKILLS)
    np.testing.assert_allclose(profile, [2, 1, 1])
    # carry: 8 wrong, two shown, 4 each; chain: 9 wrong, one shown
    weights = stands_for(context, errors, [0, 8, 9])
    assert weights == [4, 4, 9]
    np.testing.assert_allclose(missing_skills(list(zip(lacks, weights, strict=True)), SKILLS), [8, 4, 9])


def test_stat_teaches_the_basic_skill_and_what_needs_it() -> None:
    """All mistakes are made in ``chain``, all lack ``add``: ``failure`` cannot know, STAT-Sel does."""
    observation = see([1.0, 1.0, 0.0], errors=(error("chain", "add"), error("chain", "add")))
    np.testing.assert_allclose(teach(Failure(floor=0), observation), [0, 0, 1])
    np.testing.assert_allclose(teach(StatSel(floor=0), observation), [0.5, 0.25, 0.25])  # of 8 items with add: 4, 2, 2


def test_stat_profiles_once_and_consel_again() -> None:
    early = see([0.0, 1.0, 1.0], errors=(error("add", "add"),))
    late = see([1.0, 1.0, 0.0], errors=(error("chain", "chain"),))
    np.testing.assert_array_equal(teach(StatSel(), early, late), teach(StatSel(), early))
    np.testing.assert_array_equal(teach(ConSel(), early, late), teach(ConSel(), late))
    assert not np.array_equal(teach(ConSel(), late), teach(ConSel(), early))


def test_stat_without_a_pool_takes_the_profile_itself() -> None:
    observation = see([0.0, 1.0, 0.5], errors=(error("add", "add"), error("chain", "chain")))
    action = teach(StatSel(floor=0), observation, context=Context(pool=None))
    np.testing.assert_allclose(action, [2 / 3, 0, 1 / 3], rtol=1e-6)


def test_stat_smooths_the_profile() -> None:
    observation = see([1.0, 1.0, 0.0], errors=(error("chain", "chain"),))
    # w = .9 on chain + .1/3 each; chain's share: .9 + .1/3 + 1/4 of add's .1/3 + 1/2 of carry's .1/3
    expected = 0.9 + 0.1 / 3 * (1 + 1 / 4 + 1 / 2)
    assert teach(StatSel(), observation)[2] == pytest.approx(expected)


def test_no_errors_are_taught_by_the_pools_own_law() -> None:
    assert teach(ConSel(floor=0), see([1.0, 1.0, 1.0])).sum() == pytest.approx(1)


# All of them

ARGUMENTS = {"static": {"weights": {"s0": 1.0}}}
LIVE = {"lookahead", "skill-it", "skill-curriculum"}
"""They ask the purse, or branches, of a live episode, and have tests of their own."""
SKILL_LIST = {name for name, where in registry.TEACHERS.items() if resolve_name(where).level == "skill-list"}
SKILL_LIST -= {"skill-list"}  # a model decides, see tests/teachers/llm/test_policies.py
OURS = sorted(SKILL_LIST - LIVE)
VECTORS = st.integers(1, 12).flatmap(
    lambda k: st.lists(
        st.tuples(
            arrays(np.float32, k, elements=st.floats(0, 1, width=32)),
            arrays(np.float32, k, elements=st.floats(0, 1000, width=32)),
        ),
        min_size=1,
        max_size=6,
    )
)


def episode(name: str, figures: list[tuple[Vector, Vector]], teacher: Any = None) -> list[Vector]:
    """The actions of a teacher on a student with these figures; each wrong skill shows one error."""
    k = len(figures[0][0])
    skills = [f"s{i}" for i in range(k)]
    teacher = teacher or registry.build("teacher", name, ARGUMENTS.get(name))
    teacher.begin(Context(skills, [(s, skills[0]) for s in skills]))
    actions = []
    for accuracy, loss in figures:
        errors = tuple(error(s, s) for s, a in zip(skills, accuracy, strict=True) if a < 1)
        actions.append(teacher.act(see(accuracy, loss, errors), {}))
    return actions


@pytest.mark.parametrize("name", OURS)
@settings(max_examples=30)
@given(figures=VECTORS)
def test_any_student_gets_a_lesson(name: str, figures: list[tuple[Vector, Vector]]) -> None:
    for action in episode(name, figures):
        assert action.dtype == np.float32
        assert action.shape == figures[0][0].shape
        assert np.isfinite(action).all()
        assert action.min() >= 0
        assert action.max() <= 1
        assert action.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", OURS)
@settings(max_examples=30)
@given(figures=VECTORS)
def test_one_object_teaches_the_next_episode_as_a_new_one_would(
    name: str, figures: list[tuple[Vector, Vector]]
) -> None:
    used = registry.build("teacher", name, ARGUMENTS.get(name))
    episode(name, [(1 - a, loss + 1) for a, loss in figures], used)
    np.testing.assert_array_equal(episode(name, figures, used), episode(name, figures))


@pytest.mark.parametrize("name", OURS)
def test_names_agree_with_the_registry(name: str) -> None:
    teacher = registry.build("teacher", name, ARGUMENTS.get(name))
    assert isinstance(teacher, Teacher)
    assert (teacher.name, teacher.level) == (name, "skill-list")


# Functions


def test_begin_and_learn_may_be_left_out() -> None:
    class Bare(Teacher):
        name = "bare"

        def act(self, observation: dict[str, Any], info: dict[str, Any]) -> int:
            return 1

    bare = Bare()
    bare.begin(SimpleNamespace())  # type: ignore[arg-type]
    bare.learn(SimpleNamespace())  # type: ignore[arg-type]
    assert bare.act({}, {}) == 1
