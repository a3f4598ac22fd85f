"""How a board was conducted: runs that it should have, rows that changed when played again, and what it cost.

All of it is for people. It stands in files of their own beside the rows (``replays.jsonl``, ``cost.json``), and no row
or name depends on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError

from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.leaderboard.files import read_small, write_whole
from dataenv.leaderboard.rows import Row
from tasks.records import Record, canonical_json, digest

if TYPE_CHECKING:
    from dataenv.leaderboard.config import Board

REPLAYS, COST = "replays.jsonl", "cost.json"
PROVENANCE = {"commit", "dirty", "versions"}
"""Fields of a row that may change while the run stays the same."""


class Replay(Record):
    """A run that gave another row when it was played again; the row before is gone.

    Attributes:
        ended: How the row before had ended.
        before: Digest of it, without what tells of the code; ``after`` that of the new one.
    """

    teacher: str
    seed: int
    ended: str
    before: str
    after: str


class BoardCost(Record):
    """Processor seconds of a board's jobs and of the driver between them, when they were computed.

    Attributes:
        seconds: Of all states and exams whose cost is known.
        unknown: States and exams whose cost is not, for example those of a store of an earlier release.
    """

    seconds: float = Field(ge=0)
    unknown: int = Field(ge=0)


class Conduct(Record):
    """What a board's files tell beside its rows.

    Attributes:
        runs: Runs that the board has, by teacher; empty where its file is not known, and where seeds are added until
            teachers are decided.
        replayed: Rows that changed when they were played again, by teacher; ``failed`` of them had failed before.
        failed: See ``replayed``.
        cost: What it cost; ``None`` where nobody wrote that down.
    """

    runs: dict[str, int] = {}
    replayed: dict[str, int] = {}
    failed: dict[str, int] = {}
    cost: BoardCost | None = None

    @property
    def core_minutes(self) -> float | None:
        """Processor minutes; ``None`` where a part of them is unknown."""
        return None if self.cost is None or self.cost.unknown else self.cost.seconds / 60


def note_replay(folder: Path, before: Row, after: Row) -> Replay | None:
    """Append to the board's list that a row is about to change, if it is one of the same run and differs.

    Args:
        folder: Of the board.
        before: The row that is there.
        after: The one that takes its place.
    """
    same_run = all(
        getattr(before, field) == getattr(after, field)
        for field in ("teacher", "seed", "level", "mask", "teacher_args", "setting_digest", "hashes", "primary")
        if field != "primary" or not (before.failed or after.failed)
    )
    whole = bool(before.profiles) == bool(after.profiles)  # else one of them is of a release that did not keep any
    old, new = (_digest(row, set() if whole else {"profiles"}) for row in (before, after))
    if not same_run or old == new:
        return None
    replay = Replay(teacher=after.teacher, seed=after.seed, ended=before.ended, before=old, after=new)
    with (folder / REPLAYS).open("a", encoding="utf-8") as file:
        file.write(canonical_json(replay.model_dump(mode="json")) + "\n")
    return replay


def _digest(row: Row, without: Set[str]) -> str:
    return digest(row.model_dump(mode="json", exclude={*PROVENANCE, *without}))


def write_cost(folder: Path, runner: Runner) -> None:
    """Write down what all that a runner was asked for, and counted (``asked``), cost when it was computed."""
    spending = runner.store.costs.of(runner.asked or ())
    cost = BoardCost(seconds=round(spending.seconds, 3), unknown=spending.unknown)
    write_whole(folder / COST, canonical_json(cost.model_dump(mode="json")) + "\n")


def conduct_of(folder: Path, board: Board | None) -> Conduct:
    """What the files of a board tell; empty where there are none.

    Raises:
        SettingError: If one of them cannot be read.
    """
    replays = _lines(folder / REPLAYS)
    labels = [*(entry.shown for entry in board.teachers), *board.references] if board else []
    return Conduct(
        runs={label: len(board.seeds) for label in labels} if board and board.until is None else {},
        replayed=dict(Counter(replay.teacher for replay in replays)),
        failed=dict(Counter(replay.teacher for replay in replays if replay.ended == "failed")),
        cost=_cost(folder / COST),
    )


def _lines(path: Path) -> list[Replay]:
    if not path.exists():
        return []
    try:
        return [Replay.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise SettingError(f"{path} is no list of replayed runs ({str(error).splitlines()[0]}); move it away") from None


def _cost(path: Path) -> BoardCost | None:
    if not path.exists():
        return None
    try:
        return BoardCost.model_validate_json(read_small(path))
    except (OSError, ValidationError) as error:
        raise SettingError(f"{path} is no cost of a board ({str(error).splitlines()[0]}); move it away") from None
