"""Programs judged a second: batches of 64 in sandboxes that are kept, beside one sandbox a program, in turns.

    .venv/bin/python tests/bench/bench_sandbox.py

Each program is an honest one-line function with five inputs. Every value is compared, and a wrong one ends the script.
By the clock, and in seconds of computing, this process's and those of the sandboxes together, which does not depend on
what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from statistics import median

from common import machine, markdown

from tasks.sandbox import Program, ProgramLimits
from tasks.sandbox.choice import COMMANDS
from tasks.sandbox.local import LocalSandbox

CODES = (
    "def f(s): return s[::-1].upper()",
    "def f(s): return sorted(set(s), key=lambda c: (-s.count(c), c))",
    "def f(s): return {c: s.count(c) for c in s}",
    "def f(s): return sum(map(ord, s)) % 97",
    "def f(s): return [s[i:i + 3] for i in range(0, len(s), 3)]",
    "def f(s): return s if len(s) < 2 else f(s[1:]) + s[0]",
    "import itertools\ndef f(s): return [(k, len(list(g))) for k, g in itertools.groupby(s)]",
    "def f(s): return ''.join(w.title() for w in s.split('a')), len(s) / 7",
)
TEXTS = ("banana", "a", "", "mississippi", "the quick brown fox")
LIMITS = ProgramLimits(wall=600.0)


def judged(sandbox: LocalSandbox, programs: list[Program]) -> None:
    """Run programs and compare what they return; ours are trusted, so what is right is computed here."""
    for program, found in zip(programs, sandbox.run(programs, LIMITS), strict=True):
        names: dict[str, Callable[[str], object]] = {}
        exec(program.code, names)
        assert found.values == tuple(names["f"](text) for text in TEXTS), found


def kept(name: str, programs: list[Program], width: int) -> tuple[float, float]:
    """Seconds by the clock and of computing for batches of 64; starting the sandboxes does not count."""
    sandbox = LocalSandbox(name, COMMANDS[name], width)
    judged(sandbox, programs[: 4 * width])
    started, used = time.monotonic(), computing(sandbox)
    for at in range(0, len(programs), 64):
        judged(sandbox, programs[at : at + 64])
    taken = time.monotonic() - started, computing(sandbox) - used
    sandbox.close()
    return taken


def computing(sandbox: LocalSandbox) -> float:
    """Seconds of computing of this process, and of all processes beneath each sandbox, ended ones among them."""
    ticks, parents, used = os.sysconf("SC_CLK_TCK"), {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(pid)], used[int(pid)] = int(fields[1]), sum(map(int, fields[11:15])) / ticks
    found = {lane._process.pid for lane in sandbox._lanes if lane._process}
    for _ in range(6):
        found |= {pid for pid, parent in parents.items() if parent in found}
    return time.process_time() + sum(used.get(pid, 0.0) for pid in found)


def each_its_own(name: str, programs: list[Program], width: int) -> tuple[float, float]:
    """The same for a sandbox that starts and ends with its program; ``width`` at once."""
    started, before = time.monotonic(), os.times()
    from concurrent.futures import ThreadPoolExecutor

    def one(program: Program) -> None:
        sandbox = LocalSandbox(name, COMMANDS[name], 1)
        judged(sandbox, [program])
        lane = sandbox._lanes[0]
        process = lane._process
        assert process is not None
        lane.forget(process)  # it ends by itself, and what it used is then counted
        process.wait()

    with ThreadPoolExecutor(width) as pool:
        list(pool.map(one, programs))
    after = os.times()
    return time.monotonic() - started, sum(after[:4]) - sum(before[:4])


def main() -> None:
    """Interleaved rounds; medians."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--batches", type=int, default=4)
    options.add_argument("--width", type=int, default=2, help="sandboxes at once")
    given = options.parse_args()
    programs = [Program(CODES[i % len(CODES)], "f", [(text,) for text in TEXTS]) for i in range(64 * given.batches)]
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(given.rounds):
        for name in COMMANDS:
            few = programs[: max(8, len(programs) // 16)]
            for how, play, asked in (("kept", kept, programs), ("one a program", each_its_own, few)):
                clock, cpu = play(name, asked, given.width)
                found.setdefault((name, how), []).append((len(asked) / clock, 1000 * cpu / len(asked)))
    print(machine())
    rows = [
        (name, how, f"{median(r[0] for r in rounds):.0f}", f"{median(r[1] for r in rounds):.1f}")
        for (name, how), rounds in found.items()
    ]
    markdown(("sandbox", "", "programs/s by the clock", "ms of computing a program"), rows)


if __name__ == "__main__":
    main()
