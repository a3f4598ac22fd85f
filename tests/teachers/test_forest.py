"""Teachers of the skill-tree level: their laws by hand, who looks at the student, and that nothing is shared."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dataenv import registry, run
from dataenv.environment.env import TeachingEnv
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.setting import make_setting
from dataenv.wrappers.mask import Mask
from students.base import Decoding
from tasks.records import stream
from teachers.forest import Alternating, EvenForest, FillBalanced, Threshold
from teachers.forest_bandits import Exp3, ForestProgress, Thompson, Ucb, best, progress
from tests.toys import BRANCHING, Parrot

SIZES = np.array([2, 3])
NAMES = ("even-forest", "alternating", "fill-balanced", "threshold", "ucb", "thompson", "exp3", "forest-progress")
BLIND = {"even-forest", "alternating", "fill-balanced"}
"""They read the forest alone. Their baselines' role is to."""


def see(grown: Any = (2, 3), leaves: Any = None, **fields: Any) -> dict[str, Any]:
    """An observation of two skills, of two and three subskills."""
    there = np.arange(3)[None, :] < np.array(grown)[:, None]
    zeros = np.zeros((2, 3), np.float32)
    return {
        "accuracy": np.zeros(2, np.float32),
        "loss": np.ones(2, np.float32),
        "grown": there.astype(np.float32),
        "left": (SIZES - grown).astype(np.float32),
        "allocation": there.astype(np.float32),
        "subskill_counts": zeros,
        "subskill_accuracy": zeros if leaves is None else np.array(leaves, np.float32),
    } | {name: np.array(value, np.float32) for name, value in fields.items()}


def begun(teacher: Any, seed: int = 0) -> Any:
    teacher.begin(SimpleNamespace(rng=stream(seed, "teacher"), lesson_size=12))
    return teacher


def shares(action: dict[str, Any]) -> np.ndarray:
    """Of an action that only exploits."""
    assert not action["explore"].any()
    return action["allocation"] / action["allocation"].sum()


# --- laws


def test_even_forest_grows_all_then_deals_evenly() -> None:
    first = EvenForest().act(see(grown=(0, 0)), {})
    assert first["explore"].tolist() == [2, 3]
    np.testing.assert_allclose(first["data"], [1 / 2, 1 / 3])
    np.testing.assert_allclose(shares(EvenForest().act(see(), {})), [[1 / 4, 1 / 4, 0], [1 / 6, 1 / 6, 1 / 6]])


def test_alternating_takes_turns_and_never_takes_all_data_away() -> None:
    """DataEnvGym's exploiting step left nothing to train on; here it evens out."""
    teacher = begun(Alternating())
    moves = [teacher.act(see(grown=g), {}) for g in ((0, 0), (1, 1), (1, 1), (2, 2), (2, 2), (2, 3), (2, 3))]
    assert [m["explore"].tolist() for m in moves] == [[1, 1], [0, 0], [1, 1], [0, 0], [0, 1], [0, 0], [0, 0]]
    assert all(m["allocation"].any() for m in moves[1:])


def test_fill_balanced_grows_then_fills_to_equal_counts() -> None:
    teacher = begun(FillBalanced(subskills=2))
    assert teacher.act(see(grown=(0, 0)), {})["explore"].tolist() == [1, 1]
    assert not teacher.act(see(grown=(1, 1)), {})["explore"].any()
    assert teacher.act(see(grown=(1, 1)), {})["explore"].tolist() == [1, 1]
    counts = [[9, 3, 0], [3, 1, 0]]  # 16, and a lesson of 12 makes 7 each, of which the first has more already
    np.testing.assert_allclose(
        shares(teacher.act(see(grown=(2, 2), subskill_counts=counts), {})), np.array([[0, 4, 0], [4, 6, 0]]) / 14
    )


def test_threshold_explores_below_it_and_rehearses_above() -> None:
    teacher = Threshold(threshold=0.8, keep=0.1)
    move = teacher.act(see(grown=(1, 1), accuracy=[0.9, 0.5], leaves=[[0.9, 0, 0], [0.4, 0, 0]]), {})
    assert move["explore"].tolist() == [0, 1]
    np.testing.assert_allclose(move["allocation"], [[0.1, 0, 0], [0.6, 0, 0]], rtol=1e-6)
    move = teacher.act(see(accuracy=[0.9, 0.5], leaves=[[0.9, 0.5, 0], [0.4, 1, 0.2]]), {})
    np.testing.assert_allclose(move["allocation"], [[0.1, 0.1, 0], [0.6, 0.1, 0.8]], rtol=1e-6)
    done = Threshold(keep=0.0).act(see(accuracy=[1, 1], leaves=np.ones((2, 3))), {})
    assert done["allocation"].any(), "nothing kept is no reason to end the episode"


