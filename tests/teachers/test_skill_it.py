"""Skill-It: the paper's formulas, the graph it learns, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
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
from dataenv.setting import make_setting
from tasks.records import Example
from teachers.skill_it import SkillIt
from tests.tiny import TINY
from tests.toys import TOY_BOARD

RICH: dict[str, Any] = TINY | {"budget": {"student_tokens": 200_000}}
TASK_SKILLS = make_setting(TINY).built_task.skills
LEGO = np.eye(5)
LEGO[1, [0, 2, 3]] = 0.5
"""Rows that sum to 1, the second to 2.5: what the paper's LEGO graph must sum to for the weights that it plots."""


class Told:
    """A context of which only the skills are asked."""

    skills = ("a", "b", "c", "d", "e")

    def __init__(self, *targets: str) -> None:
        self.targets = targets or self.skills


def begun(teacher: SkillIt, *targets: str) -> SkillIt:
    teacher.begin(Told(*targets))  # type: ignore[arg-type]
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

    monkeypatch.setattr("dataenv.episode.context.run_all", spy)
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
        ({"graph": [1.0, 2.0]}, "give a matrix of finite numbers, a row for each skill that is taught"),
        ({"graph": [[1.0, 2.0], [1.0]]}, "give a matrix of finite numbers"),
        ({"graph": [[]]}, "give a matrix of finite numbers"),
        ({"graph": [[float("nan")]]}, "give a matrix of finite numbers"),
        ({"updates": -1}, "updates is -1; give a whole number of at least 0"),
        ({"updates": 3, "graph": [[1.0]]}, "updates is 3; it goes with a graph that is learnt"),
        ({"examples": 0}, "examples is 0"),
        ({"taught": "add"}, "taught is 'add'; give a list of distinct skills"),
        ({"taught": ["a", "a"]}, "give a list of distinct skills"),
        ({"graph": [[1.0, -1.0], [0.0, 1.0]]}, "without negative"),
        ({"prior": 5}, "goes with a graph that is given"),
    ],
)
def test_what_makes_no_sense_is_refused(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SkillIt(**args)


# Regimes: which skills are rows, and which columns


GRAPH = np.array([[1.0, 0.2, 0.0], [0.5, 1.0, 0.1], [0.3, 0.4, 1.0]])


class Three(Told):
    skills = ("a", "b", "c")


def regime(targets: tuple[str, ...], **args: Any) -> SkillIt:
    teacher = SkillIt(eta=1.0, window=2, **args)
    teacher.begin(Three(*targets))  # type: ignore[arg-type]
    return teacher


def test_fine_tuning_looks_at_the_targets_alone() -> None:
    """Two looks by hand: eta 1, target c, so what counts is the third column times the loss on c."""
    for graph in (GRAPH, GRAPH[:, 2:]):
        teacher = regime(("c",), graph=graph.tolist())
        e = np.exp([0.0, 0.1, 1.0])
        np.testing.assert_allclose(teacher.act({"loss": np.array([9.0, 9.0, 2.0])}, {}), e / e.sum(), atol=1e-6)
        e = np.exp([0.0, 0.1 * (2.0 + 0.5), 2.0 + 0.5])
        np.testing.assert_allclose(teacher.act({"loss": np.array([9.0, 0.0, 0.5])}, {}), e / e.sum(), atol=1e-6)


def test_held_out_skills_get_no_share() -> None:
    """Targets that nobody may teach: a and b are taught for what they do for c."""
    for graph in (GRAPH, GRAPH[:2], GRAPH[:, 2:], GRAPH[:2, 2:]):
        teacher = regime(("c",), graph=graph.tolist(), taught=["b", "a"])
        e = np.exp([0.0, 0.1])
        np.testing.assert_allclose(teacher.act({"loss": np.full(3, 2.0)}, {}), [*(e / e.sum()), 0.0], atol=1e-6)
        e = np.exp([0.0, 0.1 * (2.0 + 1.0)])
        np.testing.assert_allclose(teacher.act({"loss": np.full(3, 1.0)}, {}), [*(e / e.sum()), 0.0], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "said"),
    [((3, 2), r"give \(2, 1\) or \(3, 3\)"), ((1, 1), "2 of 3 skills are taught and 1 are targets"), ((4, 4), "shape")],
)
def test_a_graph_that_fits_no_regime_is_refused(shape: tuple[int, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        regime(("c",), graph=np.ones(shape).tolist(), taught=["a", "b"])


def test_an_unknown_skill_is_told_the_nearest_one() -> None:
    with pytest.raises(ValueError, match="taught has 'shrt', which is no skill of the task; did you mean 'short'"):
        SkillIt(taught=["shrt"]).begin(SimpleNamespace(skills=("short", "long"), targets=("long",)))  # type: ignore[arg-type]


# A graph from trials of a few updates


class Trying(Three):
    """A context whose trials are a table."""

    def __init__(self, gains: Any, *targets: str) -> None:
        super().__init__(*targets)
        self.gains, self.asked = np.asarray(gains, np.float64), []

    def generate(self, skill: str, n: int, difficulty: float | None = None) -> list[Example]:
        return [Example(prompt=f"{skill}{i}", response="x", skills=(skill,)) for i in range(n)]

    def trial(self, groups: Sequence[Sequence[Example]], updates: int = 1, **how: Any) -> Any:
        self.asked.append(([{e.skills[0] for e in g} for g in groups], [len(g) for g in groups], updates, how))
        return self.gains


def tried(context: Trying, **args: Any) -> SkillIt:
    teacher = SkillIt(eta=1.0, updates=5, examples=7, **args)
    teacher.begin(context)  # type: ignore[arg-type]
    teacher.act({"loss": np.ones(3)}, {})
    return teacher


def test_a_trial_of_each_skill_makes_the_graph() -> None:
    context = Trying([[0.4, 0.1, -0.2], [0.2, 0.8, 0.0], [0.0, -0.1, 0.6]])
    found = tried(context)._matrix
    np.testing.assert_allclose(found, [[0.5, 0.125, 0.0], [0.25, 1.0, 0.0], [0.0, 0.0, 0.75]])
    assert context.asked == [([{"a"}, {"b"}, {"c"}], [7, 7, 7], 5, {"by_skill": True})]
    edges = tried(Trying(context.gains), graph="binary", threshold=0.2)._matrix
    np.testing.assert_allclose(edges, [[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]])


def test_trials_are_of_what_is_taught_and_read_on_the_targets() -> None:
    context = Trying([[0.4, 0.1, 0.2], [0.2, 0.8, 0.1]], "c")
    np.testing.assert_allclose(tried(context, taught=["a", "b"])._matrix, [[1.0], [0.5]])
    assert context.asked[0][0] == [{"a"}, {"b"}]
    nothing = tried(Trying(-np.ones((3, 3)), "c"))
    np.testing.assert_allclose(nothing._matrix, [[0.0], [0.0], [1.0]], err_msg="each skill is then on its own")
    edges = tried(Trying(context.gains, "c"), graph="binary", taught=["a", "b"])
    np.testing.assert_allclose(edges._matrix, [[0.5], [0.5]], err_msg="no held-out skill is a skill on itself")


def test_trials_cost_a_part_of_what_lessons_do() -> None:
    """To the token what the trials are, and a fraction of a lesson of each skill, for a graph of the same kind."""
    spent, graphs = [], []
    for updates in (0, 1):
        env = TeachingEnv("skill-list", **RICH)
        observation, info = env.reset(seed=0)
        teacher = SkillIt(updates=updates, examples=8)
        teacher.begin(Context(env))
        shares = teacher.act(observation, info)
        assert shares.sum() == pytest.approx(1.0, abs=1e-5)
        assert env.purse.uses["training"] == 0
        spent.append(env.purse.uses["probes"])
        assert teacher._matrix is not None
        graphs.append(teacher._matrix)
    feedback = [Example(prompt=p.prompt, response=p.answer) for p in env.setting.exam_items("feedback")]
    look = sum(map(env.student.tokens, feedback))
    trained = spent[1] - (len(env.task.skills) + 1) * look
    drawn = [e for skill in env.task.skills for e in Context(env).generate(skill, 8)]
    assert trained == pytest.approx(3 * sum(map(env.student.tokens, drawn)), rel=0.2), "three a token of an update"
    assert spent[1] < 0.5 * spent[0]
    assert [graph.shape for graph in graphs] == [(16, 16)] * 2
    assert all(graph.max() == 1.0 and graph.min() >= 0.0 for graph in graphs)


def test_it_teaches_an_episode_with_targets_and_held_out_skills() -> None:
    env = TeachingEnv("skill-list", **RICH | {"targets": ["chain"] if "chain" in TASK_SKILLS else [TASK_SKILLS[-1]]})
    taught = [skill for skill in TASK_SKILLS if skill not in env.setting.targets]
    episode = run(env, SkillIt(updates=2, examples=4, taught=taught), seed=0)
    held_out = [i for i, skill in enumerate(TASK_SKILLS) if skill in env.setting.targets]
    mixtures = [step.mixture for step in episode.steps if step.mixture is not None]
    assert mixtures
    assert all(mixture[i] == 0 for mixture in mixtures for i in held_out)


def test_a_graph_of_another_size_is_refused_when_it_begins() -> None:
    with pytest.raises(ValueError, match=r"give \(5, 5\)"):
        begun(SkillIt(graph=np.eye(3).tolist()))


def test_a_purse_that_pays_no_trial_teaches_each_skill_for_itself() -> None:
    """As where it pays no lesson alone: the graph has nothing but its diagonal, and the episode goes on."""
    env = TeachingEnv("skill-list", **TINY | {"budget": {"student_tokens": 4_000}})
    episode = run(env, SkillIt(updates=4, examples=64), seed=0)
    assert env.purse.uses["training"] > 0
    assert len(episode.steps) > 1
