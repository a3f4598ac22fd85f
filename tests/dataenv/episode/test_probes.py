"""Probes: what a sample and an influence are, what they are paid for, and that neither tells what is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import dataenv
from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.episode.probe import LossProbe
from dataenv.execution.executors import Inline
from dataenv.execution.jobs import Answers, Exam, Job, Training
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.setting import make_setting
from students.base import TrainingDivergedError
from tasks.base import Task
from tasks.records import Example
from tests.tiny import TINY
from tests.toys import TOYS


def tiny(**changes: Any) -> tuple[TeachingEnv, dataenv.Context]:
    env = TeachingEnv("open-ended", runner=Runner(Store()), setting=make_setting(TINY | changes))
    env.reset(seed=0)
    return env, dataenv.Context(env)


def unique(context: dataenv.Context, skill: str, n: int) -> list[Example]:
    return list(dict.fromkeys(context.generate(skill, 4 * n)))[:n]


@pytest.fixture(scope="module")
def taught() -> tuple[TeachingEnv, dataenv.Context]:
    """A student that has had one lesson."""
    env, context = tiny()
    env.step(unique(context, "max", 64))
    return env, context


# Samples


def test_each_sample_has_a_seed_of_its_own_and_equal_episodes_draw_equally() -> None:
    (_, one), (_, other) = tiny(), tiny()
    prompts = [e.prompt for e in unique(one, "add", 6)]
    first = one.sample(prompts, 3)
    assert [len(answers) for answers in first] == [3] * 6
    columns = list(zip(*first, strict=True))
    assert len(set(columns)) == 3, "three samples of six prompts are three different columns"
    assert other.sample(prompts, 3) == first
    assert one.sample(prompts, 3) != first, "asked again, other draws"
    cold = one.sample(prompts, 3, temperature=0.0)
    assert all(len(set(answers)) == 1 for answers in cold)
    greedy = one.probe(
        [Example(prompt=p, response=a[0] or "-") for p, a in zip(prompts, cold, strict=True)], "accuracy"
    )
    assert greedy.tolist() == [float(bool(a[0])) for a in cold], "at 0 it is the greedy answer"


def test_samples_cost_what_answers_cost() -> None:
    env, context = tiny()
    examples = unique(context, "max", 5)
    context.probe(examples, "accuracy")
    once = env.purse.spent
    context.sample([e.prompt for e in examples], 4)
    assert env.purse.spent == 5 * once


def test_feedback_answers_are_drawn_evenly_and_cost_what_answers_cost() -> None:
    (env, one), (_, other) = tiny(), tiny()
    found = one.feedback_answers(32, 5)
    prompts = {p.id: p for p in env.setting.exam_items("feedback")}
    asked = [prompts[one.id].skills[0] for one in found]
    assert all(prompts[one.id].prompt == one.prompt for one in found)
    assert [asked.count(skill) for skill in one.skills] == [2] * 16
    assert {len(one.answers) for one in found} == {5}
    each = env.student.tokens(Example(prompt=found[0].prompt, response="")) + env.setting.decoding.max_tokens
    assert env.purse.spent == 32 * 5 * each, "prompts of this task are equally long"
    assert other.feedback_answers(32, 5) == found
    assert one.feedback_answers(32, 5) != found, "asked again, other draws"
    assert len(one.feedback_answers(10_000)) == len(prompts)
    with pytest.raises(dataenv.SettingError, match="problems is 0; give a whole number of at least 1"):
        one.feedback_answers(0)
    with pytest.raises(dataenv.BudgetSpentError):
        one.feedback_answers(48, 50)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((["<1>"], 0), "n is 0; give a whole number of at least 1"),
        ((["<1>"], True), "n is True"),
        ((["<1>"], 1, -1.0), "temperature is -1.0; give a finite number of at least 0"),
        ((["<1>"], 1, float("inf")), "temperature is inf"),
        ((["<1>"], 1, float("nan")), "temperature is nan"),
        (("<1>",), "prompts is one text; give a list"),
        (([""],), "prompts hold what is no example"),
    ],
)
def test_a_sample_that_is_none_is_refused_and_costs_nothing(arguments: tuple[Any, ...], sentence: str) -> None:
    env, context = tiny()
    with pytest.raises(dataenv.SettingError, match=sentence):
        context.sample(*arguments)
    assert env.purse.spent == 0
    assert context.sample([]) == []


# Influence


def test_influence_is_what_one_update_does_to_the_loss(taught: tuple[TeachingEnv, dataenv.Context]) -> None:
    """Against the two jobs written out by hand."""
    env, context = taught
    group, reference = unique(context, "max", 8), unique(context, "max", 12)
    recipe = env.setting.recipe.model_copy(update={"updates": 1, "batch": 8, "replay": 0.0})
    exam = Exam(name="x", prompts=tuple(e.prompt for e in reference), golds=tuple(e.response for e in reference))
    losses = []
    for training in (None, Training(lesson=tuple(group), recipe=recipe, seed=5)):
        job = Job(student=env.setting.student_spec, parent=env.state, train=training, exams=(exam,))
        losses.append(np.mean(Runner(env.runner.store).run(job).answers["x"].losses))
    assert context.influence([group], reference)[0] == pytest.approx(losses[0] - losses[1], abs=1e-6)


def test_one_update_is_all_that_is_made_whatever_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cool-down, patience, replay and warm-up would be training that nobody paid for."""
    recipe = TINY["recipe"] | {"cooldown": 5, "patience": 1, "interval": 1, "replay": 0.5, "warmup": 3}
    env, context = tiny(recipe=recipe)
    made, sound = [], Runner.run

    def listen(self: Runner, job: Job) -> Any:
        outcome = sound(self, job)
        made.append(outcome.trained)
        return outcome

    monkeypatch.setattr(Runner, "run", listen)
    group, reference = unique(context, "max", 8), unique(context, "add", 8)
    context.influence([group], reference)
    trained = [report for report in made if report is not None and report.updates == 1]
    assert [(report.tokens, report.looks) for report in trained] == [(sum(map(env.student.tokens, group)), 0)]


