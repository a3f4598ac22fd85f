"""A board: every teacher on every seed, the references beside them, one row a run.

Episodes live here, in threads of the driver; their jobs run on the executor. Resuming is running again: what the store
knows is not computed, and equal rows have equal bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

from dataenv.environment.env import TeachingEnv
from dataenv.environment.exams import Evaluation
from dataenv.environment.steps import StepRecord
from dataenv.episode.calls import ACT_DEADLINE, described, raised_here
from dataenv.episode.loop import Episode, run
from dataenv.episode.profiles import profiles_of
from dataenv.episode.teacher import TeacherLike, yields_of
from dataenv.errors import (
    ActionError,
    DataenvError,
    JobFailedError,
    SettingError,
    StoreError,
    TeacherFailedError,
    UnansweredError,
)
from dataenv.execution.runner import Runner, side_by_side
from dataenv.leaderboard.conduct import write_cost
from dataenv.leaderboard.config import STATIC, Board, Entry, joined
from dataenv.leaderboard.folder import additions, hold, prepare, write_row
from dataenv.leaderboard.provenance import sandbox_of, this_code
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.runs import Run, by_group, known_runs, reference_seeds, search_runs, static_runs, tuning_runs
from dataenv.leaderboard.scoring import (
    best_step,
    closing_job,
    graded_exams,
    graded_point,
    lessons_of_steps,
    mistakes_of,
    opened_steps,
    score_of,
    standing_job,
    test_job,
    worth_of,
)
from dataenv.leaderboard.trackers import Outline, Tracker
from dataenv.leaderboard.tuning import chosen_rates, tuned
from dataenv.lessons.tuition import warm_tokens
from dataenv.setting import Setting
from dataenv.wrappers.mask import masked
from students.remote.rebuilding import NOT_REBUILT, is_rebuilt

log = logging.getLogger(__name__)
InParts = Callable[[Board, Sequence[Run], Path, Tracker, Callable[[Sequence[Run]], list[Row]]], list[Row]]
"""Plays the runs of a board in parts: the board, all its runs, its folder, who is told, and what plays some of them."""

CHANGED = (
    "%s, seed %d: the row changed when the run was played again; its teacher, student or checker does not repeat "
    "itself. The board counts such rows"
)
CHANGED_BY_SERVICE = (
    "%s, seed %d: the row changed when the run was played again. A service trains its student, and gives other bits "
    "another time; the board counts such rows"
)
FAILURES = (JobFailedError, ActionError, UnansweredError, TeacherFailedError)
"""Sentences that a failed run's row holds as they are."""


class Player:
    """Plays runs of a board: here their episodes are in this process, and their jobs on the runner's executor.

    Args:
        board: All of it.
        runner: Store and executor.
        watch: Told of progress.
        act_deadline: Seconds for each call of a teacher; ``None`` for no limit.
    """

    def __init__(self, board: Board, runner: Runner, watch: Tracker, act_deadline: float | None) -> None:
        self.board, self.runner, self.watch, self.act_deadline = board, runner, watch, act_deadline

    def row(self, planned: Run) -> Row:
        """Play a run and give its row; one that failed has a row too."""
        return _row(self.board, planned, self.runner, self.watch, self._source, self.act_deadline)

    def selection(self, planned: Run) -> float | str:
        """Play a run of a search: what it is worth, or why that cannot be told."""
        return _worth(planned, self.board, self.runner, self.watch)

    @cached_property
    def _source(self) -> dict[str, Any]:
        source = this_code()
        return {**source, "versions": source["versions"] | sandbox_of(self.board.setting.built_task)}


def play(
    board: Board,
    runner: Runner,
    folder: Path,
    watch: Tracker | None = None,
    replace: bool = False,
    added: Sequence[Entry] = (),
    act_deadline: float | None = ACT_DEADLINE,
    in_parts: InParts | None = None,
    player: type[Player] = Player,
) -> list[Row]:
    """Play a board and write one row a run under ``folder/rows``, each as soon as its run has ended.

    Args:
        board: What is compared.
        runner: Store and executor.
        folder: Of this board's results; made if need be.
        watch: Told of progress; ``dataenv.leaderboard.trackers.Trackers`` for several.
        replace: See ``folder.prepare``.
        added: Teachers beside those of the board; who was added to this folder before is played too.
        act_deadline: Seconds for each call of a teacher; ``None`` for no limit.
        in_parts: Which runs are played, and in which order: ``sequential.looks.in_groups`` for those of a board that
            adds seeds until its teachers are decided. All of them side by side, if not given.
        player: Plays each run; ``whole_runs.WholeRuns`` plays it in a worker process. Rows are the same.

    Raises:
        DataenvError: If a setting, a name, the folder or the store is at fault. A run that failed is a failed row, no
            error, and the others go on: training diverged, its worker was lost too often, its language model could not
            be asked, or its teacher, student or checker raised whatever it did. It is tried again when the board is
            played again.
    """
    watch = watch or Tracker()
    added = additions(board, folder, added, replace)
    board = joined(board, added) if added else board
    playing = player(board, runner, watch, act_deadline)
    with hold(board, folder, added):
        prepare(board, folder, replace, added)
        return _play_all(playing, folder, in_parts)


