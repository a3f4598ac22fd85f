"""TeachingEnv: a Gymnasium environment whose step fine-tunes a student.

A step reads in one sitting: read the action, make the lesson, screen it, charge it, train and examine (one Job),
reward, observe. It is split once, ``begin(action) -> Job | None`` and ``end(outcome)``, so that many environments can
begin, their jobs run side by side, and all of them end; ``reset`` is split in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from dataenv.budget.purse import Purse
from dataenv.budget.teacher import TeacherPurse
from dataenv.environment.account import Account
from dataenv.environment.exams import Evaluation, exam_of
from dataenv.environment.info import figures
from dataenv.environment.render import ansi
from dataenv.environment.restore import taught_at
from dataenv.environment.steps import StepRecord, record_of
from dataenv.environment.taught import TaughtLessons
from dataenv.errors import ActionError, DataenvError, SnapshotError
from dataenv.execution.executors import make_executor
from dataenv.execution.jobs import Exam, Job, Outcome, Training, from_initial
from dataenv.execution.runner import Runner
from dataenv.execution.store import open_store
from dataenv.execution.written import Written
from dataenv.lessons.engines import engine_of, mixed, require_no_pairs, require_problems
from dataenv.lessons.leaks import Leaks
from dataenv.lessons.offer import Offer
from dataenv.lessons.scene import Scene
from dataenv.lessons.screen import Screened, screen
from dataenv.lessons.tuition import Tuition, charge
from dataenv.levels import Plan, make_level
from dataenv.setting import Setting, make_setting
from dataenv.snapshot import Ended, Snapshot, snapshot_in
from dataenv.validation import whole
from dataenv.waiting import waiting
from students.base import Recipe, Trained, initial_key
from students.training.methods import method_of
from tasks.records import Example

MOST_SEEDS = 1 << 63
LARGEST = 2  # an open-ended lesson may hold this many times lesson_size
NOTHING = Screened()
MAKING = "making the untaught student, which takes a while the first time; a store (store=…) keeps it …"
Observation = dict[str, Any]
Step = tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]


@dataclass(frozen=True)
class Pending:
    """A step that began: what ``end`` needs besides the outcome. ``ended``: why the episode ends with it, if known."""

    taken: dict[str, int]
    memory: dict[str, Any]
    screened: Screened = NOTHING
    tuition: Tuition | None = None
    job: Job | None = None
    ended: Ended = ""


class TeachingEnv(gym.Env[Observation, Any]):
    """The environment.

    Args:
        level: ``open-ended``, ``skill-list`` or ``skill-tree``: what the action and the observation are.
        store: A folder, ``"off"``, or ``None`` for ``$DATAENV_STORE`` and else this process's memory.
        executor: ``inline``, ``processes``, ``processes:N``, ``ray``, ``ray:N``, or the fields of an ``ExecutorSpec``.
        render_mode: ``"ansi"`` or ``None``.
        runner: In place of ``store`` and ``executor``, one that is there already.
        setting: In place of fields, a Setting that is there already.
        **fields: The fields of ``Setting``, as plain JSON.

    Raises:
        SettingError: If a field is unknown or wrong.
        StoreError: If the store cannot be used.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}

    def __init__(
        self,
        level: str = "skill-list",
        *,
        store: str | None = None,
        executor: str | dict[str, Any] = "inline",
        render_mode: str | None = None,
        runner: Runner | None = None,
        setting: Setting | None = None,
        **fields: Any,
    ) -> None:
        if render_mode not in (None, "ansi"):
            raise ActionError(f"render_mode is {render_mode!r}; give 'ansi' or None")
        self.render_mode = render_mode
        self.setting = setting or make_setting(fields)
        self.engine = engine_of(self.setting)  # first: what is wrong with it needs no file to be said
        self.task = self.setting.built_task
        self.student = self.setting.able_student
        self.level = make_level(level, self.setting)
        require_no_pairs(self.setting, self.level.brings)
        if self.setting.finish:
            require_problems(self.setting)
        self.action_space, self.observation_space = self.level.action_space, self.level.observation_space
        self._owns, self._closed = runner is None, False
        self.runner = runner or Runner(open_store(store), make_executor(executor))
        self.account = Account(self.setting)
        self.yields: Counter[str] = Counter()
        self.history: list[StepRecord] = []
        self._snapshot: Snapshot | None = None
        self._pending: Pending | None = None
        self._taught = TaughtLessons.nothing(self.task.skills)
        self._now: Evaluation | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode with the untaught student of a seed, or go on from a snapshot.

        Args:
            seed: Decides the student, the data and every order. Without one, an untaught student out of
                ``warm_starts`` and fresh data are drawn.
            options: ``{"snapshot": Snapshot or its JSON}`` restores that moment, whoever made it.

        Raises:
            SnapshotError: If the snapshot is of another Setting or level, or its lessons are not in this store.
        """
        job = self.begin_reset(seed=seed, options=options)
        with waiting(MAKING) if self._owns else nullcontext():  # whoever runs many environments tells of them together
            return self.end_reset(self.runner.run(job))

    def step(self, action: Any) -> Step:
        """Teach one lesson: fine-tune the student on it and examine it.

        Args:
            action: In the level's action space; an open-ended lesson may be a list of ``Example`` too.

        Returns:
            Observation, reward (gain on the selection split, in [-1, 1]), terminated (mastery, or the empty action),
            truncated (the budget is spent) and info (flat figures of this step; equal for equal seed and actions).

        Raises:
            ActionError: If it is no action of the level; nothing was charged and nothing changed.
            JobFailedError: If training diverged; the environment stays as it was before the step.
        """
        with self.making:
            job = self.begin(action)
        try:
            outcome = None if job is None else self.runner.run(job)
            with self.runner.lesson_lock:
                return self.end(outcome)
        except BaseException:
            self.abort()
            raise

    @property
    def making(self) -> AbstractContextManager[Any]:
        """What ``begin`` is called within: a lesson at a time, unless the engine waits for a server."""
        return nullcontext() if self.engine.waits else self.runner.lesson_lock

    def begin_reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> Job:
        """The first half of ``reset``: the job that ``end_reset`` wants the outcome of."""
        self._must_be_open()
        seed = None if seed is None else whole("seed", seed, 0, ActionError, MOST_SEEDS - 1)
        given = snapshot_in(options)
        super().reset(seed=seed)
        snap = self._fresh(seed) if given is None else Snapshot.read(given)
        store, branch = self.runner.store, self.account.is_branch
        taught = taught_at(snap, self.setting, self.level.name, store, branch, self._taught)
        self.level.check(snap.memory)
        self._snapshot, self._taught = snap, taught
        self.account.open(snap)
        self._pending, self.history, self.yields = None, [], Counter()
        if snap.state == snap.base:
            training = self.setting.warm_training(snap.student_seed)
            return from_initial(self.setting.student_spec, snap.student_seed, training, self._exams)
        return Job(student=self.setting.student_spec, parent=snap.state, exams=self._exams)

    def end_reset(self, outcome: Outcome) -> tuple[Observation, dict[str, Any]]:
        """The second half of ``reset``."""
        snap = self._need()
        if snap.state == snap.base != "" and outcome.key != snap.base:
            self._snapshot = None
            raise SnapshotError(
                "snapshot.base is a student that this release or processor makes otherwise; go on where it was made"
            )
        base = outcome.key if not snap.base else snap.base
        self._snapshot = snap.model_copy(update={"base": base, "state": outcome.key})
        self._now = Evaluation.of(self.setting, outcome)
        self._record(0.0, None)
        return self._observe(), self._info(None)

    def begin(self, action: Any) -> Job | None:
        """The first half of ``step``: read the action, make, screen, charge. ``None``: nothing to train."""
        snap = self._ready()
        phase = self.setting.finish[snap.finishing - 1] if snap.finishing else None
        plan = self.level.plan(action, snap.memory) if phase is None else Plan(memory=dict(snap.memory))
        if plan.stop:
            self._pending = Pending(snap.taken, plan.memory, ended="stopped")
            return None
        recipe = phase.recipe if phase else self.setting.recipe_of(plan.recipe)
        scene = self._scene(snap)
        offer = mixed(self.engine, self._evenly, scene) if phase else self.level.make(plan, scene)
        if not len(offer.examples) and (phase or not self.level.brings):
            # There is nothing to be had of the engine any more, a language model's budget is used up: nothing is paid.
            self._pending = Pending(offer.taken, plan.memory, ended="spent")
            return None
        screened = self._screened(offer, recipe)
        lesson = replace(offer, examples=screened.kept, recipe=recipe)
        tuition = charge(self.setting, snap, lesson, self.purse, self.account.use, screened.refused)
        paid = tuition.payment.price  # what is not paid for is not told: the screen is no oracle
        job = self._job(tuition.training) if tuition.training else None
        self._pending = Pending(offer.taken, plan.memory, screened if paid else NOTHING, tuition, job)
        return job

    @property
    def _evenly(self) -> npt.NDArray[np.float64]:
        """Every skill equally: what is taught after the teacher's last lesson."""
        return np.full(len(self.task.skills), 1 / len(self.task.skills))

    def _scene(self, snap: Snapshot) -> Scene:
        chats, purse = self.runner.chats, self.teacher_purse
        return Scene(self.setting, snap, self._taught.lessons, chats, purse, self.yields)

    def _screened(self, offer: Offer, recipe: Recipe) -> Screened:
        """A lesson passed through the screen."""
        cap = self.setting.budget.examples
        screened = screen(
            offer.examples,
            self.task,
            self.student,
            verify=self.setting.verify,
            largest=LARGEST * self.setting.lesson_size,
            allowed=None if cap is None else max(0, cap - self._taught.total),
            pairs=method_of(recipe).needs_pairs(recipe),
            judge=self._judged,
        )
        self.account.note(screened.leaks, "lesson")
        return screened

    def _judged(self, examples: Sequence[Example]) -> Sequence[bool | None]:
        """What the judge says; it may run slow code, so meanwhile others may make their lessons."""
        with self.runner.lesson_lock.released():
            return self.task.judges(examples)

    def exhaust(self, ended: Ended = "spent") -> Step:
        """End the episode: somebody asked for more than the purse holds, or stops. Nothing is charged or trained."""
        snap = self._ready()
        self._pending = Pending(snap.taken, snap.memory, ended=ended)
        return self.end(None)

    def end(self, outcome: Outcome | None) -> Step:
        """The second half of ``step``: reward and observe. Nothing changes unless all of it succeeds.

        Raises:
            DataenvError: If no step has begun, or the outcome is not that of its job.
        """
        pending, snap = self._pending, self._need()
        if pending is None:
            raise DataenvError("no step has begun; call begin(action) before end(outcome)")
        if (outcome and outcome.key) != (pending.job and pending.job.key()):
            raise DataenvError("outcome is that of another job; give end() what the job that begin() returned came to")
        before, now = self._standing, self._standing
        update: dict[str, Any] = {"step": snap.step + 1, "taken": pending.taken, "memory": pending.memory}
        taught = self._taught
        if outcome is not None and pending.tuition is not None:
            with self.runner.lesson_lock.released():  # a checker may run slow code: nobody waits for it
                now = Evaluation.of(self.setting, outcome)
            name = self._keep(pending.screened.kept, pending.tuition.training)
            taught = taught.plus(name, pending.screened.kept)
            update |= {"state": outcome.key, "lessons": (*snap.lessons, name)}
            pending = replace(pending, tuition=pending.tuition.settled(outcome.trained, self.purse))
        mastered = now.selection.score >= self.setting.mastery
        ended = pending.ended or ("mastered" if mastered else "spent" if self._spent(pending, taught) else "")
        if snap.finishing < len(self.setting.finish) and not self.account.is_branch and ended in ("spent", "stopped"):
            ended, update["finishing"] = "", snap.finishing + 1  # this part is over, and the episode is not
            self.purse.release(self.setting.asides[snap.finishing])
        self._snapshot = snap.model_copy(update=update | {"ended": ended})
        self._now, self._taught, self._pending = now, taught, None
        self.account.step = snap.step + 1
        reward = now.selection.score - before.selection.score
        trained = outcome.trained if outcome else None
        self._record(reward, pending, trained)
        info = self._info(pending, trained)
        return self._observe(), reward, ended in ("stopped", "mastered"), ended == "spent", info

    def _keep(self, kept: Sequence[Example], training: Training | None) -> str:
        """Have a lesson in the store; returns its digest. What was trained the runner has put there."""
        alone = training is not None and training.recipe.data == "lesson"
        lesson = training.written["lesson"] if training and alone else Written(kept)
        store = self.runner.store
        return lesson.name if store.remembers(lesson.name) else store.put_lesson(lesson)

    def abort(self) -> None:
        """Give up a step that has begun: nothing had changed but the purse, which gets the price back.

        On a branch it stays paid: a teacher asked, and has learnt what the screen made of its lesson.
        """
        pending, self._pending = self._pending, None
        if pending is not None and pending.tuition is not None and not self.account.is_branch:
            self.purse.refund(pending.tuition.payment)

    def snapshot(self) -> Snapshot:
        """This moment, as a small JSON record; ``reset(options={"snapshot": …})`` restores it in any instance.

        Raises:
            DataenvError: Before the first reset, or between ``begin`` and ``end``.
        """
        if self._pending is not None:
            raise DataenvError("a step has begun and not ended; call end(outcome) before snapshot()")
        return self._need().model_copy(update={**self.purse.uses, "teacher_spent": self.teacher_purse.spent})

    @property
    def purse(self) -> Purse:
        """The purse of this episode."""
        return self.account.purse

    @property
    def teacher_purse(self) -> TeacherPurse:
        """What the teacher of this episode may spend on language models."""
        return self.account.teacher_purse

    @property
    def state(self) -> str:
        """The key of the student's present state."""
        return self._need().state

    def render(self) -> str | None:
        """The episode so far as text, or ``None`` without a render mode."""
        return ansi(self.task.skills, self.history, self.purse) if self.render_mode == "ansi" else None

    def close(self) -> None:
        """Stop the workers, if they are this environment's own. The store stays open, for others share it."""
        self._closed = True
        if self._owns:
            self.runner.executor.close()

    def _must_be_open(self) -> None:
        if self._closed:
            raise DataenvError("the environment was closed; make another one")

    @property
    def leaks(self) -> Leaks:
        """What leaked sealed problems since the reset, for the board's owner; no teacher is given it.

        What leaks in a branch is listed where the branch came from.
        """
        return self.account.leaks.listed

    def anchor(self, job: Job) -> Job:
        """The job, told where its parent's weights come from if that is a student nobody has trained."""
        seed = self._need().student_seed
        return job.model_copy(update={"initial": seed}) if job.parent == initial_key(self.student, seed) else job

    def refusals(self, examples: Sequence[Example]) -> dict[str, int]:
        """What the screen would reject, by reason; a probe asks. Whether an answer is right plays no part in that."""
        given: dict[str, Any] = {"verify": False, "largest": len(examples), "allowed": None}
        screened = screen(examples, self.task, self.student, **given, judge=lambda kept: [None] * len(kept))
        self.account.note(screened.leaks, "probe")
        return screened.rejected

    def _ready(self) -> Snapshot:
        """The moment from which a step may begin."""
        self._must_be_open()
        snap = self._need()
        if snap.ended:
            raise DataenvError(f"the episode has ended ({snap.ended}); call reset() before the next step")
        if self._pending is not None:
            raise DataenvError("a step has begun and not ended; call end(outcome) before the next begin(action)")
        return snap

    @property
    def finishing(self) -> bool:
        """Whether the Setting's finish is under way: no action is read any more, and the episode goes on."""
        return self._snapshot is not None and self._snapshot.finishing > 0 and not self._snapshot.ended

    def _need(self) -> Snapshot:
        if self._snapshot is None:
            raise DataenvError("the environment has not been reset; call reset(seed=…) first")
        return self._snapshot

    @property
    def _standing(self) -> Evaluation:
        assert self._now is not None, "reset examines the student"
        return self._now

    def _fresh(self, seed: int | None) -> Snapshot:
        student_seed = seed
        if seed is None or student_seed is None:
            student_seed = int(self.np_random.integers(self.setting.warm_starts))
            seed = int(self.np_random.integers(2**31))
        setting, level = self.setting.digest, self.level
        return Snapshot(setting=setting, level=level.name, seed=seed, student_seed=student_seed, memory=level.begin())

    @cached_property
    def _exams(self) -> tuple[Exam, ...]:
        """What the student is asked after every lesson."""
        own = self.level.exam
        return (exam_of(self.setting, "feedback"), exam_of(self.setting, "selection"), *((own,) if own else ()))

    def _job(self, training: Training) -> Job:
        snap, spec = self._need(), self.setting.student_spec
        parent = snap.state if training.recipe.start == "current" else snap.base
        return self.anchor(Job(student=spec, parent=parent, train=training, exams=self._exams))

    def _spent(self, pending: Pending, taught: TaughtLessons) -> bool:
        """Whether the budget buys nothing more: not one update like the last, or no further example."""
        cap = self.setting.budget.examples
        if cap is not None and taught.total >= cap:
            return True
        tuition = pending.tuition
        return tuition is None or tuition.payment.price == 0 or self.purse.remaining < tuition.price.most(1)

    def _observe(self) -> Observation:
        total, taught = self.purse.open, self._taught
        view = self._standing.view(taught.counts, self.purse.remaining / total if total else 0.0)
        return self.level.observe(replace(view, lessons=taught.lessons), self._need().memory)

    def _record(self, reward: float, pending: Pending | None, trained: Trained | None = None) -> None:
        snap, screened = self._need(), pending.screened if pending else NOTHING
        taught = pending is not None and pending.job is not None
        self.history.append(
            record_of(
                snap,
                self._standing,
                screened,
                reward=reward,
                counts=self._taught.latest.tolist() if taught else None,
                spent=self.purse.spent,
                teacher=self.teacher_purse.spent,
                practice=trained.practice if trained else None,
            )
        )

    def _info(self, pending: Pending | None, trained: Trained | None = None) -> dict[str, Any]:
        price = pending.tuition.payment.price if pending and pending.tuition else 0
        screened, teacher = pending.screened if pending else NOTHING, self.teacher_purse.spent
        return figures(self._need(), self._standing, screened, trained, price, self.purse, teacher)
