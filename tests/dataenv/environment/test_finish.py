"""A finish: what comes after the teacher's last lesson is paid from the same purse, and nobody is asked about it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import dataenv
from dataenv.budget.price import price_of
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError
from dataenv.execution.jobs import Job, execute
from dataenv.execution.lineage import read as made_by
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard import play as playing
from dataenv.leaderboard import rows as row_records
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.planning.forecast import finishing
from dataenv.lessons.tuition import paid_for
from dataenv.setting import Setting, make_setting
from students.base import Trained
from tests.tiny import TINY

GRPO: dict[str, Any] = {"method": "grpo", "updates": 3, "batch": 16, "rate": 1e-3, "grpo": {"group": 4}}
FINISH: dict[str, Any] = {"share": 0.5, "recipe": GRPO}
FIELDS: dict[str, Any] = TINY | {
    "finish": FINISH,
    "decoding": {"max_tokens": 4},
    "student_args": TINY["student_args"] | {"width": 32},
    "warm_start": {"examples": 2000, "recipe": {"updates": 60, "batch": 32, "rate": 0.01}},
}
EVEN = np.ones(16, np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def make(store: Store, level: str = "skill-list", **changes: Any) -> TeachingEnv:
    return TeachingEnv(level, runner=Runner(store), setting=make_setting(FIELDS | changes))


@pytest.fixture(scope="module")
def played(store: Store) -> tuple[TeachingEnv, dataenv.Episode, list[float]]:
    """An episode of an even teacher, and how much of the budget it saw left before each lesson."""
    env, seen = make(store), []

    def even(observation: Any) -> Any:
        seen.append(float(observation["budget"][0]))
        return EVEN

    return env, dataenv.run(env, even, seed=0), seen


def test_a_finish_comes_after_the_teachers_part(played: tuple[TeachingEnv, dataenv.Episode, list[float]]) -> None:
    env, episode, seen = played
    total, aside = env.purse.total, env.setting.aside
    practised = [step for step in episode.steps if step.practice]
    taught = [step for step in episode.steps if step.lesson and not step.practice]
    assert taught
    assert practised
    assert episode.steps[-1] is practised[-1]
    assert taught[-1].spent <= total - aside < practised[0].spent
    assert (seen[0], len(seen)) == (1.0, len(taught)), "a teacher is told of its own part, and asked no more"
    assert [step.ended for step in episode.steps[:-1]] == [""] * (len(episode.steps) - 1)
    assert episode.steps[-1].ended == "spent"


def test_what_was_practised_is_paid_to_the_token(
    played: tuple[TeachingEnv, dataenv.Episode, list[float]], store: Store
) -> None:
    env, episode, _ = played
    before = episode.steps[0]
    for step in episode.steps[1:]:
        row = store.get("states", step.state)
        training, trained = made_by(row, store).train, Trained.model_validate(row["trained"])
        assert training is not None
        assert step.spent - before.spent == paid_for(training, trained, env.setting)
        if step.practice:
            assert step.spent - before.spent == trained.forward + 3 * trained.tokens
            assert trained.practice == step.practice
        before = step
    assert env.purse.spent == before.spent <= env.purse.total
    tokens = [env.student.tokens(e) for e in env.task.generate("max", 8, np.random.default_rng(0))]
    most = price_of(make_setting(FIELDS).finish[0].recipe, [max(tokens) + 16], ()).most(1)
    assert env.purse.remaining < most, "and what is left would hardly buy another update"


def test_it_goes_on_from_a_snapshot(played: tuple[TeachingEnv, dataenv.Episode, list[float]], store: Store) -> None:
    _, episode, _ = played
    first = next(i for i, step in enumerate(episode.steps) if step.practice)
    env = make(store)
    env.reset(seed=0)
    for _ in range(first):
        info = env.step(EVEN)[4]
    assert info["finishing"]
    assert info["groups"] >= info["groups/right"] + info["groups/wrong"] > 0
    other = make(store)
    other.reset(options={"snapshot": env.snapshot().model_dump_json()})
    assert other.finishing
    while other.finishing:
        other.step("no action is read any more")
    assert other.history[-1].state == episode.steps[-1].state
    assert other.purse.spent == episode.steps[-1].spent


def test_a_worker_comes_to_the_same(played: tuple[TeachingEnv, dataenv.Episode, list[float]], store: Store) -> None:
    """What rewards travels as JSON: a job says whose checker it is, and is named by it."""
    _, episode, _ = played
    row = store.get("states", episode.steps[-1].state)
    job = made_by(row, store)
    assert job.train is not None
    assert job.train.task is not None
    ready = job.model_copy(update={"blob": Runner(store)._present(job.parent)})
    job = Job.model_validate_json(ready.model_dump_json())
    assert job.key() == episode.steps[-1].state
    assert execute(job, job.key(), store.blobs).blob == row["blob"]
    blind = Job.model_validate(job.model_dump(exclude={"train": {"task"}}))
    assert blind.key() != job.key()


@pytest.mark.parametrize("how", ["stops", "overspends"])
def test_whatever_ends_the_teachers_part(store: Store, how: str) -> None:
    class Teacher:
        def begin(self, context: dataenv.Context) -> None:
            self.context = context

        def act(self, observation: Any, info: Any) -> Any:
            if how == "overspends":
                self.context.probe(self.context.generate("max", 64) * 100)
            return np.zeros(16, np.float32)

    env = make(store, finish={"share": 0.9, "recipe": GRPO | {"updates": 50}})
    episode = dataenv.run(env, Teacher(), seed=0)
    assert [bool(step.practice) for step in episode.steps[:3]] == [False, False, True]
    assert (episode.steps[1].lesson, episode.steps[-1].ended) == (None, "spent")


def test_branches_have_no_finish(store: Store) -> None:
    env = make(store)
    env.reset(seed=0)
    branch = dataenv.Context(env).fork()
    assert branch.step(np.zeros(16, np.float32))[2], "stopped"
    assert not branch.finishing
    own = dataenv.fork(env)
    assert own.purse.remaining == env.purse.remaining == env.purse.total - env.setting.aside
    assert not own.step(np.zeros(16, np.float32))[2]
    assert own.finishing


def test_a_vector_goes_through_it(store: Store) -> None:
    envs = gym.make_vec("dataenv/SkillList-v0", num_envs=2, store=str(store.path), **FIELDS)
    envs.reset(seed=0)
    for _ in range(40):
        _, _, _, truncated, info = envs.step(np.stack([EVEN, EVEN]))
        if truncated.any():
            break
    envs.close()
    assert truncated.any()
    assert info["spent"].max() > 0.9 * FIELDS["budget"]["student_tokens"]


def test_finished_and_unfinished_stand_on_one_board(store: Store, tmp_path: Any) -> None:
    fields = {name: value for name, value in FIELDS.items() if name != "finish"}
    entry = {"name": "stratified", "label": "stratified-grpo", "finish": FINISH}
    board = Board.model_validate(
        {"name": "b", "seeds": [0], "teachers": ["stratified", entry], "references": ["nothing"], "setting": fields}
    )
    made = playing.play(board, Runner(store), tmp_path)
    rows = {row.teacher: row for row in row_records.read([row.model_dump(mode="json") for row in made])}
    assert rows["stratified-grpo"].finish
    assert not rows["stratified"].finish
    assert any(step.practice for step in rows["stratified-grpo"].steps)
    assert len(rows["nothing"].steps) == 2
    assert "practice" not in rows["stratified"].model_dump(mode="json")["steps"][0]
    assert len(finishing(board.teachers[1].within(board.setting))) > 1
    apart = rows["stratified"].model_copy(update={"setting_digest": "0"})
    with pytest.raises(ValueError, match="differ in setting_digest"):
        row_records.read([apart, rows["stratified-grpo"]])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"finish": {"share": 0}}, "give more than 0"),
        ({"finish": {"recipe": {"start": "base"}}}, "leave out start and data"),
        ({"finish": {}, "budget": {"student_tokens": 9, "examples": 9}}, "leave one out"),
        ({"warm_start": {"recipe": {"method": "grpo"}}}, "warm_start.recipe.method is 'grpo'"),
        ({"finish": {}, "student": "simulated", "student_args": {}}, "'simulated' is not trained"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        TeachingEnv(store="off", **{"finish": None, **fields})


def test_a_setting_keeps_its_name() -> None:
    assert "finish" not in Setting().model_dump(mode="json")
    assert Setting(finish=None).digest == Setting().digest
