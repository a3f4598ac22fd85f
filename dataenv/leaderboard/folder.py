"""The folder of a board: ``board.json`` (what is played in it), ``rows/`` (one file a run), table and page.

``board.json`` is written before anything is computed and holds no clock, host or path. A folder keeps to one
configuration: with another one nothing is computed, unless the rows that do not belong to it are to be moved aside.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence, Set
from operator import not_
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from dataenv.episode.teacher import build_teacher
from dataenv.errors import SettingError
from dataenv.execution.files import HeldError, Hold, leftovers
from dataenv.leaderboard.conduct import Replay, note_replay
from dataenv.leaderboard.config import STATIC, Board, Entry
from dataenv.leaderboard.files import NAME, named, read_small, write_whole
from dataenv.leaderboard.rows import Row, read
from dataenv.leaderboard.runs import RATES, SEARCH, Run, all_runs, contents, expected, row_identity, run_identity
from dataenv.validation import explain, faults
from students.base import code_digest
from tasks.records import Record, canonical_json, digest

MANIFEST, ROWS, LOCK = "board.json", "rows", ".lock"
SHOWN_CHANGES, SHOWN_VALUE, SHOWN_FAULTS = 12, 60, 3
ABSENT = object()
log = logging.getLogger(__name__)


class Manifest(Record):
    """What was played in a folder.

    Attributes:
        board: The resolved board, defaults included.
        task: ``version`` and ``fingerprint``.
        student: ``fingerprint``, and what it is made of: ``code``, ``base``, ``numerics``.
        contents: What is in the files that teachers' arguments name, by label (``Teacher.row_args``).
        rescored: Where the rows were graded again and not played: the ``commit`` that graded them.
        added: Labels of the teachers of ``board`` that its own file does not have, but were added to it.
    """

    schema_version: Literal[1] = 1
    board: Board
    task: dict[str, str]
    student: dict[str, Any]
    contents: dict[str, Any] | None = None
    rescored: dict[str, Any] | None = None
    added: tuple[str, ...] = Field(default=(), exclude_if=not_)

    @classmethod
    def of(cls, board: Board, added: Sequence[Entry] = ()) -> Manifest:
        """The manifest of a board as this installation would play it; ``added`` are those of its teachers that were."""
        task, student = board.setting.built_task, board.setting.built_student
        return cls(
            board=board,
            task={"version": task.version, "fingerprint": task.fingerprint},
            student={
                "fingerprint": board.setting.student_fingerprint,
                "code": code_digest(type(student)),
                "base": student.base,
                "numerics": board.setting.numerics,
            },
            contents=contents(board) or None,
            added=tuple(entry.shown for entry in added),
        )

    @property
    def hashes(self) -> dict[str, str]:
        """Fingerprints of task and student, as a row holds them."""
        return {"task": self.task["fingerprint"], "student": self.student["fingerprint"]}


def additions(board: Board, folder: Path, added: Sequence[Entry] = (), replace: bool = False) -> tuple[Entry, ...]:
    """The teachers that are played in a folder beside those of a board.

    A folder remembers who was added to its board, and they are played again: what is compared, and so how the
    comparisons are corrected, does not depend on which command was typed last. Their rows come from the store.

    Args:
        board: As its file has it.
        folder: Of its results.
        added: Who is added now.
        replace: Whether who was added before is left out.

    Raises:
        SettingError: If one that was added before cannot be made any more.
    """
    manifest = None if replace else read_manifest(folder)
    taken = {entry.shown for entry in (*board.teachers, *added)}
    known = {entry.shown: entry for entry in manifest.board.teachers} if manifest else {}
    before = [known[label] for label in (manifest.added if manifest else ()) if label not in taken]
    for entry in before:
        try:
            build_teacher(entry.name, entry.args)
        except SettingError as error:
            raise SettingError(
                f"{entry.shown} was added to the board of {folder}, and {error}; --replace goes on without"
            ) from error
    return (*before, *(entry for entry in added if entry not in board.teachers))


def prepare(board: Board, folder: Path, replace: bool = False, added: Sequence[Entry] = ()) -> None:
    """Make a folder ready for a board, and write its manifest.

    Args:
        board: What is about to be played.
        folder: Made if need be.
        added: Those of its teachers that were added to it: no other configuration, if the folder has not had them.
        replace: Whether rows that do not belong to the board are moved aside, into ``rows.1`` (or the next number).

    Raises:
        SettingError: If the folder holds runs of another configuration and ``replace`` is not given: which fields
            differ, and how many runs would be computed anew. Nothing is changed then.
    """
    (folder / ROWS).mkdir(parents=True, exist_ok=True)  # a folder that cannot be written is said before, not after
    leftovers(folder, folder / ROWS, remove=True)
    new, old = Manifest.of(board, added), read_manifest(folder)
    changes = [] if old is None else differences(old, new)
    strangers = _strangers(folder, old, new) if old is None or changes else []
    if (changes or strangers) and not replace:
        raise SettingError(_refusal(folder, old, new, changes, strangers))
    if strangers:
        _move_aside(folder, strangers)
    write_whole(folder / MANIFEST, canonical_json(new.model_dump(mode="json", exclude_none=True)) + "\n")


def hold(board: Board, folder: Path, added: Sequence[Entry] = ()) -> Hold:
    """Keep a folder to one configuration for as long as it is held: others of the same may play in it beside this one.

    Raises:
        SettingError: If it is being played with another configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        played = Manifest.of(board.model_copy(update={"metrics": ()}), added)  # what is shown decides nothing
        return Hold(folder / LOCK, digest(played.model_dump(mode="json")))
    except HeldError as error:
        raise SettingError(
            f"{folder} is being played with another configuration by {error.by}; wait for its end, or give "
            "another --out"
        ) from None


