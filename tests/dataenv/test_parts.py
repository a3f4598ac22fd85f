"""The small parts: engines, purse, spaces, render, registry, seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces.utils import flatten, flatten_space, unflatten
from gymnasium.vector.utils import batch_space
from hypothesis import given
from hypothesis import strategies as st

from dataenv import registry
from dataenv.budget.price import Price, cost_of, price_of, totals
from dataenv.budget.purse import Purse
from dataenv.environment.env import TeachingEnv
from dataenv.errors import BudgetSpentError, SettingError
from dataenv.lessons.engines import split_counts
from dataenv.levels.spaces import Unicode, records
from dataenv.setting import make_setting
from students.base import Recipe, Trained
from tasks.records import canonical_json, digest, stream
from tests.tiny import TINY


@given(
    weights=st.lists(st.floats(0, 1), min_size=1, max_size=20).filter(lambda w: sum(w) > 0),
    total=st.integers(0, 5000),
    seed=st.integers(0, 99),
)
def test_counts_sum_to_the_lesson_and_are_near_their_share(weights: list[float], total: int, seed: int) -> None:
    mixture = np.array(weights)
    counts = split_counts(mixture, total, np.random.default_rng(seed))
    assert sum(counts) == total
    assert (np.abs(np.array(counts) - mixture / mixture.sum() * total) < 1 + 1e-6).all()
    assert all(n == 0 for n, w in zip(counts, weights, strict=True) if w == 0)


@given(
    total=st.integers(0, 10**6),
    asks=st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["training", "probes"])), max_size=20),
)
def test_a_purse_never_pays_more_than_it_holds(total: int, asks: list[tuple[int, str]]) -> None:
    purse, paid = Purse(total), 0
    for price, use in asks:
        if price <= total - paid:
            purse.pay(price, use)
            paid += price
        else:
            with pytest.raises(BudgetSpentError):
                purse.pay(price, use)
        assert (purse.spent, purse.remaining) == (paid, total - paid)
    with pytest.raises(ValueError, match="never negative"):
        purse.pay(-1, "training")


def test_the_price_of_an_update_is_three_times_its_mean_tokens() -> None:
    recipe = Recipe(batch=10)
    assert price_of(recipe, [20, 10], []).each == 3 * 10 * 15
    assert price_of(recipe.model_copy(update={"replay": 0.5}), [20], [10]).each == 3 * 10 * 15
    totals = range(100, 100 * recipe.updates + 1, 100)
    assert Purse(3199).buy(totals, "training")[0] == 31
    assert Purse(10**9).buy(totals, "training")[0] == recipe.updates


@given(text=st.text(max_size=30))
def test_unicode_holds_any_short_text(text: str) -> None:
    space = Unicode(30)
    assert space.contains(text)
    assert unflatten(space, flatten(space, text)) == text
    assert flatten_space(space).contains(flatten(space, text))
    assert not space.contains(text + "x" * 31)


def test_unicode_is_a_space_that_gymnasium_can_work_with() -> None:
    space = Unicode(12, seed=3)
    assert all(space.contains(space.sample()) for _ in range(50))
    assert space == Unicode(12) != Unicode(13)
    assert space != spaces.Text(12)
    assert repr(space) == "Unicode(12)"
    assert not space.contains(3)
    assert batch_space(space, 2).contains(("π", "2 + 2 = ?"))
    record = records(prompt=5, response=5)
    assert record.contains(({"prompt": "a", "response": ""},))
    assert not record.contains(({"prompt": "too long", "response": ""},))


def test_streams_are_named_by_seed_purpose_and_step() -> None:
    def first(*name: Any) -> int:
        return int(stream(*name).integers(2**62))

    assert first(1, "a", 0) == first(1, "a", 0)
    assert len({first(1, "a", 0), first(2, "a", 0), first(1, "b", 0), first(1, "a", 1)}) == 4


def test_digests_refuse_nan_and_do_not_depend_on_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_names_that_are_not_there() -> None:
    with pytest.raises(SettingError, match="did you mean 'stratified'"):
        registry.build("teacher", "stratifed")
    with pytest.raises(SettingError, match=r"known: .*pocket"):
        registry.build("student", "gigantic")


def test_a_registered_class_that_cannot_be_loaded_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.TASKS, "ghost", "no_such_module:Ghost")
    with pytest.raises(SettingError, match="cannot be loaded"):
        registry.build("task", "ghost")


def test_exams_hold_equally_many_of_each_skill_and_splits_do_not_meet() -> None:
    setting = make_setting(TINY)
    task = setting.built_task
    seen: set[str] = set()
    for split in ("feedback", "selection", "test", "transfer"):
        items = setting.exam_items(split)
        identities = {task.identity(p.prompt) for p in items}
        assert len(identities) == len(items)
        assert not identities & seen
        seen |= identities
        if split != "transfer":
            per_skill = [sum(p.skills[0] == skill for p in items) for skill in task.skills]
            assert set(per_skill) == {getattr(setting.items, split)}


def test_what_is_set_aside_covers_every_way_that_training_may_end() -> None:
    walk = [int(n) for n in stream(0, "walk").integers(1, 99, size=80)]
    for updates, cooldown, interval, look in ((1, 0, 1, 7), (32, 3, 5, 7), (33, 40, 16, 1000), (7, 2, 100, 10**6)):
        recipe = Recipe(updates=updates, cooldown=cooldown, interval=interval, patience=2)
        found = totals(iter(walk), recipe, look, 10**9)
        assert len(found) == updates
        for made in range(1, updates + 1):
            tokens = sum(walk[: made + cooldown])
            trained = Trained(loss=(1.0, 1.0), updates=made, tokens=tokens, looks=made // interval)
            assert cost_of(trained, recipe, look) == found[made - 1] <= found[-1]
        assert Price(each=30).most(updates) == 30 * updates


def test_a_payment_is_settled_once_and_never_upwards() -> None:
    purse = Purse(1000)
    _, payment = purse.buy(range(150, 851, 100), "training")
    assert purse.spent == 850
    with pytest.raises(ValueError, match="were paid"):
        purse.settle(payment, 851)
    settled = purse.settle(payment, 300)
    assert purse.spent == 300
    with pytest.raises(ValueError, match="given back once"):
        purse.refund(payment)
    purse.refund(settled)
    assert purse.spent == 0
    assert purse.buy(range(1001, 2000, 100), "training")[0] == 0 == purse.spent


def test_patience_is_paid_by_what_it_took_and_grows_with_the_data() -> None:
    """A student that cannot get better any more stops early, and the rest of the price comes back."""
    recipe = {"updates": 60, "batch": 16, "data": "all", "patience": 1, "interval": 2, "rate": 1e-9, "cooldown": 3}
    env = TeachingEnv("skill-list", **TINY | {"recipe": recipe, "budget": {"student_tokens": 60_000}})
    env.reset(seed=0)
    mixture = np.ones(len(env.task.skills), np.float32)
    job = env.begin(mixture)
    assert job is not None
    assert job.train is not None
    assert job.train.watched
    assert job.train.recipe.patience == 1
    set_aside = env.purse.spent
    outcome = env.runner.run(job)
    *_, info = env.end(outcome)
    assert outcome.trained is not None
    assert outcome.trained.updates == info["updates"] < 60
    assert info["price"] == env.purse.spent < set_aside
    second = env.begin(mixture)
    assert second is not None
    assert second.train is not None
    assert second.train.recipe.patience == 2
    env.abort()
    snapshot = env.snapshot()
    restored = TeachingEnv("skill-list", runner=env.runner, setting=env.setting)
    restored.reset(options={"snapshot": snapshot})
    assert restored.purse.spent == env.purse.spent