def test_progress_is_absolute_and_new_subskills_take_their_skills() -> None:
    before = see(grown=(1, 0), accuracy=[0.2, 0.5], leaves=[[0.8, 0, 0], [0, 0, 0]])
    now = see(grown=(2, 1), accuracy=[0.3, 0.9], leaves=[[0.5, 0.7, 0], [1, 0, 0]])
    np.testing.assert_allclose(progress(before, now)[:, :2], [[0.3, 0.1], [0.4, 0.4]], rtol=1e-6)


def bandit(teacher: Any, *gains: Any) -> np.ndarray:
    """The shares of the grown arms after the arms gained so much in accuracy, lesson by lesson."""
    begun(teacher)
    leaves = np.zeros((2, 3))
    first = teacher.act(see(grown=(0, 0)), {})
    assert first["explore"].tolist() == [2, 3]
    teacher.act(see(leaves=leaves), {})
    for gain in gains:
        leaves = leaves + np.array(gain)
        action = teacher.act(see(leaves=leaves), {})
    return shares(action)


PAYS = [[0.3, 0, 0], [0, 0, 0]]


def test_ucb_pulls_the_arm_that_pays_and_tries_the_others_again() -> None:
    greedy = bandit(Ucb(explore=0, chosen=0.2, floor=0.2), PAYS)
    np.testing.assert_allclose(greedy, [[0.84, 0.04, 0], [0.04, 0.04, 0.04]], atol=1e-6)
    curious = Ucb(explore=1.0, chosen=0.2, floor=0)
    begun(curious)
    pulls = sum(curious.weigh(np.array([0.3, 0, 0, 0, 0])) for _ in range(40))
    assert pulls[0] == pulls.max()
    assert pulls.min() >= 3, "the bounds of the others grew"


def test_exp3_by_hand() -> None:
    """Five arms at 1/5: one pays 0.3, so its weight is exp(gamma 0.3 / (1/5 * 5)); gamma is dealt out evenly."""
    w = np.exp(0.5 * np.array([0, 0, 0, 0, 0.3]))  # after the lesson before, on which no arm paid
    expected = 0.5 * w / w.sum() + 0.1
    found = bandit(Exp3(gamma=0.5), PAYS)
    np.testing.assert_allclose(np.sort(found[found > 0]), expected, rtol=1e-5)
    assert found[0, 0] == found.max()


def test_thompson_comes_to_the_arm_that_pays() -> None:
    often = 0
    for seed in range(20):
        teacher = Thompson(chosen=0.2, floor=0)
        begun(teacher, seed)
        for step in range(40):
            weights = teacher.weigh(np.array([1.0, 0, 0, 0, 0]))
            often += step >= 20 and weights[0] > 0.9
    assert often > 0.8 * 400


def test_best_draws_ties() -> None:
    rng = stream(0, "ties")
    chosen = sum(best(np.array([1.0, 1.0, 0.0, 1.0]), 0.25, rng).astype(int) for _ in range(300))
    assert chosen[2] == 0
    assert min(chosen[[0, 1, 3]]) > 60


