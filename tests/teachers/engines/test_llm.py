"""``engine = "llm"``: any teacher of a structured level can be given a language model's examples, and pays for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dataenv
from dataenv import registry
from dataenv.checks.common import ContractError
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError, UnansweredError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.play import play
from dataenv.lessons.engines import Engine, Procedural, Request, engine_of
from dataenv.lessons.scene import Scene
from dataenv.setting import make_setting
from tasks.records import Example
from teachers.chat.scripted import Server, serving
from teachers.frontier import Frontier
from teachers.stratified import Stratified
from tests.chatting import backwards
from tests.toys import TOY_BOARD, TOYS

pytestmark = pytest.mark.usefixtures("toys")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    registry._shared.cache_clear()  # engines of these tests have names that others may use


@pytest.fixture(scope="module")
def server(toys: None) -> Iterator[Server]:
    with serving(Server(backwards)) as found:
        yield found


def fields(server: Server, **engine: Any) -> dict[str, Any]:
    """The toy Setting, its lessons written by a scripted model."""
    chat = {"base_url": server.base_url, "model": "scripted", "retries": 0}
    return TOYS | {
        "student": "apprentice",
        "engine": "llm",
        "engine_args": {"chat": chat} | engine,
        "budget": {"student_tokens": 700, "teacher_tokens": 1_000_000},
    }


def lessons(env: TeachingEnv) -> list[list[str]]:
    return [[e.prompt + e.response for e in env.runner.store.lesson(name)] for name in env.snapshot().lessons]


def test_a_mixture_teacher_teaches_what_a_model_wrote(server: Server) -> None:
    env = TeachingEnv("skill-list", runner=Runner(Store()), setting=make_setting(fields(server)))
    episode = dataenv.run(env, Frontier(), seed=0)
    taught = [e for name in env.snapshot().lessons for e in env.runner.store.lesson(name)]
    assert taught
    assert {e.origin for e in taught} == {"llm"}
    assert {e.skills[0] for e in taught} == {"short", "long"}
    assert env.teacher_purse.spent.tokens == episode.steps[-1].teacher_tokens > 0
    assert env.yields["examples"] == sum(step.offered for step in episode.steps)


def test_a_run_again_asks_nobody_and_teaches_the_same(toys: None) -> None:
    store = Store()
    with serving(Server(backwards)) as server:
        setting = make_setting(fields(server))
        first = TeachingEnv("skill-list", runner=Runner(store), setting=setting)
        dataenv.run(first, Stratified(), seed=0)
    again = TeachingEnv("skill-list", runner=Runner(store), setting=setting)  # the server is gone
    dataenv.run(again, Stratified(), seed=0)
    assert lessons(again) == lessons(first)
    assert again.teacher_purse.spent == first.teacher_purse.spent, "what is stored is paid as what is asked"


def test_a_moment_goes_on_as_the_episode_did(server: Server) -> None:
    """What an engine wrote before is known from the lessons, so a restored moment makes the lesson that came next."""
    env = TeachingEnv("skill-list", runner=Runner(Store()), setting=make_setting(fields(server)))
    env.reset(seed=0)
    even = np.ones(2, np.float32)
    env.step(even)
    moment = env.snapshot()
    env.step(even)
    other = TeachingEnv("skill-list", runner=env.runner, setting=env.setting)
    other.reset(options={"snapshot": moment})
    other.step(even)
    assert other.snapshot() == env.snapshot()


def test_nobody_answers(toys: None) -> None:
    with serving(Server(backwards)) as gone:
        setting = make_setting(fields(gone))
    env = TeachingEnv("skill-list", runner=Runner(Store()), setting=setting)
    env.reset(seed=0)
    before = env.snapshot()
    with pytest.raises(UnansweredError, match="start the server"):
        env.step(np.ones(2, np.float32))
    assert env.snapshot() == before, "nothing was charged, and nothing changed"


def test_the_teacher_budget_caps_what_an_engine_asks(server: Server) -> None:
    setting = make_setting(fields(server) | {"budget": {"student_tokens": 700, "teacher_tokens": 3_000}})
    env = TeachingEnv("skill-list", runner=Runner(Store()), setting=setting)
    dataenv.run(env, Stratified(), seed=0)
    assert env.teacher_purse.spent.tokens <= 3_000
    assert env.teacher_purse.replies["budget"] > 0


def test_a_board_pairs_policies_with_engines(server: Server, tmp_path: Path) -> None:
    """Three policies and two engines; an entry has an engine of its own, and all are compared within one Setting."""
    own = {"engine": "llm", "engine_args": fields(server)["engine_args"]}
    policies = ("stratified", "frontier", "failure")
    teachers = [{"name": p} for p in policies] + [{"name": p, "label": f"{p}-llm"} | own for p in policies]
    board = Board.model_validate(TOY_BOARD | {"teachers": teachers, "references": ["nothing"], "seeds": [0, 1]})
    rows = {(row.teacher, row.seed): row for row in play(board, Runner(Store()), tmp_path)}
    assert len(rows) == 14
    for policy in policies:
        plain, paired = rows[policy, 0], rows[f"{policy}-llm", 0]
        assert not plain.asked
        assert paired.asked
        assert paired.yields["engine examples"] > 0
        assert paired.budget.teacher_tokens > 0 == plain.budget.teacher_tokens
        assert (paired.setting["engine"], plain.setting["engine"]) == ("llm", "procedural")


class Words(Engine):
    """One word, again and again."""

    name = "words"

    def __init__(self, word: str = "abc") -> None:
        self.word = word

    def make(self, requests: Any, rng: np.random.Generator, scene: Scene) -> list[list[Example]]:
        return [[Example(prompt=f"{self.word}>", response=self.word[::-1], skills=(r.skill,))] * r.n for r in requests]


class Forgetful(Procedural):
    """It gives one example too many."""

    name = "forgetful"

    def make(self, requests: Any, rng: np.random.Generator, scene: Scene) -> list[list[Example]]:
        return super().make([Request(r.skill, r.n + 1) for r in requests], rng, scene)


class Nothing(Engine):
    """It gives nothing."""

    name = "nothing"

    def make(self, requests: Any, rng: np.random.Generator, scene: Scene) -> list[list[Example]]:
        return [[] for _ in requests]


class Mute(Engine):
    """It forgets to give."""

    name = "mute"

    def make(self, requests: Any, rng: np.random.Generator, scene: Scene) -> list[list[Example]]:
        return None  # type: ignore[return-value]


class Careless(Procedural):
    """It says that it divides skills, and does not."""

    name = "careless"

    def make(self, requests: Any, rng: np.random.Generator, scene: Scene) -> list[list[Example]]:
        return super().make([Request(r.skill, r.n) for r in requests], rng, scene)


class Counting(Procedural):
    """It remembers how often it was asked."""

    name = "counting"
    times = 0

    def make(self, requests: Any, rng: np.random.Generator, scene: Scene) -> list[list[Example]]:
        self.times += 1
        return [some[: self.times] for some in super().make(requests, rng, scene)]


def test_every_engine_keeps_its_contract(server: Server) -> None:
    toy = make_setting(TOYS)
    args = {"llm": fields(server)["engine_args"]}
    for name in registry.names("engine"):
        dataenv.check_engine(name, args.get(name), setting=toy)


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        (Forgetful(), "give at most as many as were asked"),
        (Counting(), "make() differs for an equal rng and scene"),
        (Mute(), "make() gives None; give a list of examples for each request"),
        (Nothing(), "make() gives nothing for 5 of each skill"),
        ("procedurel", "engine 'procedurel' is not registered; did you mean 'procedural'"),
    ],
)
def test_a_broken_engine_is_told(engine: Any, said: str) -> None:
    with pytest.raises(ContractError, match=said.replace("(", r"\(").replace(")", r"\)")):
        dataenv.check_engine(engine, setting=make_setting(TOYS))


def test_an_engine_that_does_not_divide_is_told() -> None:
    with pytest.raises(ContractError, match="end origin in '/a-m'"):
        dataenv.check_engine(Careless(), setting=make_setting(TOYS | {"task": "branching"}))
    dataenv.check_engine("procedural", setting=make_setting(TOYS | {"task": "branching"}))


def test_an_engine_that_has_nothing_more_ends_the_teachers_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is paid for a lesson that nobody made."""
    monkeypatch.setitem(registry._HERE["engine"], "nothing", Nothing)
    env = TeachingEnv("skill-list", runner=Runner(Store()), setting=make_setting(TOYS | {"engine": "nothing"}))
    episode = dataenv.run(env, Stratified(), seed=0)
    assert [step.ended for step in episode.steps] == ["", "spent"]
    assert env.purse.spent == 0


