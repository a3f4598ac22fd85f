"""Teacher tokens and money are the environment's to enforce, whatever is asked through whichever chat of an episode."""

from __future__ import annotations

import threading
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dataenv
from dataenv.budget.teacher import Cost, TeacherPurse
from dataenv.environment.env import TeachingEnv
from dataenv.errors import DataenvError
from dataenv.execution.readonly import NotKnownError, reader
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.setting import Setting, make_setting
from dataenv.snapshot import Snapshot
from tasks.records import digest
from teachers.chat import Ask, Chat, ChatSpec
from teachers.chat import client as client_module
from teachers.chat.heard import Heard
from teachers.chat.spec import ChatRequest
from tests.toys import TOYS

pytestmark = pytest.mark.usefixtures("toys", "wire")
PAID = {"price_in": 1.0, "price_out": 2.0}


class Wire:
    """In place of a server: what it says, counts and drops follows from the request alone."""

    sent: Counter[str] = Counter()

    def __init__(self, spec: ChatSpec) -> None: ...

    async def close(self) -> None: ...

    async def attempt(self, request: ChatRequest, ends: float) -> Heard:
        self.sent[request.key] += 1
        lot = zlib.crc32(request.key.encode()) % 8
        if lot < 2 and self.sent[request.key] <= lot + 1:
            return Heard("dropped", detail="the most is charged")
        if lot == 2:
            return Heard("ok", "uncounted")
        return Heard("ok", "counted", usage=(lot, min(request.limit, 5 * lot)))


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "Wire", Wire)


def spec(**fields: Any) -> ChatSpec:
    return ChatSpec(
        base_url="http://127.0.0.1:9/v1", model="m", **{"max_tokens": 40, "longest_wait": 0} | PAID | fields
    )


def make(store: Store, runner: Runner | None = None, **caps: Any) -> TeachingEnv:
    setting = make_setting(TOYS | {"budget": {"student_tokens": 2000} | caps})
    env = TeachingEnv("open-ended", runner=runner or Runner(store), setting=setting)
    env.reset(seed=0)
    return env


# --- any program ------------------------------------------------------------------------------------------------------

which = st.integers(0, 5)
question = st.tuples(st.just("ask"), which, st.integers(0, 12))
chat = st.tuples(st.just("chat"), which, st.sampled_from([{}, {"tokens": 90}, {"money": 0.0001}]))
other = st.tuples(st.sampled_from(["step", "fork", "copy", "save", "restore", "reset"]), which)
programs = st.lists(st.one_of(question, question, chat, other), max_size=20)
caps = st.fixed_dictionaries(
    {}, optional={"teacher_tokens": st.integers(0, 1500), "money": st.floats(0, 0.002, allow_nan=False)}
)


