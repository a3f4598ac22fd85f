"""Canaries: what stands in the selection, test and transfer problems alone reaches no teacher by any public way.

A branch is a whole environment, and Python hides nothing: who reaches through it for ``task``, ``setting``, ``runner``
or a job is cheating in plain sight (see ``Context.fork``). All else that a teacher is given, told or can ask is walked.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest

import dataenv
from dataenv import registry
from dataenv.environment import env as environment
from dataenv.environment import exams
from dataenv.environment.env import TeachingEnv
from dataenv.episode import context as context_module
from dataenv.errors import BudgetSpentError, DataenvError
from dataenv.execution import runner
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.lessons.engines import Procedural
from dataenv.registry import LEVELS
from dataenv.setting import make_setting
from tasks.errors import UnsupportedError
from tasks.records import Example, Problem
from teachers.chat.scripted import Server, serving
from tests.canaries import HIDDEN, Canaried, canaries, canary, sightings, texts
from tests.chatting import MAY_ASK, backwards, chatting
from tests.toys import TOYS, Reverse

ARGUMENTS: dict[str, dict[str, Any]] = {
    "static": {"weights": {"short": 1.0, "long": 2.0}},
    "deliberate-practice": {"signal": "loss"},
    "self-improve": {"gold": 0.5},  # a parrot has no right answer to start from
}
FIELDS = TOYS | {"task": "canaried", "budget": {"student_tokens": 5_000}}
MANY = 1000
"""Examples that the purse cannot pay for."""

pytestmark = pytest.mark.usefixtures("toys")


class Spy:
    """Looks over a teacher's shoulder, and asks for everything that it could have asked for."""

    def __init__(self, teacher: Any) -> None:
        self.teacher, self.seen = teacher, list[Any]()

    def begin(self, context: dataenv.Context) -> None:
        self.context = context
        self.seen.append(context)
        self.seen.append(self.tried(lambda: self.teacher.begin(context)))

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        self.seen += [observation, info]
        self.snoop(observation)
        action = self.teacher.act(observation, info)
        self.seen.append(action)
        return action

    def learn(self, transition: dataenv.Transition) -> None:
        self.seen.append(transition)
        self.tried(lambda: self.teacher.learn(transition))

    def tried(self, ask: Callable[[], Any]) -> Any:
        """What comes of a question, or the error that says why not."""
        try:
            found = ask()
        except (DataenvError, UnsupportedError, ValueError, KeyError, TypeError) as error:
            found = error
        self.seen.append(found)
        return found

    def snoop(self, observation: Any) -> None:
        context, errors = self.context, observation["errors"]
        assert errors, "there is something to diagnose"
        self.tried(context.pool)
        for skill in (*context.skills, "no skill"):
            made = self.tried(lambda skill=skill: context.generate(skill, 3))
        made = context.generate("short", 3)
        for error in (*errors, {"prompt": "no problem", "response": ""}):
            self.tried(lambda error=error: context.diagnose({**error, "response": "zzz"}))
        sealed = Example(prompt=errors[0]["prompt"], response=errors[0]["answer"])
        for kind in ("loss", "accuracy", "logits"):
            for examples in (made, [sealed], [*made, sealed], [7], made * 2, made[:1] * MANY):
                self.tried(lambda kind=kind, examples=examples: context.probe(examples, kind))
        for many in (1, 3, 10_000, 0):
            self.tried(lambda many=many: context.feedback_answers(many, 2))
        self.tried(lambda: context.readable([*made, sealed, 7]))
        for error in (*errors, {"prompt": "no problem"}):
            self.tried(lambda error=error: context.describe(error))
        for examples in (made, [sealed], [*made, sealed], made[:1] * MANY):
            self.tried(lambda examples=examples: context.sample([e.prompt for e in examples], 2))
            self.tried(lambda examples=examples: context.influence([examples]))
            self.tried(lambda examples=examples: context.influence([made], examples))
        self.branch(made)

    def branch(self, made: list[Example]) -> None:
        branch = self.context.fork()
        actions: tuple[Any, ...] = (np.ones(len(self.context.skills), np.float32), made, "no action", None, ())
        for action in actions:
            self.tried(lambda action=action: branch.step(action))
        self.tried(lambda: branch.reset(options={"snapshot": branch.snapshot()}))
        self.tried(lambda: branch.reset(options={"snapshot": "{}"}))
        self.tried(lambda: branch.end(None))
        shown = (branch.history, branch.snapshot().model_dump_json(), branch.render(), branch.leaks, branch.purse)
        self.seen += [*shown, branch.action_space, branch.observation_space, branch.spec, repr(branch)]


