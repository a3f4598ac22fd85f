"""An episode: a teacher and an environment. What a teacher is given, and the loop between the two."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from dataenv.budget import FORWARD, Purse
from dataenv.environment import TeachingEnv
from dataenv.errors import BudgetSpent, SettingError
from dataenv.jobs import Exam, Job
from dataenv.levels.base import cut
from dataenv.screen import as_example
from dataenv.snapshot import Snapshot, StepRecord
from dataenv.tuition import nominal_price
from students.base import Student
from tasks.records import Example, Problem, stream

ProbeKind = Literal["loss", "entropy", "accuracy"]
Env = gym.Env[Any, Any]


class Transition(NamedTuple):
    """What a teacher may learn from."""

    observation: Any
    action: Any
    reward: float
    next_observation: Any
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class BudgetView:
    """The purse as a teacher sees it: live, and read only."""

    def __init__(self, purse: Purse, step_price: int) -> None:
        self._purse, self.step_price = purse, step_price

    @property
    def total(self) -> int:
        """Student tokens at the start."""
        return self._purse.total

    @property
    def spent(self) -> int:
        """Student tokens spent so far."""
        return self._purse.spent

    @property
    def remaining(self) -> int:
        """Student tokens left."""
        return self._purse.remaining


class Context:
    """What a teacher is given at the beginning. It offers no student, and no item of the selection and test splits.

    Attributes:
        skills: The task's skills, in the order of the arrays.
        rng: The teacher's own random generator.
        budget: The live purse; ``step_price`` is what a lesson of ordinary length is likely to cost.
        lesson_size: Examples that a lesson is expected to hold.
    """

    def __init__(self, env: TeachingEnv) -> None:
        self._env = env
        seed = env.snapshot().seed
        self.skills = env.task.skills
        self.rng = stream(seed, "teacher")
        self.budget = BudgetView(env.purse, nominal_price(env.setting))
        self.lesson_size = env.setting.lesson_size
        self._feedback = {cut(p.prompt): p for p in env.setting.exam_items("feedback")}
        self._draws = 0

    def pool(self) -> Sequence[Example]:
        """The task's public training examples, the primary skill first in ``skills``.

        Raises:
            tasks.base.Unsupported: If the task has none.
        """
        return self._env.task.pool()

    def generate(self, skill: str, n: int, difficulty: float | None = None) -> list[Example]:
        """Fresh examples from the task's own generator.

        Raises:
            tasks.base.Unsupported: If the task has none.
        """
        self._draws += 1
        rng = stream(self._env.snapshot().seed, "generate", self._draws)
        return self._env.task.generate(skill, n, rng, difficulty)

    def diagnose(self, error: Mapping[str, str]) -> tuple[str, ...]:
        """The skills that one of ``observation["errors"]`` shows to be missing, most basic first.

        It stands where STAT asks a language model (arXiv 2510.10023, stage 2), and costs no student compute.

        Raises:
            KeyError: If the prompt is no feedback problem.
        """
        problem: Problem = self._feedback[error["prompt"]]
        return self._env.task.diagnose(problem, error["response"])

    def probe(self, examples: Sequence[Example], kind: ProbeKind = "loss") -> npt.NDArray[np.float64]:
        """Look at the student on examples of one's own: one number each, paid by what is asked (1 a token).

        Args:
            examples: Prompt and gold response of each; they pass the same screen as a lesson.
            kind: ``loss`` or ``entropy`` (of what the student would write in the response's place) in nats per token,
                for the tokens of prompt and response; ``accuracy`` 0 or 1, the decoded answer being the response, for
                those of the prompt and ``decoding.max_tokens``.

        Raises:
            BudgetSpent: If the purse cannot pay; nothing was charged.
            SettingError: If an example would not pass the screen (that is charged too), the kind is unknown, or the
                student does not measure it.
        """
        return probe(self._env, examples, kind)

    def fork(self) -> TeachingEnv:
        """A branch of this episode: stepping it changes nothing here, and is paid from the same purse.

        It is a whole environment. A teacher that reaches through it for the task's sealed splits or the weights is
        cheating, which Python cannot prevent and a reader of its one file can see.
        """
        return fork(self._env, share_purse=True)


def fork(env: Env, share_purse: bool = False) -> TeachingEnv:
    """A copy of an environment at this moment, in a new instance that shares store and executor.

    Args:
        env: After a reset; wrappers are left behind.
        share_purse: Whether the branch spends the original's purse (else it starts with a copy). A branch of a branch
            always does.
    """
    origin = unwrap(env)
    snapshot = origin.snapshot()
    branch = TeachingEnv(
        origin.level.name, runner=origin.runner, setting=origin.setting, render_mode=origin.render_mode
    )
    branch.join(origin)  # before the reset, which would else check that the snapshot has paid for its student
    branch.reset(seed=snapshot.seed, options={"snapshot": snapshot})
    if not share_purse and not origin.is_branch:
        branch.leave()
    return branch


def unwrap(env: Env) -> TeachingEnv:
    """The TeachingEnv inside any wrappers.

    Raises:
        SettingError: If there is none.
    """
    inner = env.unwrapped
    if not isinstance(inner, TeachingEnv):
        raise SettingError(f"env is a {type(inner).__name__}; give an environment made with gym.make('dataenv/…')")
    return inner


def probe(env: TeachingEnv, examples: Sequence[Example], kind: ProbeKind) -> npt.NDArray[np.float64]:
    """See ``Context.probe``. A probe is an exam: it trains nothing, and the store knows its answers."""
    if kind not in ("loss", "entropy", "accuracy"):
        raise SettingError(f"kind is {kind!r}; give 'loss', 'entropy' or 'accuracy'")
    if kind == "entropy" and type(env.student).entropies is Student.entropies:
        raise SettingError(f"kind is 'entropy', which student {env.setting.student!r} does not measure; give 'loss'")
    asked = [as_example(e) for e in examples]
    if None in asked:
        raise SettingError("examples hold what is no example; give Example(prompt=…, response=…) with two texts")
    examples = [e for e in asked if e is not None]
    if not examples:
        return np.zeros(0)
    # Paid before the screen is asked: a refusal for nothing would make the screen an oracle for what is sealed.
    env.purse.pay(FORWARD * sum(_asked(env, e, kind) for e in examples), "probes")
    refusals = env.refusals(examples)
    if refusals:
        raise SettingError(f"examples: {sum(refusals.values())} would not pass the screen; probe what may be taught")
    prompts, golds = tuple(e.prompt for e in examples), tuple(e.response for e in examples)
    if kind != "accuracy":  # an exam always answers; answers that nobody asked for are kept to one token
        short = env.setting.decoding.model_copy(update={"max_tokens": 1})
        exam = Exam(name="probe", prompts=prompts, golds=golds, entropy=kind == "entropy", decoding=short)
    else:
        exam = Exam(name="probe", prompts=prompts, decoding=env.setting.decoding)
    job = Job(student=env.setting.student_spec, parent=env.state, exams=(exam,))
    answers = env.runner.run(env.anchor(job)).answers["probe"]
    if kind != "accuracy":
        return np.asarray(answers.losses if kind == "loss" else answers.entropies, np.float64)
    return np.array([r == g for r, g in zip(answers.responses, golds, strict=True)], np.float64)


def _asked(env: TeachingEnv, example: Example, kind: ProbeKind) -> int:
    """The tokens of one question to the student: those it reads, and the most it may write."""
    if kind != "accuracy":
        return env.student.tokens(example)
    return env.student.tokens(example.model_copy(update={"response": ""})) + env.setting.decoding.max_tokens


@dataclass(frozen=True)
class Episode:
    """An episode that ended.

    Attributes:
        steps: One record a step; the first is the untaught student's.
        total_reward: Sum of the rewards.
        snapshot: Its last moment.
    """

    steps: tuple[StepRecord, ...]
    total_reward: float
    snapshot: Snapshot


def run(env: Env, teacher: Any, seed: int, on_step: Callable[[StepRecord], None] | None = None) -> Episode:
    """Let a teacher teach one episode.

    Args:
        env: From ``gym.make``, in any wrappers.
        teacher: An object with ``act(observation, info)`` (and, if it likes, ``begin(context)`` and
            ``learn(transition)``), or a plain function of the observation.
        seed: Of the episode: the untaught student, the data, every order, and the teacher's own generator.
        on_step: Called with each step's record, before the teacher is told of the step.

    Raises:
        SettingError: If the teacher cannot begin, or its ``prior_compute`` is no number of student tokens.

    A teacher that asks for more than the purse holds, and does not catch the BudgetSpent that it gets, has spent its
    budget: the episode ends there as ``spent``, and what its student has learnt counts.
    """
    inner = unwrap(env)
    observation, info = env.reset(seed=seed)
    begin, act, learn = _parts(teacher)
    tell = on_step or (lambda record: None)
    prior_compute(teacher)  # one that cannot be written down is refused before anything is spent
    total, over = 0.0, False
    try:
        tell(inner.history[-1])
        _begin(teacher, begin, Context(inner))
        while not over:
            action = act(observation, info)
            after, reward, terminated, truncated, info = env.step(action)
            total, over = total + float(reward), terminated or truncated
            tell(inner.history[-1])
            learn(Transition(observation, action, float(reward), after, terminated, truncated, info))
            observation = after
    except BudgetSpent:  # the teacher asked for more than there is, and did not catch what it was told
        if not over:
            inner.exhaust()
            tell(inner.history[-1])
    return Episode(tuple(inner.history), total, inner.snapshot())


def prior_compute(teacher: Any) -> int:
    """Student tokens that a teacher says it used before ``reset``; 0 where it says nothing.

    Raises:
        SettingError: If that is no whole number, or negative.
    """
    said = getattr(teacher, "prior_compute", 0)
    if isinstance(said, bool) or not isinstance(said, int | np.integer) or said < 0:
        raise SettingError(
            f"prior_compute of teacher {type(teacher).__name__} is {said!r}; give a whole number of student tokens, "
            "0 or more"
        )
    return int(said)


def _begin(teacher: Any, begin: Callable[[Context], Any], context: Context) -> None:
    try:
        begin(context)
    except ValueError as error:
        raise SettingError(f"teacher {type(teacher).__name__} cannot begin: {error}") from error


def _parts(teacher: Any) -> tuple[Callable[[Context], Any], Callable[[Any, Any], Any], Callable[[Transition], Any]]:
    """``begin``, ``act`` and ``learn`` of a teacher; a function is its own ``act``."""
    if hasattr(teacher, "act"):
        ignore = lambda _: None  # noqa: E731
        return getattr(teacher, "begin", ignore), teacher.act, getattr(teacher, "learn", ignore)
    if not callable(teacher):
        raise SettingError(
            f"teacher is a {type(teacher).__name__}; give an object with act(observation, info), or a function"
        )
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(teacher).parameters.values()
    takes = len([p for p in parameters if p.kind in places and p.default is p.empty])
    act = teacher if takes >= 2 else lambda observation, info: teacher(observation)
    return lambda _: None, act, lambda _: None
