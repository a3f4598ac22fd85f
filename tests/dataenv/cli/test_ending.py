"""How commands end: by signals, by errors of the system, and on terminals that lack our signs."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dataenv.cli import main
from dataenv.cli.ending import PLAIN, stoppable, system_sentence, write_plainly
from tests.toys import TOY_BOARD, write_toml

BOARD = TOY_BOARD | {
    "setting": TOY_BOARD["setting"] | {"task": "tests.toys:Reverse", "student": "tests.toys:Apprentice"}
}
"""The toy board, which worker processes can read too."""
COMMAND = [sys.executable, "-m", "dataenv"]
ROOT = Path(__file__).resolve().parents[3]


def start(folder: Path, *words: str, command: Sequence[str] = COMMAND, **environ: str) -> subprocess.Popen[bytes]:
    """A command, in a process group of its own, in a folder where ``toy.toml`` is."""
    write_toml(folder / "toy.toml", BOARD)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    return subprocess.Popen(
        [*command, *words],
        cwd=folder,
        env=inherited | {"PYTHONPATH": str(ROOT), "COLUMNS": "160"} | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


# Every pair of two of the three is in the first four; the others are slow.
WAYS = [
    ("1", signal.SIGTERM, True),
    ("1", signal.SIGHUP, False),
    ("2", signal.SIGTERM, False),
    ("2", signal.SIGHUP, True),
]
MORE_WAYS = [(workers, number, not whole_group) for workers, number, whole_group in WAYS]


@pytest.mark.parametrize(
    ("workers", "number", "whole_group"), [*WAYS, *(pytest.param(*way, marks=pytest.mark.slow) for way in MORE_WAYS)]
)
def test_signals_end_a_board_like_ctrl_c(
    tmp_path: Path, workers: str, number: signal.Signals, whole_group: bool
) -> None:
    process = start(tmp_path, "leaderboard", "toy.toml", "--workers", workers)
    assert process.stdout is not None
    for line in process.stdout:
        if b"step 0" in line:
            break
    began = time.monotonic()
    (os.killpg if whole_group else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    told = [line for line in errors.decode().splitlines() if not line.endswith("…")]  # what was waited for before
    assert told == [
        f"dataenv: stopped by {number.name}; what was computed is kept, and the same command goes on from it"
    ]
    assert time.monotonic() - began < 30
    while time.monotonic() - began < 30 and _lives(process.pid):
        time.sleep(0.1)
    assert not _lives(process.pid)


def _lives(group: int) -> bool:
    """Whether a process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_ignored_hangup_stays_ignored_and_handlers_are_given_back() -> None:
    ours = {signal.SIGHUP: signal.SIG_IGN, signal.SIGTERM: signal.SIG_DFL}  # as nohup does; Ray leaves one for SIGTERM
    before = {number: signal.signal(number, handler) for number, handler in ours.items()}
    try:
        with stoppable() as came:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert callable(signal.getsignal(signal.SIGTERM))
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
        assert came == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


ENCODINGS = [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "latin-1"}]


SEVERAL = """
import json, sys
from dataenv.cli import main
for words in json.loads(sys.argv[1]):
    sys.argv[1:] = words
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    if code:
        sys.exit(f"{words} ended with {code}")
    print(chr(30), end="")
"""
"""Several commands in one process: loading it all takes longer than they do."""


def several(folder: Path, *commands: Sequence[str], **environ: str) -> tuple[list[bytes], bytes]:
    """What each of some commands that succeed prints, and the errors of all."""
    process = start(folder, json.dumps(commands), command=[sys.executable, "-c", SEVERAL], **environ)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return out.split(b"\x1e")[:-1], errors


@pytest.mark.parametrize("environ", ENCODINGS, ids=lambda environ: " ".join(map("=".join, environ.items())))
def test_every_command_of_a_board_works_on_a_terminal_without_our_signs(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    commands = (
        ("validate", "toy.toml"),
        ("plan", "toy.toml", "--workers", "1"),
        ("leaderboard", "toy.toml", "--workers", "1"),
        ("report", "runs/toy"),
        ("compare", "runs/toy", "failure"),
        ("run", "--task", "arithmetic", "--help"),
        ("list", "teacher"),
        ("--help",),
    )
    printed, errors = several(tmp_path, *commands, **environ)
    assert b"Traceback" not in errors
    assert len(printed) == len(commands)
    for words, out in zip(commands, printed, strict=True):
        assert b"?" not in out or b"did" in out or "help" in words[-1], words
        if "latin-1" not in environ.values():
            (out + errors).decode("ascii")


def test_signs_are_replaced_by_what_looks_like_them(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    write_plainly()
    print("−3.1 ± 2 – … é 語 \udcff", flush=True)
    assert written.getvalue() == b"-3.1 +- 2 - ... e <U+8A9E> <U+DCFF>\n"
    print("\udcff", file=sys.stderr, flush=True)
    assert all(plain.isascii() for plain in PLAIN.values())


def test_errors_of_the_system_name_what_they_know() -> None:
    full = system_sentence(OSError(errno.ENOSPC, "No space left on device", "runs/a"))
    assert full.startswith("runs/a cannot be used: ")
    assert "free space" in full
    denied = system_sentence(PermissionError(errno.EACCES, "Permission denied", b"runs"))
    assert denied.startswith("runs cannot be used: ")
    assert "change its permissions" in denied
    two = system_sentence(OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b"))
    assert two.startswith("a and b cannot be used: ")
    assert "AF_UNIX path" in system_sentence(OSError("AF_UNIX path length cannot exceed 107 bytes"))
    for nameless in (OSError(), OSError("what"), OSError(errno.EIO, "input/output error")):
        assert "None" not in system_sentence(nameless)


def test_none_is_never_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(error: OSError) -> Callable[[], None]:
        def act() -> None:
            raise error

        return act

    for error in (OSError(), OSError("what"), OSError(errno.EIO, "input/output error")):
        monkeypatch.setattr("dataenv.cli.app", fail(error))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().err
        assert ended.value.code == 2
        assert "None" not in said
        assert len(said.splitlines()) == 1


def test_a_folder_too_long_for_ray_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    long = tmp_path / ("long" * 25)
    long.mkdir()
    code = "from dataenv.execution.executors import make_executor; make_executor({'kind': 'ray', 'workers': 1}).close()"
    environ = os.environ | {"RAY_TMPDIR": str(long), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=100, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "SettingError: Ray cannot keep its files in" in last
    assert "set RAY_TMPDIR to a folder that can be written and whose path is short" in last
    assert "None" not in last


def test_text_that_looks_like_markup_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    from dataenv.cli.common import Voice, console

    Voice(False, False).result(None, ":x: [bold]root[/bold]:0:0")
    console.print("page: :x:[red]")
    assert capsys.readouterr().out == ":x: [bold]root[/bold]:0:0\npage: :x:[red]\n"


def test_names_are_whole_on_sixty_columns(tmp_path: Path) -> None:
    plan, board = ("plan", "toy.toml", "--workers", "1"), ("leaderboard", "toy.toml", "--workers", "1", "--quiet")
    printed, _ = several(tmp_path, plan, board, COLUMNS="60")
    for words, out, end in zip((plan, board), printed, ("in all", "Over 2"), strict=True):
        table = out.decode().partition(end)[0]
        lines = table.splitlines()
        assert max(map(len, lines)) <= 60
        assert "…" not in table
        for name in ("stratified", "failure", "static-best"):
            assert any(name in line.split() for line in lines), (words, name, table)
