"""Probes: the metered looks at a student that a teacher may ask for, on texts of its own.

A probe is an exam (an influence: one update, then an exam), so it changes nothing, and the store knows its answer. What
was asked is paid, known or not, and *before* the screen is asked: a refusal for nothing would make the screen an oracle
for what is sealed. ``dataenv.episode.context.Context`` offers them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.environment.exams import exam_of
from dataenv.episode.probe import Floats, LossProbe, Probe, answer_tokens
from dataenv.errors import RefusedError, SettingError, did_you_mean
from dataenv.execution.jobs import Answers, Exam, Job, Training, golds_of, media_of
from dataenv.execution.runner import run_all
from dataenv.lessons.bill import tokens_of
from dataenv.lessons.screen import as_example
from dataenv.validation import finite, shown, whole
from students.base import FORWARD, FORWARD_BACKWARD, Decoding, Recipe
from tasks.records import Example, Problem, stream

Examples = tuple[Example, ...]


def probe(env: TeachingEnv, examples: Sequence[Example], kind: str) -> Floats:
    """See ``Context.probe``."""
    how, decoding = _probe_of(env, kind), env.setting.decoding
    asked = _read(examples, "examples")
    if not asked:
        return np.zeros(0)
    where = f"tokens() of probe {kind!r}"  # nothing is asked for nothing
    env.purse.pay(FORWARD * sum(whole(where, how.tokens(env.student, e, decoding), 1) for e in asked), "probes")
    _screen(env, asked)
    found = np.asarray(how.read(_sit(env, how.exam(asked, decoding))[0], asked, env.task), np.float64)
    if found.shape != (len(asked),):
        raise SettingError(
            f"probe {kind!r} reads shape {found.shape} from {len(asked)} answers; give one number for each in read()"
        )
    return found


def _probe_of(env: TeachingEnv, kind: str) -> Probe:
    """The probe of a name, where the student can answer it."""
    how: Probe = registry.find_class("probe", str(kind), Probe)()
    if not how.measures(env.student):
        raise SettingError(f"kind is {kind!r}, which student {env.setting.student!r} does not measure; give 'loss'")
    return how


def sample(
    env: TeachingEnv, prompts: Sequence[str | Example], n: int, temperature: float, seed: int
) -> list[list[str]]:
    """See ``Context.sample``.

    Args:
        env: Whose student answers.
        prompts: What it is asked.
        n: Answers to each prompt.
        temperature: Of its decoding.
        seed: Decides the draws.
    """
    n, decoding = whole("n", n, 1), _decoding(env, temperature)
    if isinstance(prompts, str):
        raise SettingError("prompts is one text; give a list of texts")
    # The screen reads examples. A full stop is no word, and stands for the answer that is not there yet.
    given = [p if isinstance(p, Example) else {"prompt": p, "response": "."} for p in prompts]
    asked = _read(given, "prompts")
    if not asked:
        return []
    env.purse.pay(FORWARD * n * sum(answer_tokens(env.student, e, env.setting.decoding) for e in asked), "probes")
    _screen(env, asked)
    return _samples(env, asked, n, decoding, seed)


class Answered(NamedTuple):
    """A feedback problem, by the id that ``observation["errors"]`` gives it, and what the student answers to it."""

    id: str
    prompt: str
    answers: list[str]


def feedback_answers(env: TeachingEnv, problems: int, n: int, temperature: float, seed: int) -> list[Answered]:
    """See ``Context.feedback_answers``; arguments as in ``sample``."""
    n, problems, decoding = whole("n", n, 1), whole("problems", problems, 1), _decoding(env, temperature)
    rows: dict[str, list[Problem]] = {}
    for problem in env.setting.exam_items("feedback"):
        rows.setdefault(problem.skills[0], []).append(problem)
    rng = stream(seed, "feedback answers")
    mixed = [[row[i] for i in rng.permutation(len(row))] for row in rows.values()]
    turns = [one for row in zip_longest(*(mixed[i] for i in rng.permutation(len(mixed)))) for one in row]
    asked = [problem for problem in turns if problem is not None][:problems]
    texts = [Example(prompt=problem.prompt, response=".", media=problem.media) for problem in asked]
    env.purse.pay(FORWARD * n * sum(answer_tokens(env.student, e, env.setting.decoding) for e in texts), "probes")
    said = _samples(env, texts, n, decoding, seed)
    return [Answered(problem.id, problem.prompt, answers) for problem, answers in zip(asked, said, strict=True)]


def _decoding(env: TeachingEnv, temperature: float) -> Decoding:
    return env.setting.decoding.model_copy(update={"temperature": finite("temperature", temperature, 0)})


def _samples(env: TeachingEnv, shown: Sequence[Example], n: int, decoding: Decoding, seed: int) -> list[list[str]]:
    """``n`` answers to the prompt of each, each with a seed of its own."""
    seeds = stream(seed, "sample").integers(2**31, size=n).tolist()
    asked = {"prompts": tuple(e.prompt for e in shown), "media": media_of(shown), "decoding": decoding}
    exams = [Exam(name=f"sample {i}", seed=s, **asked) for i, s in enumerate(seeds)]
    return [list(answers) for answers in zip(*(a.responses for a in _sit(env, *exams)), strict=True)]


@dataclass(frozen=True)
class _Reference:
    """An exam with gold answers on which a trial measures the loss, and the row of each item in its result."""

    exam: Exam
    shown: Examples
    rows: npt.NDArray[np.int64]
    k: int

    @classmethod
    def of(cls, env: TeachingEnv, given: Sequence[Example] | None, by_skill: bool) -> _Reference:
        """The whole feedback split, or a teacher's own examples; by primary skill, or all of them together."""
        if given is None:
            short = env.setting.decoding.model_copy(update={"max_tokens": 1})
            exam = exam_of(env.setting, "feedback").model_copy(update={"name": "probe", "decoding": short})
            shown: Examples = ()
            skills = [problem.skills[0] for problem in env.setting.exam_items("feedback")]
        else:
            shown = _read(given, "reference")
            if not shown:
                raise SettingError("reference is empty; give at least one example, or None for the feedback split")
            exam = LossProbe().exam(shown, env.setting.decoding)
            skills = [e.skills[0] if e.skills else "" for e in shown]
        if not by_skill:
            return cls(exam, shown, np.zeros(len(skills), np.int64), 1)
        order = {skill: i for i, skill in enumerate(env.task.skills)}
        strange = next((skill for skill in skills if skill not in order), None)
        if strange is not None:
            raise SettingError(f"reference holds an example of skill {strange!r}; by_skill needs skills of the task")
        return cls(exam, shown, np.array([order[skill] for skill in skills], np.int64), len(order))

    def tokens(self, env: TeachingEnv) -> int:
        """Tokens that go forward for one look at it."""
        return sum(tokens_of(env.student, golds_of(self.exam) or ()))

    def losses(self, answers: Answers) -> Floats:
        """Mean loss of each row, ``(k,)``; 0 where there is nothing to measure."""
        assert answers.losses is not None, "an exam with golds measures losses"
        losses = np.asarray(answers.losses)
        parts = [losses[self.rows == i] for i in range(self.k)]
        return np.array([float(np.mean(part)) if len(part) else 0.0 for part in parts])


