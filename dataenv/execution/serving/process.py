"""``answers = "vllm"``: a vLLM of our own on this machine, started for a student and stopped with this process.

vLLM cannot be installed beside dataenv, whose torch and transformers are others. So it is a command (``DATAENV_VLLM``,
else ``vllm``) in an environment of its own. Between this process and it stands a keeper: a small process that ends vLLM
when its standard input ends. That happens at the end of the block, by an exception, by SIGTERM and by SIGKILL alike.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from dataenv.errors import SettingError
from dataenv.execution.serving.answers import KEPT
from dataenv.execution.serving.engine import ENGINE, ServingEngine, probe
from dataenv.execution.serving.server import ServingClient, ServingError
from dataenv.waiting import waiting
from students.base import Student
from students.causal_lm.served import ServedStudent

COMMAND = "DATAENV_VLLM"
"""The environment variable that says where the command ``vllm`` is, and which options it gets besides."""
START = 1800.0
"""Seconds in which it must answer."""
KEEPER = Path(__file__).with_name("keeper.py")
OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Variables of this environment that are not for another one."""
SHARE = 0.5
"""Of a card's memory, for vLLM; the student is trained on the same card."""
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes for ``--max-lora-rank``."""
SWITCHES = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "VLLM_SERVER_DEV_MODE": "1", "VLLM_NO_USAGE_STATS": "1"}
"""Adapters may come and go, it tells its configuration, and it tells nobody else of its use."""
_known: dict[tuple[str, str], ServingEngine] = {}
_lock = threading.Lock()
_running = contextlib.ExitStack()


def served_by(answers: str, student: Student) -> ServingEngine:
    """The engine that answers in a student's place, probed once a process; one of our own is started for it.

    Args:
        answers: ``vllm`` or ``vllm:http://host:port``.
        student: The student.

    Raises:
        SettingError: If there is no such server, or it cannot answer for this student.
    """
    key = (answers, student.fingerprint)
    with _lock:
        if key not in _known:
            try:
                served = ServedStudent(student)
            except ValueError as error:
                raise SettingError(f"answers is {ENGINE!r}: {error}") from None
            address = answers.partition(":")[2] or _running.enter_context(local_server(served))
            with waiting(f"asking the server at {address} what it is"):
                _known[key] = probe(address, served)
        return _known[key]


@atexit.register
def stop_all() -> None:
    """Stop every server that this process has started, and forget what was known of any."""
    _running.close()
    _known.clear()


@contextlib.contextmanager
def local_server(student: ServedStudent) -> Iterator[str]:
    """A vLLM that serves a student's base model on this machine while the block lasts.

    Yields:
        Its address.

    Raises:
        SettingError: If there is no vLLM, or it does not start.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command, *own = _executable()
    with kept([command, *arguments(student, port), *own], SWITCHES) as (keeper, said):
        address = f"http://127.0.0.1:{port}"
        with waiting(f"starting vLLM for {student.folder} (a minute or more)"):
            _await(address, keeper, said)
        yield address


def arguments(student: ServedStudent, port: int) -> list[str]:
    """What vLLM is given: the student's base model, context, arithmetic and rank."""
    rank = next((rank for rank in RANKS if rank >= student.lora.rank), None)
    if rank is None:
        raise SettingError(f"student_args.rank is {student.lora.rank}, and vLLM takes at most {RANKS[-1]}; lower it")
    options = {
        "host": "127.0.0.1",
        "port": port,
        "dtype": student.dtype,
        "max-model-len": student.context,
        "max-lora-rank": rank,
        "max-loras": KEPT,
        "max-cpu-loras": 4 * KEPT,
        "generation-config": "vllm",
        "seed": 0,
        **({"gpu-memory-utilization": SHARE} if student.device == "cuda" else {}),
    }
    return ["serve", str(student.folder), "--enable-lora", *(f"--{name}={value}" for name, value in options.items())]


def _executable() -> list[str]:
    """The command that is vLLM, and what the person gives it."""
    named, *options = shlex.split(os.environ.get(COMMAND) or "vllm")
    found = shutil.which(named)
    if found is None:
        raise SettingError(
            f"answers is {ENGINE!r} and there is no command {named!r}; install vLLM in an environment of its own and "
            f"set {COMMAND} to its vllm, or give 'vllm:http://host:port'"
        )
    return [found, *options]


@contextlib.contextmanager
def kept(
    command: Sequence[str], switches: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A command that ends when the block does, or when this process does, however it ends.

    Args:
        command: It is no shell's.
        switches: Variables of its environment beside our own.

    Yields:
        Its keeper, and the file that holds what the command said.
    """
    own = {name: value for name, value in os.environ.items() if name not in OURS}
    with tempfile.TemporaryFile() as said:
        keeper = subprocess.Popen(
            [sys.executable, "-I", str(KEEPER), *command],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            env={**own, **(switches or {})},
            start_new_session=True,  # Ctrl-C is for this process, which then ends it
        )
        try:
            yield keeper, said
        finally:
            assert keeper.stdin is not None
            keeper.stdin.close()
            keeper.wait()


def _await(address: str, keeper: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    """Wait until a server answers.

    Raises:
        SettingError: If it ends, or takes too long.
    """
    server, until = ServingClient(address, tries=1), time.monotonic() + START
    while keeper.poll() is None and time.monotonic() < until:
        try:
            server.models()
        except ServingError:
            time.sleep(0.5)
        else:
            return
    said.seek(max(0, said.seek(0, os.SEEK_END) - 4096))
    lines = [line.strip() for line in said.read().decode("utf-8", "replace").splitlines() if line.strip()]
    raise SettingError(f"answers is {ENGINE!r}: vLLM did not start ({' | '.join(lines[-2:])[-400:]})")
