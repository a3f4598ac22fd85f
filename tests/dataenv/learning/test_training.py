"""A policy is trained: its return rises, it is kept and read back, and one that is damaged is one sentence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import dataenv
from dataenv.cli import app
from dataenv.environment.env import TeachingEnv
from dataenv.episode.loop import run
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.folder import Manifest, differences
from dataenv.leaderboard.runs import known_runs
from dataenv.learning.evolution import Evolution, marginal
from dataenv.learning.oracle import frozen, regrets
from dataenv.learning.policy import CARD, SKILLS, WEIGHTS, TeacherPolicy, by_name, fresh, load, look, save
from dataenv.learning.ppo import advantage, without_common
from dataenv.learning.rollouts import Gatherer, PolicyPlan
from dataenv.learning.training import train
from dataenv.setting import make_setting
from dataenv.vector.simulated import SimulatedVectorEnv
from dataenv.vector.variation import Variation
from dataenv.vector.vector_env import TeachingVectorEnv
from tasks.records import stream
from teachers.learned import SHIPPED, Learned
from tests.tiny import TINY

SMALL: dict[str, Any] = {
    "student": "simulated",
    "warm_start": {"examples": 400, "recipe": {"updates": 600}},
    "items": {"feedback": 10, "selection": 20, "test": 1, "transfer": 0},
    "budget": {"student_tokens": 400_000},
}
SETTING = make_setting(SMALL)
STILL = Variation(speed=0, spread=0, learn=0, forget=0, shelter=0)
CARDS: dict[str, Any] = {"algorithm": "ppo", "prior": 7, "trained": ()}


def vector(n: int, **fields: Any) -> SimulatedVectorEnv:
    return SimulatedVectorEnv(n, autoreset_mode="SameStep", setting=SETTING, **fields)


@pytest.fixture(scope="module")
def drawn() -> TeacherPolicy:
    """A policy with opinions."""
    made = fresh(stream(3, "policy"), 0.2)
    return TeacherPolicy(made.weights | {"actor.out": 600 * made.weights["actor.out"]}, 0.2)


@pytest.mark.parametrize(("algorithm", "iterations", "rate"), [("ppo", 12, 0.03), ("reinforce", 40, 0.02)])
def test_the_return_rises(algorithm: Any, iterations: int, rate: float) -> None:
    """On one student, so that the return is of what is taught and not of whom: it is steady to about 0.001."""
    setting = make_setting(SMALL | {"student_args": {"spread": 0.0}})
    envs = SimulatedVectorEnv(32, autoreset_mode="SameStep", setting=setting, vary=STILL)
    curve = train(envs, PolicyPlan(algorithm=algorithm, iterations=iterations, group=32, rate=rate)).curve
    assert np.mean(curve[-4:]) > np.mean(curve[:3]) + 0.003


def test_equal_seeds_train_equally_and_others_do_not() -> None:
    one, again, other = (
        train(vector(4, vary=Variation()), PolicyPlan(iterations=2, group=2, seed=seed)) for seed in (0, 0, 1)
    )
    assert one.policy.identity == again.policy.identity != other.policy.identity
    assert one.tokens == again.tokens > 4 * 2 * 300_000


def test_threads_do_not_change_what_is_trained() -> None:
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(train(vector(32, vary=Variation()), PolicyPlan(iterations=3)).policy.identity)
    torch.set_num_threads(before)
    assert found[0] == found[1]


def test_no_skill_is_known_by_its_place(drawn: TeacherPolicy) -> None:
    """Skills in another order get the same shares in that order, and any number of skills is taught."""
    rng = np.random.default_rng(0)
    x = rng.random((5, 16, 7))
    order = rng.permutation(16)
    np.testing.assert_allclose(drawn.mode(x[:, order]), drawn.mode(x)[:, order], atol=1e-12)
    assert drawn.mode(x).std() > 0.03
    few = drawn.mixture(drawn.mode(x[0, :3]))
    assert few.sum() == pytest.approx(1.0)
    assert few.min() >= 0.2 / 3 - 1e-6


def test_it_sees_what_the_numeric_view_shows() -> None:
    env = dataenv.numeric(TeachingEnv("skill-list", runner=Runner(Store(None)), setting=SETTING))
    view: Any = env.env
    env.reset(seed=0)
    vector, *_ = env.step(np.linspace(0, 1, 16, dtype=np.float32))
    inner: Any = env.unwrapped
    below, _ = inner.reset(options={"snapshot": inner.snapshot()})  # the same moment, without the views
    seen = look(below)
    assert np.array_equal(np.concatenate([seen[name] for name in view.fields]).astype(np.float32), vector)


@pytest.mark.parametrize("names", [False, True])
def test_a_frozen_policy_teaches_the_same_in_both_forms(drawn: TeacherPolicy, tmp_path: Path, names: bool) -> None:
    """The environment with the teacher, and the vector in NumPy: equal lessons to a few hundredths of a point."""
    from dataenv.learning.oracle import expected

    skills = SETTING.built_task.skills if names else ()
    told = {SKILLS: np.linspace(-3, 3, 16, dtype=np.float32)} if names else {}
    policy = TeacherPolicy(drawn.weights | told, 0.2)
    save(policy, CARDS | {"skills": skills}, tmp_path)
    env = TeachingEnv("skill-list", runner=Runner(Store(None)), setting=SETTING)
    run(env, Learned(str(tmp_path)), seed=50)
    assert expected(env) == pytest.approx(frozen(policy, SETTING, [50])[0], abs=2e-3)
    assert (env.history[-1].mixture[0] < env.history[-1].mixture[-1] / 3) == names


def test_what_was_kept_acts_as_it_did_wherever_it_lies(drawn: TeacherPolicy, tmp_path: Path) -> None:
    card = save(drawn, CARDS, tmp_path / "a")
    save(drawn, CARDS | {"algorithm": "reinforce"}, tmp_path / "b")
    read, again = load(tmp_path / "a")
    x = np.random.default_rng(1).random((3, 5, 7))
    assert np.array_equal(read.mode(x), drawn.mode(x))
    assert again == card
    one, other = Learned(str(tmp_path / "a")), Learned(str(tmp_path / "b"))
    assert one.row_args == other.row_args != Learned().row_args
    assert one.prior_compute == 7
    assert TeacherPolicy(drawn.weights, 0.3).identity != drawn.identity


def test_a_board_knows_a_policy_by_what_is_in_it(drawn: TeacherPolicy, tmp_path: Path) -> None:
    """Another policy at the same path is another run, and the folder of the board says what differs."""
    at = {"name": "learned", "args": {"path": str(tmp_path)}}
    board = Board.model_validate(
        {"name": "b", "seeds": [0], "teachers": ["stratified", at], "references": ["nothing"], "setting": SMALL}
    )

    def seen(policy: TeacherPolicy) -> tuple[Any, Manifest]:
        save(policy, CARDS, tmp_path)
        return known_runs(board)[1].args, Manifest.of(board)

    (one, before), (other, after) = seen(drawn), seen(TeacherPolicy(drawn.weights, 0.3))
    assert one == {"policy": drawn.identity} != other
    assert [line.split(":")[0] for line in differences(before, after)] == ["teachers.learned.policy"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / WEIGHTS).unlink(), "holds no policy"),
        (lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-4]), "is damaged"),
        (lambda folder: (folder / CARD).write_text("{"), r"policy\.json"),
        (
            lambda folder: (folder / CARD).write_text((folder / CARD).read_text().replace("0.2", "1.2")),
            "floor is missing or wrong",
        ),
    ],
)
def test_a_damaged_policy_is_one_sentence(drawn: TeacherPolicy, tmp_path: Path, damage: Any, words: str) -> None:
    save(drawn, CARDS, tmp_path)
    damage(tmp_path)
    with pytest.raises(dataenv.SettingError, match=words) as caught:
        dataenv.run(TeachingEnv(setting=SETTING), _built(tmp_path), seed=0)
    assert "\n" not in str(caught.value)
    assert "give a folder that dataenv train-teacher wrote" in str(caught.value)


def _without(name: str) -> Any:
    return lambda weights: {n: w for n, w in weights.items() if n != name}


def _with(name: str, made: Any) -> Any:
    return lambda weights: weights | {name: np.asarray(made, np.float32)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without("critic.out"), "critic.out is not there"),
        (_without("actor.0.bias"), "actor.0.bias is not there"),
        (_with("actor.2.own", [[1.0]]), "actor.2.own is no weight of a policy"),
        (_with("actor.1.own", np.ones((32, 5))), r"actor.1.own is float32 of shape \(32, 5\) where .* of \(32, 32\)"),
        (_with("actor.0.own", np.ones((6, 32))), r"actor.0.own is float32 of shape \(6, 32\) where .* of \(7, 32\)"),
        (_with("critic.bias", [np.nan]), "critic.bias holds a number that is not finite"),
        (lambda weights: {n: w.astype(np.float64) for n, w in weights.items()}, "actor.0.bias is float64"),
    ],
)
def test_weights_that_are_no_policys_are_one_sentence(
    drawn: TeacherPolicy, tmp_path: Path, change: Any, words: str
) -> None:
    """Whose hash is right all the same, so that nobody but what reads them can tell."""
    save(TeacherPolicy(change(drawn.weights), 0.2), CARDS, tmp_path)
    with pytest.raises(dataenv.SettingError, match=words) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)
    assert "give a folder that dataenv train-teacher wrote" in str(caught.value)


@pytest.mark.parametrize(("held", "told"), [(16, 15), (16, 0), (0, 16)])
def test_a_number_for_each_skill_that_the_card_names(
    drawn: TeacherPolicy, tmp_path: Path, held: int, told: int
) -> None:
    policy = by_name(drawn, held) if held else drawn
    save(policy, CARDS | {"skills": SETTING.built_task.skills[:told]}, tmp_path)
    with pytest.raises(dataenv.SettingError, match=r"actor\.skills is ") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_body_that_is_no_safetensors_is_one_sentence(drawn: TeacherPolicy, tmp_path: Path) -> None:
    card = save(drawn, CARDS, tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"no weights")
    told = card.model_copy(update={"weights": hashlib.blake2b(b"no weights", digest_size=16).hexdigest()})
    (tmp_path / CARD).write_text(told.model_dump_json())
    with pytest.raises(dataenv.SettingError, match="holds no float32 weights"):
        load(tmp_path)


@pytest.mark.parametrize("level", ["open-ended", "skill-tree"])
def test_it_plays_at_its_own_level_alone(level: str) -> None:
    env = TeachingEnv(level, runner=Runner(Store(None)), setting=SETTING)
    with pytest.raises(dataenv.SettingError, match=f"level is '{level}'; make an environment of level 'skill-list'"):
        dataenv.run(env, Learned(), seed=0)


def test_it_plays_skills_that_it_was_not_trained_on_and_says_so() -> None:
    """Deliberate: it looks at every skill in the same way, so none is unknown to it (docs/learned.md)."""
    small = TINY | {"task": "lego", "budget": {"student_tokens": 6_000}}
    done = CliRunner().invoke(
        app,
        ["run", "--teacher", "learned", "--task", "lego", "--setting", json.dumps(small), "--store", "off"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0
    assert "learned: trained on arithmetic (16 skills), plays lego (5 skills)" in done.output


def test_a_policy_that_knows_skills_by_name_gives_each_what_it_learnt_of_it(drawn: TeacherPolicy) -> None:
    x = np.random.default_rng(0).random((5, 16, 7))
    named = by_name(drawn, 16)
    assert np.array_equal(named.mode(x), drawn.mode(x))
    told = TeacherPolicy(named.weights | {SKILLS: np.eye(16, dtype=np.float32)[3]}, 0.2)
    changed = told.mode(x) != drawn.mode(x)
    assert changed[:, 3].all()
    assert changed.sum() == 5
    assert by_name(told, 16).identity == told.identity
    with pytest.raises(dataenv.SettingError, match="start knows 16 skills by name and there are 5; start from another"):
        by_name(told, 5)


def test_names_are_learnt_and_no_others_are_taught(tmp_path: Path) -> None:
    """Trained by the command on arithmetic, refused on lego, and refused as a start there."""
    small, out = json.dumps({k: v for k, v in SMALL.items() if k != "student"}), str(tmp_path / "names")
    plan = json.dumps({"iterations": 2, "names": True})
    words = ("train-teacher", "--out", out, "--envs", "8", "--plan", plan, "--setting", small, "--quiet")
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    policy, card = load(tmp_path / "names")
    assert card.skills == SETTING.built_task.skills
    assert np.abs(policy.weights[SKILLS]).min() > 0
    lego = TeachingEnv("skill-list", runner=Runner(Store(None)), setting=make_setting(TINY | {"task": "lego"}))
    with pytest.raises(dataenv.SettingError, match=r"skills is .*; the policy knows first, .* and no others"):
        dataenv.run(lego, Learned(out), seed=0)
    on = (*words[:5], "--start", out, "--student", "pocket", "--setting", json.dumps(TINY | {"task": "lego"}))
    refused = CliRunner().invoke(app, on)
    assert isinstance(refused.exception, dataenv.SettingError)
    assert "knows skills by name, and not those of lego" in str(refused.exception)
    assert load(tmp_path / "names")[1] == card


TRAINED: dict[str, Any] = {
    "ppo": {"student": "simulated"},
    "es": {"student": "pocket", "items": {"feedback": 50, "selection": 10, "test": 1, "transfer": 0}},
}
"""The settings of the commands in docs/learned.md."""


@pytest.mark.parametrize("ships", SHIPPED)
def test_a_policy_that_ships_tells_of_a_training_that_can_be_had_again(ships: str) -> None:
    _, card = load(SHIPPED[ships])
    (said,) = card.trained
    assert PolicyPlan.model_validate(said["plan"]).algorithm == ships == card.algorithm
    assert tuple(said["skills"]) == SETTING.built_task.skills
    assert said["setting"] == make_setting(TRAINED[ships]).digest
    assert Learned(ships=ships).row_args == Learned(str(SHIPPED[ships])).row_args


def test_what_does_not_ship_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"ships is 'dqn'; give one of ppo, es"):
        Learned(ships="dqn")
    with pytest.raises(ValueError, match=r"ships is 'es'; leave it out where path is given \('here'\), or that"):
        Learned("here", "es")


def _built(folder: Path) -> Any:
    from dataenv import registry

    return registry.build("teacher", "learned", {"path": str(folder)})


def test_it_goes_on_with_environments_that_are_no_arrays(drawn: TeacherPolicy) -> None:
    """The vector of real environments is gathered from as the NumPy form is, episode for episode."""
    plan = PolicyPlan(iterations=1, group=1, seed=5)
    one = SETTING.changed(warm_starts=1)
    real = TeachingVectorEnv(2, runner=Runner(Store(None)), settings=[one, one], autoreset_mode="SameStep")
    (a, spent), (b, paid) = (
        (gatherer.gather(drawn), gatherer.tokens) for gatherer in (Gatherer(real, plan), Gatherer(vector(2), plan))
    )
    assert np.array_equal(a.open, b.open)
    np.testing.assert_allclose(a.x, b.x, atol=2e-2)
    np.testing.assert_allclose(a.last, b.last, atol=2e-2)
    assert (a.last != a.x[-1, :, :, 0]).any()
    assert spent == pytest.approx(paid, rel=1e-3)


def test_es_tries_each_change_both_ways_and_a_group_holds_both() -> None:
    plan = PolicyPlan(algorithm="es", group=2, noise=0.7)
    es = Evolution(by_name(fresh(stream(0, "policy"), 0.0), 5), plan)
    tried = es.trial(6).weights[SKILLS]
    assert np.array_equal(tried[::2], -tried[1::2])
    assert 0.3 < tried.std() < 1.2
    with pytest.raises(dataenv.SettingError, match="group is 3; give an even one"):
        train(vector(6), PolicyPlan(algorithm="es", group=3))
    with pytest.raises(dataenv.SettingError, match="floor is 1, so es has nothing to try; give less"):
        train(vector(2), PolicyPlan(algorithm="es", group=2, floor=1.0))
    plan = PolicyPlan(algorithm="es", rate=0.3)
    assert (plan.rate, plan.iterations, plan.names) == (0.3, 12, True)
    assert PolicyPlan().iterations == 300


def test_a_skill_is_worth_what_its_own_share_does_for_it() -> None:
    """Accuracies with a slope of each over its log share, a student's own level and noise: the slopes come back."""
    rng, slopes = np.random.default_rng(0), np.array([0.2, 0.0, 0.05, 0.1])
    shares = rng.dirichlet(np.full(4, 5.0), 400)
    level = np.repeat(rng.random((50, 4)), 8, axis=0)
    accuracy = level + slopes * np.log(shares) + 0.02 * rng.standard_normal((400, 4)) * (slopes > 0)
    np.testing.assert_allclose(marginal(shares, accuracy, 8) * shares.mean(0), slopes, atol=0.01)
    assert marginal(shares, accuracy, 8)[1] == pytest.approx(0.0, abs=1e-9)


