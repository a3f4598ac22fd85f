"""Export: a run's data and student in the forms that other tools read."""

from __future__ import annotations

import json
from pathlib import Path

from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.leaderboard.folder import read_row
from dataenv.setting import make_setting
from students.base import initial_key
from tasks.records import Example


def export_run(row_path: Path, folder: Path, runner: Runner) -> int:
    """Write ``data.jsonl`` (one kept example a line, in the order taught) and ``student/`` (for ``from_pretrained``).

    Pictures are written beside it, as ``pictures/DIGEST.png``; the field ``images`` of a line names them.

    Args:
        row_path: A row of a board.
        folder: Made if need be; its files are replaced.
        runner: Over the store that the board was played with; the student is rebuilt from it if need be.

    Returns:
        How many examples were written.

    Raises:
        SettingError: If the row cannot be read.
        StoreError: If the store does not know the run.
    """
    row = read_row(row_path)
    if row.failed:
        raise SettingError(f"run {row_path} failed ({row.error}); there is nothing to export")
    setting = make_setting(row.setting, f"setting of {row_path}")
    taught = [step for step in row.steps[: row.selected + 1] if step.lesson]
    folder.mkdir(parents=True, exist_ok=True)
    n = 0
    with (folder / "data.jsonl").open("w", encoding="utf-8") as file:
        for step in taught:
            for example in runner.store.lesson(str(step.lesson)):
                line = {"step": step.step, **example.model_dump(mode="json"), **_pictures(example, folder, runner)}
                file.write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")
                n += 1
    student = setting.built_student
    state = row.steps[row.selected].state
    untrained = state == initial_key(student, row.seed)
    weights = student.initial(row.seed) if untrained else runner.weights(state)
    student.export(weights, folder / "student")
    return n


def _pictures(example: Example, folder: Path, runner: Runner) -> dict[str, list[str]]:
    """Write what an example shows; returns the field that names the files, for one that shows anything."""
    if not example.media:
        return {}
    (folder / "pictures").mkdir(exist_ok=True)
    for name in example.media:
        (folder / "pictures" / f"{name}.png").write_bytes(runner.store.blobs.get(name))
    return {"images": [f"pictures/{name}.png" for name in example.media]}
