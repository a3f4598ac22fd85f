"""Write the golden files anew: one of each thing that users keep, in the format of today.

    python -m tests.golden.make

They come from the toys of ``tests/toys.py``, whose arithmetic is the same everywhere, and hold no clock, path or host.
``test_golden.py`` reads them. Write them anew only where a format changes on purpose.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import dataenv
from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.execution.jobs import Exam, Job
from dataenv.execution.runner import Runner
from dataenv.execution.store import LOCK, ROWS, Store
from dataenv.leaderboard import play as playing
from dataenv.leaderboard.config import Board
from dataenv.learning.policy import SKILLS, by_name, fresh, save
from dataenv.serve.openapi import openapi
from tasks.records import stream
from teachers.chat import Ask, Chat, ChatSpec
from teachers.chat.scripted import Server, serving
from tests.toys import TOY_BOARD, TOYS

GOLDEN = Path(__file__).resolve().parent
ROOT = GOLDEN.parents[1]
PACKAGES = ("dataenv", "teachers", "students", "tasks")
PAGES = ("README.md", "CONTRIBUTING.md")
POLICY, STORE = "policy", "store"
ROW, BOARD, SNAPSHOT, API, INDEX = "row.json", "board.json", "snapshot.json", "api.json", "store.json"
OPENAPI = "openapi.json"
SOURCE = {"commit": "0" * 40, "dirty": False, "versions": {"dataenv": "0.0.0", "torch": "0.0.0"}}
"""In place of this checkout's commit and of what is installed here."""
QUESTION = "Which word is golden?"
EXAM = Exam(name="golden", prompts=("abc>", "bcdef>"), golds=("cba", "fedcb"))


@contextmanager
def toys() -> Iterator[None]:
    """The names of ``tests/toys.py``, registered."""
    tasks = {"reverse": "tests.toys:Reverse"}
    students = {"parrot": "tests.toys:Parrot", "apprentice": "tests.toys:Apprentice"}
    with patch.dict(registry.TASKS, tasks), patch.dict(registry.STUDENTS, students):
        yield


def make(folder: Path) -> None:
    """Write all of them.

    Args:
        folder: Made if need be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with toys():
        make_board(folder)
        make_policy(folder / POLICY)
        make_store(folder)
    write(folder / API, api())
    write(folder / OPENAPI, openapi())


def make_board(folder: Path) -> None:
    """``board.json`` and one row of the toy board."""
    board = Board.model_validate(TOY_BOARD | {"seeds": [0], "teachers": ["stratified"]})
    with tempfile.TemporaryDirectory() as at, patch.object(playing, "this_code", lambda: SOURCE):
        playing.play(board, Runner(Store(None)), Path(at))
        for name, found in ((BOARD, "board.json"), (ROW, "rows/stratified--0.json")):
            (folder / name).write_bytes((Path(at) / found).read_bytes())


def make_policy(folder: Path) -> None:
    """A policy that knows two skills by name."""
    policy = by_name(fresh(stream(0, "golden"), floor=0.1, hidden=4), 2)
    policy.weights[SKILLS][:] = (-1.0, 1.0)
    trained = {"plan": {"algorithm": "ppo"}, "task": "reverse", "skills": ["short", "long"]}
    card = {"algorithm": "ppo", "skills": ("short", "long"), "prior": 1000, "trained": (trained,), "curve": (0.25, 0.5)}
    save(policy, card, folder)


def make_store(folder: Path) -> None:
    """A store with an episode of one lesson and a chat reply, a snapshot of the episode, and the names of its rows."""
    shutil.rmtree(folder / STORE, ignore_errors=True)
    store = Store(folder / STORE)
    env = TeachingEnv("skill-list", runner=Runner(store), **TOYS)
    env.reset(seed=0)
    env.step(np.array([0.5, 0.5], np.float32))
    snapshot = env.snapshot()
    (folder / SNAPSHOT).write_text(snapshot.model_dump_json() + "\n", encoding="utf-8")
    env.runner.run(Job(student=env.setting.student_spec, parent=snapshot.state, exams=(EXAM,)))
    with serving(Server()) as server:
        chat = Chat(ChatSpec(base_url=server.base_url, model="scripted"), records=store.table("chats"))
        reply = chat.ask(Ask(QUESTION)).text
    index = {
        "state": snapshot.state,
        "blob": store.get("states", snapshot.state)["blob"],
        "lesson": snapshot.lessons[0],
        "exam": EXAM.key(snapshot.state),
        "chat": next(iter(chat.used)),
        "reply": reply,
    }
    store.close()
    (folder / STORE / LOCK).unlink()
    _settle(folder / STORE / ROWS)
    write(folder / INDEX, index)


def _settle(rows: Path) -> None:
    """Leave one small file: no log beside it, no empty pages in it."""
    with closing(sqlite3.connect(rows)) as opened:
        opened.execute("PRAGMA journal_mode=DELETE")
        opened.execute("PRAGMA page_size=512")
        opened.execute("VACUUM")


# --- the public API --------------------------------------------------------------------------------------------------


def api() -> dict[str, Any]:
    """Each public name of ``dataenv`` with what it is and takes, and what the pages import and name beside these."""
    names = {name: described(getattr(dataenv, name)) for name in dataenv.__all__ if name != "__version__"}
    return {"dataenv": names, "pages": {page: shown(ROOT / page) for page in PAGES}}


def described(thing: Any) -> str:
    """What a thing is, and its parameters: names, and defaults where they are plain."""
    if inspect.isclass(thing):
        if issubclass(thing, Exception):
            return "exception"
        return f"class{_parameters(thing)}"
    return f"function{_parameters(thing)}" if callable(thing) else type(thing).__name__


class _Default:
    """Stands for a default that is no plain value."""

    def __repr__(self) -> str:
        return "…"


def _parameters(thing: Any) -> str:
    """A signature without types: those are mypy's to hold, and other releases of pydantic spell them otherwise."""
    plain = bool | int | float | str | None
    return str(
        inspect.Signature(
            p.replace(
                annotation=p.empty,
                default=p.default if p.default is p.empty or isinstance(p.default, plain) else _Default(),
            )
            for p in inspect.signature(thing).parameters.values()
        )
    )


def shown(page: Path) -> list[str]:
    """The names of ours that a page imports in its Python blocks, or names in its text as ``module.Name``."""
    text = page.read_text(encoding="utf-8")
    found = set()
    for block in re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
    found |= set(re.findall(r"`((?:dataenv|teachers|students|tasks)(?:\.[A-Za-z_]\w*)+)(?:\(.*?\))?`", text))
    groups = {f"dataenv.{kind}s" for kind in registry.KINDS}  # entry points, which look like modules
    return sorted(name for name in found - groups if name.partition(".")[0] in PACKAGES)


def found(name: str) -> Any:
    """What a dotted name stands for.

    Raises:
        ImportError: If it stands for nothing.
        AttributeError: The same.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError:
        head, _, last = name.rpartition(".")
        if not head:
            raise
        return getattr(found(head), last)


def write(path: Path, value: Any) -> None:
    """Write JSON, a name a line, so that a change is read as one."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    make(GOLDEN)
    print(
        f"The golden files are written anew in {GOLDEN.relative_to(ROOT)}; read what changed: git diff -- tests/golden"
    )