def write_row(row: Row, folder: Path) -> Replay | None:
    """Write the row of a run that ended, whole or not at all, and in this folder.

    Returns:
        What is noted where the same run had left another row there; see ``conduct.note_replay``.
    """
    path = named(folder / ROWS, row.teacher, f"--{row.seed}.json")
    replay = None
    if path.exists():
        try:
            before = read_row(path)
        except SettingError:  # damaged, or of another release: no row that could be compared
            log.warning("%s was no row that can be read; it is replaced", path)
        else:
            replay = note_replay(folder, before, row)
    write_whole(path, row.model_dump_json() + "\n")
    return replay


def read_manifest(folder: Path) -> Manifest | None:
    """What was played in a folder; ``None`` where nothing was, or by a release that did not write it down.

    Raises:
        SettingError: If it is there and cannot be read.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(read_small(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingError(f"{path} cannot be read ({error}); mend it, or give another folder") from None
    except ValidationError as error:
        raise SettingError(f"{path} is no manifest of a board ({explain(error, Manifest)}); move it away") from None


def read_row(path: Path) -> Row:
    """One row.

    Raises:
        SettingError: If it cannot be read, is none, or names its board or teacher as no board does.
    """
    try:
        row = Row.model_validate_json(read_small(path))
    except OSError as error:
        raise SettingError(f"run {path} cannot be read ({error}); give a row such as runs/quick/rows/…json") from None
    except ValidationError as error:
        wrong = faults(error, Row)
        more = f"; and {len(wrong) - SHOWN_FAULTS} more" if len(wrong) > SHOWN_FAULTS else ""
        raise SettingError(f"run {path} is no row of a board: {'; '.join(wrong[:SHOWN_FAULTS])}{more}") from None
    for field, name in (("board", row.board), ("teacher", row.teacher)):
        if not re.fullmatch(NAME, name):
            raise SettingError(
                f"run {path}: {field} is {name[:60]!r}, which is no name; use letters, digits, '.', '_' and '-'"
            )
    return row


def read_rows(folder: Path) -> list[Row]:
    """All rows of a folder, in one order.

    Raises:
        SettingError: If there are none, one cannot be read, or they cannot stand on one board.
    """
    paths = sorted((folder / ROWS).glob("*.json"))
    if not paths:
        raise SettingError(f"folder {folder} holds no rows; give the folder of a board, such as runs/quick")
    try:
        return read(read_row(path) for path in paths)
    except SettingError:
        raise
    except ValueError as error:
        raise SettingError(f"folder {folder}: {error}") from None


def missing(folder: Path, rows: Sequence[Row]) -> str:
    """Which runs of a board have not ended, as one sentence; empty where none is missing."""
    manifest = read_manifest(folder)
    if manifest is None:
        return f"{folder / MANIFEST} is not there, so what is missing cannot be said."
    played = {(row.teacher, row.seed) for row in rows}
    if manifest.board.until is not None:
        return ""  # which runs there will be is decided as it is played, and the board itself says whether it is over
    wanted = expected(manifest.board)
    owed: dict[str, list[str]] = {}
    for label, seed in wanted:
        if (label, seed) not in played:
            owed.setdefault(label, []).append(str(seed))
    if not owed:
        return ""
    which = "; ".join(f"{label} seed {', '.join(seeds)}" for label, seeds in owed.items())
    return f"{len(wanted) - sum(map(len, owed.values()))} of {len(wanted)} runs have ended; missing: {which}."


def differences(old: Manifest, new: Manifest) -> list[str]:
    """What differs between two manifests, a line each: ``setting.recipe.rate: 0.003 → 0.01``.

    A teacher that was added is no difference: nothing that the folder holds is another run for it.
    """
    joining = {*new.added} - {entry.shown for entry in old.board.teachers}
    before, after = _flat(_plain(old.board)), _flat(_plain(new.board, joining))
    lines = _compared(before, after)
    lines += _compared(*(_flat({"teachers": _without(m.contents or {}, joining)}) for m in (old, new)))
    if old.rescored != new.rescored:
        lines.append("the rows were graded again, not played")
    a, b = old.board.setting, new.board.setting
    if (a.task, a.task_args) == (b.task, b.task_args):
        if old.task["version"] != new.task["version"]:
            lines.append(f"task version changed: {old.task['version']} → {new.task['version']}")
        elif old.task != new.task:
            lines.append(f"task problems changed, though its version ({new.task['version']}) did not")
    if a.student == b.student:
        if old.student["code"] != new.student["code"]:
            lines.append("student code changed")
        parts = ("base", "numerics")
        before, after = (_flat({"student": {part: m.student[part] for part in parts}}) for m in (old, new))
        lines += _compared(before, after)
    return lines


def settings_compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two settings, a line each."""
    return _compared(_flat({"setting": old}), _flat({"setting": new}))


