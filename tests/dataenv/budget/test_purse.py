"""Budgets as physics: whatever a teacher does, in whatever order, no purse is overdrawn and nothing is given away."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dataenv
from dataenv.budget.purse import Payment, Purse
from dataenv.environment.env import TeachingEnv
from dataenv.errors import BudgetSpentError, DataenvError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.setting import make_setting
from tasks.records import Example, stream
from tests.toys import TOYS

pytestmark = pytest.mark.usefixtures("toys")


def make(tokens: int = 2000, store: Store | None = None, level: str = "open-ended", **changes: Any) -> TeachingEnv:
    setting = make_setting(TOYS | {"budget": {"student_tokens": tokens}} | changes)
    env = TeachingEnv(level, runner=Runner(store or Store()), setting=setting)
    env.reset(seed=0)
    return env


def lesson(env: TeachingEnv, n: int, draw: int = 0) -> list[Example]:
    return env.task.generate("short", n, stream(draw, "test"))  # a long word may end in a short one that is sealed


# --- any program ------------------------------------------------------------------------------------------------------

which = st.integers(0, 5)
step = st.tuples(st.sampled_from(["step", "begin-abort", "begin-end"]), which, st.integers(1, 8), st.integers(0, 3))
look = st.tuples(st.sampled_from(["loss", "accuracy"]), which, st.integers(0, 6), st.integers(0, 3))
draws = st.tuples(st.just("sample"), which, st.integers(0, 4), st.integers(1, 3))
push = st.tuples(st.just("influence"), which, st.integers(0, 3), st.integers(0, 3))
other = st.tuples(st.sampled_from(["fork", "copy", "save", "restore", "reseed", "peek", "stop"]), which)
programs = st.lists(st.one_of(step, look, draws, push, other), max_size=14)


class Teacherlike:
    """Does to an environment what a teacher can do through its context, and checks the laws after every move."""

    def __init__(self, tokens: int, store: Store) -> None:
        self.root = make(tokens, store)
        self.purse, self.total = self.root.purse, tokens
        self.context = dataenv.Context(self.root)
        self.envs, self.saved = [self.root], [self.root.snapshot().model_dump_json()]
        self.trace: list[Any] = []

    def play(self, program: list[Any]) -> list[Any]:
        for name, at, *rest in program:
            before = self.purse.spent
            env = self.envs[at % len(self.envs)]
            try:
                said = getattr(self, "do_" + name.replace("-", "_"))(env, *rest)
            except DataenvError as error:  # an ended branch, an empty purse: refused in one sentence
                said = type(error).__name__
            self.laws(before)
            self.trace.append((name, said, self.purse.spent))
        return self.trace

    def laws(self, before: int) -> None:
        purse, view = self.purse, self.context.budget
        assert before <= purse.spent <= self.total, "spent fell, or the purse is overdrawn"
        assert purse.spent + purse.remaining == self.total
        assert min(purse.uses.values()) >= 0
        assert (view.spent, view.remaining, view.total) == (purse.spent, purse.remaining, purse.total)
        assert self.root.purse is purse
        assert all(env.purse is purse for env in self.envs)

    def told(self, five: Any, before: int) -> Any:
        observation, reward, terminated, truncated, info = five
        assert info["price"] == self.purse.spent - before
        assert (info["spent"], info["remaining"]) == (self.purse.spent, self.purse.remaining)
        assert float(observation["budget"][0]) == pytest.approx(self.purse.remaining / max(1, self.total))
        return info["price"], float(reward), terminated, truncated

    def do_step(self, env: TeachingEnv, n: int, draw: int) -> Any:
        before = self.purse.spent
        return self.told(env.step(lesson(env, n, draw)), before)

    def do_begin_end(self, env: TeachingEnv, n: int, draw: int) -> Any:
        before = self.purse.spent
        job = env.begin(lesson(env, n, draw))
        with pytest.raises(DataenvError, match="has begun"):
            env.begin(lesson(env, n, draw))
        return self.told(env.end(None if job is None else env.runner.run(job)), before)

    def do_begin_abort(self, env: TeachingEnv, n: int, draw: int) -> Any:
        before = self.purse.spent
        env.begin(lesson(env, n, draw))
        paid = self.purse.spent - before
        for _ in range(2):
            env.abort()
            kept = paid if env.account.is_branch else 0
            assert self.purse.spent == before + kept, "an abort returns its own price, once, and none on a branch"
        return paid

    def do_loss(self, env: TeachingEnv, n: int, draw: int) -> Any:
        return self.probed(env, lesson(env, n, draw), "loss", lambda e: len(e.prompt) + len(e.response))

    def do_accuracy(self, env: TeachingEnv, n: int, draw: int) -> Any:
        return self.probed(env, lesson(env, n, draw), "accuracy", lambda e: len(e.prompt) + 7)

    def probed(self, env: TeachingEnv, examples: list[Example], kind: Any, cost: Any) -> Any:
        price = sum(map(cost, examples))
        return self.asked(price, lambda: dataenv.Context(env).probe(examples, kind)).tolist()

    def do_sample(self, env: TeachingEnv, prompts: int, n: int) -> Any:
        texts = [e.prompt for e in lesson(env, prompts)]
        price = n * sum(len(text) + 7 for text in texts)
        return self.asked(price, lambda: dataenv.Context(env).sample(texts, n))

    def do_influence(self, env: TeachingEnv, groups: int, reference: int) -> Any:
        made, about = [lesson(env, 2, draw) for draw in range(groups)], lesson(env, reference, 9) or None
        forward = [(p.prompt, p.answer) for p in env.setting.exam_items("feedback")]
        forward = [(e.prompt, e.response) for e in about] if about else forward
        trained = sum(len(e.prompt) + len(e.response) for group in made for e in group)
        price = 3 * trained + (groups + 1) * sum(len(p) + len(r) for p, r in forward) if groups else 0
        state = env.state
        found = self.asked(price, lambda: dataenv.Context(env).influence(made, about))
        assert env.state == state, "a look changes nothing"
        return found.tolist()

    def asked(self, price: int, ask: Any) -> Any:
        """What a look came to; it costs its price, or nothing where the purse does not hold that."""
        before, enough = self.purse.spent, price <= self.purse.remaining
        try:
            answer = ask()
        except BudgetSpentError:
            assert not enough
            assert self.purse.spent == before, "a look that cannot be paid costs nothing"
            raise
        assert self.purse.spent - before == price
        return answer

    def do_peek(self, env: TeachingEnv) -> Any:
        """A look at what is sealed is refused, and costs what it would have cost."""
        before, problem, context = self.purse.spent, env.task.split("test")[0], dataenv.Context(env)
        sealed, free, costs = Example(prompt=problem.prompt, response=problem.answer), lesson(env, 1), []
        for ask in (
            lambda: context.probe([sealed]),
            lambda: context.sample([sealed.prompt]),
            lambda: context.influence([free, [sealed]], free),
            lambda: context.influence([free], [sealed]),
        ):
            at = self.purse.spent
            with pytest.raises(DataenvError):
                ask()
            costs.append(self.purse.spent - at)
        assert all(costs) or self.purse.remaining < 100, costs
        return self.purse.spent - before

    def do_fork(self, env: TeachingEnv) -> None:
        self.envs.append(dataenv.Context(env).fork())

    def do_copy(self, env: TeachingEnv) -> None:
        if env is not self.root:  # which a teacher does not hold
            self.envs.append(dataenv.fork(env))

    def do_save(self, env: TeachingEnv) -> None:
        self.saved.append(env.snapshot().model_dump_json())

    def do_restore(self, env: TeachingEnv) -> None:
        if env is not self.root:
            env.reset(options={"snapshot": self.saved[0]})  # the cheapest moment there was
            assert env.snapshot().training + env.snapshot().probes == self.purse.spent

    def do_reseed(self, env: TeachingEnv) -> None:
        if env is not self.root:
            env.reset(seed=3)

    def do_stop(self, env: TeachingEnv) -> Any:
        before = self.purse.spent
        return self.told(env.step([]), before) if env is not self.root else None


@settings(max_examples=60)
@given(program=programs, tokens=st.integers(0, 4000))
def test_no_program_overdraws_the_purse_and_what_is_known_costs_as_much(program: list[Any], tokens: int) -> None:
    store = Store()
    cold = Teacherlike(tokens, store).play(program)
    jobs = store.count("exams")
    warm = Teacherlike(tokens, store).play(program)
    assert store.count("exams") == jobs, "the second time, the store knew every answer"
    assert cold == warm == Teacherlike(tokens, Store(reuse=False)).play(program)


def test_the_programs_above_reach_every_move_and_both_ends() -> None:
    """The property test is not blind: one program that does everything, until nothing is left."""
    moves = [("fork", 0), ("step", 1, 8, 0), ("copy", 1), ("begin-abort", 2, 8, 1), ("begin-end", 2, 8, 1), ("save", 2)]
    moves += [("restore", 1), ("reseed", 2), ("loss", 1, 4, 0), ("accuracy", 0, 4, 0), ("peek", 0), ("stop", 1)]
    moves += [("sample", 0, 2, 2), ("influence", 0, 2, 2), ("influence", 0, 1, 0)]
    moves += [("step", 0, 8, 2)] * 8
    played = Teacherlike(2000, Store()).play(moves)
    assert {name for name, *_ in played} == {"fork", "copy", "save", "restore", "reseed", "peek", "stop", "step",
                                             "begin-abort", "begin-end", "loss", "accuracy", "sample",
                                             "influence"}  # fmt: skip
    assert all(price > 0 for name, price, _ in played if name in ("begin-abort", "peek"))
    assert played[-1][1] == "DataenvError", "the episode has ended"
    assert 1900 < played[-1][2] <= 2000


# --- threads ----------------------------------------------------------------------------------------------------------


def test_branches_in_threads_share_one_purse_exactly() -> None:
    env = make(60_000)
    branches = [dataenv.Context(env).fork() for _ in range(8)]
    together = threading.Barrier(len(branches))

    def spend(i: int) -> int:
        branch, paid = branches[i], 0
        context = dataenv.Context(branch)
        together.wait()
        for draw in range(6):
            try:
                _, _, terminated, truncated, info = branch.step(lesson(branch, 8, 10 * i + draw))
                paid += info["price"]
                assert 0 <= info["remaining"] == 60_000 - info["spent"]
                begun = branch.begin([] if terminated or truncated else lesson(branch, 4, draw))
                paid += (
                    branch._pending.tuition.payment.price if begun is not None else 0
                )  # given up, and paid all the same
                branch.abort()
                examples = lesson(branch, 5, draw)
                context.probe(examples)
                paid += sum(len(e.prompt) + len(e.response) for e in examples)
            except DataenvError:
                break
        return paid

    with ThreadPoolExecutor(len(branches)) as threads:
        paid = list(threads.map(spend, range(len(branches))))
    assert sum(paid) == env.purse.spent <= 60_000
    assert env.purse.uses["training"] == 0


def test_a_purse_in_threads_gives_back_a_payment_once() -> None:
    purse = Purse(10_000)
    payment = purse.pay(600, "probes")
    purse.pay(5_000, "training")

    def give_back(_: int) -> bool:
        try:
            purse.refund(payment)
        except ValueError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(give_back, range(64))) == 1
        bought = list(threads.map(lambda _: purse.buy(range(7, 701, 7), "probes")[0], range(64)))
    assert purse.uses == {"training": 5_000, "probes": 7 * sum(bought)}
    assert sum(bought) == 5_000 // 7


# --- prices and payments ----------------------------------------------------------------------------------------------


NO_PRICES = [
    -1,
    float("nan"),
    float("inf"),
    -float("inf"),
    1.5,
    "1",
    None,
    True,
    np.float64(2),
    np.int8(2),
    np.array(2),
]


@pytest.mark.parametrize("price", NO_PRICES)
def test_a_price_that_is_no_number_of_tokens_is_refused(price: Any) -> None:
    purse = Purse(100)
    asks = [lambda: purse.pay(price, "probes"), lambda: purse.take(price, "probes")]
    for ask in [*asks, lambda: purse.buy([price], "training")]:
        with pytest.raises(ValueError, match="price is"):
            ask()
    assert purse.remaining == 100


def test_what_costs_nothing_is_not_sold_by_number() -> None:
    for totals in ([0], [5, 5], [5, 4]):
        with pytest.raises(ValueError, match="costs at least 1"):
            Purse(100).buy(totals, "training")


def test_huge_prices_buy_nothing() -> None:
    purse = Purse(100)
    assert purse.buy([10**400], "training")[0] == 0
    for price in (2**62, 10**5000):  # Python writes no number of so many digits
        with pytest.raises(BudgetSpentError, match="holds 100 student tokens"):
            purse.pay(price, "probes")
    assert purse.spent == 0
    assert purse.take(10**5000, "probes").price == 100 == purse.spent


def test_only_what_this_purse_took_is_given_back() -> None:
    purse = Purse(100)
    mine = purse.pay(30, "probes")
    for forged in (Payment(30, "probes"), Purse(100).pay(30, "probes")):
        with pytest.raises(ValueError, match="none that this purse still holds"):
            purse.refund(forged)
    purse.uses["probes"] = 0
    assert purse.spent == 30, "what it shows is a copy"
    purse.refund(mine)
    assert purse.spent == 0


# --- snapshots, episodes, teachers ------------------------------------------------------------------------------------


def test_a_snapshot_goes_on_with_what_was_spent_and_not_with_less() -> None:
    env = make()
    for draw in range(2):
        env.step(lesson(env, 8, draw))
    honest = env.snapshot()
    for spent in (0, honest.training - 1):
        with pytest.raises(dataenv.SnapshotError, match=r"is less than the .* student tokens"):
            env.reset(options={"snapshot": honest.model_copy(update={"training": spent})})
    with pytest.raises(dataenv.SnapshotError, match="leaves out"):
        env.reset(options={"snapshot": honest.model_copy(update={"lessons": honest.lessons[:1]})})
    assert env.snapshot() == honest
    env.reset(options={"snapshot": honest.model_dump_json()})
    assert env.purse.uses == {"training": honest.training, "probes": 0}


@pytest.mark.parametrize(("start", "data"), [("base", "lesson"), ("base", "all"), ("current", "all")])
def test_a_snapshot_of_any_recipe_is_restored(start: str, data: str) -> None:
    env = make(recipe=TOYS["recipe"] | {"start": start, "data": data})
    for draw in range(2):
        env.step(lesson(env, 8, draw))
    env.step([Example(prompt="no word of ours" * 10, response="refused")])  # charged and not trained
    env.reset(options={"snapshot": env.snapshot()})
    env.step(lesson(env, 8, 3))


def test_money_left_over_is_not_carried_into_the_next_episode() -> None:
    env = make()
    branch = dataenv.Context(env).fork()
    env.step([])
    env.reset(seed=1)
    for use in (lambda: branch.step(lesson(branch, 8)), lambda: dataenv.Context(branch).probe(lesson(branch, 2))):
        with pytest.raises(BudgetSpentError, match="is over; fork the one that is taught now"):
            use()
    branch.reset(seed=0)
    branch.step(lesson(branch, 8))
    assert env.purse.spent > 0


class Greedy:
    """Asks at some moment for more than there is, and does not mind what it is told."""

    def __init__(self, where: str) -> None:
        self.where = where

    def begin(self, context: dataenv.Context) -> None:
        self.context = context
        self.ask("begin")

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        self.ask("act" if info["step"] else "")
        return self.context.generate("short", 8)

    def learn(self, transition: dataenv.Transition) -> None:
        self.ask("last" if transition.terminated or transition.truncated else "learn")

    def ask(self, now: str) -> None:
        if now == self.where:
            while True:
                self.context.probe(self.context.generate("short", 2))


@pytest.mark.parametrize(("where", "lessons"), [("begin", 0), ("act", 1), ("learn", 1)])
def test_a_teacher_that_asks_for_more_than_there_is_has_spent_its_budget(where: str, lessons: int) -> None:
    env, told = make(), []
    episode = dataenv.run(env, Greedy(where), 0, told.append)
    assert episode.snapshot.ended == episode.steps[-1].ended == "spent"
    assert [step.step for step in episode.steps] == list(range(lessons + 2))
    assert tuple(told) == episode.steps
    assert sum(step.lesson is not None for step in episode.steps) == lessons
    assert (episode.steps[-1].reward, episode.steps[-1].offered, episode.steps[-1].state) == (0.0, 0, env.state)
    assert episode.steps[-1].spent == env.purse.spent > 1900
    with pytest.raises(DataenvError, match="has ended"):
        env.exhaust()


def test_an_episode_that_is_over_stays_as_it_ended() -> None:
    episode = dataenv.run(make(mastery=0.01), Greedy("last"), 0)
    assert episode.snapshot.ended in ("mastered", "spent")
    assert episode.steps[-1].lesson is not None, "no step was added to it"


def test_other_failures_of_a_teacher_are_not_swallowed() -> None:
    def broken(observation: Any) -> Any:
        raise KeyError("mine")

    env = make()
    with pytest.raises(KeyError, match="mine"):
        dataenv.run(env, broken, 0)
    assert env.snapshot().ended == ""


@pytest.mark.parametrize("said", [-1, float("nan"), 1.5, "12", None, True, float("inf")])
def test_prior_compute_is_a_number_of_tokens_or_one_sentence(said: Any) -> None:
    teacher = Greedy("never")
    teacher.prior_compute = said  # type: ignore[attr-defined]
    env = make()
    with pytest.raises(dataenv.SettingError, match=r"prior_compute of teacher Greedy is .*; give a whole number"):
        dataenv.run(env, teacher, 0)
    assert env.purse.spent == 0