class Asker:
    """Does through its contexts what a teacher can do, and checks the laws after every move."""

    def __init__(self, store: Store, caps: dict[str, Any]) -> None:
        self.root, self.caps = make(store, **caps), caps
        self.envs, self.own = [self.root], [self.root]
        self.chats = [Chat.of(spec(), dataenv.Context(self.root))]
        self.saved = [self.root.snapshot().model_dump_json()]
        self.trace: list[Any] = []

    def play(self, program: list[Any]) -> list[Any]:
        for name, at, *rest in program:
            before = {id(env.teacher_purse): env.teacher_purse.spent for env in self.envs}
            try:
                said = getattr(self, "do_" + name)(at, *rest)
            except DataenvError as error:
                said = type(error).__name__
            for env in self.envs:
                self.laws(env, before.get(id(env.teacher_purse), Cost()))
            self.trace.append((name, said, self.root.teacher_purse.spent))
        return self.trace

    def laws(self, env: TeachingEnv, before: Cost) -> None:
        purse, spent = env.teacher_purse, env.teacher_purse.spent
        assert min(spent.tokens_in, spent.tokens_out, spent.micros) >= 0
        assert spent.tokens >= before.tokens
        assert spent.micros >= before.micros
        assert spent.tokens <= self.caps.get("teacher_tokens", spent.tokens)
        assert spent.money <= self.caps.get("money", spent.money) + 1e-9
        assert purse._held == Cost(), "nothing stays set aside"
        assert env.snapshot().teacher_spent == spent
        if "teacher_tokens" in self.caps:
            assert purse.tokens_left == self.caps["teacher_tokens"] - spent.tokens

    def do_ask(self, at: int, first: int) -> Any:
        """Three requests, of which two are equal, and which others ask as well."""
        chat = self.chats[at % len(self.chats)]
        before = chat.purse.spent
        replies = chat.ask_many([Ask(f"question {n}") for n in (first, first + 1, first)])
        paid = chat.purse.spent - before
        assert paid.tokens == sum(r.tokens_in + r.tokens_out for r in replies)
        assert paid.micros == sum(r.micros for r in replies)
        assert chat.purse.spent.tokens <= (chat.spec.tokens or 10**9)
        return [(r.outcome, r.attempts) for r in replies]

    def do_chat(self, at: int, fields: dict[str, Any]) -> None:
        self.chats.append(Chat.of(spec(**fields), dataenv.Context(self.envs[at % len(self.envs)])))

    def do_step(self, at: int) -> Any:
        env = self.envs[at % len(self.envs)]
        info = env.step(dataenv.Context(env).generate("short", 4))[4]
        spent = env.teacher_purse.spent
        assert (info["teacher_tokens"], info["money"]) == (spent.tokens, spent.money)
        assert (env.history[-1].teacher_tokens, env.history[-1].money) == (spent.tokens, spent.money)
        return info["step"]

    def do_fork(self, at: int) -> None:
        env = self.envs[at % len(self.envs)]
        self.envs.append(dataenv.Context(env).fork())
        assert self.envs[-1].teacher_purse is env.teacher_purse

    def do_copy(self, at: int) -> None:
        env = self.envs[at % len(self.envs)]
        copy = dataenv.fork(env)
        assert copy.teacher_purse.spent == env.teacher_purse.spent
        assert (copy.teacher_purse is env.teacher_purse) == copy.account.is_branch
        self.envs.append(copy)

    def do_save(self, at: int) -> None:
        self.saved.append(self.envs[at % len(self.envs)].snapshot().model_dump_json())

    def do_restore(self, at: int) -> None:
        """A branch cannot go back to when more was left; any other environment goes on with what was spent then."""
        env, saved = self.envs[at % len(self.envs)], self.saved[at % len(self.saved)]
        before = env.teacher_purse
        env.reset(options={"snapshot": saved})
        if env.account.is_branch:
            assert env.teacher_purse in (before, env.account._origin.teacher_purse)  # type: ignore[union-attr]
        else:
            assert env.teacher_purse.spent == Snapshot.read(saved).teacher_spent
            assert not before.hold(Cost(1)), "the episode before is over"

    def do_reset(self, at: int) -> None:
        env = self.envs[at % len(self.envs)]
        env.reset(seed=1)
        assert env.account.is_branch or env.teacher_purse.spent == Cost()


@settings(max_examples=50)
@given(program=programs, caps=caps)
def test_no_program_overdraws_the_teacher_purse_and_what_is_stored_costs_as_much(
    program: list[Any], caps: dict[str, Any]
) -> None:
    Wire.sent.clear()
    store = Store()
    cold = Asker(store, caps).play(program)
    assert Asker(store, caps).play(program) == cold


def test_the_programs_above_reach_every_move_and_the_end_of_the_purse() -> None:
    Wire.sent.clear()
    moves: list[Any] = [("ask", 0, 0), ("fork", 0), ("chat", 1, {}), ("ask", 1, 2), ("save", 0), ("step", 0)]
    moves += [("copy", 0), ("restore", 1), ("chat", 2, {"tokens": 90}), ("ask", 2, 4), ("ask", 0, 6), ("ask", 1, 8)]
    played = Asker(Store(), {"teacher_tokens": 700}).play([*moves, ("reset", 2), ("ask", 0, 10)])
    outcomes = {outcome for name, said, _ in played if name == "ask" for outcome, _ in said}
    assert {"ok", "budget"} <= outcomes
    assert max(attempts for name, said, _ in played if name == "ask" for _, attempts in said) > 1
    assert 400 < played[-1][2].tokens <= 700


