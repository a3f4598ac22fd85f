"""Playing a board in groups of seeds until its teachers are decided, and the log of its looks.

``looks.jsonl`` in the folder of the board holds one line a look: the attempt, the configuration, the seeds, what was
decided of whom. Nothing of it is ever erased: another configuration in the same folder is another attempt, whose lines
follow. Playing again decides again, from the rows alone; a look that comes out as it is written is not written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from dataenv.errors import SettingError
from dataenv.leaderboard.config import BASELINE, Board
from dataenv.leaderboard.decisions import Look
from dataenv.leaderboard.files import read_small, write_whole
from dataenv.leaderboard.folder import Manifest, read_manifest
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.runs import Run
from dataenv.leaderboard.sequential.judging import Monitored, judge
from dataenv.leaderboard.trackers import Tracker
from dataenv.validation import explain
from tasks.records import Record, canonical_json, digest

LOG = "looks.jsonl"
TEST = 2
"""Which test decides; 1 was a group-sequential t. Another test in the same folder is another attempt."""


class Logged(Record):
    """A line of the log.

    Attributes:
        attempt: From 1; a configuration that was played before keeps its number.
        configuration: Digest of what is played, and of the test: board, task, student, what teachers' files hold.
        seeds: That were added since the look before.
        look: What was decided.
    """

    attempt: int
    configuration: str
    seeds: tuple[int, ...]
    look: Look


def in_groups(
    board: Board, planned_runs: Sequence[Run], folder: Path, watch: Tracker, play: Callable[[Sequence[Run]], list[Row]]
) -> list[Row]:
    """Play the groups of seeds of a board, one after another, until every teacher is decided.

    Args:
        board: From ``config.until_decided``; its manifest is in the folder.
        planned_runs: All of its runs, on all declared seeds.
        folder: Where the log is.
        watch: Told of each look.
        play: Plays some of them.

    Returns:
        The rows of what was played: a teacher that was decided is not in later groups, the baseline is in all.

    Raises:
        SettingError: If there is no teacher beside the baseline, or the log cannot be read. Nothing is played then.
    """
    if board.until is None:
        return play(planned_runs)
    read_log(folder)
    if len(board.teachers) == 1:
        raise SettingError(f"teachers hold {BASELINE!r} alone, so nothing can be decided; add a teacher")
    rows, before = list[Row](), 0
    going = {planned.label for planned in planned_runs if planned.role == "teacher"}
    for n in board.until.looks:
        seeds = board.seeds[before:n]
        group = [
            planned
            for planned in planned_runs
            if planned.seed in seeds and (planned.role == "reference" or planned.label in going)
        ]
        rows += play(group)
        look = judge(board, rows)[-1]
        _append(folder, look, seeds)
        watch.look(look)
        going, before = {BASELINE, *look.undecided}, n
        if not look.undecided:
            break
    return rows


def monitored_of(folder: Path) -> Monitored | None:
    """What the folder of a board says of its looks; ``None`` where it was played on fixed seeds.

    Raises:
        SettingError: If the log cannot be read.
    """
    manifest = read_manifest(folder)
    if manifest is None or manifest.board.until is None:
        return None
    configuration, log = _configuration(manifest), read_log(folder)
    ours = [line.look.number for line in log if line.configuration == configuration]
    otherwise = tuple(sorted({number for number in ours if ours.count(number) > 1}))
    before = max((line.attempt for line in log), default=0)
    return Monitored(manifest.board, before if ours else before + 1, otherwise)


def read_log(folder: Path) -> list[Logged]:
    """The lines of the log, oldest first; none where there is no log.

    Raises:
        SettingError: If it cannot be read, with the line that is wrong.
    """
    path, found = folder / LOG, list[Logged]()
    try:
        lines = read_small(path).splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SettingError(f"{path} cannot be read ({error}); mend it, or give another folder") from None
    for number, line in enumerate(lines, 1):
        try:
            found.append(Logged.model_validate_json(line))
        except ValidationError as error:
            told = explain(error, Logged)
            raise SettingError(f"{path}, line {number}, is no look at a board ({told}); move the file away") from None
    return found


def _append(folder: Path, look: Look, seeds: Sequence[int]) -> None:
    """Write a look behind the others, unless the last one of the same number in this attempt says the same."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise SettingError(f"{folder} has lost its board.json while it was played; play the board again")
    configuration, log = _configuration(manifest), read_log(folder)
    known = {line.configuration: line.attempt for line in log}
    attempt = known.get(configuration, max(known.values(), default=0) + 1)
    line = Logged(attempt=attempt, configuration=configuration, seeds=tuple(seeds), look=look)
    same = [one for one in log if (one.attempt, one.look.number) == (attempt, look.number)]
    if not same or same[-1] != line:
        text = "".join(canonical_json(one.model_dump(mode="json")) + "\n" for one in (*log, line))
        write_whole(folder / LOG, text)


def _configuration(manifest: Manifest) -> str:
    """What decides the rows of a folder, as a digest; metrics are shown and decide nothing."""
    played = manifest.model_copy(update={"board": manifest.board.model_copy(update={"metrics": ()})})
    return digest([TEST, played.model_dump(mode="json")])