def test_an_engine_that_gives_no_lists_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._HERE["engine"], "mute", Mute)
    env = TeachingEnv("skill-list", runner=Runner(Store()), setting=make_setting(TOYS | {"engine": "mute"}))
    env.reset(seed=0)
    with pytest.raises(SettingError, match="engine 'mute' gives a NoneType for 2 requests"):
        env.step(np.ones(2, np.float32))


def test_an_engine_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._HERE["engine"], "words", Words)
    setting = make_setting(TOYS | {"engine": "words", "engine_args": {"word": "xyz"}})
    env = TeachingEnv("skill-list", runner=Runner(Store()), setting=setting)
    env.reset(seed=0)
    env.step(np.ones(2, np.float32))
    assert env.history[-1].kept == 1, "the other seven are duplicates"
    assert env.history[-1].rejected == {"duplicate": 7}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"engine": "pol"}, "engine 'pol' is not registered; did you mean 'pool'"),
        ({"engine": "nowhere:Engine"}, r"engine 'nowhere:Engine' cannot be loaded"),
        ({"engine": "llm"}, "engine_args of engine 'llm' do not fit: missing a required argument: 'chat'"),
        ({"engine": "tests.toys:Reverse"}, "derive it from dataenv.lessons.engines.Engine"),
        ({"engine": "pool", "engine_args": {"size": 3}}, "engine_args of engine 'pool' do not fit"),
    ],
)
def test_an_engine_that_cannot_be_had(change: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        engine_of(make_setting(TOYS | change))
    with pytest.raises(SettingError, match=said):
        TeachingEnv(**(TOYS | change))
