"""A finish of several phases: SFT, then DPO on wrong answers, then GRPO, as one run (Tülu 3, arXiv 2411.15124)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError
from dataenv.execution.lineage import read as made_by
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.planning.forecast import finishing
from dataenv.leaderboard.planning.plan import make_plan
from dataenv.leaderboard.planning.validate import examine
from dataenv.leaderboard.play import play
from dataenv.leaderboard.rows import read
from dataenv.lessons.tuition import paid_for
from dataenv.setting import make_setting
from students.base import Trained
from tests.tiny import TINY
from tests.toys import write_toml

OWN: dict[str, Any] = {"method": "dpo", "updates": 3, "batch": 16, "rate": 1e-3, "dpo": {"rejected": "own"}}
GRPO: dict[str, Any] = {"method": "grpo", "updates": 3, "batch": 16, "rate": 1e-3, "grpo": {"group": 4}}
CHAIN: list[dict[str, Any]] = [{"share": 0.3, "recipe": OWN}, {"share": 0.4, "recipe": GRPO}]
FIELDS: dict[str, Any] = TINY | {
    "finish": CHAIN,
    "decoding": {"max_tokens": 7},
    "student_args": TINY["student_args"] | {"width": 32},
    "warm_start": {"examples": 2000, "recipe": {"updates": 60, "batch": 32, "rate": 0.01}},
}
EVEN = np.ones(16, np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def make(store: Store, **changes: Any) -> TeachingEnv:
    return TeachingEnv("skill-list", runner=Runner(store), setting=make_setting(FIELDS | changes))


def even(observation: Any) -> Any:
    return EVEN


@pytest.fixture(scope="module")
def played(store: Store) -> tuple[TeachingEnv, dataenv.Episode]:
    env = make(store)
    return env, dataenv.run(env, even, seed=0)


def methods_of(env: TeachingEnv) -> list[str]:
    """The method of each step that trained."""
    store, found = env.runner.store, []
    for step in env.history:
        if step.lesson:
            training = made_by(store.get("states", step.state), store).train
            assert training is not None
            found.append(training.recipe.method)
    return found


def test_phases_come_in_order(played: tuple[TeachingEnv, dataenv.Episode]) -> None:
    env, _ = played
    found = methods_of(env)
    assert list(dict.fromkeys(found)) == ["sft", "dpo", "grpo"]
    assert found == sorted(found, key=["sft", "dpo", "grpo"].index), "and none again when it is over"
    assert [step.ended for step in env.history[:-1]] == [""] * (len(env.history) - 1)
    assert env.history[-1].ended == "spent"


def test_the_purse_is_split_and_conserved_to_the_token(
    played: tuple[TeachingEnv, dataenv.Episode], store: Store
) -> None:
    env, _ = played
    asides, total = env.setting.asides, env.purse.total
    assert asides == (int(0.3 * total), int(0.4 * total))
    found, before = {"sft": 0, "dpo": 0, "grpo": 0}, env.history[0]
    for step in env.history[1:]:
        if not step.lesson:
            assert step.spent == before.spent
            continue
        row = store.get("states", step.state)
        training = made_by(row, store).train
        assert training is not None
        assert step.spent - before.spent == paid_for(training, Trained.model_validate(row["trained"]), env.setting)
        found[training.recipe.method] += step.spent - before.spent
        before = step
    assert 0 < found["sft"] <= total - sum(asides)
    assert 0 < found["dpo"] <= total - found["sft"] - asides[1], "what the teacher left is this phase's too"
    assert sum(found.values()) == env.purse.spent <= total
    practised = [step.practice for step in env.history if step.practice]
    assert all(p.answers == p.right + p.wrong + p.unknown for p in practised[:1])


def test_a_snapshot_in_the_middle_of_a_phase_goes_on_to_the_same_end(
    played: tuple[TeachingEnv, dataenv.Episode], store: Store
) -> None:
    _, episode = played
    env = make(store)
    env.reset(seed=0)
    while env.snapshot().finishing < 2:
        env.step(EVEN)
    env.step(None)
    snap = env.snapshot()
    assert (snap.finishing, snap.ended) == (2, "")
    other = make(store)
    other.reset(options={"snapshot": snap.model_dump_json()})
    assert other.purse.remaining == env.purse.remaining
    while other.finishing:
        other.step("no action is read any more")
    assert other.history[-1].state == episode.steps[-1].state
    assert other.purse.spent == episode.steps[-1].spent


@pytest.mark.parametrize("phase", [1, 2])
def test_a_fork_in_a_phase_goes_on_with_that_phase(store: Store, phase: int) -> None:
    env = make(store)
    env.reset(seed=0)
    while env.snapshot().finishing < phase:
        env.step(EVEN)
    own = dataenv.fork(env)
    assert own.snapshot().finishing == phase
    assert own.purse.remaining == env.purse.remaining
    spent = env.purse.spent
    own.step(None)
    assert env.purse.spent == spent, "a fork has a purse of its own"
    env.step(None)
    assert own.state == env.state
    assert own.purse.spent == env.purse.spent
    shared = dataenv.fork(env, share_purse=True)
    shared.step(None)
    assert shared.purse.spent == env.purse.spent > own.purse.spent


def test_equal_runs_are_equal(played: tuple[TeachingEnv, dataenv.Episode]) -> None:
    env = make(Store(None))
    dataenv.run(env, even, seed=0)
    assert env.history == played[0].history


def board() -> Board:
    fields = {name: value for name, value in FIELDS.items() if name != "finish"}
    chain = {"name": "stratified", "label": "tulu", "finish": CHAIN}
    return Board.model_validate(
        {"name": "b", "seeds": [0], "teachers": ["stratified", chain], "references": ["nothing"], "setting": fields}
    )


def test_a_board_of_chains_is_planned_validated_played_and_read(store: Store, tmp_path: Path) -> None:
    chained = board()
    setting = chained.teachers[1].within(chained.setting)
    assert len(finishing(setting)) >= 2
    fields = chained.model_dump(mode="json", exclude_defaults=True)
    assert examine(write_toml(tmp_path / "b.toml", fields)) == []
    told = make_plan(chained, Store(None), tmp_path / "out", 1)
    assert any("tulu" in line.name for line in told.lines)
    rows = {
        row.teacher: row for row in read([r.model_dump(mode="json") for r in play(chained, Runner(store), tmp_path)])
    }
    assert rows["tulu"].budget.spent <= rows["tulu"].budget.total
    assert rows["tulu"].setting["finish"] == setting.model_dump(mode="json")["finish"]
    assert len([step for step in rows["tulu"].steps if step.practice]) >= 2


@pytest.mark.parametrize(
    ("finish", "said"),
    [
        ([{"share": 0.6, "recipe": OWN}, {"share": 0.5, "recipe": GRPO}], "give shares that sum to at most 1"),
        ([{"recipe": OWN | {"dpo": {"rejected": "given"}}}], "no engine makes pairs; give 'own', or another method"),
        ([{"recipe": OWN | {"dpo": {}}}], "finish.recipe.dpo.rejected is 'given'"),
        ([{"share": 0.1, "recipe": {"method": "dp0"}}], "method 'dp0' is not registered; did you mean 'dpo'"),
        ([{"share": 0.1, "recipe": GRPO | {"data": "all"}}], "leave out start and data"),
        ("dpo", "finish is 'dpo'"),
    ],
)
def test_what_does_not_fit_is_refused(finish: Any, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        TeachingEnv(store="off", **FIELDS | {"finish": finish})


def test_one_phase_keeps_the_name_it_had_by_itself() -> None:
    one, listed = make_setting(FIELDS | {"finish": CHAIN[0]}), make_setting(FIELDS | {"finish": CHAIN[:1]})
    assert one.digest == listed.digest
    assert isinstance(one.model_dump(mode="json")["finish"], dict)
    both = make_setting(FIELDS)
    assert make_setting(both.model_dump(mode="json")) == both
    assert both.digest != make_setting(FIELDS | {"finish": CHAIN[::-1]}).digest


def test_a_board_whose_teacher_sets_too_much_aside_is_told_so(tmp_path: Path) -> None:
    fields = board().model_dump(mode="json", exclude_defaults=True)
    fields["teachers"][1]["finish"] = [phase | {"share": 0.7} for phase in CHAIN]
    (said,) = examine(write_toml(tmp_path / "b.toml", fields))
    assert "teachers[1]" in said
    assert "give shares that sum to at most 1" in said
