"""The runs of a board: who teaches, with which arguments, on which seed, within what; and when two runs are one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from dataenv.episode.teacher import AdaptedTeacher, as_teacher, build_teacher
from dataenv.leaderboard.config import STATIC, UNTAUGHT, Board, Tuning
from dataenv.leaderboard.references import reference_class
from dataenv.leaderboard.rows import Row, Tuned
from dataenv.setting import Setting
from tasks.records import digest

SEARCH = "mixture search"
"""What the runs are called, all together, by which the best static mixture is chosen; they leave no rows."""
RATES = "rate search"
"""The same of the runs by which learning rates are chosen."""
SEARCHES = (SEARCH, RATES)


@dataclass(frozen=True)
class Run:
    """One run of a board.

    ``registered`` is the name that the teacher is registered by, empty for what the board computes itself; ``args`` are
    as a row tells them (``Teacher.row_args``). Runs of the role ``search`` are those that choose among mixtures, or
    among learning rates: ``label`` is then the name of the mixture, or of the teacher, and ``search`` says which of the
    two. ``tuned`` is the rate that was chosen. ``refused`` says why a run cannot be played, where that is known
    beforehand.
    """

    label: str
    registered: str
    role: Literal["teacher", "reference", "search"]
    make: Callable[[], Any]
    args: dict[str, Any]
    level: str
    seed: int
    setting: Setting
    mask: tuple[str, ...] = ()
    refused: str = ""
    tuned: Tuned | None = None
    search: str = SEARCH

    def teacher(self) -> AdaptedTeacher:
        """A teacher for this run, that has taught nobody yet."""
        return as_teacher(self.make(), self.label)

    @property
    def group(self) -> str:
        """The line of a plan or of a progress display that the run is counted in."""
        return self.search if self.role == "search" else self.label

    @property
    def shown(self) -> str:
        """What it is called within its line."""
        return f"{self.label} rate {self.setting.recipe.rate:g}" if self.group == RATES else self.label


def known_runs(board: Board) -> list[Run]:
    """The runs that are known beforehand: all but those of the best static mixture, which is searched for first."""
    planned_runs = [
        planned
        for entry in board.teachers
        for planned in _registered(
            entry.shown, entry.name, entry.args, "teacher", board.seeds, entry.within(board.setting), entry.mask
        )
    ]
    return planned_runs + [
        planned for name in board.references if name != STATIC for planned in _reference_runs(board, name)
    ]


def contents(board: Board) -> dict[str, dict[str, Any]]:
    """What stands for the arguments of teachers that name files, by label."""
    made = {entry.shown: build_teacher(entry.name, entry.args) for entry in board.teachers}
    found = {label: teacher.row_args for label, teacher in made.items()}
    return {label: args for label, args in found.items() if args is not None}


def search_runs(board: Board) -> list[Run]:
    """Every mixture on every seed on which the best is chosen. None looks at feedback, so little of it is asked."""
    if STATIC not in board.references:
        return []
    setting = board.setting.changed(items=board.setting.items.model_copy(update={"feedback": 1}))
    return [
        planned
        for name, weights in board.mixtures.weights.items()
        for planned in _registered(name, "static", fixed(weights), "search", board.mixtures.seeds, setting)
    ]


def tuning_runs(board: Board) -> list[Run]:
    """Every teacher at every rate on every seed on which rates are chosen; none where the board chooses none."""
    if board.tune is None:
        return []
    teachers = {planned.label: planned for planned in known_runs(board) if planned.role == "teacher"}
    return [
        replace(planned, role="search", search=RATES, seed=seed, setting=at_rate(planned.setting, rate))
        for planned in teachers.values()
        for rate in board.tune.rates
        for seed in board.tune.seeds
    ]


def at_rate(setting: Setting, rate: float) -> Setting:
    """A Setting with another peak learning rate of its lessons."""
    return setting.changed(recipe=setting.recipe.model_copy(update={"rate": rate}))


def static_runs(board: Board, weights: dict[str, float]) -> list[Run]:
    """The runs of a mixture that was found to be the best, on the board's own seeds."""
    return _registered(STATIC, "static", fixed(weights), "reference", reference_seeds(board, STATIC), board.setting)