def _play_all(player: Player, folder: Path, in_parts: InParts | None) -> list[Row]:
    board, runner, watch = player.board, player.runner, player.watch
    planned_runs, search, tuning = known_runs(board), search_runs(board), tuning_runs(board)
    runner.asked = set()
    watch.begin(_outline(board, [*tuning, *search, *planned_runs], runner))
    rates = chosen_rates(tuning, side_by_side(runner, tuning, player.selection))
    search = [tuned(planned, board.tune, rates) for planned in search]
    if search:
        planned_runs += _best_static(board, search, side_by_side(runner, search, player.selection))
    planned_runs = [tuned(planned, board.tune, rates) for planned in planned_runs]

    def one(planned: Run) -> Row:
        row = player.row(planned)
        replay = write_row(row, folder)
        if replay is not None and replay.ended != "failed":
            log.warning(CHANGED if row.rebuilt is None else CHANGED_BY_SERVICE, row.teacher, row.seed)
        return row

    def some(part: Sequence[Run]) -> list[Row]:
        return side_by_side(runner, part, one)

    rows = some(planned_runs) if in_parts is None else in_parts(board, planned_runs, folder, watch, some)
    write_cost(folder, runner)
    return rows


def _outline(board: Board, planned_runs: Sequence[Run], runner: Runner) -> Outline:
    runs = {group: len(members) for group, members in by_group(planned_runs).items()}
    tokens = sum(planned.setting.budget.student_tokens for planned in planned_runs)
    if STATIC in board.references:
        runs[STATIC] = len(reference_seeds(board, STATIC))
        tokens += runs[STATIC] * board.setting.budget.student_tokens
    seeds = len({planned.seed for planned in planned_runs})
    width = runner.executor.width
    return Outline(runs, tokens, warm_tokens(board.setting), seeds, width, lambda: min(runner.busy, width))


def _play(
    planned: Run, env: TeachingEnv, teacher: TeacherLike, watch: Tracker, act_deadline: float | None = None
) -> Episode:
    watch.start(planned)
    masking = masked(env, planned.mask)
    return run(masking, teacher, planned.seed, lambda record: watch.step(planned, record), act_deadline)


def _worth(planned: Run, board: Board, runner: Runner, watch: Tracker) -> float | str:
    """What a mixture or a rate is chosen by: the board's primary outcome, on the selection split. Test stays closed.

    What diverges is no best one: the untaught student is what it is worth. Where there is not even that, why.
    """
    if planned.refused:
        return planned.refused
    env = TeachingEnv(planned.level, runner=runner, setting=planned.setting)
    try:
        episode = _play(planned, env, planned.teacher(), watch)
    except BaseException as error:
        failure = _failure(error, env, runner)
        if failure is None:
            raise
        watch.done(planned, failure)
        return score_of(env.history[0].selection) if env.history else failure
    watch.done(planned, None)
    _forget(env, episode, keep=())
    return worth_of(episode.steps, board.primary, planned.setting.budget.student_tokens)


def _best_static(board: Board, search: list[Run], scores: list[float | str]) -> list[Run]:
    """The runs of the mixture that did best over all seeds."""
    totals = dict.fromkeys(board.mixtures.weights, 0.0)
    for planned, score in zip(search, scores, strict=True):
        if isinstance(score, str):
            return [replace(each, refused=f"no mixture was found: {score}") for each in static_runs(board, {})]
        totals[planned.label] += score
    return static_runs(board, board.mixtures.weights[max(totals, key=lambda name: totals[name])])


def _failure(error: BaseException, env: TeachingEnv, runner: Runner) -> str | None:
    """What the row of a failed run says of an error; ``None`` where it is none of the run, and ends the board.

    That is so of Ctrl-C, of our own word to end, of a store that cannot be used, and of a Setting whose untaught
    student cannot be had at all. All else was raised by a teacher, a student or a checker, which may raise what it
    likes.
    """
    if runner.stopped or (isinstance(error, KeyboardInterrupt) and current_thread() is main_thread()):
        return None
    if isinstance(error, StoreError | SystemExit) and raised_here(error):
        return None
    if isinstance(error, FAILURES) or (isinstance(error, DataenvError) and env.history):
        return str(error)
    return None if isinstance(error, DataenvError) else described(error)


