"""Skill-It: the paper's formulas, the graph it learns, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.episode.loop import run
from dataenv.execution.jobs import Job, Outcome
from dataenv.execution.runner import Runner, run_all
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.folder import read_rows
from dataenv.leaderboard.play import play
from teachers.skill_it import SkillIt
from tests.tiny import TINY
from tests.toys import TOY_BOARD

RICH: dict[str, Any] = TINY | {"budget": {"student_tokens": 200_000}}
LEGO = np.eye(5)
LEGO[1, [0, 2, 3]] = 0.5
"""Rows that sum to 1, the second to 2.5: what the paper's LEGO graph must sum to for the weights that it plots."""


class Told:
    """A context of which only the skills are asked."""

    skills = ("a", "b", "c", "d", "e")


def begun(teacher: SkillIt) -> SkillIt:
    teacher.begin(Told())  # type: ignore[arg-type]
    return teacher


def test_the_first_mixture_has_the_weights_that_the_paper_plots() -> None:
    teacher = begun(SkillIt(graph=LEGO.tolist()))
    shares = teacher.act({"loss": np.full(5, 2.0)}, {})
    np.testing.assert_allclose(shares, [0.163, 0.346, 0.163, 0.163, 0.163], atol=6e-3)


def test_later_mixtures_follow_the_losses_of_the_window() -> None:
    teacher = begun(SkillIt(eta=0.5, window=2, graph=LEGO.tolist()))
    seen = [np.array([1.0, 2.0, 0.5, 0.1, 0.0]), np.array([0.5, 1.0, 0.5, 0.1, 0.0]), np.array([0.1, 0.5, 0.4, 0.1, 0])]
    for loss in seen:
        shares = teacher.act({"loss": loss}, {})
    expected = np.exp(0.5 * sum(LEGO @ loss for loss in seen[-2:]))
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=1e-6)


@given(
    st.lists(st.lists(st.floats(0, 1e6), min_size=5, max_size=5), min_size=5, max_size=5),
    st.lists(st.lists(st.floats(0, 1e6), min_size=5, max_size=5), min_size=1, max_size=5),
    st.floats(0, 100),
)
def test_every_action_is_a_mixture(graph: list[list[float]], losses: list[list[float]], eta: float) -> None:
    teacher = begun(SkillIt(eta=eta, graph=graph))
    for loss in losses:
        shares = teacher.act({"loss": np.array(loss)}, {})
        assert np.isfinite(shares).all()
        assert (shares >= 0).all()
        assert shares.sum() == pytest.approx(1.0, abs=1e-5)


def test_a_learnt_graph_is_paid_from_the_purse_and_says_what_a_lesson_alone_does() -> None:
    env = TeachingEnv("skill-list", **RICH)
    observation, info = env.reset(seed=0)
    context = Context(env)
    teacher = SkillIt()
    teacher.begin(context)
    teacher.act(observation, info)
    k = len(context.skills)
    assert env.purse.uses["probes"] == pytest.approx(k * context.budget.step_price, rel=0.2)
    assert env.purse.uses["training"] == 0
    branch = context.fork()
    after, *_ = branch.step(np.eye(k, dtype=np.float32)[3])
    drop = np.maximum(0, observation["loss"].astype(float) - after["loss"])
    assert teacher._matrix is not None
    assert teacher._matrix.shape == (k, k)
    ratio = teacher._matrix[3][drop > 1e-3] / drop[drop > 1e-3]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


def test_the_probes_are_one_batch_of_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a wide executor runs them side by side."""
    batches: list[list[Job]] = []

    def spy(runner: Runner, jobs: Sequence[Job]) -> list[Outcome]:
        batches.append(list(jobs))
        return run_all(runner, jobs)

    monkeypatch.setattr("teachers.skill_it.run_all", spy)
    env = TeachingEnv("skill-list", **RICH)
    observation, info = env.reset(seed=0)
    teacher = SkillIt()
    teacher.begin(Context(env))
    teacher.act(observation, info)
    teacher.act(observation, info)
    (jobs,) = batches
    assert len(jobs) == len({job.key() for job in jobs}) == len(env.task.skills)
    assert {job.parent for job in jobs} == {env.state}
    assert all(job.train is not None for job in jobs)


def test_what_a_given_graph_took_stands_in_the_row(toys: None, tmp_path: Path) -> None:
    given = {"name": "skill-it", "args": {"graph": np.eye(2).tolist(), "prior": 4321}}
    board = Board.model_validate(TOY_BOARD | {"seeds": [0], "teachers": ["stratified", given]})
    play(board, Runner(Store(None)), tmp_path / "toy")
    prior = {row.teacher: row.budget.prior for row in read_rows(tmp_path / "toy") if row.role == "teacher"}
    assert prior == {"stratified": 0, "skill-it": 4321}


def test_a_purse_that_cannot_pay_the_graph_ends_the_episode_and_not_the_program() -> None:
    env = TeachingEnv("skill-list", **TINY)
    episode = run(env, SkillIt(), seed=0)
    assert episode.snapshot.ended == "spent"
    assert env.purse.spent <= env.purse.total


def test_a_binary_graph_has_edges_of_a_half() -> None:
    env = TeachingEnv("skill-list", **RICH)
    observation, info = env.reset(seed=0)
    teacher = SkillIt(graph="binary")
    teacher.begin(Context(env))
    teacher.act(observation, info)
    assert teacher._matrix is not None
    assert set(np.unique(teacher._matrix)) <= {0.0, 0.5, 1.0}
    assert (np.diag(teacher._matrix) == 1.0).all()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"eta": -1.0}, "eta is -1.0"),
        ({"window": 0}, "window is 0"),
        ({"graph": "guess"}, "graph is 'guess'"),
        ({"graph": [[1.0, 2.0]]}, "square matrix"),
        ({"graph": [[1.0, -1.0], [0.0, 1.0]]}, "without negative"),
        ({"prior": 5}, "goes with a graph that is given"),
    ],
)
def test_what_makes_no_sense_is_refused(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SkillIt(**args)


def test_a_graph_of_another_size_is_refused_when_it_begins() -> None:
    with pytest.raises(ValueError, match=r"give \(5, 5\)"):
        begun(SkillIt(graph=np.eye(3).tolist()))
