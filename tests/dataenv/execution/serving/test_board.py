"""A board whose exams a serving engine answers: what is written down, and what is refused afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from dataenv.cli import app
from dataenv.errors import SettingError
from dataenv.execution.serving.process import stop_all
from dataenv.leaderboard.rows import Row, read
from tests.stand_in import VERSION, StandIn
from tests.tiny_lm import save_tiny

BOARD = """
name = "served"
seeds = [0]
teachers = ["stratified"]
references = ["nothing"]
setting.student = "causal-lm"
setting.warm_start = { examples = 0 }
setting.recipe = { updates = 2, batch = 4 }
setting.lesson_size = 16
setting.items = { feedback = 1, selection = 1, test = 2, transfer = 0 }
setting.decoding = { max_tokens = 8 }
setting.budget = { student_tokens = 2_000 }
"""


def played(folder: Path, answers: str) -> Result:
    """Play the board in a folder; each time is a process of its own as far as servers go."""
    stop_all()
    try:
        words = ["leaderboard", str(folder / "served.toml"), "--store", str(folder / "store"), "--quiet"]
        return CliRunner().invoke(app, [*words, "--out", str(folder / "out"), "--set", f"setting.answers={answers}"])
    finally:
        stop_all()


def rows_in(folder: Path) -> dict[str, Row]:
    """The rows of the board, whatever commit played them."""
    files = (folder / "out" / "served" / "rows").glob("*.json")
    found = {file.name: Row.model_validate_json(file.read_text()) for file in files}
    return {name: row.model_copy(update={"commit": "", "dirty": False}) for name, row in found.items()}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_served_board(tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "tiny")
    args = f'setting.student_args = {{ path = "{model}", context = 96, rank = 4, dtype = "float32" }}\n'
    (tmp_path / "served.toml").write_text(BOARD + args, encoding="utf-8")
    refused = played(tmp_path, "vllm:http://127.0.0.1:9")
    assert isinstance(refused.exception, SettingError), "exit code 2"
    assert "setting.answers: no server answers at http://127.0.0.1:9" in str(refused.exception)
    assert not (tmp_path / "store").exists(), "nothing was trained"

    with StandIn(model) as server:
        done = played(tmp_path, f"vllm:{server.address}")
        assert done.exit_code == 0, done.exception
        asked = server.engine.asked
        assert asked > 0
        rows = rows_in(tmp_path)
        written = json.loads((tmp_path / "out" / "served" / "board.json").read_text())
        assert written["student"]["numerics"]["answers"] == {"engine": "vllm", "version": VERSION}
        assert written["board"]["setting"]["answers"] == "vllm"
        for file in (tmp_path / "out").rglob("*"):
            assert file.is_dir() or server.address.encode() not in file.read_bytes(), file

    with StandIn(model) as elsewhere:
        assert played(tmp_path, f"vllm:{elsewhere.address}").exit_code == 0
        assert not [line for line in elsewhere.engine.log if "probe" not in line], "all its answers were in the store"
        elsewhere.engine.version = "2"
        other = played(tmp_path, f"vllm:{elsewhere.address}")
    assert isinstance(other.exception, SettingError)
    assert f'student.numerics.answers.version: "{VERSION}" → "2"' in str(other.exception)
    assert rows == rows_in(tmp_path)
    kept = list(rows.values())
    mixed = [kept[0].model_copy(update={"hashes": kept[0].hashes | {"answers": "another"}}), *kept[1:]]
    assert len(read(kept)) == 2
    with pytest.raises(ValueError, match=r"rows differ in hashes\.answers \(the engine that answered\)"):
        read(mixed)
