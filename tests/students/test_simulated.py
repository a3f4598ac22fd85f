"""The simulated student keeps to its model, reads what is taught, and is told from real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

import dataenv
from dataenv import registry
from dataenv.environment.env import TeachingEnv
from students.base import Data, Decoding, Recipe, asked
from students.simulated import Simulated
from students.simulated.model import Curves, Model
from students.simulated.student import recognise
from tasks.arithmetic import Arithmetic
from tasks.records import Example, stream
from tests.tiny import TINY

TASK, RECIPE = Arithmetic(), Recipe(updates=32)
STUDENT = Simulated()
TWO = Curves(
    skills=("a", "b"), ceiling=(2.0, 3.0), steepness=(1.0, 2.0), shelter=2.0, spread=0.0, rate=3e-3,
    learn=((0.02, 0.005), (0.0, 0.01)), forget=((0.0, 0.004), (0.003, 0.0)),
)  # fmt: skip


def some(skill: str, n: int, purpose: str = "some") -> tuple[Example, ...]:
    return tuple(TASK.generate(skill, n, stream(0, purpose)))


def taught(*parts: tuple[Example, ...], recipe: Recipe = RECIPE, weights: bytes | None = None) -> np.ndarray:
    """Losses after a lesson of all the parts."""
    lesson = tuple(e for part in parts for e in part)
    after, _ = STUDENT.fit(STUDENT.initial(0) if weights is None else weights, Data(lesson), recipe, 0)
    return load(after)["loss"]


def test_the_closed_form_is_the_differential_equation() -> None:
    """Against ten thousand small steps of Euler's."""
    model, shares, pace = Model(TWO), np.array([[0.7, 0.2]]), np.array([[1.5, 0.5]])
    loss = np.array([[1.0, 2.5]])
    found = model.after(loss, pace, shares, 32.0)
    strange = 0.1 * np.array(TWO.forget).mean(0)
    g = shares @ np.array(TWO.learn) * pace
    f = (shares @ np.array(TWO.forget) + strange) * np.exp(-2.0 * shares)
    for _ in range(10_000):
        loss = loss + 32.0 / 10_000 * (-g * loss + f * (model.ceiling - loss))
    np.testing.assert_allclose(found, loss, atol=1e-4)


def test_two_lessons_of_one_mixture_are_one_lesson_twice_as_long() -> None:
    model, shares, pace = Model(TWO), np.array([[0.5, 0.5]]), np.ones((1, 2))
    once = model.after(model.ceiling[None], pace, shares, 20.0)
    np.testing.assert_allclose(
        model.after(once, pace, shares, 20.0), model.after(model.ceiling[None], pace, shares, 40.0)
    )


def test_the_numbers_of_a_student_do_not_depend_on_how_many_are_computed_with_it() -> None:
    rng = np.random.default_rng(0)
    k = len(STUDENT.curves.skills)
    loss, pace, shares = rng.random((1000, k)) * 3, rng.random((1000, k)) + 0.5, rng.dirichlet(np.ones(k), 1000)
    effort = rng.integers(1, 33, (1000, 1)).astype(float)
    together = STUDENT.model.after(loss, pace, shares, effort)
    for i in (0, 7, 999):
        rows = slice(i, i + 1)
        alone = STUDENT.model.after(loss[rows], pace[rows], shares[rows], effort[rows])
        assert np.array_equal(alone, together[rows])
        assert np.array_equal(STUDENT.model.accuracy(alone), STUDENT.model.accuracy(together)[rows])


def test_it_learns_what_it_is_taught_and_forgets_what_it_is_not() -> None:
    first, succ = TASK.skills.index("first"), TASK.skills.index("succ")
    knows = taught(some("first", 64), some("succ", 64), recipe=Recipe(updates=400))
    weights = save({"loss": knows, "pace": np.ones(len(knows))})
    after = taught(some("hash", 64), weights=weights)
    assert (knows[[first, succ]] < STUDENT.model.ceiling[[first, succ]] / 2).all()
    assert after[first] > knows[first]
    assert after[succ] > knows[succ]


