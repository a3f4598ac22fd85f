"""What a lesson costs: what is said of it beforehand is what is paid, by every method."""

from __future__ import annotations

from itertools import accumulate, islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataenv.budget.price import Price
from dataenv.budget.purse import Purse
from dataenv.environment.env import TeachingEnv
from dataenv.errors import JobFailedError, SettingError
from dataenv.execution.jobs import Training
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import load
from dataenv.lessons.bill import sizes
from dataenv.lessons.tuition import Tuition, golds, nominal_price, nominal_size, nominal_tokens
from dataenv.setting import make_setting
from students.base import Data, Recipe, Trained
from students.training.loop import walked
from students.training.walk import tokens_of_batches
from tasks.records import Example, stream
from tests.tiny import TINY
from tests.toys import TOYS, Parrot

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
    for tokens in (100, 0):  # and a student that says it saw nothing would train for nothing, for ever
        with pytest.raises(JobFailedError, match=f"took {3 * tokens} student tokens and 100 were set aside"):
            tuition.settled(Trained(loss=(1.0, 1.0), updates=1, tokens=tokens), purse)
    assert purse.spent == 100


# --- what is walked is paid -------------------------------------------------------------------------------------------


def make(recipe: dict[str, Any], tokens: int = 10**6, **fields: Any) -> TeachingEnv:
    plain = TINY | {"recipe": {"updates": 3, "batch": 8} | recipe, "budget": {"student_tokens": tokens}} | fields
    env = TeachingEnv("open-ended", runner=RUNNER, setting=make_setting(plain))
    env.reset(seed=0)
    return env


RUNNER = Runner(Store())
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "given": {"order": "given"},
    "replay": {"replay": 0.25},
    "all": {"data": "all", "start": "base"},
    "all, replay, given": {"data": "all", "replay": 0.5, "order": "given"},
    "cooldown": {"cooldown": 2},
    "patience": {"updates": 6, "patience": 1, "interval": 2, "rate": 1e-9},
    "patience, cooldown": {"updates": 5, "patience": 1, "interval": 1, "rate": 1e-9, "cooldown": 3},
    "dpo": {"method": "dpo"},
}


def words(env: TeachingEnv, lengths: list[int], pairs: bool) -> list[Example]:
    """A lesson of examples of these lengths, such as no problem is; two of a length differ."""
    made = [Example(prompt=chr(97 + i % 26) * n + "?", response="z" * (1 + i // 26)) for i, n in enumerate(lengths)]
    return [e.model_copy(update={"rejected": "q" * n}) for e, n in zip(made, lengths, strict=True)] if pairs else made


def trained(env: TeachingEnv) -> Trained:
    return Trained.model_validate(env.runner.store.get("states", env.state)["trained"])


lessons = st.lists(st.lists(st.integers(1, 24), min_size=1, max_size=60), min_size=1, max_size=3)


@pytest.mark.parametrize("name", sorted(RECIPES))
@settings(max_examples=6, deadline=None)
@given(given=lessons, tokens=st.sampled_from([10**6, 3_000, 900]))
def test_a_lesson_is_paid_by_what_training_went_over(name: str, given: list[list[int]], tokens: int) -> None:
    env = make(RECIPES[name], tokens)
    look = sum(map(env.student.tokens, golds(env.setting))) if "patience" in name else 0
    times = 4 if name == "dpo" else 3
    for lengths in given:
        before = env.purse.spent
        *_, truncated, info = env.step(words(env, lengths, name == "dpo"))
        if info["updates"]:
            report = trained(env)
            assert info["price"] == env.purse.spent - before == times * report.tokens + look * report.looks
        if truncated:
            break


def test_where_the_shuffle_looks_is_paid_in_full() -> None:
    """Long examples where training looks and fillers elsewhere: 1.7 times the training for one price, once."""
    env, twin = make({}), make({})
    order = next(walked(128, 24, env.setting.recipe, int(stream(0, "training", 0).integers(2**31))))
    padded = words(env, [24 if i in order else 1 for i in range(128)], False)
    *_, info = env.step(padded)
    *_, honest = twin.step(words(twin, [24] * 128, False))
    assert info["price"] == 3 * trained(env).tokens
    assert info["price"] >= 0.95 * honest["price"]


@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 24), min_size=1, max_size=30), tokens=st.integers(0, 4_000))
def test_as_many_updates_are_bought_as_the_purse_pays_for(lengths: list[int], tokens: int) -> None:
    env = make({"updates": 6}, tokens)
    examples = words(env, lengths, False)
    seed = int(stream(0, "training", 0).integers(2**31))
    walk = tokens_of_batches([env.student.tokens(e) for e in examples], [], env.setting.recipe, seed)
    costs = list(accumulate(3 * n for n in islice(walk, 6)))
    *_, info = env.step(examples)
    assert info["updates"] == sum(cost <= tokens for cost in costs)
    assert info["price"] == (costs[info["updates"] - 1] if info["updates"] else 0)


