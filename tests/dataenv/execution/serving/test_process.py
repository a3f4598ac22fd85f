"""A server of our own is started for a student and is gone afterwards, however this process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataenv.errors import SettingError
from dataenv.execution.serving import process
from dataenv.execution.serving.process import arguments, kept, local_server, served_by, stop_all
from students.causal_lm.served import ServedStudent
from students.causal_lm.student import CausalLM
from tests.tiny_lm import save_tiny

ROOT = Path(__file__).resolve().parents[4]
LASTING = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> CausalLM:
    return CausalLM(path=str(save_tiny(tmp_path_factory.mktemp("tiny"))), context=96, rank=4, dtype="float32")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in as the command that is taken for vLLM."""
    command = tmp_path / "vllm"
    command.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m tests.stand_in "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv(process.COMMAND, str(command))
    return command


def gone(pid: int, seconds: float = 60) -> bool:
    """Whether a process ends in time. One that ended and was not waited for counts as gone."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def pid_in(file: Path, seconds: float = 60) -> int:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if file.exists() and file.read_text():
            return int(file.read_text())
        time.sleep(0.05)
    raise AssertionError("the command did not start")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_the_command_ends_with_the_block(tmp_path: Path, error: type[BaseException]) -> None:
    file, pids = tmp_path / "pid", list[int]()

    def block(fails: bool) -> None:
        file.unlink(missing_ok=True)
        with kept([sys.executable, "-c", LASTING, str(file)]):
            pids.append(pid_in(file))
            if fails:
                raise error

    block(False)
    with pytest.raises(error):
        block(True)
    assert all(map(gone, pids))
    assert len(set(pids)) == 2


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_the_command_ends_with_this_process(tmp_path: Path, how: signal.Signals) -> None:
    file, code = (
        tmp_path / "pid",
        (
            "import sys, time\nfrom dataenv.execution.serving.process import kept\n"
            f"with kept([sys.executable, '-c', {LASTING!r}, sys.argv[1]]): time.sleep(600)"
        ),
    )
    with subprocess.Popen([sys.executable, "-c", code, str(file)], cwd=ROOT, stderr=subprocess.DEVNULL) as parent:
        pid = pid_in(file)
        parent.send_signal(how)
    assert gone(pid)


def test_a_command_that_does_not_heed_sigterm_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {LASTING}"
    with kept([sys.executable, "-c", deaf, str(file)]):
        pid = pid_in(file)
    assert gone(pid)


def test_a_server_is_started_probed_and_stopped(student: CausalLM, stand_in: Path) -> None:
    try:
        engine = served_by("vllm", student)
        assert engine is served_by("vllm", student), "one server for one student"
        assert engine.address.startswith("http://127.0.0.1:")
    finally:
        stop_all()
    with pytest.raises(SettingError, match="no server answers"):
        served_by(f"vllm:{engine.address}", student)


def test_a_server_that_does_not_start_says_why(student: CausalLM, stand_in: Path) -> None:
    stand_in.write_text("#!/bin/sh\necho no card for you >&2\nexit 3\n")
    with (
        pytest.raises(SettingError, match=r"vLLM did not start \(no card for you\)"),
        local_server(ServedStudent(student)),
    ):
        pass


def test_without_a_command_one_sentence_says_what_to_do(student: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(process.COMMAND, "/nowhere/vllm")
    with pytest.raises(SettingError, match="there is no command '/nowhere/vllm'; install vLLM in an environment of"):
        served_by("vllm", student)


@pytest.mark.parametrize(("rank", "asked"), [(1, 1), (4, 8), (16, 16), (17, 32)])
def test_vllm_is_given_the_least_rank_that_it_takes(student: CausalLM, rank: int, asked: int) -> None:
    made = CausalLM(**(student.args | {"rank": rank}))
    words = arguments(ServedStudent(made), 80)
    assert f"--max-lora-rank={asked}" in words
    assert {"--dtype=float32", "--max-model-len=96", "--port=80", "--enable-lora"} < set(words)
    too_high = ServedStudent(CausalLM(**(student.args | {"rank": 513})))
    with pytest.raises(SettingError, match="vLLM takes at most 512"):
        arguments(too_high, 80)
