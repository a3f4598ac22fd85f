"""The command line: what a user types, what they see, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tiny import TINY
from tests.typed import Cli

ROOT = Path(__file__).resolve().parents[3]
ARGUMENTS = ["--setting", json.dumps({k: v for k, v in TINY.items() if k not in ("task", "student")})]


def typed(*words: str, cwd: Path, timeout: float = 100) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if k != "DATAENV_STORE"} | {"COLUMNS": "150"}
    command = [sys.executable, "-c", "from dataenv.cli import main; main()", *words]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=timeout, check=False)


def write_board(folder: Path, seeds: int = 2) -> str:
    (folder / "tiny.toml").write_text(
        f'name = "tiny"\nseeds = {list(range(seeds))}\nteachers = ["stratified", "random"]\n'
        + 'references = ["nothing"]\n[setting]\n'
        + "\n".join(f"{key} = {_toml(value)}" for key, value in TINY.items())
    )
    return "tiny.toml"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value)


def test_leaderboard_ends_in_a_table_and_a_page(cli: Cli, tmp_path: Path) -> None:
    done = typed("leaderboard", write_board(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "stratified seed 0 step 0" in done.stdout
    assert "left" in done.stdout
    assert "Nobody answered any test problem right" in done.stdout  # so small a student learns nothing in six steps
    assert (tmp_path / "runs/tiny/leaderboard.html").read_text().startswith("<!doctype html>")
    again = cli("leaderboard", "tiny.toml", "--quiet", "--workers", "1")
    assert "0 training runs computed" in again.out
    exported = cli("export", "runs/tiny/rows/random--1.json")
    assert exported.code == 0, exported.err
    assert (tmp_path / "runs/tiny/rows/random--1/student/config.json").exists()


@pytest.mark.fault("Ctrl-C while a board is played", "exit 130, one sentence, and the same table afterwards")
def test_ctrl_c_loses_nothing(cli: Cli, tmp_path: Path) -> None:
    board = write_board(tmp_path, seeds=8)  # long enough that it cannot end between the line below and the signal
    process = subprocess.Popen(
        [sys.executable, "-c", "from dataenv.cli import main; main()", "leaderboard", board, "--workers", "2"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "step 1" in line:
            break
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from it" in errors
    assert "Traceback" not in errors
    assert time.monotonic() - began < 30
    straight = cli("leaderboard", board, "--out", "other", "--quiet", "--workers", "1")
    resumed = cli("leaderboard", board, "--quiet", "--workers", "1")
    assert resumed.code == straight.code == 0
    first, second = (tmp_path / out / "tiny" / "leaderboard.csv" for out in ("runs", "other"))
    assert first.read_bytes() == second.read_bytes()
    assert _rows(tmp_path / "runs/tiny") == _rows(tmp_path / "other/tiny")


def _rows(folder: Path) -> list[dict[str, object]]:
    """All rows but for the commit, which may move while a test runs on a developer's machine."""
    rows = [json.loads(path.read_text()) for path in sorted((folder / "rows").glob("*.json"))]
    return [{k: v for k, v in row.items() if k not in ("commit", "dirty")} for row in rows]


def test_run_shows_the_student_step_by_step(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", "--teacher", "failure", "-t", "alpha=2", *ARGUMENTS)
    assert done.code == 0, done.err
    assert "step 1: selection" in done.out
    assert "ended: spent" in done.out


def test_a_teacher_of_this_folder_by_the_installed_command(tmp_path: Path) -> None:
    """The command's own folder is first on the path of a script, and the current one is not on it at all."""
    (tmp_path / "mine.py").write_text('def weakest(observation):\n    return 1.0 - observation["accuracy"]\n')
    script = tmp_path / "bin" / "dataenv"
    script.parent.mkdir()
    script.write_text("from dataenv.cli import main\nmain()\n")
    words = ["run", "--teacher", "mine:weakest", "-s", "recipe.rate=2e-3", "--json", *ARGUMENTS]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), *words]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["teacher"], told["setting"]["recipe"]["rate"]) == ("mine:weakest", 2e-3)
    assert told["setting"]["recipe"]["updates"] == TINY["recipe"]["updates"]
    assert told["steps"][-1]["ended"] == "spent"
    assert told["total_reward"] == pytest.approx(sum(step["reward"] for step in told["steps"]))
    assert "step 1: selection" in done.stderr


