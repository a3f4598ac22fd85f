"""Whole runs of a board in worker processes, each of them a driver of its own on the one store.

Nothing of a step passes between processes: engine, screen, student and grading are in the worker that plays the run.
What is passed is the board and the run's place in it, and what comes back is the row, all of it as text.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from dataenv.environment.steps import StepRecord
from dataenv.errors import JobFailedError, SettingError
from dataenv.execution.executors import Processes
from dataenv.execution.executors.base import on_disk
from dataenv.execution.executors.worker import InlineWithDeadline, Limits, portable
from dataenv.execution.inline import WorkerLostError
from dataenv.execution.jobs import from_initial
from dataenv.execution.runner import ATTEMPTS, Runner
from dataenv.execution.store import open_store
from dataenv.leaderboard.config import STATIC, Board
from dataenv.leaderboard.play import Player
from dataenv.leaderboard.rows import Row, Tuned
from dataenv.leaderboard.runs import Run, at_rate, known_runs, search_runs, static_runs, tuning_runs
from dataenv.leaderboard.trackers import Tracker
from tasks.records import Record

log = logging.getLogger(__name__)
LOST = "its worker process was lost each time; see the warnings above, and whether the machine has the memory"


class RunPlace(Record):
    """Where a run stands in its board, and what was chosen for it: a mixture's weights, a learning rate."""

    label: str
    role: Literal["teacher", "reference", "search"]
    search: str
    seed: int
    weights: dict[str, float] | None
    rate: float
    tuned: Tuned | None

    @classmethod
    def of(cls, planned: Run) -> RunPlace:
        """The place of a run."""
        weights = planned.args.get("weights") if (planned.label, planned.role) == (STATIC, "reference") else None
        rate = planned.setting.recipe.rate
        who = {"label": planned.label, "role": planned.role, "search": planned.search, "seed": planned.seed}
        return cls(**who, weights=weights, rate=rate, tuned=planned.tuned)

    def run_in(self, board: Board, runs: Sequence[Run]) -> Run:
        """The run at this place of a board, of which ``runs`` are known beforehand."""
        wanted = (self.label, self.role, self.search, self.seed)
        some = runs if self.weights is None else static_runs(board, self.weights)
        found = next(run for run in some if (run.label, run.role, run.search, run.seed) == wanted)
        setting = found.setting if found.setting.recipe.rate == self.rate else at_rate(found.setting, self.rate)
        return replace(found, setting=setting, tuned=self.tuned)


class Played(Record):
    """What a worker tells of a run.

    Attributes:
        row: Of the run; ``None`` of one of the search.
        score: Of a run of the search: the best one along it, or why there is none.
        steps: Of its episode.
        error: Why it failed.
        asked: Names of the states and exams that were asked for.
        trained: How many training runs were computed.
        warnings: What was warned of.
    """

    row: dict[str, Any] | None = None
    score: float | str = 0.0
    steps: tuple[StepRecord, ...] = ()
    error: str | None = None
    asked: tuple[str, ...] = ()
    trained: int = 0
    warnings: tuple[str, ...] = ()


