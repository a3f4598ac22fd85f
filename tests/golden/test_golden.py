"""What users keep stays readable: a row, board.json, a snapshot, a policy and a store of the present format are read.

Where one of these fails, a format has changed. The report says what to do: see ``conftest.py``.
"""

from __future__ import annotations

import json
import platform
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataenv.execution import lineage
from dataenv.execution.jobs import Answers
from dataenv.execution.store import ROWS, Store
from dataenv.leaderboard.folder import read_manifest, read_row
from dataenv.learning.policy import load, save
from dataenv.setting import Setting
from dataenv.snapshot import Snapshot
from students.base import Trained
from tasks.records import Example, canonical_json, digest_examples
from teachers.chat import Ask, Chat, ChatSpec
from tests.golden.make import (
    BOARD,
    EXAM,
    GOLDEN,
    INDEX,
    POLICY,
    QUESTION,
    ROOT,
    ROW,
    SNAPSHOT,
    STORE,
    make,
)

pytestmark = pytest.mark.usefixtures("toys")


def text(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8")


# --- a row, a board, a snapshot --------------------------------------------------------------------------------------


def test_a_row_is_read_and_written_to_the_same_bytes() -> None:
    assert read_row(GOLDEN / ROW).model_dump_json() + "\n" == text(ROW)


def test_a_board_is_read_and_written_to_the_same_bytes() -> None:
    manifest = read_manifest(GOLDEN)
    assert manifest is not None
    assert canonical_json(manifest.model_dump(mode="json", exclude_none=True)) + "\n" == text(BOARD)


def test_a_snapshot_is_read_and_written_to_the_same_bytes() -> None:
    assert Snapshot.read(text(SNAPSHOT)).model_dump_json() + "\n" == text(SNAPSHOT)


def test_the_setting_of_a_row_keeps_its_name() -> None:
    """An optional field more must not rename it: rows of one setting would stand on two boards."""
    row = read_row(GOLDEN / ROW)
    assert Setting.model_validate(row.setting).digest == row.setting_digest


# --- a policy --------------------------------------------------------------------------------------------------------


def test_a_policy_is_read_and_written_to_the_same_bytes(tmp_path: Path) -> None:
    policy, card = load(GOLDEN / POLICY)
    save(policy, card.model_dump(exclude={"weights", "floor"}), tmp_path)
    for path in sorted((GOLDEN / POLICY).iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_policy_acts_as_it_did() -> None:
    """It prefers the second of its two skills, as its file says."""
    policy, _ = load(GOLDEN / POLICY)
    mixture = policy.mixture(policy.mode(np.full((2, 7), 0.5)))
    np.testing.assert_allclose(mixture, [0.29, 0.71], atol=0.02)


# --- a store ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def names() -> dict[str, str]:
    """The names of what is in the store."""
    found: dict[str, str] = json.loads(text(INDEX))
    return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A copy, for to open a store is to write beside it."""
    shutil.copytree(GOLDEN / STORE, tmp_path / STORE)
    opened = Store(tmp_path / STORE)
    yield opened
    opened.close()


def test_a_store_answers_a_lesson_by_its_name(store: Store, names: dict[str, str]) -> None:
    lesson = store.lesson(names["lesson"])
    assert all(isinstance(e, Example) for e in lesson)
    assert len(lesson) == 8
    assert digest_examples(lesson) == store.put_lesson(lesson) == names["lesson"]
    assert store.count("lessons") == len(rows_of(GOLDEN / STORE / ROWS)["lessons"])


def test_a_store_answers_a_state_and_how_it_came_about(store: Store, names: dict[str, str]) -> None:
    row = store.get("states", names["state"])
    assert row is not None
    job = lineage.read(row, store)
    assert job.train is not None
    assert job.train.lesson == store.lesson(names["lesson"])
    assert Trained.model_validate(row["trained"]).model_dump(mode="json") == row["trained"]
    assert lineage.write(job, store) == row["job"]


def test_a_store_answers_an_exam_by_its_name(store: Store, names: dict[str, str]) -> None:
    assert EXAM.key(names["state"]) == names["exam"]
    record = store.get("exams", names["exam"])
    answers = Answers.model_validate(record)
    assert len(answers.responses) == len(EXAM.prompts)
    assert answers.losses is not None
    assert answers.model_dump(mode="json") == record


def test_a_store_answers_a_chat_without_a_server(store: Store, names: dict[str, str]) -> None:
    nobody = ChatSpec(base_url="http://127.0.0.1:9/v1", model="scripted")
    chat = Chat(nobody, records=store.table("chats"), offline=True)
    assert chat.ask(Ask(QUESTION)).text == names["reply"]
    assert list(chat.used) == [names["chat"]]
    assert chat.ask(Ask("Another?")).outcome == "unrecorded"


def test_a_store_answers_a_blob_by_its_name(store: Store, names: dict[str, str]) -> None:
    known = json.loads(store.blobs.get(names["blob"]))
    assert known == {e.prompt: e.response for e in store.lesson(names["lesson"])}


# --- what is written today has their form ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    make(folder)
    return folder


@pytest.mark.parametrize("name", [ROW, BOARD, SNAPSHOT, f"{POLICY}/policy.json"])
def test_what_is_written_today_has_the_golden_form(name: str, today: Path) -> None:
    """A field that came or went and that reading alone would not notice; names and figures may differ."""
    written = form(json.loads((today / name).read_text(encoding="utf-8")))
    assert written == form(json.loads(text(name)))


def test_a_store_that_is_written_today_has_the_golden_form(today: Path) -> None:
    written, golden = rows_of(today / STORE / ROWS), rows_of(GOLDEN / STORE / ROWS)
    assert schema_of(today / STORE / ROWS) == schema_of(GOLDEN / STORE / ROWS)
    assert {name: form(rows) for name, rows in written.items()} == {name: form(rows) for name, rows in golden.items()}


def test_golden_files_hold_no_path_or_address_of_the_machine_that_wrote_them() -> None:
    held = [text(name) for name in (ROW, BOARD, SNAPSHOT, INDEX, f"{POLICY}/policy.json")]
    held.append(json.dumps(rows_of(GOLDEN / STORE / ROWS)))
    for told in (str(ROOT), tempfile.gettempdir(), platform.node(), "127.0.0.1"):
        assert not [body[:80] for body in held if told and told in body], told


def form(value: Any, path: str = "") -> set[str]:
    """Every leaf's path and type; the entries of a list are one."""
    if isinstance(value, Mapping) and value:
        return {line for name, part in value.items() for line in form(part, f"{path}.{name}")}
    if isinstance(value, list) and value:
        return {line for part in value for line in form(part, f"{path}[]")}
    return {f"{path}: {type(value).__name__}"}


def schema_of(rows: Path) -> list[Any]:
    with closing(sqlite3.connect(f"file:{rows}?mode=ro", uri=True)) as opened:
        version = opened.execute("PRAGMA user_version").fetchone()
        return [*version, *opened.execute("SELECT sql FROM sqlite_master ORDER BY name")]


def rows_of(rows: Path) -> dict[str, list[Any]]:
    """What each table holds."""
    with closing(sqlite3.connect(f"file:{rows}?mode=ro", uri=True)) as opened:
        tables = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        return {
            name: [json.loads(zlib.decompress(body)) for (body,) in opened.execute(f"SELECT body FROM {name}")]
            for name in tables
        }
