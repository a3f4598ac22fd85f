"""``accel``: ranks, learnability, what gets into the buffer, and that nothing is taught on which it was scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dataenv.environment.env import TeachingEnv
from dataenv.episode.loop import run
from teachers.accel import Accel, Scored, by_rank, learnability
from tests.teachers.fakes import Fake, taught
from tests.tiny import TINY


def begun(context: Any, **args: Any) -> Accel:
    teacher = Accel(**args)
    teacher.begin(context)
    return teacher


def test_ranks_weigh_as_published() -> None:
    np.testing.assert_allclose(by_rank(np.array([0.1, 0.9, 0.5]), 1.0), np.array([2, 6, 3]) / 11)
    np.testing.assert_allclose(by_rank(np.array([1.0, 0.0]), 0.5), [0.8, 0.2])


def test_equal_scores_share_their_ranks() -> None:
    np.testing.assert_allclose(by_rank(np.array([0.0, 1.0, 0.0]), 1.0), np.array([5, 12, 5]) / 22)
    np.testing.assert_allclose(by_rank(np.zeros(4), 0.3), np.full(4, 0.25))


def test_learnability_is_unbiased() -> None:
    assert learnability([1, 0, 1, 0]) == pytest.approx(0.5 * 0.5 * 4 / 3)
    assert learnability([1, 1, 1]) == learnability([0, 0]) == learnability([1]) == learnability([]) == 0
    rng = np.random.default_rng(0)
    assert np.mean([learnability(rng.random(4) < 0.3) for _ in range(20_000)]) == pytest.approx(0.21, abs=0.003)


def test_the_edge_of_what_the_student_can_do_is_replayed() -> None:
    context = Fake(knows=lambda skill, difficulty: {0.0: 1.0, 0.5: 0.5, 1.0: 0.0}[difficulty] * (skill == "chain"))
    teacher = begun(context, staleness=0.0, items=32, buffer=6)
    assert taught(teacher.act({}, {})).get("chain 0.5", 0) > 30
    assert max(teacher.levels, key=lambda place: teacher.levels[place].score) == (1, 1)


def test_edits_are_small_and_reach_neighbouring_skills() -> None:
    context = Fake(knows=lambda *_: 0.5)
    teacher = begun(context, step=0.25, buffer=1)
    teacher._meet(context.generate("chain", 1))
    teacher._taught = [(1, 2)]
    assert {edit for _ in range(60) for edit in teacher._edits()} == {(1, 1), (1, 3), (0, 2)}
    teacher._taught = [(0, 0)]
    assert {edit for _ in range(60) for edit in teacher._edits()} == {(0, 1), (1, 0)}


def test_edits_in_a_row_go_further_and_none_draws_nothing() -> None:
    teacher = begun(Fake(), step=0.25, edits=2)
    teacher._taught = [(0, 0)]
    assert {edit for _ in range(60) for edit in teacher._edits()} == {(0, 2)}, "back where it was is no edit"
    plain = begun(Fake(), edits=0)
    plain._taught = [(0, 0), (1, 2)]
    before = plain._context.rng.bit_generator.state
    assert plain._edits() == []
    assert plain._context.rng.bit_generator.state == before


def test_only_what_beats_the_lowest_gets_into_a_full_buffer() -> None:
    teacher = begun(Fake(), buffer=2)
    teacher.levels = {(0, 0): Scored(0.1, 0), (0, 1): Scored(0.2, 0)}
    teacher._admit((1, 0), 0.1)
    assert set(teacher.levels) == {(0, 0), (0, 1)}
    teacher._admit((1, 0), 0.15)
    assert set(teacher.levels) == {(0, 1), (1, 0)}
    teacher._admit((0, 1), 0.0)
    assert teacher.levels[(0, 1)].score == 0.0, "a new score of what is there replaces the old one"


def test_what_was_scored_is_never_taught() -> None:
    context = Fake()
    teacher = begun(context)
    lessons = [e.prompt for _ in range(5) for e in teacher.act({}, {})]
    scored = {e.prompt for asked in context.asked for e in asked}
    assert scored
    assert not scored & set(lessons)


def test_stale_levels_come_back() -> None:
    teacher = begun(Fake(), staleness=1.0)
    teacher._now = 5
    teacher.levels = {(0, 0): Scored(0.2, 5), (1, 0): Scored(0.0, 1)}
    np.testing.assert_allclose(teacher._shares([(0, 0), (1, 0)]), [0, 1])


def test_without_money_it_is_stratified_and_scoring_keeps_its_share() -> None:
    assert taught(begun(Fake(tokens=3)).act({}, {})) == {"add None": 20, "chain None": 20}
    context = Fake(tokens=400)
    teacher = begun(context)
    for _ in range(30):
        assert len(teacher.act({}, {})) == 40
    assert 0 < context.budget.spent <= 400 / 3


def test_a_real_episode() -> None:
    env = TeachingEnv("open-ended", **TINY)
    episode = run(env, Accel(items=4), seed=0)
    assert episode.steps[-1].ended == "spent"
    assert 0 < env.snapshot().probes <= TINY["budget"]["student_tokens"] / 3


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"beta": 0.0}, "beta is 0.0; give a finite number > 0"),
        ({"replay": 0.0}, r"replay is 0.0; give a number in \(0, 1\]"),
        ({"step": 0.0}, "step is 0.0"),
        ({"buffer": 0}, "buffer is 0; give a whole number of at least 1"),
        ({"edits": -1}, "edits is -1; give a whole number of at least 0"),
        ({"items": 1}, "items is 1; give a whole number of at least 2"),
        ({"staleness": 1.1}, "staleness is 1.1"),
        ({"share": -1}, "share is -1"),
    ],
)
def test_arguments_out_of_range_are_refused(args: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Accel(**args)