def test_branches_in_threads_share_one_purse_exactly() -> None:
    env = make(Store(), teacher_tokens=5_000)
    chats = [Chat.of(spec(), dataenv.Context(dataenv.Context(env).fork())) for _ in range(8)]
    together = threading.Barrier(len(chats))

    def ask(i: int) -> int:
        together.wait()
        return sum(r.tokens_in + r.tokens_out for k in range(20) for r in [chats[i].ask(Ask(f"{i} {k}"))])

    with ThreadPoolExecutor(len(chats)) as threads:
        paid = list(threads.map(ask, range(len(chats))))
    assert sum(paid) == env.teacher_purse.spent.tokens <= 5_000
    assert sum(chat.counts["budget"] for chat in chats) > 0


# --- what else is promised --------------------------------------------------------------------------------------------


def test_another_price_is_the_price_of_what_is_stored_too() -> None:
    store = Store()
    dear = Chat(spec(price_in=1000.0), store.table("chats"))
    dear.ask(Ask("question 3"))
    free = Chat(spec(price_in=0.0, price_out=0.0), store.table("chats"))
    assert free.ask(Ask("question 3")).micros == free.purse.spent.micros == 0 < dear.purse.spent.micros


def test_a_setting_without_the_caps_has_the_name_it_had_before_there_were_any() -> None:
    plain = Setting()
    assert "teacher_tokens" not in plain.model_dump()["budget"]
    fields = plain.model_dump(mode="json")
    assert Setting.model_validate(fields).digest == plain.digest == digest(fields)
    capped = plain.changed(budget={"student_tokens": 825_000, "money": 0.0})
    assert capped.digest != plain.digest
    assert Setting.model_validate(capped.model_dump()).budget.money == 0.0


@pytest.mark.parametrize("caps", [{"teacher_tokens": -1}, {"money": float("nan")}, {"money": "much"}])
def test_a_cap_that_is_none_is_one_sentence(caps: dict[str, Any]) -> None:
    with pytest.raises(dataenv.SettingError, match=rf"budget\.{next(iter(caps))} is "):
        make_setting(TOYS | {"budget": {"student_tokens": 1} | caps})


def test_a_snapshot_from_before_is_read_and_one_that_claims_less_than_nothing_is_not() -> None:
    env = make(Store())
    old = env.snapshot().model_dump(mode="json")
    del old["teacher_spent"]
    assert Snapshot.read(old).teacher_spent == Cost()
    for forged in ({"tokens_in": -5}, {"tokens": 1}):
        with pytest.raises(dataenv.SnapshotError, match="is no snapshot"):
            Snapshot.read(old | {"teacher_spent": forged})


def test_a_plan_asks_no_model() -> None:
    """The reader of a store says what is known; what is not is refused, and never sent."""
    store = Store()
    env = make(store)
    Chat.of(spec(), dataenv.Context(env)).ask(Ask("question 3"))
    Wire.sent.clear()
    again = Chat.of(spec(), dataenv.Context(make(store, reader(store))))
    assert again.ask(Ask("question 3")).ok
    with pytest.raises(NotKnownError, match="would have to be asked"):
        again.ask(Ask("question 4"))
    assert not Wire.sent


def test_a_purse_of_its_own_for_who_leaves() -> None:
    purse = TeacherPurse(100, 0.0001, Cost(10, 20, 30))
    own = purse.branch()
    assert own.hold(Cost(70, 0, 70))
    assert not own.hold(Cost(1, 0, 0))
    assert (purse.tokens_left, purse.money_left) == (70, 0.00007)
    assert purse.hold(Cost(70, 0, 0))