def test_es_gives_less_to_what_is_never_learnt_and_does_better() -> None:
    """From even shares, on simulated students: below the mean go the four skills that no purse of theirs teaches."""
    plan = PolicyPlan(algorithm="es", iterations=10, group=8, rate=1.0)
    done = train(vector(16), plan)
    even = fresh(stream(0, "policy"), 1.0)
    names = dict(zip(SETTING.built_task.skills, done.policy.weights[SKILLS], strict=True))
    assert max(names[slow] for slow in ("times", "hash", "add-carry", "sub-borrow")) < np.mean(list(names.values()))
    seeds = list(range(500, 508))
    assert frozen(done.policy, SETTING, seeds).mean() > frozen(even, SETTING, seeds).mean() + 0.01


def test_advantages_are_returns_less_values_and_what_a_student_has_in_common_is_taken_off() -> None:
    rng = np.random.default_rng(0)
    open_ = np.array([[1, 1, 1, 1], [1, 1, 1, 0]], bool)
    rewards, worth = (np.where(open_, rng.random((2, 4)), 0.0) for _ in range(2))
    rollout: Any = type("R", (), {"rewards": rewards})
    whole = advantage(rollout, worth, 1.0, 1.0)
    np.testing.assert_allclose(whole[0], rewards.sum(0) - worth[0])
    step = advantage(rollout, worth, 1.0, 0.0)
    np.testing.assert_allclose(step[0], rewards[0] + worth[1] - worth[0])
    left = without_common(whole, open_, 2)
    np.testing.assert_allclose(left[0], np.array([1, -1, 1, -1]) * np.repeat((whole[0, ::2] - whole[0, 1::2]) / 2, 2))
    assert left[1, 2] == 0.0