class Own:
    """Open-ended: brings its data, from the pool, the generator and the student's mistakes."""

    level = "open-ended"

    def begin(self, context: dataenv.Context) -> None:
        self.context = context

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        copied = [{"prompt": e["prompt"], "response": e["answer"]} for e in observation["errors"]]
        return [*self.context.pool()[:3], *self.context.generate("long", 3), *copied, None, {"prompt": 1}]

    def learn(self, transition: dataenv.Transition) -> None:
        pass


def everything(teacher: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> list[Any]:
    """All that a teacher sees of an episode, and what is written down of it."""
    level = getattr(teacher, "level", "skill-list")
    env = TeachingEnv(level, runner=Runner(Store()), setting=make_setting(FIELDS), render_mode="ansi")
    spy = Spy(teacher)
    with caplog.at_level(logging.DEBUG):
        played = dataenv.run(env, spy, seed=0, on_step=spy.seen.append)
    assert len(played.steps) > 2
    lessons = [env.runner.store.lesson(name) for name in played.snapshot.lessons]
    assert lessons
    captured = capsys.readouterr()
    spy.seen += [played, env.history, env.snapshot().model_dump_json(), env.render(), lessons]
    return [*spy.seen, caplog.messages, captured.out, captured.err]


@pytest.mark.parametrize("name", sorted(registry.TEACHERS))
def test_no_canary_reaches_a_registered_teacher(
    name: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with chatting(backwards) as (chats, server):
        teacher = registry.build("teacher", name, (ARGUMENTS | chats).get(name))
        seen = everything(teacher, caplog, capsys)
    assert sightings([*seen, server.heard]) == set()
    assert bool(server.heard) == (name in chats)


@pytest.mark.parametrize("arm", MAY_ASK)
def test_no_canary_is_sent_to_a_language_model_by_who_may_ask_one(arm: str) -> None:
    name, args = MAY_ASK[arm]
    with serving(Server(backwards)) as server:
        teacher = registry.build("teacher", name, args | {"chat": {"base_url": server.base_url, "model": "scripted"}})
        fields = FIELDS | {"budget": {"student_tokens": 1_200}}
        dataenv.run(TeachingEnv(teacher.level, runner=Runner(Store()), **fields), teacher, seed=0)
    assert len(server.heard) > 2
    assert sightings([server.heard]) == set()
    if arm in ("llm2llm", "stat-sel", "con-sel", "stat-sel-pool"):
        stored = "\n".join(texts(server.heard))
        assert any(p.prompt in stored for p in Canaried().split("feedback")), "what it may see is there to be found"


def test_no_canary_reaches_a_teacher_that_brings_its_data(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = everything(Own(), caplog, capsys)
    assert sightings(seen) == set()
    feedback = [p.prompt for p in Canaried().split("feedback")]
    assert any(prompt in text for text in texts(seen) for prompt in feedback), "feedback problems it may see"


def test_every_level_is_walked() -> None:
    levels = {getattr(resolve_name(where), "level", "skill-list") for where in registry.TEACHERS.values()}
    assert levels | {Own.level} == set(LEVELS)


# --- the walk is not blind --------------------------------------------------------------------------------------------


def first(split: str = "test") -> Problem:
    return Canaried().split(split)[0]  # type: ignore[arg-type]


def leak_into_observations(patch: pytest.MonkeyPatch) -> None:
    sound = exams._mistakes
    extra = {"skill": "short", "prompt": first().prompt, "response": "", "answer": ""}
    patch.setattr(exams, "_mistakes", lambda *args: (*sound(*args), extra))


def leak_into_infos(patch: pytest.MonkeyPatch) -> None:
    sound = TeachingEnv._info
    patch.setattr(TeachingEnv, "_info", lambda self, *rest: sound(self, *rest) | {first().id: 1})


def leak_into_arrays(patch: pytest.MonkeyPatch) -> None:
    sound = TeachingEnv._observe
    hidden = np.array([first().answer], dtype=object)
    patch.setattr(TeachingEnv, "_observe", lambda self: sound(self) | {"extra": hidden})


def leak_into_snapshots(patch: pytest.MonkeyPatch) -> None:
    sound = TeachingEnv.snapshot
    memory = {"seen": [{"deep": first().prompt}]}
    patch.setattr("dataenv.levels.base.Level.check", lambda self, memory: None)
    patch.setattr(TeachingEnv, "snapshot", lambda self: sound(self).model_copy(update={"memory": memory}))


def leak_into_the_pool(patch: pytest.MonkeyPatch) -> None:
    sound = dataenv.Context.pool
    extra = Example(prompt=first().prompt, response="x", skills=("short",))
    patch.setattr(dataenv.Context, "pool", lambda self: [*sound(self), extra])


def leak_into_diagnoses(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Canaried, "diagnose", lambda self, problem, response: (first().answer,))


def leak_into_errors(patch: pytest.MonkeyPatch) -> None:
    def talkative(self: TeachingEnv, examples: Any) -> dict[str, int]:
        try:
            raise KeyError(first().prompt)
        except KeyError as error:
            raise dataenv.SettingError("refused") from error

    patch.setattr(TeachingEnv, "refusals", talkative)


def leak_into_records(patch: pytest.MonkeyPatch) -> None:
    sound = environment.screen
    patch.setattr(environment, "screen", lambda *args, **how: sound([*args[0], first().prompt], *args[1:], **how))
    patch.setattr("dataenv.lessons.screen.Counter", lambda *found: Counter(*found) if found else _Talkative(Counter()))


class _Talkative(dict[str, int]):
    """Counts under the name of a sealed problem what it should count by reason."""

    def __missing__(self, key: str) -> int:
        return 0

    def items(self) -> Any:
        return [(first().id, sum(self.values()))]


def leak_into_logs(patch: pytest.MonkeyPatch) -> None:
    sound = Runner.run

    def chatty(self: Runner, job: Any) -> Any:
        runner.log.debug("about to ask %s", first("selection").prompt)
        return sound(self, job)

    patch.setattr(Runner, "run", chatty)


def leak_into_output(patch: pytest.MonkeyPatch) -> None:
    sound = Runner.run
    patch.setattr(Runner, "run", lambda self, job: (print(first().answer), sound(self, job))[1])


def leak_into_lessons(patch: pytest.MonkeyPatch) -> None:
    sound = Procedural.make
    extra = Example(prompt="abc>", response=first("transfer").answer, skills=("short",))

    def poisoned(*args: Any) -> list[list[Example]]:
        one, *others = sound(*args)
        return [[*one, extra], *others]

    patch.setattr(Procedural, "make", poisoned)


def leak_into_the_context(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(context_module.BudgetView, "note", property(lambda self: first("transfer").id), raising=False)


PLANTS = {name.removeprefix("leak_into_"): plant for name, plant in globals().items() if name.startswith("leak_into_")}


@pytest.mark.parametrize("where", sorted(PLANTS))
def test_a_planted_leak_is_seen(
    where: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    PLANTS[where](monkeypatch)
    seen = everything(registry.build("teacher", "stratified"), caplog, capsys)
    assert len(sightings(seen)) == 1, "of this place, and of nothing else"


def test_canaries_are_in_every_hidden_split_and_nowhere_else() -> None:
    words = canaries()
    assert {where.split()[0] for where in words.values()} == set(HIDDEN)
    assert len(words) == 3 * sum(len(Canaried().split(split)) for split in HIDDEN)
    assert not any(word in text for text in texts([Canaried().split("feedback"), Canaried().pool()]) for word in words)
    assert canary("a") != canary("b")
    assert [p.prompt for p in Canaried().split("feedback")] == [p.prompt for p in Reverse().split("feedback")]


def test_the_errors_that_a_spy_meets_are_of_every_kind(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = everything(registry.build("teacher", "stratified"), caplog, capsys)
    kinds = {type(thing) for thing in seen if isinstance(thing, Exception)}
    assert kinds >= {
        BudgetSpentError,
        dataenv.ActionError,
        dataenv.SettingError,
        dataenv.SnapshotError,
        KeyError,
        DataenvError,
    }