def test_what_is_asked_helps_and_more_than_nonsense(taught: tuple[TeachingEnv, dataenv.Context]) -> None:
    _, context = taught
    group, reference = unique(context, "min", 16), unique(context, "min", 64)
    wrong = [e.model_copy(update={"response": "~~~"}) for e in group]
    right, false = context.influence([group, wrong], reference)
    assert right > false
    assert right > 0


def test_influence_leaves_the_student_and_the_episode_as_they_were(taught: tuple[TeachingEnv, dataenv.Context]) -> None:
    env, context = taught
    before, blobs = env.snapshot(), env.runner.store.blobs
    groups = [unique(context, skill, 4) for skill in ("max", "add")]
    trained, held = env.runner.trained, len(blobs._blobs)  # type: ignore[attr-defined]
    first = context.influence(groups)
    assert env.runner.trained == trained + 2
    after = env.snapshot()
    assert after.model_copy(update={"probes": before.probes}) == before
    assert len(blobs._blobs) == held, "weights of probe states are not kept"  # type: ignore[attr-defined]
    np.testing.assert_array_equal(context.influence(groups), first)
    assert env.runner.trained == trained + 2, "their numbers are"


class Threads(Inline):
    """Jobs of this process, two at a time."""

    width = 2


def test_side_by_side_gives_the_same_numbers(toys: None) -> None:
    found = []
    for workers in (Inline(), Threads()):
        env = TeachingEnv("open-ended", runner=Runner(Store(), workers), setting=make_setting(TOYS))
        env.reset(seed=0)
        context = dataenv.Context(env)
        reference = context.generate("short", 6)
        found.append(context.influence([reference[:n] for n in (1, 5, 2, 3)], reference))
    np.testing.assert_allclose(found, [np.array([1, 5, 2, 3]) / 6] * 2)


def test_the_feedback_split_is_the_reference_unless_another_is_given() -> None:
    env, context = tiny()
    group = unique(context, "max", 4)
    context.influence([group, group])
    tokens = sum(len(p.prompt) + len(p.answer) + 1 for p in env.setting.exam_items("feedback"))
    trained = sum(env.student.tokens(e) for e in group)
    assert env.purse.spent == 3 * tokens + 2 * 3 * trained


@pytest.mark.parametrize(
    ("groups", "reference", "sentence"),
    [
        ([[]], None, r"groups\[0\] is empty"),
        ([[7]], None, r"groups\[0\] hold what is no example"),
        ([[Example(prompt="<1>", response="1")]], [], "reference is empty"),
    ],
)
def test_groups_that_are_none_are_refused_and_cost_nothing(groups: Any, reference: Any, sentence: str) -> None:
    env, context = tiny()
    with pytest.raises(dataenv.SettingError, match=sentence):
        context.influence(groups, reference)
    assert env.purse.spent == 0
    assert context.influence([]).shape == (0,)


