"""A trial: what some updates on a group do to the loss, what they cost, and that nothing is left of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError
from dataenv.execution.jobs import Exam, Job, Training
from dataenv.execution.runner import Runner
from dataenv.lessons.engines import Request
from tests.tiny import TINY
from tests.toys import TOYS, Parrot

MENU: dict[str, Any] = {"slow": TINY["recipe"] | {"rate": 1e-4}}


def make() -> TeachingEnv:
    env = TeachingEnv("open-ended", store="off", **TINY | {"recipes": MENU})
    env.reset(seed=0)
    return env


def test_a_trial_is_h_updates_that_see_the_whole_group_each() -> None:
    """Against the two jobs written out by hand."""
    env = make()
    context = dataenv.Context(env)
    group = list(dict.fromkeys(context.generate("max", 32)))[:8]
    reference = list(dict.fromkeys(context.generate("max", 64)))[-6:]
    recipe = env.setting.recipe.model_copy(update={"updates": 3, "batch": 8, "replay": 0.0})
    exam = Exam(name="x", prompts=tuple(e.prompt for e in reference), golds=tuple(e.response for e in reference))
    losses = []
    for training in (None, Training(lesson=tuple(group), recipe=recipe, seed=5)):
        job = env.anchor(Job(student=env.setting.student_spec, parent=env.state, train=training, exams=(exam,)))
        losses.append(np.mean(Runner(env.runner.store).run(job).answers["x"].losses))
    before = env.snapshot().state
    assert context.trial([group], 3, reference=reference)[0] == pytest.approx(losses[0] - losses[1], abs=1e-5)
    assert env.snapshot().state == before


def test_a_trial_may_be_by_a_recipe_of_the_menu() -> None:
    env = make()
    context = dataenv.Context(env)
    group = list(dict.fromkeys(context.generate("max", 32)))[:8]
    own, slow = context.trial([group], 2), context.trial([group], 2, recipe="slow")
    assert abs(slow[0]) < abs(own[0]), "a hundredth of the rate"
    with pytest.raises(SettingError, match="recipe 'slwo' is not on the Setting's menu; did you mean 'slow'"):
        context.trial([group], recipe="slwo")


def test_a_trial_of_h_updates_costs_h_times_its_training() -> None:
    env = make()
    context = dataenv.Context(env)
    group = list(dict.fromkeys(context.generate("max", 32)))[:8]
    reference = list(dict.fromkeys(context.generate("add", 32)))[:4]
    look, trained = (sum(map(env.student.tokens, some)) for some in (reference, group))
    spent = 0
    for updates in (1, 5):
        context.trial([group], updates, reference=reference)
        assert env.purse.spent - spent == 2 * look + 3 * updates * trained
        spent = env.purse.spent
    one, by_skill = (
        context.trial([group], reference=reference),
        context.trial([group], reference=reference, by_skill=True),
    )
    assert context.influence([group], reference).tolist() == one.tolist(), "influence is one update of it"
    assert by_skill.shape == (1, len(context.skills))
    assert by_skill[0, context.skills.index("add")] == pytest.approx(one[0])
    assert np.count_nonzero(by_skill) == 1
    with pytest.raises(SettingError, match="updates is 0; give a whole number of at least 1"):
        context.trial([group], 0)


# --- numbers from a teacher -------------------------------------------------------------------------------------------

WHOLE = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
"""A count of one of these wraps around when it is multiplied, and then 65,536 answers cost nothing."""
COUNTS: dict[str, tuple[int, Callable[[dataenv.Context, Any], Any]]] = {
    "sample.n": (100, lambda c, n: c.sample(words(c)[:4], n)),
    "feedback_answers.problems": (5, lambda c, n: c.feedback_answers(n, 2)),
    "feedback_answers.n": (127, lambda c, n: c.feedback_answers(4, n)),
    "trial.updates": (127, lambda c, n: c.trial([c.pool()[:2]], n, reference=c.pool()[2:4])),
    "generate.n": (9, lambda c, n: c.generate("short", n)),
}
NUMBERS: dict[str, tuple[float, Callable[[dataenv.Context, Any], Any]]] = {
    "sample.temperature": (1.0, lambda c, x: c.sample(words(c)[:4], 3, x)),
    "feedback_answers.temperature": (1.0, lambda c, x: c.feedback_answers(3, 2, x)),
    "generate.difficulty": (0.5, lambda c, x: c.generate("short", 4, x)),
}


def words(context: dataenv.Context) -> list[str]:
    return [e.prompt for e in context.pool()]


def toy() -> TeachingEnv:
    env = TeachingEnv("open-ended", store="off", **TOYS | {"budget": {"student_tokens": 10**6}})
    env.reset(seed=0)
    return env


def asked(ask: Callable[[dataenv.Context, Any], Any], given: Any) -> tuple[Any, int]:
    env = toy()
    return ask(dataenv.Context(env), given), env.purse.spent


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("name", COUNTS)
def test_a_count_of_any_kind_costs_what_the_plain_one_costs(name: str) -> None:
    count, ask = COUNTS[name]
    plain, spent = asked(ask, count)
    for dtype in WHOLE:
        for given in (np.dtype(dtype).type(count), np.array(count, dtype)):
            got, cost = asked(ask, given)
            assert np.array_equal(got, plain) if name == "trial.updates" else got == plain
            assert cost == spent
    assert (spent > 0) == (name != "generate.n")


class Sly(int):
    """Five where it is compared, and nothing where it is multiplied."""

    def __mul__(self, other: int) -> int:
        return 0

    __rmul__ = __mul__


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("name", COUNTS)
def test_what_is_no_count_is_refused_in_one_sentence(name: str) -> None:
    _, ask = COUNTS[name]
    assert asked(ask, Sly(5))[1] == asked(ask, 5)[1]
    wrong = [
        True,
        np.True_,
        np.array(True),
        2.0,
        np.float64(2),
        np.array([2]),
        "2",
        None,
        -1,
        np.int8(-1),
        2**64,
        10**5000,
    ]
    for given in wrong:
        env = toy()
        with pytest.raises(SettingError, match=f"{name.split('.')[1]} is .*; give a whole number"):
            ask(dataenv.Context(env), given)
        assert env.purse.spent == 0


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_of_any_kind_is_read_as_the_plain_one(name: str) -> None:
    number, ask = NUMBERS[name]
    plain = asked(ask, number)
    for dtype in ("float16", "float32", "float64", "longdouble"):
        for given in (np.dtype(dtype).type(number), np.array(number, dtype)):
            assert asked(ask, given) == plain
    for given in (True, np.True_, np.array(True), "1", np.nan, np.float16("inf"), -0.5, 10**400, np.array([1.0]), 1j):
        env = toy()
        with pytest.raises(SettingError, match=f"{name.split('.')[1]} is .*; give a finite number"):
            ask(dataenv.Context(env), given)
        assert env.purse.spent == 0


@pytest.mark.usefixtures("toys")
def test_a_student_whose_tokens_are_numpys_is_paid_in_plain_numbers() -> None:
    env = toy()
    context, some = dataenv.Context(env), dataenv.Context(env).pool()[:6]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parrot, "tokens", lambda self, e: np.uint8(len(e.prompt) + len(e.response)))
        context.probe(some * 20)
        assert env.purse.spent == 20 * sum(len(e.prompt) + len(e.response) for e in some) > 255
        before = env.purse.spent
        context.sample([e.prompt for e in some], 50)
        assert env.purse.spent - before == 50 * sum(len(e.prompt) + 7 for e in some)
        before, updates = env.purse.spent, env.setting.recipe.updates
        *_, info = env.step(list(some))
        assert info["updates"] == updates
        assert type(info["price"]) is int


@pytest.mark.parametrize("n", [np.uint8(200), np.array(200)])
def test_a_request_holds_a_plain_count(n: Any) -> None:
    request = Request("short", n)
    assert type(request.n) is int
    assert request.n * 200 == 40_000
    with pytest.raises(SettingError, match="n of a request of skill 'short' is"):
        Request("short", 2.5)  # type: ignore[arg-type]