def test_list_and_doctor(cli: Cli, tmp_path: Path) -> None:
    listed = cli("list")
    for name in ("arithmetic", "pocket", "stat-sel", "learning-progress", "skill-list", "smoke", "discoverer"):
        assert name in listed.out
    doctor = cli("doctor")
    assert doctor.code == 0, doctor.out
    for word in ("torch", "threads", "device", "models", "sandbox", "store"):
        assert word in doctor.out
    (tmp_path / "file").write_text("x")
    broken = cli("doctor", "--store", "file")
    assert broken.code == 1
    assert "BAD  store" in broken.out


def test_transfer_matrix(cli: Cli, tmp_path: Path) -> None:
    done = cli("transfer-matrix", "--seeds", "2", "--updates", "2", "--workers", "1", *ARGUMENTS)
    assert done.code == 0, done.err
    assert "off-diagonal gains" in done.out
    matrix = json.loads((tmp_path / "runs/transfer/transfer.json").read_text())
    assert len(matrix["after"]) == 2
    assert len(matrix["after"][0]) == len(matrix["skills"])
    assert (tmp_path / "runs/transfer/transfer.svg").read_text().startswith("<svg")


def test_discover_writes_a_file_that_a_setting_takes(cli: Cli, tmp_path: Path) -> None:
    done = cli("discover", "arithmetic", "--by", "text", "--items", "200", "--out", "made/skills.json")
    assert done.code == 0, done.err
    assert "labels, beside the task's own skills: AMI 0." in done.out
    made = json.loads((tmp_path / "made/skills.json").read_text())
    assert len(made["items"]) == 200
    assert f"{len(made['skills'])} skills in made/skills.json" in done.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["discover", "--by", "los"], "did you mean 'loss'"),
        (["run", "--setting", '{"skills": "no.json"}'], "skills 'no.json' cannot be read"),
        (["leaderboard", "quik"], "board 'quik' is unknown"),
        (["run", "--teacher", "stratifed"], "did you mean 'stratified'"),
        (["run", "--args", "{"], "--args is no JSON"),
        (["run", "-t", "alpha"], "-t is 'alpha'; give a name, '=' and a value"),
        (["run", "-s", "warm_start.recipe.bacth=1"], "did you mean 'batch'?"),
        (
            ["run", "--teacher", "no_module_here:Name"],
            "module 'no_module_here' of teacher 'no_module_here:Name' is",
        ),
        (["run", "--setting", "[]"], "--setting is a list; give a JSON object"),
        (["run", "--setting", '{"recipe": {"rate": 9}}'], "recipe.rate is 9"),
        (["run", "--teacher", "failure", "--args", '{"alfa": 1}'], "teacher_args of teacher 'failure' do not fit"),
        (["export", "nowhere.json"], "cannot be read"),
        (["run", "--store", "/proc/nothing"], "store /proc/nothing cannot be used"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence_and_exit_two(
    cli: Cli, tmp_path: Path, words: list[str], sentence: str
) -> None:
    done = cli(*words)
    assert done.code == 2
    assert sentence in done.err
    assert "Traceback" not in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_figures_of_a_simulated_student_say_so(cli: Cli, tmp_path: Path) -> None:
    """Those of a run are in tests/dataenv/learning/test_training.py."""
    few = ["--setting", json.dumps({"items": TINY["items"], "warm_start": {"examples": 100}})]
    plain = ["transfer-matrix", "--seeds", "2", "--updates", "1", "--workers", "1", "--quiet"]
    done = cli(*plain, "--student", "simulated", *few)
    assert done.code == 0, done.err
    assert "points of selection accuracy (simulated student), 2 seeds" in done.out
    assert json.loads((tmp_path / "runs/transfer/transfer.json").read_text())["simulated"] is True
    assert "2 seeds (simulated student); ring" in (tmp_path / "runs/transfer/transfer.svg").read_text()
