"""What all commands share: ``--json``, ``--quiet``, ``-h``; and what their help looks like."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from dataenv import __version__
from dataenv.cli import app
from dataenv.leaderboard.rows import Row
from tests.toys import TOY_BOARD, write_toml
from tests.typed import Cli

GROUP = typer.main.get_command(app)
COMMANDS = {
    f"{outer} {inner}".strip(): found
    for outer, command in sorted(GROUP.commands.items())  # type: ignore[attr-defined]
    for inner, found in sorted(getattr(command, "commands", {"": command}).items())
}
"""Every command by the words that call it; those of a group one by one."""


def call(*words: str, folder: Path | None = None, module: bool = False) -> subprocess.CompletedProcess[str]:
    start = ["-m", "dataenv"] if module else ["-c", "from dataenv.cli import main; main()"]
    environ = {name: value for name, value in os.environ.items() if name != "DATAENV_STORE"} | {"COLUMNS": "80"}
    return subprocess.run(
        [sys.executable, *start, *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_commands() -> None:
    assert {"leaderboard", "plan", "validate", "report", "compare", "rescore", "run", "discover", "train-teacher",
            "transfer-matrix", "export", "record", "list", "doctor", "new", "store check",
            "store repair"} <= set(COMMANDS)  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_and_quiet(name: str) -> None:
    options = {option for param in COMMANDS[name].params for option in param.opts}
    assert {"--json", "--quiet"} <= options


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_eighty_columns_holds_no_types(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = []
    for option in ("-h", "--help"):
        with pytest.raises(SystemExit) as ended:
            app([*name.split(), option], prog_name="dataenv")
        assert ended.value.code == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert all(len(line) <= 80 for line in said[0].splitlines())
    assert not re.search(r"<\w+|--no-|\[x|\brange\b", said[0])
    if "--store" in said[0]:
        assert "[default: (runs/.store)]" in said[0]
    assert "╭─ Output" in said[0]


def test_version_and_module() -> None:
    done = call("--version", module=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"dataenv {__version__}\n", "")
    assert call("-h", module=True).stdout.splitlines()[3:] == call("-h").stdout.splitlines()[3:]


def test_help_loads_no_torch() -> None:
    code = "import sys\nfrom dataenv.cli import app\napp(['leaderboard', '-h'], standalone_mode=False)\n"
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1] == "False"


def test_names_are_completed() -> None:
    environ = os.environ | {
        "_DATAENV_COMPLETE": "complete_bash", "COMP_WORDS": "dataenv run --teacher stat-s", "COMP_CWORD": "3"
    }  # fmt: skip
    code = "import sys; sys.argv = ['dataenv']; from dataenv.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["stat-sel", "stat-sel-pool", "stat-syn"]


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["doctor", "--store", "off"],
        ["new", "teacher", "of_mine"],
        ["discover", "--by", "text", "--items", "50", "-a", "skills=2", "--least", "2"],
    ],
    ids=lambda words: words[0],
)
def test_json_is_alone_on_stdout_and_quiet_says_less(cli: Cli, words: list[str]) -> None:
    done = cli(*words, "--json")
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 1
    assert json.loads(done.out)
    kept = words[0] in ("new", "discover")  # what writes a file is given another folder each time
    plain = cli(*words, *(["--out", "a"] if kept else []))
    quiet = cli(*words, "--quiet", *(["--out", "b"] if kept else []))
    assert plain.code == quiet.code == 0, plain.err + quiet.err
    assert len(quiet.out) <= len(plain.out)
    assert quiet.err == ""


PLAYED = ("leaderboard", "toy.toml", "--workers", "1")


def test_failed_runs_are_told_and_end_in_exit_code_1(cli: Cli, toys: None, tmp_path: Path) -> None:
    teachers = ["stratified", "tests.weird:LeavesInAct", "tests.weird:Loops"]
    write_toml(tmp_path / "toy.toml", TOY_BOARD | {"teachers": teachers, "references": ["nothing"]})
    done = cli(*PLAYED, "--act-deadline", "1")
    assert done.code == 1
    assert "Traceback" not in done.err
    said = " ".join(done.err.split())
    assert (
        "4 of 8 runs failed, and are tried again by the same command; LeavesInAct seed 0: SystemExit: 0 (weird.py:"
        in said
    )
    assert all(name in done.out for name in ("stratified", "LeavesInAct", "Loops", "nothing"))
    written = [path.read_bytes() for path in (tmp_path / "runs" / "toy" / "rows").glob("*.json")]
    rows = [Row.model_validate_json(text) for text in written]
    assert sorted(row.teacher for row in rows if row.failed) == ["LeavesInAct"] * 2 + ["Loops"] * 2
    assert cli(*PLAYED, "--act-deadline", "1").code == 1, "again, and not for ever"


def test_a_teacher_that_cannot_be_made_is_refused_before_anything_is_played(
    cli: Cli, toys: None, tmp_path: Path
) -> None:
    leaver = "class Leaver:\n    act = print\n\n    def __init__(self):\n        raise SystemExit(0)\n"
    (tmp_path / "leaver.py").write_text(leaver)
    write_toml(tmp_path / "toy.toml", TOY_BOARD | {"teachers": ["stratified", "leaver:Leaver"]})
    done = cli(*PLAYED)
    assert done.code == 2
    assert "teacher 'leaver:Leaver' are refused: SystemExit: 0" in done.err