def test_it_reads_the_problem_and_not_the_label() -> None:
    honest, lying = some("succ", 64), tuple(e.model_copy(update={"skills": ("hash",)}) for e in some("succ", 64))
    assert np.array_equal(taught(honest), taught(lying))
    wrong = tuple(e.model_copy(update={"response": "000"}) for e in some("hash", 64))
    knows = load(STUDENT.initial(0))["loss"] / 10
    weights = save({"loss": knows, "pace": np.ones(len(knows))})
    assert (taught(wrong, weights=weights) > knows).all(), "wrong answers teach nothing, and make forget"


def test_replay_and_rate_and_updates_count() -> None:
    recipe = Recipe(updates=8, batch=4, replay=0.25)
    data = Data(some("succ", 30), earlier=some("max", 10))
    weights, report = STUDENT.fit(STUDENT.initial(0), data, recipe, 0)
    mixed = taught(some("succ", 30), some("max", 10), recipe=recipe)
    np.testing.assert_allclose(load(weights)["loss"], mixed)
    assert report.updates == 8
    double = taught(some("succ", 8), recipe=Recipe(updates=8, rate=6e-3))
    assert np.array_equal(double, taught(some("succ", 8), recipe=Recipe(updates=16)))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_it_is_right_as_often_as_the_model_says(temperature: float) -> None:
    k = len(TASK.skills)
    accuracy = np.linspace(0.05, 0.95, k)
    loss = -np.log(accuracy) / STUDENT.model.steepness
    weights = save({"loss": loss, "pace": np.ones(k)})
    items = [p for name in ("feedback", "selection", "test") for p in TASK.split(name)]
    answers = STUDENT.answer(
        weights, asked(p.prompt for p in items), Decoding(temperature=temperature, max_tokens=12), 3
    )
    right = np.zeros(k)
    for problem, answer in zip(items, answers, strict=True):
        right[TASK.skills.index(problem.skills[0])] += TASK.grade(problem, answer).correct
    n = len(items) // k
    assert (np.abs(right / n - accuracy) < 4 * np.sqrt(accuracy * (1 - accuracy) / n)).all()


def test_who_knows_more_answers_the_same_and_more() -> None:
    prompts = [p.prompt for p in TASK.split("test")]
    loss = np.full(len(TASK.skills), 0.5)
    less, more = (
        STUDENT.answer(save({"loss": x, "pace": loss}), asked(prompts), Decoding(max_tokens=12), 0)
        for x in (loss, loss / 2)
    )
    golds = [p.answer for p in TASK.split("test")]
    assert all(m == g for one, m, g in zip(less, more, golds, strict=True) if one == g)
    assert less != more


def test_the_pace_is_the_seeds() -> None:
    paces = np.array([load(Simulated(spread=0.4).initial(seed))["pace"] for seed in range(400)])
    assert np.log(paces).std() == pytest.approx(0.4, rel=0.05)
    assert np.log(paces).mean() == pytest.approx(0.0, abs=0.05)
    np.testing.assert_allclose(load(Simulated(speed=2.0).initial(5))["pace"], 2 * load(STUDENT.initial(5))["pace"])


def test_every_problem_is_recognised_and_what_no_lesson_holds_is_not() -> None:
    for name in ("feedback", "selection", "test"):
        for problem in TASK.split(name):
            known = recognise(problem.prompt)
            assert known is not None
            assert (TASK.skills[known.skill], known.answer) == (problem.skills[0], problem.answer)
    assert all(recognise(p.prompt) is None for p in TASK.split("transfer"))
    assert recognise("999+999....=") is None
    assert STUDENT.refuse(Example(prompt="what is love?", response="42")) == "alphabet"


@pytest.mark.parametrize("args", [{"speed": 0.0}, {"speed": float("nan")}, {"spread": -1.0}])
def test_bad_arguments_are_one_sentence(args: dict[str, Any]) -> None:
    with pytest.raises(dataenv.SettingError, match=f"student_args.{next(iter(args))} is "):
        registry.build("student", "simulated", args)


def test_another_task_is_refused() -> None:
    with pytest.raises(dataenv.SettingError, match="'simulated' cannot learn task 'lego'; give arithmetic"):
        TeachingEnv(task="lego", student="simulated")


def test_it_is_taught_as_any_student_is() -> None:
    env = TeachingEnv(store="off", **(TINY | {"student": "simulated", "student_args": {}}))
    assert env.student.simulated
    env.reset(seed=0)
    _, _, _, _, info = env.step(np.ones(len(TASK.skills), np.float32))
    assert info["kept"] == TINY["lesson_size"]
    assert env.runner.trained == 2
