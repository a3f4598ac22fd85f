"""Exams by a serving engine: the State's adapter is loaded under the State's name, and the prompts are asked."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from dataenv.execution.serving.engine import ServingEngine
from dataenv.execution.serving.server import ServingClient, ServingError, UnknownModelError
from students.base import Asked, Decoding, Student
from students.causal_lm.served import ServedPrompt, ServedStudent

KEPT = 4
"""Adapters that one process keeps in a server; the least recently used one goes first."""
TRIES = 3
"""How often an adapter is loaded for one exam: a server may drop it between loading and asking."""


class Adapters:
    """The adapters that this process has in a server. Each has a folder for as long as it is there.

    A server that others use too may have an adapter already, under the same name: then it is the same State's.

    Args:
        server: Where they are loaded.
        root: Where their folders are made; the server must see it.
        kept: How many stay.
    """

    def __init__(self, server: ServingClient, root: Path, kept: int = KEPT) -> None:
        self._server, self._root, self._limit = server, root, kept
        self._loaded: OrderedDict[str, Path | None] = OrderedDict()
        self._lock = threading.Lock()

    def use(self, name: str, write: Callable[[Path], None], ask: Callable[[], list[list[int]]]) -> list[list[int]]:
        """Have an adapter loaded, and ask.

        Args:
            name: Of the adapter.
            write: Writes its files into a folder.
            ask: Asks under that name.

        Raises:
            ServingError: If it cannot be loaded, or the server loses it again and again.
        """
        with self._lock:
            for attempt in range(TRIES):
                if name not in self._loaded:
                    self._load(name, write)
                self._loaded.move_to_end(name)
                try:
                    return ask()
                except UnknownModelError as error:
                    self._forget(name)
                    if attempt == TRIES - 1:
                        raise ServingError(f"{error}, though its adapter was loaded {TRIES} times") from None
        raise AssertionError("the last try returns or raises")

    def close(self) -> None:
        """Unload all of them, as far as the server is still there."""
        with self._lock:
            for name in list(self._loaded):
                with contextlib.suppress(ServingError):
                    self._unload(name)

    def _load(self, name: str, write: Callable[[Path], None]) -> None:
        while len(self._loaded) >= self._limit:
            self._unload(next(iter(self._loaded)))
        if self._served(name):
            self._loaded[name] = None
            return
        self._root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._root))
        folder.chmod(0o755)  # the server may be somebody else's process
        try:
            write(folder)
            self._server.load(name, str(folder.resolve()))
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, ServingError) and self._served(name):  # another process was first
                self._loaded[name] = None
                return
            raise
        self._loaded[name] = folder

    def _served(self, name: str) -> bool:
        return any(model.get("id") == name for model in self._server.models())

    def _unload(self, name: str) -> None:
        mine = self._loaded[name] is not None
        try:
            if mine:
                self._server.unload(name)
        except UnknownModelError:
            pass  # it is gone already
        finally:
            self._forget(name)

    def _forget(self, name: str) -> None:
        folder = self._loaded.pop(name)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@lru_cache(maxsize=8)
def adapters_in(address: str, root: Path) -> Adapters:
    """The adapters of this process in a server; at its end they are unloaded."""
    made = Adapters(ServingClient(address), root)
    atexit.register(made.close)
    return made


def answer(
    engine: ServingEngine,
    student: Student,
    state: tuple[str, bytes],
    asked: Sequence[Asked],
    decoding: Decoding,
    seed: int,
    root: Path,
) -> list[str]:
    """What a student answers, written by a serving engine; see ``Student.answer``.

    Args:
        engine: As it was when it was probed.
        student: The student.
        state: Key and weights of its State.
        asked: The prompts.
        decoding: How it answers.
        seed: Of what is drawn.
        root: A folder that the server sees too.

    Raises:
        ServingError: If the server cannot answer, or is not the one that was probed.
    """
    server, served, (name, weights) = ServingClient(engine.address), ServedStudent(student), state
    if (now := server.version()) != engine.version:
        raise ServingError(
            f"the server at {engine.address} was {engine.engine} {engine.version} and is {now or 'another'} now; "
            "run the same command again"
        )
    prompts = [each.text for each in asked]
    # Where nothing is drawn, alike prompts are asked once.
    chosen = prompts if decoding.temperature else sorted(set(prompts))
    found = served.requests(chosen, decoding, seed)
    requests: list[ServedPrompt] = [request for request in found if request is not None]
    written = iter(
        adapters_in(engine.address, root).use(
            name,
            lambda folder: served.write_adapter(weights, folder),
            lambda: server.complete(name, requests, decoding.temperature, served.stops),
        )
    )
    answers = ["" if request is None else _text(served, engine, next(written)) for request in found]
    if decoding.temperature:
        return answers
    said = dict(zip(chosen, answers, strict=True))
    return [said[prompt] for prompt in prompts]


def _text(served: ServedStudent, engine: ServingEngine, tokens: list[int]) -> str:
    try:
        return served.read(tokens)
    except ValueError as error:
        raise ServingError(f"the server at {engine.address} wrote what cannot be read: {error}") from None
