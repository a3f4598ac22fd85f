"""Ray nodes as real processes on this machine: a head and others, each with its own processor in Ray's books."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.faults.conftest import until

QUICK_HEALTH = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
"""Ray takes half a minute to call a node dead; a test has less time."""


class Cluster:
    """A head node, and others that join it.

    Args:
        environ: Of every node.
        token: What a driver must show.
    """

    def __init__(self, environ: dict[str, str], token: str) -> None:
        self.token, self.nodes = token, []
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # a socket's path has at most 107 signs
        self._environ = os.environ | environ | QUICK_HEALTH | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._start("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={self._folder}")

    def join(self) -> subprocess.Popen[bytes]:
        """Start another node, and wait until it has joined."""
        return self._start(f"--address={self.address}")

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        log = self._folder.with_suffix(f".{len(self.nodes)}.log")
        command = [Path(sys.executable).with_name("ray"), "start", *words, "--num-cpus=1", "--num-gpus=0"]
        with log.open("wb") as out:
            node = subprocess.Popen(
                [*map(str, command), "--object-store-memory=100000000", "--disable-usage-stats", "--block"],
                env=self._environ, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.nodes.append(node)
        until(lambda: b"block forever" in log.read_bytes() or node.poll() is not None, 300)
        assert node.poll() is None, log.read_text()
        return node

    def raylet(self, node: subprocess.Popen[bytes]) -> int:
        """The process of a node that its workers and the head talk to."""
        return next(pid for pid, words in _family(node.pid) if words and words[0].endswith("/raylet"))

    def workers(self, node: subprocess.Popen[bytes]) -> list[int]:
        """The processes of a node that run a job just now."""
        return [pid for pid, words in _family(node.pid) if words and words[0].startswith("ray::dataenv-job")]

    def close(self) -> None:
        """Kill every process of every node, by its session and never by its name."""
        for node in self.nodes:
            for pid, _ in [*_family(node.pid), (node.pid, [])]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            node.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)
        for log in self._folder.parent.glob(f"{self._folder.name}.*.log"):
            log.unlink()


def _family(session: int) -> list[tuple[int, list[str]]]:
    """Processes of a session that are not dead yet, with their command lines."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                words = (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
                found.append((int(place.name), words))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