def trial(
    env: TeachingEnv,
    groups: Sequence[Sequence[Example]],
    reference: Sequence[Example] | None,
    updates: int,
    by_skill: bool,
    recipe: str,
) -> Floats:
    """See ``Context.trial``."""
    updates = whole("updates", updates, 1)
    how = _recipe(env, recipe)
    asked = [_read(group, f"groups[{i}]") for i, group in enumerate(groups)]
    shape = (len(asked), len(env.task.skills)) if by_skill else (len(asked),)
    if not asked:
        return np.zeros(shape)
    if not all(asked):
        raise SettingError(f"groups[{asked.index(())}] is empty; give each group at least one example")
    about = _Reference.of(env, reference, by_skill)
    trained = updates * sum(tokens_of(env.student, [e for group in asked for e in group]))
    env.purse.pay(FORWARD * about.tokens(env) * (len(asked) + 1) + FORWARD_BACKWARD * trained, "probes")
    _screen(env, (*about.shown, *(e for group in asked for e in group)))
    before = about.losses(_sit(env, about.exam)[0])
    after = [about.losses(answers) for answers in _after_updates(env, asked, about.exam, updates, how)]
    return np.array([before - then for then in after]).reshape(shape)


def _recipe(env: TeachingEnv, name: str) -> Recipe:
    """The recipe of a trial: the Setting's, or one of its menu."""
    if not isinstance(name, str) or (name and name not in env.setting.recipes):
        near = did_you_mean(str(name), env.setting.recipes)
        raise SettingError(f"recipe {shown(name)} is not on the Setting's menu; {near}")
    return env.setting.recipes[name] if name else env.setting.recipe


def _after_updates(
    env: TeachingEnv, groups: Sequence[Examples], exam: Exam, updates: int, recipe: Recipe
) -> list[Answers]:
    """The exam after some full updates on each group, each from the present state; their weights are not kept."""
    snap = env.snapshot()
    # Updates that see each example once, at the recipe's full rate, and nothing besides: that is what is paid for.
    plain: dict[str, Any] = {"updates": updates, "warmup": 0, "cooldown": 0, "patience": 0, "replay": 0.0}
    step = plain | {"start": "current", "data": "lesson", "method": "sft", "method_args": {}, "grpo": None, "dpo": None}
    seed = int(stream(snap.seed, "influence", snap.step).integers(2**31))

    jobs = []
    for group in groups:
        training = Training(lesson=group, recipe=recipe.model_copy(update=step | {"batch": len(group)}), seed=seed)
        job = Job(student=env.setting.student_spec, parent=snap.state, train=training, exams=(exam,))
        jobs.append(env.anchor(job))
    try:
        return [outcome.answers[exam.name] for outcome in run_all(env.runner, jobs)]
    finally:
        for job in jobs:
            env.runner.evict(job.key())


def _sit(env: TeachingEnv, *exams: Exam) -> list[Answers]:
    """The present student's answers to some exams; it is one job."""
    exams = tuple(exam.model_copy(update={"engine": env.setting.engine_of_answers}) for exam in exams)
    job = env.anchor(Job(student=env.setting.student_spec, parent=env.state, exams=exams))
    answers = env.runner.run(job).answers
    return [answers[exam.name] for exam in exams]


def _read(offered: Iterable[Any], field: str) -> Examples:
    """What was asked, as plain examples."""
    asked = [as_example(offer) for offer in offered]
    if None in asked:
        raise SettingError(f"{field} hold what is no example; give Example(prompt=…, response=…) with two texts")
    return tuple(e for e in asked if e is not None)


def _screen(env: TeachingEnv, examples: Examples) -> None:
    """Refuse what may not be taught. To ask one thing twice is no offence here: it is paid twice."""
    refusals = env.refusals(list(dict.fromkeys(examples)))
    if refusals:
        raise RefusedError(f"examples: {sum(refusals.values())} would not pass the screen; probe what may be taught")