def fixed(weights: dict[str, float]) -> dict[str, Any]:
    """Arguments of ``static`` for a mixture: a skill that it does not name weighs 1."""
    return {"weights": weights, "other": 1.0}


def expected(board: Board) -> list[tuple[str, int]]:
    """Label and seed of every row that a finished board has."""
    wanted = [(entry.shown, seed) for entry in board.teachers for seed in board.seeds]
    return wanted + [(name, seed) for name in board.references for seed in reference_seeds(board, name)]


def reference_seeds(board: Board, name: str) -> tuple[int, ...]:
    """The seeds of a reference. Where seeds are added until teachers are decided, it has the first ones only.

    The untaught student costs no training and is what a failed run is scored as, so it is there on all of them.
    """
    return board.seeds if board.until is None or name == UNTAUGHT else board.seeds[: board.until.first]


def all_runs(board: Board) -> list[Run]:
    """All runs of a board, those of the searches included; the uniform mixture and the Setting's rate stand in."""
    static = static_runs(board, {}) if STATIC in board.references else []
    return [*known_runs(board), *static, *search_runs(board), *tuning_runs(board)]


def run_identity(planned: Run, board: Board, hashes: Mapping[str, str]) -> str:
    """What identifies a run, under any name: all that decides its result.

    Args:
        planned: The run.
        board: The board that it is a run of.
        hashes: Fingerprints of ``task`` and ``student``.
    """
    who, args = planned.registered or planned.label, planned.args
    if (planned.label, planned.role) == (STATIC, "reference"):
        who, args = STATIC, board.mixtures.model_dump(mode="json")
    tune = board.tune if planned.role != "search" else None  # which rate it was follows from those it was chosen among
    setting = planned.tuned.setting_digest if planned.tuned else planned.setting.digest
    return _identity(who, args, planned.level, planned.mask, planned.seed, setting, hashes, tune)


def row_identity(row: Row, board: Board) -> str:
    """The identity of the run that left a row; ``board`` is the one that it was played as part of."""
    who, args = row.registered or row.teacher, row.teacher_args
    if (row.teacher, row.role) == (STATIC, "reference"):  # which mixture it was follows from those it was chosen among
        who, args = STATIC, board.mixtures.model_dump(mode="json")
    setting = row.tuned.setting_digest if row.tuned else row.setting_digest
    return _identity(who, args, row.level, row.mask, row.seed, setting, row.hashes, board.tune)


def _identity(
    who: str,
    args: Mapping[str, Any],
    level: str,
    mask: Sequence[str],
    seed: int,
    setting: str,
    hashes: Mapping[str, str],
    tune: Tuning | None,
) -> str:
    known: list[Any] = [who, dict(args), level, seed, setting, hashes.get("task"), hashes.get("student")]
    known += [sorted(mask)] if mask else []
    return digest(known + ([tune.model_dump(mode="json")] if tune else []))


def by_group(planned_runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Runs by their line in a plan or display, in order."""
    groups: dict[str, list[Run]] = {}
    for planned in planned_runs:
        groups.setdefault(planned.group, []).append(planned)
    return groups


def _registered(
    label: str,
    name: str,
    args: dict[str, Any],
    role: Literal["teacher", "reference", "search"],
    seeds: Sequence[int],
    setting: Setting,
    mask: tuple[str, ...] = (),
) -> list[Run]:
    """A registered teacher on every one of some seeds."""
    make: Callable[[], Any] = partial(build_teacher, name, args)
    teacher = make()
    args = teacher.row_args or args
    return [Run(label, name, role, make, args, teacher.level, seed, setting, mask) for seed in seeds]


def _reference_runs(board: Board, name: str) -> list[Run]:
    kind = reference_class(name)
    setting = kind.within(board.setting.changed(finish=()) if board.setting.finish else board.setting)
    return [Run(name, "", "reference", kind, {}, kind.level, seed, setting) for seed in reference_seeds(board, name)]
