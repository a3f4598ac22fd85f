"""An episode: a teacher and an environment. What a teacher is given, and the loop between the two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dataenv.environment.branch import Env, unwrap
from dataenv.environment.env import TeachingEnv
from dataenv.environment.steps import StepRecord
from dataenv.episode.calls import Calls
from dataenv.episode.context import Context
from dataenv.episode.teacher import AdaptedTeacher, Transition, as_teacher
from dataenv.errors import BudgetSpentError, SettingError
from dataenv.isolation.teacher import IsolatedTeacher
from dataenv.lessons.outage import require_answer
from dataenv.snapshot import Snapshot


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

    def __repr__(self) -> str:
        ended = self.steps[-1].ended if self.steps else ""
        return f"Episode({len(self.steps)} steps, total_reward={self.total_reward:+.3f}, ended={ended!r})"


def run(
    env: Env,
    teacher: Any,
    seed: int,
    on_step: Callable[[StepRecord], None] | None = None,
    act_deadline: float | None = None,
) -> Episode:
    """Let a teacher teach one episode.

    Args:
        env: From ``gym.make``, in any wrappers.
        teacher: An object with ``act(observation, info)`` (and, if it likes, ``begin(context)``,
            ``learn(transition)`` and the rest of ``TeacherLike``), or a plain function of the observation.
        seed: Of the episode: the untaught student, the data, every order, and the teacher's own generator.
        on_step: Called with each step's record, before the teacher learns of the step.
        act_deadline: Seconds for each ``begin``, ``act`` and ``learn``, without what waits for training, exams and
            language models; ``None`` for no limit. See ``dataenv.episode.calls``.

    Raises:
        SettingError: If the teacher is none (see ``as_teacher``), or cannot begin.
        TeacherFailedError: If it was not done in time, or reset or stepped the environment itself.
        UnansweredError: If nobody could be asked what a teacher asked of its language model before a lesson; also where
            that was so of what it asked last, and no lesson came of it. What it asked before is stored.

    A teacher that asks for more than the purse holds, and does not catch the BudgetSpentError that it gets, has spent
    its budget: the episode ends there as ``spent``, and what its student has learnt counts.
    """
    inner = unwrap(env)
    who = as_teacher(teacher)  # one that cannot be written down is refused before anything is spent
    observation, info = env.reset(seed=seed)
    tell = on_step or (lambda record: None)
    tell(inner.history[-1])
    if isinstance(who.unwrapped, IsolatedTeacher):
        who.unwrapped.start()
    calls = Calls(inner, act_deadline)
    try:
        total = _taught(env, inner, who, calls, (observation, info), tell)
    finally:
        calls.close()
    while inner.finishing:  # the teacher acts no more
        total += float(inner.step(None)[1])
        tell(inner.history[-1])
    return Episode(tuple(inner.history), total, inner.snapshot())


def _taught(
    env: Env,
    inner: TeachingEnv,
    who: AdaptedTeacher,
    calls: Calls,
    first: tuple[Any, dict[str, Any]],
    tell: Callable[[StepRecord], None],
) -> float:
    """Let a teacher teach until it ends or only the finish is left; the sum of the rewards."""
    (observation, info), total, over = first, 0.0, False
    try:
        calls("begin", _begin, who, Context(inner))
        while not over and not inner.finishing:
            before = Counter(inner.teacher_purse.replies)
            action = calls("act", who.act, observation, info)
            asked = inner.teacher_purse.replies - before
            require_answer(asked)
            after, reward, terminated, truncated, info = env.step(action)
            total, over = total + float(reward), terminated or truncated
            tell(inner.history[-1])
            if inner.teacher_purse.replies != before and not inner.history[-1].offered:
                require_answer(inner.teacher_purse.last)
            transition = Transition(observation, action, float(reward), after, terminated, truncated, info)
            calls("learn", who.learn, transition)
            observation = after
    except BudgetSpentError:  # the teacher asked for more than there is, and did not catch what it was told
        if not over:
            inner.exhaust()
            tell(inner.history[-1])
    return total


def _begin(teacher: AdaptedTeacher, context: Context) -> None:
    try:
        teacher.begin(context)
    except ValueError as error:
        raise SettingError(f"teacher {teacher.kind} cannot begin: {error}") from error
