"""The sessions of a server: which seeds are left, who is being taught, and what a restarted server goes on from."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataenv.errors import DataenvError, SettingError, SnapshotError, StoreError
from dataenv.execution.runner import Runner
from dataenv.levels import make_level
from dataenv.serve.session import Saved, TeachingSession
from dataenv.setting import Setting
from dataenv.validation import Count, validated
from tasks.records import Record


class UnknownSessionError(DataenvError):
    """No session of this name is served here."""


class NoSeedLeftError(DataenvError):
    """Every seed has been taught: a second try on one would begin with what the first has seen."""


class Kept(Record):
    """A session in its file: ``FOLDER/SESSION.json``."""

    setting: str
    seed: Count
    saved: Saved


class Hub:
    """Sessions by name. The server chooses the seeds, one a session, and a client can go back in none of them.

    Args:
        setting: Within which students are taught.
        level: Of every session.
        seeds: Of the sessions, in this order.
        runner: Store and executor; its store has to outlive the server where sessions shall.
        folder: Where sessions are kept; ``None`` keeps them in memory.

    Raises:
        SettingError: If there is no seed, or no such level.
        SnapshotError: If a file in the folder is no session, or one of another Setting.
    """

    def __init__(
        self, setting: Setting, level: str, seeds: Sequence[int], runner: Runner, folder: Path | None = None
    ) -> None:
        if not seeds:
            raise SettingError("seeds is empty; give at least one")
        make_level(level, setting)
        self.setting, self.level, self.runner, self._folder = setting, level, runner, folder
        self._seeds, self._lock = list(seeds), threading.Lock()
        self._sessions: dict[str, TeachingSession] = {}
        self._kept: dict[str, Kept] = {}
        for path in sorted(folder.glob("*.json")) if folder and folder.is_dir() else ():
            self._kept[path.stem] = _read(path, setting.digest)
        taught = {kept.seed for kept in self._kept.values()}
        self._left = [seed for seed in self._seeds if seed not in taught]

    @property
    def latest(self) -> str:
        """The session that was opened last; a new one where there is none. What MCP talks to."""
        with self._lock:
            names = [*self._kept, *self._sessions]
        return names[-1] if names else self.open()

    def open(self) -> str:
        """Start a session with the next seed; its name.

        Raises:
            NoSeedLeftError: If every seed is in use, or was.
        """
        with self._lock:
            if not self._left:
                raise NoSeedLeftError(
                    f"all {len(self._seeds)} seeds are taught already; start a server with other seeds (--seeds)"
                )
            seed = self._left.pop(0)
        try:
            session = TeachingSession(self.setting, self.level, seed, self.runner)
        except BaseException:
            with self._lock:
                self._left.insert(0, seed)
            raise
        name = secrets.token_hex(8)
        with self._lock:
            self._sessions[name] = session
        self._keep(name, session)
        return name

    def session(self, name: str) -> TeachingSession:
        """A session by name; one that is kept in a file is taken up again.

        Raises:
            UnknownSessionError: If there is none.
        """
        with self._lock:
            if name in self._sessions:
                return self._sessions[name]
            if name not in self._kept:
                raise UnknownSessionError("no session of this name is served here; open one with POST /sessions")
            kept = self._kept.pop(name)
            session = TeachingSession(self.setting, self.level, kept.seed, self.runner, kept.saved)
            self._sessions[name] = session
            return session

    def call(self, name: str, tool: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Use a tool of a session, and keep where it stands; see ``TeachingSession.call``."""
        session = self.session(name)
        try:
            return session.call(tool, given)
        finally:
            if not session.busy[0]:
                self._keep(name, session)

    def _keep(self, name: str, session: TeachingSession) -> None:
        if self._folder is None:
            return
        kept = Kept(setting=self.setting.digest, seed=session.seed, saved=session.saved)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            beside = self._folder / f".{name}.tmp"
            beside.write_text(kept.model_dump_json(), encoding="utf-8")
            os.replace(beside, self._folder / f"{name}.json")
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be written ({error.strerror}); free the disk") from error


def _read(path: Path, digest: str) -> Kept:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{path} is no session ({type(error).__name__}); remove it") from None
    kept = validated(Kept, fields if isinstance(fields, dict) else {}, str(path), SnapshotError)
    if kept.setting != digest:
        raise SnapshotError(f"{path} is of another Setting; serve that one, or give another folder (--out)")
    return kept
