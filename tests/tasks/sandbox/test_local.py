"""Sandboxes are kept, replaced when they are lost, and gone when they are closed."""

from __future__ import annotations

import os
import signal
import time

from tasks.sandbox import Program, ProgramLimits
from tasks.sandbox.local import LocalSandbox

LIMITS = ProgramLimits(cpu=1.0)
ADD = Program("def f(a, b): return a + b", "f", [(1, 2)])


def test_a_lost_sandbox_is_replaced(sandbox: LocalSandbox) -> None:
    one = LocalSandbox(sandbox.name, sandbox._command, width=1)
    assert one.run([ADD], LIMITS)[0].values == (3,)
    process = one._lanes[0]._process
    assert process is not None
    os.killpg(process.pid, signal.SIGKILL)
    assert [found.values for found in one.run([ADD] * 3, LIMITS)] == [(3,)] * 3
    one.close()


def test_a_program_ends_with_its_sandbox(sandbox: LocalSandbox) -> None:
    """Whatever it does: one that writes too much, and goes on, is gone with the sandbox it was in."""
    code = "import os, time\nfor f in range(3, 64):\n  try: os.write(f, b'x' * 2**20)\n  except OSError: pass\n"
    one = LocalSandbox(sandbox.name, sandbox._command, width=1)
    one.run([ADD], LIMITS)
    process = one._lanes[0]._process
    assert process is not None
    (found,) = one.run([Program(code + "while True: time.sleep(60)", "f", [()])], ProgramLimits(output=1024))
    assert found.reason == "output"
    deadline = time.monotonic() + 60
    while _descendants(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _descendants(process.pid) == []
    one.close()


def _descendants(session: int) -> list[int]:
    """Processes whose session, or whose ancestor's, is this one."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(name)] = (int(fields[1]), int(fields[3]))
    found = {pid for pid, (_, its) in parents.items() if its == session}
    for _ in range(8):
        found |= {pid for pid, (parent, _) in parents.items() if parent in found}
    return sorted(found)


def test_nothing_to_run_starts_nothing(sandbox: LocalSandbox) -> None:
    one = LocalSandbox(sandbox.name, sandbox._command)
    assert one.run([], LIMITS) == []
    assert all(lane._process is None for lane in one._lanes)


def test_an_exam_larger_than_a_pipe(sandbox: LocalSandbox) -> None:
    big = Program("def f(x): return len(x)", "f", [("x" * 200_000,)] * 3)
    assert [found.values for found in sandbox.run([big] * 5, LIMITS)] == [(200_000,) * 3] * 5


def test_a_sandbox_that_cannot_start_says_so_of_each_program() -> None:
    broken = LocalSandbox("broken", lambda told: ["/bin/sh", "-c", "echo no >&2"], width=2)
    found = broken.run([ADD] * 2, LIMITS)
    assert [(outcome.reason, outcome.detail) for outcome in found] == [("sandbox", "it does not start: no")] * 2