def test_nothing_sealed_is_sampled_or_weighed() -> None:
    env, context = tiny()
    free = unique(context, "max", 2)
    for split in ("feedback", "selection", "test", "transfer"):
        problem = env.task.split(split)[0]
        sealed = Example(prompt=problem.prompt, response=problem.answer)
        for ask in (
            lambda sealed=sealed: context.sample([sealed.prompt]),
            lambda sealed=sealed: context.influence([free, [sealed]], free),
            lambda sealed=sealed: context.influence([free], [*free, sealed]),
        ):
            spent = env.purse.spent
            with pytest.raises(dataenv.SettingError, match="1 would not pass the screen"):
                ask()
            assert env.purse.spent > spent, "a refusal for nothing would list what is sealed"
    assert env.leaks.count == 12
    assert {leak.where for leak in env.leaks.first} == {"probe"}


def test_a_step_that_diverges_is_said_and_the_runner_goes_on(monkeypatch: pytest.MonkeyPatch, toys: None) -> None:
    env = TeachingEnv("open-ended", runner=Runner(Store()), setting=make_setting(TOYS))
    env.reset(seed=0)
    context = dataenv.Context(env)

    def diverge(*_: Any) -> None:
        raise TrainingDivergedError("the loss is nan")

    with monkeypatch.context() as patch:
        patch.setattr(type(env.student), "fit", diverge)
        with pytest.raises(dataenv.JobFailedError, match="diverged"):
            context.influence([context.generate("short", 2)] * 2, context.generate("long", 2))
    env.step(context.generate("short", 8))


def test_an_unknown_probe_is_one_sentence_with_the_nearest_name() -> None:
    _, context = tiny()
    for name, hint in (
        ("gradient", "known: accuracy, entropy, loss; or give module:Name."),
        ("los", "did you mean 'loss'?"),
    ):
        with pytest.raises(dataenv.SettingError) as caught:
            context.probe(unique(context, "max", 2), name)
        assert str(caught.value) == f"probe {name!r} is not registered; {hint}"


class Margin(LossProbe):
    """Twice the loss."""

    def read(self, answers: Answers, examples: Sequence[Example], task: Task) -> Any:
        return 2 * super().read(answers, examples, task)


def test_a_probe_from_outside_is_paid_and_read_like_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._HERE["probe"], "margin", Margin)
    env, context = tiny()
    asked, before = unique(context, "max", 3), env.purse.spent
    loss = context.probe(asked)
    price = env.purse.spent - before
    assert context.probe(asked, "margin") == pytest.approx(2 * loss)
    assert env.purse.spent - before == 2 * price


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        ("no.module:Here", "cannot be loaded"),
        (dict, "no subclass of dataenv.episode.probe.Probe; derive it from that"),
        (type("Free", (LossProbe,), {"tokens": lambda *_: 0}), "is 0; give a whole number of at least 1"),
        (type("Short", (LossProbe,), {"read": lambda *_: [1.0]}), r"reads shape \(1,\) from 2 answers"),
    ],
)
def test_a_probe_that_breaks_its_contract_is_one_sentence(
    thing: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._HERE["probe"], "broken", thing)
    _, context = tiny()
    with pytest.raises(dataenv.SettingError, match=said):
        context.probe(unique(context, "max", 2), "broken")


def test_pool_and_generator_give_what_may_be_taught(monkeypatch: pytest.MonkeyPatch, toys: None) -> None:
    """A generator of written text may write a sealed problem again; a teacher that probes it should not end by that."""
    from tests.toys import Reverse

    env = TeachingEnv("skill-list", task="reverse", student="parrot", warm_start={"examples": 0, "recipe": {}})
    env.reset(seed=0)
    sealed = env.task.split("test")[0]
    copy = Example(prompt=sealed.prompt, response=sealed.answer, skills=sealed.skills)
    plain, made = Reverse.pool, Reverse.generate
    monkeypatch.setattr(Reverse, "pool", lambda self: (copy, *plain(self)))
    monkeypatch.setattr(Reverse, "generate", lambda self, *args: [*made(self, *args), copy])
    context = dataenv.Context(env)
    assert copy in env.task.pool()
    fresh = context.generate(env.task.skills[0], 5)
    assert context.pool()
    assert set(context.pool()) < set(env.task.pool())
    assert fresh
    assert copy not in fresh
    assert copy not in context.pool()
    asked = tuple(dict.fromkeys((*context.pool(), *fresh)))
    assert context.probe(asked).shape == (len(asked),)