class WholeRuns(Player):
    """Plays each run in a worker process. A worker that is lost is made anew, and its run goes on from the store.

    Trackers are told of a run's steps when it has ended.

    Raises:
        SettingError: If the runner's executor is not ``processes``, its store is not on disk, or a server answers
            exams in the student's place.
    """

    def __init__(self, board: Board, runner: Runner, watch: Tracker, act_deadline: float | None) -> None:
        super().__init__(board, runner, watch, act_deadline)
        if not isinstance(runner.executor, Processes):
            raise SettingError(
                "whole runs are played in worker processes over a store on disk; give executor 'processes', with a "
                "store and more than one worker"
            )
        if board.setting.answers:  # the board as text, which a worker gets, holds no address of a server
            raise SettingError(
                f"setting.answers is {board.setting.answers!r}, and with whole runs the student itself answers in its "
                "worker; leave one of them out"
            )
        self._workers, self._text = runner.executor, board.model_dump_json()
        self._made = set[tuple[str, int]]()
        self._root = on_disk(runner.store.blobs, "processes").root

    def row(self, planned: Run) -> Row:
        """See Player."""
        if planned.refused:
            return super().row(planned)
        played = self._played(planned)
        if played is None:
            return super().row(replace(planned, refused=LOST))
        return Row.model_validate(played.row)

    def selection(self, planned: Run) -> float | str:
        """See Player."""
        if planned.refused:
            return planned.refused
        played = self._played(planned)
        if played is None:
            self.watch.done(planned, LOST)
            return LOST
        return played.score

    def _played(self, planned: Run) -> Played | None:
        """What a worker tells of a run, and tells the tracker of it; ``None`` where workers were lost too often."""
        limits = self._workers.limits.model_dump_json()
        words = self._text, RunPlace.of(planned).model_dump_json(), str(self._root), limits, repr(self.act_deadline)
        self.watch.start(planned)
        self._make_untaught(planned)
        for attempt in range(1, ATTEMPTS["killed"] + 1):
            try:
                with self.runner.working():
                    played = Played.model_validate_json(self._workers.hand(play_run, *words).result())
                break
            except WorkerLostError as error:
                if self.runner.stopped:
                    raise
                who = f"{planned.label}, seed {planned.seed}"
                log.warning("%s, try %d of %d: %s", who, attempt, ATTEMPTS["killed"], error)
        else:
            return None
        for said in played.warnings:
            log.warning("%s", said)
        self.runner.credit(played.asked, played.trained)
        for step in played.steps:
            self.watch.step(planned, step)
        self.watch.done(planned, played.error)
        return played

    def _make_untaught(self, planned: Run) -> None:
        """Have the untaught student of a run made as a job, which runs once, and not by several workers at once."""
        setting, which = planned.setting, (planned.setting.digest, planned.seed)
        if which in self._made:
            return
        training = setting.warm_training(planned.seed)
        if training is not None:
            try:
                self.runner.run(from_initial(setting.student_spec, planned.seed, training))
            except JobFailedError:
                return  # the run comes to it too, and its row says it
        self._made.add(which)


# --- in the worker ---------------------------------------------------------------------------------------------------


class _Notes(Tracker, logging.Handler):
    """Keeps what is told of one run, and what is warned of meanwhile: this process shows nothing to anybody."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.steps, self.warnings = list[StepRecord](), list[str]()
        self.error: str | None = None

    def step(self, cell: Run, record: StepRecord) -> None:
        """See Tracker."""
        self.steps.append(record)

    def done(self, cell: Run, error: str | None) -> None:
        """See Tracker."""
        self.error = error

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        self.warnings.append(record.getMessage())


def play_run(board: str, place: str, root: str, limits: str, act_deadline: str) -> str:
    """Play one run in this worker.

    Args:
        board: As JSON.
        place: Of the run, as JSON.
        root: Folder of the store's blobs.
        limits: ``Limits`` as JSON; the deadline is that of a job.
        act_deadline: Seconds for each call of a teacher, or ``None``.

    Returns:
        ``Played`` as JSON.
    """
    player, runs = _player(board, root, limits, None if act_deadline == "None" else float(act_deadline))
    runner, notes = player.runner, _Notes()
    asked, before = set[str](), runner.trained
    player.watch, runner.asked = notes, asked
    logging.getLogger().addHandler(notes)
    try:
        planned = RunPlace.model_validate_json(place).run_in(player.board, runs)
        if planned.role == "search":
            found: dict[str, Any] = {"score": player.selection(planned)}
        else:
            found = {"row": player.row(planned).model_dump(mode="json")}
    except Exception as error:
        raise portable(error) from None
    finally:
        logging.getLogger().removeHandler(notes)
    told = {"steps": notes.steps, "error": notes.error, "warnings": notes.warnings, "asked": sorted(asked)}
    return Played(**found, **told, trained=runner.trained - before).model_dump_json()


@lru_cache(maxsize=1)
def _player(board: str, root: str, limits: str, act_deadline: float | None) -> tuple[Player, list[Run]]:
    """What plays the runs of a board in this worker, on a store that it opens once, and the runs known beforehand."""
    runner = Runner(open_store(Path(root).parent), InlineWithDeadline(Limits.model_validate_json(limits), Path(root)))
    read = Board.model_validate_json(board)
    return Player(read, runner, Tracker(), act_deadline), [*tuning_runs(read), *search_runs(read), *known_runs(read)]
