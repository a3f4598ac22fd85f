"""What a lesson costs: what is said of it beforehand is what is paid, by every method."""

from __future__ import annotations

from typing import Any

import pytest

from dataenv.budget.price import Price
from dataenv.budget.purse import Purse
from dataenv.errors import JobFailedError
from dataenv.execution.jobs import Training
from dataenv.lessons.tuition import Tuition, nominal_price, nominal_size, nominal_tokens, sizes
from dataenv.setting import make_setting
from students.base import Recipe, Trained
from tasks.records import Example, stream
from tests.tiny import TINY

METHODS: dict[str, dict[str, Any]] = {
    "sft": {},
    "grpo": {"method": "grpo", "batch": 16, "grpo": {"group": 4}},
    "dpo, given": {"method": "dpo"},
    "dpo, own": {"method": "dpo", "dpo": {"rejected": "own"}},
}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_what_is_said_of_a_lesson_is_near_what_it_costs(name: str) -> None:
    """Teachers plan by it how many lessons are left."""
    setting = make_setting(TINY | {"recipe": {"updates": 4, "batch": 16} | METHODS[name]})
    task, student = setting.built_task, setting.built_student
    made = [e for skill in task.skills for e in task.generate(skill, 8, stream(0, "price"))]
    if name == "dpo, given":
        made = [e.model_copy(update={"rejected": e.response[::-1] + "1"}) for e in made]
    from dataenv.budget.price import price_of
    from dataenv.lessons.tuition import complete

    recipe = complete(setting.recipe, setting)
    real = price_of(recipe, sizes(student, recipe, made), ()).most(recipe.updates)
    assert 0.6 < nominal_price(setting) / real < 1.6


def test_a_lesson_of_next_tokens_is_as_large_as_its_examples() -> None:
    setting = make_setting(TINY)
    assert nominal_size(setting, setting.recipe) == nominal_tokens(setting)


def test_a_method_that_takes_more_than_its_price_fails_the_run() -> None:
    purse = Purse(1000)
    payment = purse.pay(100, "training")
    training = Training(lesson=(Example(prompt="a", response="b"),), recipe=Recipe(), seed=0)
    tuition = Tuition(training, Price(100, metered=True), payment)
    with pytest.raises(JobFailedError, match="took 300 student tokens and 100 were set aside"):
        tuition.settled(Trained(loss=(1.0, 1.0), updates=1, tokens=100), purse)
    assert purse.spent == 100
