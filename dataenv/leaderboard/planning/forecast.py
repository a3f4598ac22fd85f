"""What one run of a board is expected to take, told without training it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataenv.budget.price import Price, price_of
from dataenv.environment.env import TeachingEnv
from dataenv.episode.calls import ACT_DEADLINE
from dataenv.episode.loop import run
from dataenv.execution.jobs import from_initial
from dataenv.execution.readonly import reader
from dataenv.execution.store import Store
from dataenv.leaderboard.config import STATIC, Board
from dataenv.leaderboard.folder import ROWS, Manifest, read_manifest, read_rows
from dataenv.leaderboard.planning.measure import sample
from dataenv.leaderboard.references import Joint, Nothing
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.runs import Run, row_identity, run_identity
from dataenv.lessons.bill import sizes
from dataenv.lessons.tuition import complete, watched_of
from dataenv.setting import Setting
from dataenv.wrappers.mask import masked
from tasks.records import Example, Record

SAMPLE = 512


class RunForecast(Record):
    """One run as it is expected to go: the updates of each lesson, tokens spent; or as it went, where that is known."""

    updates: tuple[int, ...]
    tokens: int
    known: int = 0
    row: bool = False


class Oracle:
    """What a store and the rows of a folder say of the runs of a board."""

    def __init__(self, board: Board, store: Store, folder: Path) -> None:
        self.board, self.store = board, store
        self.hashes = Manifest.of(board).hashes
        self.rows = self._rows(folder)
        self._warm: dict[int, bool] = {}
        self._prices: dict[tuple[str, str], tuple[tuple[int, ...], Price]] = {}

    def _rows(self, folder: Path) -> dict[str, Row]:
        if not any((folder / ROWS).glob("*.json")):
            return {}
        manifest = read_manifest(folder)
        return {row_identity(row, manifest.board if manifest else self.board): row for row in read_rows(folder)}

    def has(self, state: str) -> bool:
        """Whether a trained state is known."""
        return self.store.reuse and self.store.get("states", state) is not None

    def warm(self, seed: int) -> bool:
        """Whether the untaught student of a seed is known."""
        if seed not in self._warm:
            setting = self.board.setting
            job = from_initial(setting.student_spec, seed, setting.warm_training(seed))
            self._warm[seed] = job.train is None or self.has(job.key())
        return self._warm[seed]

    def forecast(self, planned: Run) -> RunForecast:
        """A run as it went, where it is known to the end, and as it is expected to go elsewhere."""
        row = self.rows.get(run_identity(planned, self.board, self.hashes))
        if row is not None and all(self.has(step.state) for step in row.steps if step.lesson):
            updates = tuple(planned.setting.recipe.updates for step in row.steps if step.lesson)
            return RunForecast(updates=updates, tokens=row.budget.training, known=len(updates), row=True)
        updates, price = self._expected(planned)
        chosen = planned.label == STATIC or (self.board.tune is not None and planned.role != "search")
        known, ended = (0, False) if chosen or not self.warm(planned.seed) else self._replay(planned)
        if ended:
            updates = updates[:known]
        tokens = sum(map(price.most, updates))
        if planned.setting.finish and not ended:
            updates, tokens = updates + finishing(planned.setting), tokens + planned.setting.aside
        return RunForecast(updates=updates, tokens=tokens, known=min(known, len(updates)))

    def _replay(self, planned: Run) -> tuple[int, bool]:
        """Play a run as far as the store knows it: lessons known, and whether that is all of them."""
        env = TeachingEnv(planned.level, runner=reader(self.store), setting=planned.setting)
        try:
            run(masked(env, planned.mask), planned.make(), planned.seed, act_deadline=ACT_DEADLINE)
        except (
            Exception,
            SystemExit,
            GeneratorExit,
        ):  # not known from here on, or a teacher that fails
            return sum(step.lesson is not None for step in env.history), False
        return sum(step.lesson is not None for step in env.history), True

    def _expected(self, planned: Run) -> tuple[tuple[int, ...], Price]:
        """Updates of each lesson that the purse pays, and what they cost."""
        own = planned.label if planned.registered in ("", "static") else ""
        if (own, planned.setting.digest) not in self._prices:
            self._prices[own, planned.setting.digest] = _expected(planned)
        return self._prices[own, planned.setting.digest]


def _expected(planned: Run) -> tuple[tuple[int, ...], Price]:
    setting, recipe = planned.setting, planned.setting.recipe
    if isinstance(planned.make(), Nothing):
        return (), Price(0)
    student = setting.built_student
    recipe = complete(recipe, setting)
    fresh = sizes(student, recipe, _taught(planned))
    prior = setting.warm_training(planned.seed) if recipe.replay else None
    earlier = [student.tokens(example) for example in prior.lesson[:SAMPLE]] if prior else []
    watched = [student.tokens(example) for example in watched_of(setting, recipe)]
    price = price_of(recipe, fresh, earlier, watched)
    remaining, examples = setting.budget.student_tokens - setting.aside, setting.budget.examples
    lessons: list[int] = []
    while (updates := min(recipe.updates, (remaining - price.fixed) // price.reserved)) > 0:
        if examples is not None and len(lessons) * setting.lesson_size >= examples:
            break
        lessons.append(updates)
        remaining -= price.most(updates)
    return tuple(lessons), price


def finishing(setting: Setting) -> tuple[int, ...]:
    """Updates of each step of the finish, if each phase spends all that is set aside for it."""
    student, made = setting.built_student, sample(setting, None, min(SAMPLE, setting.lesson_size))
    updates: tuple[int, ...] = ()
    for phase, aside in zip(setting.finish, setting.asides, strict=True):
        recipe = complete(phase.recipe, setting)
        price = price_of(recipe, sizes(student, recipe, made), ())
        updates += (recipe.updates,) * -(-aside // price.most(recipe.updates))
    return updates


def _taught(planned: Run) -> Sequence[Example]:
    """Examples like those that a run will teach: the pool, a fixed mixture, or every skill equally."""
    if isinstance(planned.make(), Joint):
        return planned.setting.built_task.pool()
    mixture = None
    if planned.registered == "static":
        weights, other = planned.args["weights"], planned.args.get("other", 0.0)
        mixture = np.array([weights.get(skill, other) for skill in planned.setting.built_task.skills], np.float64)
    return sample(planned.setting, mixture, min(SAMPLE, planned.setting.lesson_size))
