"""``dataenv store check`` and ``repair``: what they say, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataenv.execution.store import ROWS, Store
from tests.stores import execute, mounted_to_read
from tests.toys import TOY_BOARD, write_toml
from tests.typed import Cli, Done


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = Store(tmp_path / "runs" / ".store")
    for i in range(30):
        made.put("chats", f"key {i}", {"i": i})
    made.close()
    return tmp_path / "runs" / ".store"


def test_a_sound_store(cli: Cli, store: Path) -> None:
    done = cli("store", "check")
    assert (done.code, done.err) == (0, "")
    assert "30 chats" in done.out
    assert "all of it is sound" in done.out
    assert cli("store", "check", "--quiet") == Done(0, "", "")
    assert "there was nothing to mend" in cli("store", "repair", str(store)).out


def test_what_is_damaged_is_listed_and_mended(cli: Cli, store: Path) -> None:
    execute(store, "UPDATE chats SET sha = 'x' WHERE key = 'key 3'", "UPDATE chats SET key = char(27) WHERE rowid = 2")
    (store / "blobs" / "ab").mkdir(parents=True)
    (store / "blobs" / "ab" / ".tmp-1").write_bytes(b"")
    done = cli("store", "check")
    assert done.code == 1
    assert "damaged: chats key 3: its seal is broken\n" in done.out
    assert "damaged: chats ⟨ESC⟩: its seal is broken\n" in done.out
    assert "left over: blobs ab/.tmp-1: its writer was killed\n" in done.out
    assert "not sound: 2 chats damaged, 1 blobs left over. Mend it: dataenv store repair" in done.out
    mended = cli("store", "repair")
    assert mended.code == 0
    assert "mended: 2 chats damaged, 1 blobs left over" in mended.out
    assert "28 chats" in mended.out
    assert "what was there is kept in runs/.store/damaged-1" in mended.out
    assert cli("store", "check").code == 0


def test_json_has_all_of_it(cli: Cli, store: Path) -> None:
    execute(store, "UPDATE chats SET sha = 'x'")
    told = cli("store", "check", "--json")
    assert len(json.loads(told.out)["findings"]) == 30
    assert "30 chats damaged" in told.err
    assert "and 10 more; --json lists them" in cli("store", "check").out
    mended = json.loads(cli("store", "repair", "--json", "--quiet").out)
    assert len(mended["before"]["findings"]) == 30
    assert mended["after"]["findings"] == []
    assert mended["aside"] == "runs/.store/damaged-1"


def test_a_broken_database_is_said_by_the_other_commands_and_mended(cli: Cli, store: Path) -> None:
    with (store / ROWS).open("r+b") as file:
        file.write(b"\xff" * 200)
    done = cli("store", "check")
    assert done.code == 1
    assert "damaged: database store.sqlite: file is not a database" in done.out
    assert "30 chats" in cli("store", "repair").out


def test_a_store_that_is_not_there_is_one_sentence(cli: Cli) -> None:
    for word in ("check", "repair"):
        done = cli("store", word, "nowhere")
        assert done.code == 2
        assert done.err == "dataenv: store nowhere is not there; give the folder of a store, such as runs/.store\n"


@pytest.mark.fault("a board and its store on a disk that can only be read", "resumed, reported, rescored and exported")
def test_an_archive_that_can_only_be_read_is_used(cli: Cli, toys: None, tmp_path: Path) -> None:
    write_toml(tmp_path / "toy.toml", TOY_BOARD)
    assert cli("leaderboard", "toy.toml", "--workers", "1", "--quiet").code == 0
    with mounted_to_read(tmp_path / "runs", tmp_path / "archive"):
        again = cli("leaderboard", "toy.toml", "--workers", "1", "--out", "new", "--store", "archive/.store")
        assert (again.code, again.err) == (0, "")
        assert "0 training runs computed" in again.out
        same_rows(tmp_path / "new" / "toy", tmp_path / "archive" / "toy")
        assert cli("rescore", "archive/toy", "--out", "rescored", "--quiet").code == 0
        same_rows(tmp_path / "rescored", tmp_path / "archive" / "toy")
        refused = cli("report", "archive/toy")
        assert refused.code == 2
        assert "it can only be read; give another folder" in refused.err
        assert cli("report", "archive/toy", "--out", "told").code == 0
        assert (tmp_path / "told" / "leaderboard.html").read_text() == (
            tmp_path / "archive" / "toy" / "leaderboard.html"
        ).read_text()
        row = "archive/toy/rows/failure--0.json"
        exported = cli("export", row, "--out", "exported", "--store", "archive/.store")
        assert exported.err == "dataenv: a parrot has no from_pretrained\n", "which is said after all else is done"
        assert (tmp_path / "exported" / "data.jsonl").read_text()
        assert cli("store", "check", "archive/.store").code == 0
        more = cli("leaderboard", "toy.toml", "-s", "seeds=[0,5]", "--workers", "1", "--store", "archive/.store",
                   "--out", "more")  # fmt: skip
        assert more.code == 2
        assert "nothing can be added: it can only be read" in more.err
        assert cli("store", "repair", "archive/.store").code == 2


def same_rows(some: Path, others: Path) -> None:
    held = [{path.name: path.read_bytes() for path in (folder / "rows").iterdir()} for folder in (some, others)]
    assert held[0] == held[1]


@pytest.mark.parametrize("command", ["compare", "rescore", "report"])
def test_what_a_file_of_rows_says_never_acts(cli: Cli, toys: None, tmp_path: Path, command: str) -> None:
    """Names, skills and errors of rows that somebody handed over."""
    write_toml(tmp_path / "toy.toml", TOY_BOARD)
    assert cli("leaderboard", "toy.toml", "--workers", "1", "--quiet").code == 0
    acts = "\x1b]0;owned\x07\x1b[2J\u202e"
    words = {"compare": ["failure"], "rescore": ["--out", "again"], "report": []}[command]
    for path in (tmp_path / "runs" / "toy" / "rows").iterdir():
        row = json.loads(path.read_text())
        row["skills"] = [acts, *row["skills"][1:]]
        row["level"] = row["level"] + acts if row["role"] == "teacher" else row["level"]
        path.write_text(json.dumps(row))
    done = cli(command, "runs/toy", *words)
    assert not {"\x1b", "\x07", "\u202e"} & {*done.out, *done.err}
    manifest = tmp_path / "runs" / "toy" / "board.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {acts: 1}))
    done = cli("report", "runs/toy")
    assert done.code == 2
    assert "⟨ESC⟩]0;owned" in done.err