def test_lessons_of_whole_epochs_cost_what_their_mean_says() -> None:
    """The board ``quick-2026``: 32 updates of 64 over 64 examples."""
    setting = load("quick-2026").setting
    recipe, student = setting.recipe, setting.built_student
    assert recipe.updates * recipe.batch % setting.lesson_size == 0
    made = [e for s in setting.built_task.skills for e in setting.built_task.generate(s, 16, stream(0, "quick"))]
    tokens = sizes(student, recipe, made[: setting.lesson_size])
    for seed in (0, 1):
        walk = tokens_of_batches(tokens, [], recipe, seed)
        assert 3 * sum(islice(walk, recipe.updates)) == 3 * recipe.updates * recipe.batch * sum(tokens) / len(tokens)


# --- a lesson of which nothing is kept --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*sorted(RECIPES), "grpo", "dpo, own"])
@settings(max_examples=6, deadline=None)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=40), tokens=st.sampled_from([10**6, 20_000, 3_000]))
def test_a_rejected_lesson_costs_no_more_than_the_same_one_kept(name: str, lengths: list[int], tokens: int) -> None:
    recipe = METHODS[name] if name in METHODS else RECIPES[name]
    kept, rejected = make(recipe, tokens), make(recipe, tokens, verify=True)
    examples = words(kept, lengths, name == "dpo")
    *_, taught = kept.step(examples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(rejected.task), "judges", lambda self, some: [False] * len(some))
        *_, info = rejected.step(examples)
    assert info["kept"] == 0 == info["updates"]
    assert info["price"] <= taught["price"]
    assert (info["price"] > 0) == (taught["price"] > 0)
    assert info["price"] <= nominal_price(rejected.setting)


def test_what_leaks_is_paid_and_what_is_no_example_too() -> None:
    env = make({"updates": 32, "batch": 64})
    sealed = env.task.split("test")[0]
    leak = Example(prompt=sealed.prompt, response=sealed.answer)
    *_, info = env.step([leak])
    assert info["rejected/leak"] == 1
    assert info["price"] == min(3 * 32 * 64 * env.student.tokens(leak), nominal_price(env.setting))
    *_, info = env.step([None])
    assert info["rejected/form"] == 1
    assert 0 < info["price"] <= nominal_price(env.setting)


# --- whoever says nothing of its order --------------------------------------------------------------------------------


class Orderless(Parrot):
    """Says nothing of its order, and sees each example once."""

    name = "orderless"
    walk = None  # type: ignore[assignment]

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        after, report = Parrot().fit(weights, data, recipe, seed)
        return after, report.model_copy(update={"tokens": sum(map(self.tokens, data.lesson))})


@pytest.mark.usefixtures("toys")
@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 24), min_size=1, max_size=16), tokens=st.integers(0, 20_000))
def test_what_an_unknown_order_took_is_paid_and_never_more_than_was_set_aside(lengths: list[int], tokens: int) -> None:
    fields = TOYS | {"student": f"{__name__}:Orderless", "budget": {"student_tokens": tokens}}
    env = TeachingEnv("open-ended", runner=Runner(Store()), setting=make_setting(fields))
    env.reset(seed=0)
    examples = words(env, lengths, False)
    *_, info = env.step(examples)
    assert env.purse.spent == info["price"] <= tokens
    assert info["price"] == (3 * sum(map(env.student.tokens, examples)) if info["updates"] else 0)


class Uncounted(Parrot):
    """Counts no tokens."""

    name = "uncounted"

    def tokens(self, example: Example) -> int:
        return 0


@pytest.mark.usefixtures("toys")
def test_a_student_that_counts_no_tokens_is_refused_in_one_sentence() -> None:
    with pytest.raises(
        SettingError, match=r"size\(\) of method 'sft' for student 'uncounted' is 0; give a whole number of at least 1"
    ):
        nominal_price(make_setting(TOYS | {"student": f"{__name__}:Uncounted"}))