def test_forest_progress_weighs_skills_by_loss_and_subskills_by_accuracy() -> None:
    teacher = begun(ForestProgress(floor=0))
    teacher.act(see(grown=(0, 0), loss=[3, 3]), {})
    teacher.act(see(loss=[2, 3], leaves=[[0, 0.5, 0], [0, 0, 0]]), {})
    action = teacher.act(see(loss=[1, 2], leaves=[[0.1, 0.8, 0], [0, 0, 0]]), {})
    # slopes of loss 1 and 0.5; of accuracy 0.1 and 0.3, and none in the second skill, whose subskills are then even
    np.testing.assert_allclose(shares(action), [[1 / 6, 1 / 2, 0], [1 / 9, 1 / 9, 1 / 9]], rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Alternating(new=0), "new is 0; give a whole number of at least 1"),
        (lambda: FillBalanced(subskills=1.5), "subskills is 1.5"),  # type: ignore[arg-type]
        (lambda: Threshold(keep=2), r"keep is 2; give a number in \[0, 1\]"),
        (lambda: Ucb(explore=-1), "explore is -1; give a finite number"),
        (lambda: Ucb(chosen=0), "chosen is 0; give a share above 0"),
        (lambda: Thompson(chosen=1.5), "chosen is 1.5"),
        (lambda: Exp3(gamma=0), "gamma is 0; give a share above 0"),
        (lambda: ForestProgress(window=1), "window is 1; give a whole number of at least 2"),
    ],
)
def test_arguments_out_of_range_are_refused(make: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


# --- all of them

FIGURES = st.tuples(
    arrays(np.float32, 2, elements=st.floats(0, 1, width=32)),
    arrays(np.float32, 2, elements=st.floats(0, 1000, width=32)),
    arrays(np.float32, (2, 3), elements=st.floats(0, 1, width=32)),
    arrays(np.float32, (2, 3), elements=st.integers(0, 99)),
)


def episode(teacher: Any, figures: list[Any]) -> list[dict[str, Any]]:
    """The actions of a teacher on a student with these figures, over a forest that grows as it says."""
    begun(teacher)
    grown, actions = np.zeros(2, int), []
    for accuracy, loss, leaves, counts in figures:
        there = np.arange(3)[None, :] < grown[:, None]
        fields = {"accuracy": accuracy, "loss": loss, "subskill_counts": np.where(there, counts, 0)}
        actions.append(teacher.act(see(grown, np.where(there, leaves, 0), **fields), {}))
        grown = np.minimum(grown + actions[-1]["explore"], SIZES)
    return actions


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(figures=st.lists(FIGURES, min_size=1, max_size=6))
def test_any_student_gets_a_lesson_and_the_next_episode_is_a_new_one(name: str, figures: list[Any]) -> None:
    """Every mistake or none, mastered or hopeless; and no object remembers the episode before, or another's."""
    used, fresh = registry.build("teacher", name), registry.build("teacher", name)
    actions = episode(used, figures)
    for action in actions:
        assert action["explore"].dtype == np.int64
        assert action["data"].dtype == action["allocation"].dtype == np.float32
        assert all(np.isfinite(action[n]).all() and action[n].min() >= 0 for n in action)
        assert max(action["data"].max(), action["allocation"].max()) <= 1
        assert (action["explore"].any() and action["data"].any()) or action["allocation"].any()
    for other in (fresh, used):
        for one, again in zip(actions, episode(other, figures), strict=True):
            assert all(np.array_equal(one[n], again[n]) for n in one)


class Knowing(Parrot):
    """Answers rightly whatever it is asked: what it was not taught too."""

    name = "knowing"

    def answer(self, weights: bytes, asked: Any, decoding: Decoding, seed: int) -> list[str]:
        return [prompt[-2::-1] for prompt, _ in asked]


class Hopeless(Parrot):
    """Never answers rightly."""

    name = "hopeless"

    def answer(self, weights: bytes, asked: Any, decoding: Decoding, seed: int) -> list[str]:
        return ["?" for _ in asked]


@pytest.fixture
def students(toys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Knowing, Hopeless):
        monkeypatch.setitem(registry.STUDENTS, kind.name, f"tests.teachers.test_forest:{kind.__name__}")


def plans(name: str, student: str, mask: bool, seed: int) -> list[Any]:
    """The allocations of an episode, as the environment had them."""
    setting = make_setting(BRANCHING | {"student": student, "mastery": 1.0, "budget": {"student_tokens": 3000}})
    env: Any = TeachingEnv("skill-tree", runner=Runner(Store()), setting=setting)
    remembered = []
    watched = Mask(env) if mask else env
    teacher = registry.build("teacher", name)
    run(watched, teacher, seed=seed, on_step=lambda record: remembered.append(env.snapshot().memory))
    assert len(remembered) > 3
    return remembered


@pytest.mark.usefixtures("students")
@pytest.mark.parametrize("name", NAMES)
def test_who_looks_at_the_student_teaches_one_otherwise_than_another(name: str) -> None:
    """The ancestor's gave an always wrong and an always right student the same lessons, "with state" or not."""

    def differ(mask: bool) -> bool:
        """On some seed, up to where the apprentice has mastered it all; a draw of ``thompson`` may go either way."""
        for seed in range(4):
            both = (plans(name, student, mask, seed) for student in ("apprentice", "hopeless"))
            if any(good != bad for good, bad in zip(*both, strict=False)):
                return True
        return False

    assert differ(mask=False) == (name not in BLIND)
    assert not differ(mask=True), "behind a mask no teacher can"


@pytest.mark.usefixtures("students")
@pytest.mark.parametrize("name", NAMES)
def test_a_student_without_an_error_is_no_crash(name: str) -> None:
    setting = make_setting(BRANCHING | {"student": "knowing", "budget": {"student_tokens": 1500}})
    played = run(TeachingEnv("skill-tree", runner=Runner(Store()), setting=setting), registry.build("teacher", name), 0)
    assert played.steps[-1].ended == "mastered"