def _forget(env: TeachingEnv, episode: Episode, keep: Iterable[str]) -> None:
    """Delete the weights that nothing needs any more; the untaught student stays, for every teacher starts from it."""
    kept = {*keep, episode.snapshot.base}
    for step in episode.steps:
        if step.state not in kept:
            env.runner.evict(step.state)


def _row(
    board: Board,
    planned: Run,
    runner: Runner,
    watch: Tracker,
    source: dict[str, Any],
    act_deadline: float | None,
) -> Row:
    """Play one run, and make its row; a failed run has one too."""
    env = TeachingEnv(planned.level, runner=runner, setting=planned.setting)
    told, rest = _played(board, planned, env, watch, act_deadline)
    asked = dict(sorted(env.teacher_purse.replies.items()))
    return Row.model_validate(
        {
            "schema": 1,
            "board": board.name,
            "teacher": planned.label,
            "registered": planned.registered,
            "teacher_args": planned.args,
            "role": planned.role,
            "level": planned.level,
            "mask": planned.mask,
            "seed": planned.seed,
            "simulated": env.student.simulated,
            "rebuilt": None if is_rebuilt(env.student) else NOT_REBUILT,
            "setting": planned.setting.model_dump(mode="json"),
            "setting_digest": planned.setting.digest,
            "tuned": planned.tuned,
            "hashes": planned.setting.hashes,
            "skills": env.task.skills,
            "budget": _budget(env, told["prior"]),
            "asked": asked,
            "yields": (told["yields"] | {f"engine {name}": n for name, n in env.yields.items()}) if asked else {},
            "steps": [step.model_dump(mode="json", exclude={"ended"}) for step in env.history],
            "leaks": env.leaks.model_dump(mode="json"),
            "profiles": told["profiles"],
            **source,
            **rest,
        }
    )


def _played(
    board: Board, planned: Run, env: TeachingEnv, watch: Tracker, act_deadline: float | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Play one run, and open the test exam for its selected state: what the teacher says of itself, and what came."""
    told: dict[str, Any] = {"prior": 0, "yields": {}, "profiles": []}
    failure = None
    try:
        teacher = _made(planned)
        try:
            episode = _play(planned, env, teacher, watch, act_deadline)
        finally:
            told = {"prior": teacher.prior_compute, "yields": yields_of(teacher), "profiles": profiles_of(teacher)}
        rest = _outcome(board, planned.setting, env, episode)
    except BaseException as error:
        failure = _failure(error, env, env.runner)
        if failure is None:
            raise
        rest = {"ended": "failed", "error": failure, "selected": 0, "test": None}
    watch.done(planned, failure)
    return told, rest


def _made(planned: Run) -> TeacherLike:
    """The teacher of a run. It could be made when the board was read; if it cannot be now, that is its own doing."""
    if planned.refused:
        raise TeacherFailedError(planned.refused)
    try:
        return planned.teacher()
    except SettingError as error:
        raise TeacherFailedError(str(error)) from error


def _budget(env: TeachingEnv, prior: int) -> dict[str, Any]:
    """What a run has spent, as ``rows.Spent``."""
    purse, language = env.purse, env.teacher_purse.spent
    return {
        "total": purse.total,
        "spent": purse.spent,
        **purse.uses,
        "examples": sum(step.kept for step in env.history if step.lesson),
        "prior": prior,
        "teacher_tokens": language.tokens,
        "money": language.money,
    }


def _curve(board: Board, setting: Setting, env: TeachingEnv, steps: Sequence[StepRecord]) -> dict[str, Any]:
    """The test exams along a run that has ended: nobody who taught in it sees them."""
    purse = board.setting.budget.student_tokens
    points = []
    for i in opened_steps([step.spent for step in steps], purse, board.curve_points):
        outcome = env.runner.run(env.anchor(test_job(setting, steps[i].state)))
        points.append(graded_point(setting, i, outcome))
    return {"purse": purse, "points": points}


def _outcome(board: Board, setting: Setting, env: TeachingEnv, episode: Episode) -> dict[str, Any]:
    """What only a run that ended has: the selected state and its exams, lessons and mistakes to read."""
    steps = episode.steps
    selected = best_step([step.selection for step in steps])
    state = steps[selected].state
    exams = graded_exams(setting, env.runner.run(env.anchor(closing_job(setting, state))))
    if board.primary == "area":
        exams["curve"] = _curve(board, setting, env, steps)
    _forget(env, episode, keep=(state,))
    standing = Evaluation.of(setting, env.runner.run(env.anchor(standing_job(setting, state))))
    return {
        "ended": steps[-1].ended,
        "selected": selected,
        **exams,
        "lessons": lessons_of_steps(env, steps),
        "mistakes": mistakes_of(standing, selected),
    }
