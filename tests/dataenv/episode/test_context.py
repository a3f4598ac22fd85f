"""A trial: what some updates on a group do to the loss, what they cost, and that nothing is left of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError
from dataenv.execution.jobs import Exam, Job, Training
from dataenv.execution.runner import Runner
from tests.tiny import TINY

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
