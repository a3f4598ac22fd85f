"""``rescore``: grade the stored answers of a board again, after the checker or a statistic has changed. Trains nothing.

What was played stays as it was played: the lessons, the states, and which state was selected, for its test exam is the
only one that was ever opened. How many runs would now select another state is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dataenv.environment.exams import Evaluation
from dataenv.environment.steps import StepRow, Tally
from dataenv.errors import DataenvError, SettingError, StoreError
from dataenv.execution.jobs import Job, Outcome
from dataenv.execution.readonly import reader
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.files import write_whole
from dataenv.leaderboard.folder import MANIFEST, read_manifest, read_rows, write_row
from dataenv.leaderboard.provenance import this_code
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.scoring import (
    best_step,
    closing_job,
    graded_exams,
    graded_point,
    mistakes_of,
    standing_job,
    test_job,
)
from dataenv.setting import Setting, make_setting
from tasks.records import canonical_json


class Rescored(NamedTuple):
    """The rows graded again, and how many runs would now select another state."""

    rows: list[Row]
    otherwise: int


def rescore(folder: Path, store: Store, out: Path) -> Rescored:
    """Grade a board again and write its rows, and a manifest that says so, into a new folder.

    Args:
        folder: Of the board.
        store: The one that it was played with.
        out: Made; must not be there, or be empty.

    Raises:
        SettingError: If ``out`` holds something, or the task has other problems than it had.
        StoreError: If an answer is not in the store. Nothing is written then.
    """
    if out.exists() and any(out.iterdir()):
        raise SettingError(f"--out {out} is not empty; give a folder that is not there, for nothing is overwritten")
    rows, runner = read_rows(folder), reader(store)
    graded = [_row(row, runner) for row in rows]
    assert runner.trained == 0, "a reader computes nothing"
    code, manifest = this_code(), read_manifest(folder)
    for row, _ in graded:
        write_row(row, out)
    if manifest is not None:
        by = {"commit": code["commit"], "dirty": code["dirty"]}
        text = manifest.model_copy(update={"rescored": by}).model_dump(mode="json", exclude_none=True)
        write_whole(out / MANIFEST, canonical_json(text) + "\n")
    return Rescored([row for row, _ in graded], sum(changed for _, changed in graded))


def free_folder(folder: Path) -> Path:
    """A folder beside one that is not there yet: ``quick.rescored``, then ``quick.rescored.2``, and so on."""
    beside = folder.resolve()
    out, number = beside.with_name(f"{beside.name}.rescored"), 2
    while out.exists():
        out, number = beside.with_name(f"{beside.name}.rescored.{number}"), number + 1
    return out


def _row(row: Row, runner: Runner) -> tuple[Row, bool]:
    """One row graded again, and whether it would now select another state."""
    setting = make_setting(row.setting, f"setting of {row.teacher}, seed {row.seed}")
    if setting.built_task.fingerprint != row.hashes.get("task"):
        raise SettingError(
            f"task {setting.task!r} has other problems than when {row.teacher}, seed {row.seed} was played "
            "(hashes.task differs); play the board again"
        )
    fields = row.model_dump(mode="json")
    standings = [_standing(row, step, setting, runner) for step in row.steps]
    fields["steps"] = _steps(fields["steps"], standings)
    best = best_step([Tally.of(standing.selection) for standing in standings]) if standings else row.selected
    if row.test is not None:
        asked = closing_job(setting, row.steps[row.selected].state)
        fields |= graded_exams(setting, _ask(runner, asked, row, row.selected))
        if row.curve is not None:
            fields["curve"]["points"] = [_point(row, point.step, setting, runner) for point in row.curve.points]
        fields["mistakes"] = mistakes_of(standings[row.selected], row.selected)
    return Row.model_validate(fields), not row.failed and best != row.selected


def _steps(steps: Sequence[dict[str, Any]], standings: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """The steps with their counts and rewards as they are graded now."""
    done, before = [], None
    for step, standing in zip(steps, standings, strict=True):
        score = standing.selection.score
        counts = {name: Tally.of(getattr(standing, name)).model_dump(mode="json") for name in ("selection", "feedback")}
        counted = counts | {"grader_errors": standing.grader_errors}
        done.append(step | counted | {"reward": 0.0 if before is None else score - before})
        before = score
    return done


def _point(row: Row, step: int, setting: Setting, runner: Runner) -> dict[str, Any]:
    return graded_point(setting, step, _ask(runner, test_job(setting, row.steps[step].state), row, step))


def _standing(row: Row, step: StepRow, setting: Setting, runner: Runner) -> Evaluation:
    return Evaluation.of(setting, _ask(runner, standing_job(setting, step.state), row, step.step))


def _ask(runner: Runner, job: Job, row: Row, step: int) -> Outcome:
    """The stored answers of a job; a StoreError if the store has none."""
    try:
        return runner.run(job)
    except DataenvError as error:
        exams = " and ".join(exam.name for exam in job.exams)
        raise StoreError(
            f"answers of {row.teacher}, seed {row.seed}, step {step} ({exams}) are not in store "
            f"{runner.store.path or 'in memory'}; give the --store that the board was played with"
        ) from error
