"""Before a command computes anything: what ``validate`` finds, all of it, and a refusal where it finds something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataenv.episode.teacher import TeacherLike
from dataenv.errors import SettingError
from dataenv.leaderboard.config import Board, Entry, joined, load
from dataenv.leaderboard.folder import Manifest, additions, read_manifest
from dataenv.leaderboard.planning.validate import examine, faults_of_setting
from dataenv.levels import make_level
from dataenv.setting import Setting
from dataenv.waiting import waiting


def checked_board(
    which: str,
    changes: Mapping[str, Any],
    added: Sequence[Entry],
    out: Path,
    force: bool = False,
    replace: bool = False,
) -> Board:
    """A board that passed what ``validate`` checks, or one that did when it was begun in its folder.

    Args:
        which: A built-in board or the path of a TOML file.
        changes: Values by dotted path that take the place of those in the file.
        added: Teachers beside those of the board.
        out: Where the folders of boards are.
        force: Whether to go on whatever is found; what cannot be read is refused all the same.
        replace: Whether teachers that were added to the folder before are left out.

    Raises:
        SettingError: With everything that is wrong, a line each.
    """
    with waiting("checking the board …"):
        try:
            board = load(which, changes)
            if force or _begun(board, added, out / board.name, replace):
                return board
        except SettingError:
            if found := examine(which, changes, added):
                raise SettingError(_refusal(which, found, forcible=False)) from None
            raise
        if found := examine(which, changes, added):
            raise SettingError(_refusal(which, found))
    return board


def check_setting(setting: Setting, teacher: TeacherLike, force: bool = False) -> None:
    """Refuse a Setting that ``validate`` would refuse, for one teacher.

    Raises:
        SettingError: With everything that is wrong, a line each.
    """
    if force:
        return
    # Test and transfer are exams of boards alone; a run holds neither.
    held = setting.changed(items=setting.items.model_copy(update={"test": 1, "transfer": 0}))
    with waiting("checking the setting …"):
        found = faults_of_setting(held, with_engine=not make_level(teacher.level, setting).brings)
    if found:
        raise SettingError(_refusal("this run", found))


def _begun(board: Board, added: Sequence[Entry], folder: Path, replace: bool) -> bool:
    """Whether the very same board was begun in a folder: then it was checked, or forced, and is not checked again."""
    old = None if replace else read_manifest(folder)
    if old is None:
        return False
    more = additions(board, folder, added)
    new = Manifest.of(joined(board, more) if more else board, more)
    return new.hashes == old.hashes and new.board.model_dump(mode="json") == old.board.model_dump(mode="json")


def _refusal(which: str, found: Sequence[str], forcible: bool = True) -> str:
    """The findings, a line each, and what to do about them."""
    lines = [f"{which}: {len(found)} faults, and nothing was computed:", *(f"  {fault}" for fault in found)]
    if len(found) == 1:
        lines = [found[0] if found[0].startswith(f"{which}: ") else f"{which}: {found[0]}"]
    return "\n".join(lines + ["mend what is told above, or go on all the same with --force"] * forcible)