def test_varied_students_differ_and_seeds_decide_them() -> None:
    one, again = (vector(3, vary=Variation()).reset(seed=[1, 1, 2])[0]["loss"] for _ in range(2))
    assert np.array_equal(one, again)
    assert np.array_equal(one[0], one[1])
    assert not np.array_equal(one[0], one[2])


def test_without_variation_students_are_those_of_the_curves() -> None:
    """But for the pace, which is drawn by another generator: at no spread they are the same students."""
    setting = make_setting(SMALL | {"student_args": {"spread": 0.0}})
    one, other = (SimulatedVectorEnv(1, setting=setting, vary=vary) for vary in (None, STILL))
    action = np.linspace(0.1, 1, 16, dtype=np.float32)[None]
    for env in (one, other):
        env.reset(seed=0)
    np.testing.assert_allclose(one.step(action)[0]["loss"], other.step(action)[0]["loss"], rtol=1e-6)


def test_regret_is_to_a_schedule_that_is_better() -> None:
    values, regret = regrets(fresh(stream(0, "policy"), 1.0), SETTING, [50])
    assert 0.02 < regret[0] < 0.6
    assert values[0] + regret[0] < 1.0


def test_groups_divide_the_vector() -> None:
    with pytest.raises(dataenv.SettingError, match="group is 3 and there are 4 envs; give a divisor"):
        train(vector(4), PolicyPlan(group=3))


def test_train_teacher_and_run(tmp_path: Path) -> None:
    """What a user types: train, then teach with it."""

    def typed(*words: str) -> str:
        done = CliRunner().invoke(app, words, catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    small, out = json.dumps({k: v for k, v in SMALL.items() if k != "student"}), str(tmp_path / "ppo")
    said = typed("train-teacher", "--out", out, "--envs", "8", "--plan", '{"iterations": 2}', "--setting", small)
    assert "iteration    2 of 2: mean return" in said
    assert "points behind the best schedule" in said
    assert load(tmp_path / "ppo")[1].prior > 10_000_000
    assert load(tmp_path / "ppo")[1].trained_on == "arithmetic (16 skills)"
    typed("train-teacher", "--start", out, "--out", out, "--envs", "2", "--plan", '{"iterations": 1, "group": 2}',
          "--setting", small, "--quiet")  # fmt: skip
    assert len(load(tmp_path / "ppo")[1].trained) == 2
    taught = typed("run", "--teacher", "learned", "--student", "simulated", "--args", json.dumps({"path": out}),
                   "--setting", small, "--store", "off")  # fmt: skip
    assert "learned, seed 0 (simulated student): total reward" in taught