def _without(labelled: Mapping[str, Any], labels: Set[str]) -> dict[str, Any]:
    return {label: value for label, value in labelled.items() if label not in labels}


def _plain(board: Board, joining: Set[str] = frozenset()) -> dict[str, Any]:
    """A board as plain values, teachers by what they are called: their order decides nothing, nor do metrics."""
    plain = board.model_dump(mode="json", exclude={"metrics"})
    entries = {entry.shown: entry.model_dump(mode="json", exclude={"label"}) for entry in board.teachers}
    plain["teachers"] = _without(entries, joining)
    return plain | {"references": sorted(board.references)}


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Leaves by dotted path."""
    if not isinstance(value, Mapping) or not value:
        return {path: value}
    return {
        inner: leaf
        for name, part in value.items()
        for inner, leaf in _flat(part, f"{path}.{name}" if path else str(name)).items()
    }


def _compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    def inside(path: str) -> bool:
        """Whether an empty mapping on one side has entries on the other."""
        return any(other.startswith(f"{path}.") for other in (*before, *after))

    paths = [path for path in dict.fromkeys((*before, *after)) if not inside(path)]
    pairs = [(path, before.get(path, ABSENT), after.get(path, ABSENT)) for path in paths]
    return [f"{path}: {_shown(old)} → {_shown(new)}" for path, old, new in pairs if old != new]


def _shown(value: Any) -> str:
    text = "(absent)" if value is ABSENT else canonical_json(value)
    return text if len(text) <= SHOWN_VALUE else text[: SHOWN_VALUE - 1] + "…"


def _strangers(folder: Path, old: Manifest | None, new: Manifest) -> list[Path]:
    """The rows in a folder that belong to no run of the new board."""
    wanted = {(name, planned.label) for name, planned in _runs(new) if planned.role != "search"}
    found = _identified(folder, (old or new).board)
    return [path for path, name in found.items() if name not in wanted]


def _identified(folder: Path, board: Board) -> dict[Path, tuple[str, str]]:
    """Identity and label of every row file; a file that is no row has neither."""
    found = {}
    for path in sorted((folder / ROWS).glob("*.json")):
        try:
            row = read_row(path)
        except SettingError:
            found[path] = ("", "")
            continue
        found[path] = (row_identity(row, board), row.teacher)
    return found


def anew(folder: Path, old: Manifest | None, new: Manifest) -> tuple[int, int]:
    """How many runs of the new board have not been played in a folder, and how many it has.

    A run of a search (for the best mixture, for learning rates) counts as played where it was part of the old board,
    and that search is over.
    """
    rows = {name for name, _ in _identified(folder, (old or new).board).values()}
    played = set(rows)
    if old is not None:
        there = [planned.label for name, planned in _runs(old) if name in rows]
        over = [*[SEARCH] * (STATIC in there), *[RATES] * bool(there)]
        played |= {name for name, planned in _runs(old) if planned.group in over}
    runs = _runs(new)
    return sum(name not in played for name, _ in runs), len(runs)


def _runs(manifest: Manifest) -> list[tuple[str, Run]]:
    """Every run of a board with its identity."""
    board = manifest.board
    return [(run_identity(planned, board, manifest.hashes), planned) for planned in all_runs(board)]


def _refusal(folder: Path, old: Manifest | None, new: Manifest, changes: list[str], strangers: list[Path]) -> str:
    lines = [f"{folder} was played with another configuration:"]
    lines += [f"  {change}" for change in changes[:SHOWN_CHANGES]]
    if len(changes) > SHOWN_CHANGES:
        lines.append(f"  and {len(changes) - SHOWN_CHANGES} more")
    if not changes:
        lines[0] = f"{folder} holds rows of another configuration, by a release that did not write it down:"
        lines.append(f"  {', '.join(path.stem for path in strangers[:3])}" + " …" * (len(strangers) > 3))
    fresh, runs = anew(folder, old, new)
    aside = (
        f"and {len(strangers)} rows there belong to none of them; --replace moves those to {_aside(folder)}"
        if strangers
        else "and every row there belongs to one of them; --replace goes on with the new configuration"
    )
    lines.append(f"{fresh} of {runs} runs would be computed anew, {aside}, another name or --out leaves them alone")
    return "\n".join(lines)


def _aside(folder: Path) -> Path:
    """The first numbered folder name that is free."""
    number = 1
    while (folder / f"{ROWS}.{number}").exists():
        number += 1
    return folder / f"{ROWS}.{number}"


def _move_aside(folder: Path, strangers: list[Path]) -> None:
    """Move the rows and their exports to a folder, with a copy of the manifest."""
    aside = _aside(folder)
    aside.mkdir()
    if (folder / MANIFEST).exists():
        write_whole(aside / MANIFEST, (folder / MANIFEST).read_text(encoding="utf-8"))
    for path in strangers:
        path.rename(aside / path.name)
        exported = path.with_suffix("")
        if exported.is_dir():
            exported.rename(aside / exported.name)
