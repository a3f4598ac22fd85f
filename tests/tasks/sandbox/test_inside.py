"""The battery: hostile programs and cheats, in both sandboxes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tasks.sandbox import NoValue, Program, ProgramLimits, ProgramOutcome, same_value
from tasks.sandbox.local import LocalSandbox
from tasks.sandbox.walls import interpreter
from tests.tasks.sandbox.battery import CHEATS, DONE, HONEST, HOSTILE, SECRET, WRONG, World

LIMITS = ProgramLimits(cpu=0.5, wall=240.0, memory=256 << 20)
SLEEPS = "sleep that ignores SIGTERM"
ADD = [(1, 2), ("a", "b"), ([1.5], [2])]
ADDED = (3, "ab", [1.5, 2])
HARMLESS = (
    "reads the passwd file", "reads a secret file", "writes outside", "TCP", "UDP", "abstract unix socket",
    "kills a process", "symlink", "writes through a symlink", "installed packages", "exec",
)  # fmt: skip
"""What may be done once without a sandbox."""


@pytest.fixture
def world(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("DATAENV_TEST_SECRET", SECRET)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to(tmp_path_factory.getbasetemp()):
            folder.chmod(0o777)
    package = next((f for p in interpreter().hidden for f in sorted(p.rglob("*.py"))), Path(np.__file__))
    with World(tmp_path, package).open() as opened:
        yield opened


def got_through(found: ProgramOutcome) -> bool:
    told = str(found.values)
    return DONE in told or SECRET in told or "root:" in told


def test_no_hostile_program_has_an_effect_and_none_harms_its_neighbour(sandbox: LocalSandbox, world: World) -> None:
    """Four batteries at once, in four sandboxes; after each hostile program an honest one."""
    honest = Program(HONEST, "f", ADD)
    batch = [p for name in HOSTILE if name != SLEEPS for p in (Program(HOSTILE[name], "f", [(world.given,)]), honest)]
    found: list[list[ProgramOutcome]] = [[] for _ in range(4)]

    def one(i: int) -> None:
        found[i] = sandbox.run(batch, LIMITS)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [name for name in HOSTILE if name != SLEEPS]
    for outcomes in found:
        hostile = dict(zip(names, outcomes[::2], strict=True))
        assert {name: o for name, o in hostile.items() if got_through(o)} == {}
        assert {name for name, o in hostile.items() if o.reason == "sandbox"} == set()
        assert {name for name, o in zip(names, outcomes[1::2], strict=True) if o.values != ADDED} == set()
        assert hostile["endless loop"].reason == "cpu"
        assert hostile["memory"].reason == "memory"
        assert hostile["200 MiB of output"].reason in ("output", "malformed")
    assert world.effects() == []


def test_without_walls_the_same_programs_are_seen(no_sandbox: LocalSandbox, world: World) -> None:
    """So a battery without effects says something."""
    outcomes = no_sandbox.run([Program(HOSTILE[name], "f", [(world.given,)]) for name in HARMLESS], LIMITS)
    quiet = {name for name, found in zip(HARMLESS, outcomes, strict=True) if not got_through(found)}
    assert quiet == {"exec"}  # it has become another program, and cannot say so
    seen = world.effects()
    for effect in ("executed", "link", "written", "a file was changed", "the victim was killed"):
        assert effect in seen
    assert sum("came" in effect for effect in seen) == 3


def test_a_program_that_sleeps_ends(sandbox: LocalSandbox, world: World) -> None:
    (found,) = sandbox.run([Program(HOSTILE[SLEEPS], "f", [(world.given,)])], ProgramLimits(cpu=0.5, wall=1.0))
    assert (found.values, found.reason) == ((), "wall")


def test_no_cheat_is_taken_for_a_solution(sandbox: LocalSandbox, tmp_path: Path) -> None:
    """What is right never enters, so nothing in there can find it."""
    rng = np.random.default_rng(0)
    inputs = [tuple(map(int, pair)) for pair in rng.integers(1, 1 << 40, size=(3, 2))]
    expected = [a + b for a, b in inputs]
    (tmp_path / "expected-4711").write_text(repr({pair: sum(pair) for pair in inputs}))
    assert len(CHEATS) == 18
    codes = {"honest": HONEST, "wrong": WRONG, **CHEATS}
    outcomes = dict(zip(codes, sandbox.run([Program(c, "f", inputs) for c in codes.values()], LIMITS), strict=True))
    right = {
        name
        for name, found in outcomes.items()
        if found.reason is None and all(map(same_value, found.values, expected))
    }
    assert right == {"honest"}
    assert outcomes["equal to everything"].values == (NoValue("type", "E"),) * 3
    assert outcomes["more lines than asked"].reason == "malformed"
    assert outcomes["sys.exit"].reason == "raised"
    assert outcomes["os._exit"].reason == "exited"


REASONS = {
    "def f(:": "syntax",
    "x = '" + "(" * 5000: "syntax",
    "g = 1": "entry",
    "f = 1": "entry",
    "raise KeyError": "raised",
    "import nothing_of_that_name": "raised",
    "def f(n): import os; os.kill(os.getpid(), 11)": "crashed",
    "def f(n): return [0] * 10**6": "type",
    "def f(n): return 'x' * 10**6": "output",
    "def f(n):\n  x = [1]\n  while True: x = x + x": "memory",
    "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n)": "crashed or memory or cpu or raised",
}


@pytest.mark.parametrize("code", REASONS)
def test_each_way_to_fail_has_a_reason(sandbox: LocalSandbox, code: str) -> None:
    (found,) = sandbox.run([Program(code, "f", [(1,)])], ProgramLimits(cpu=5.0, wall=250.0, memory=256 << 20))
    seen = found.reason or found.values[0].reason  # type: ignore[attr-defined]
    assert seen in REASONS[code].split(" or ")


def test_what_came_before_the_end_is_kept(sandbox: LocalSandbox) -> None:
    code = "def f(n):\n  if n == 1: raise KeyError(n)\n  while n == 2: pass\n  return n, float('nan'), {n: {n}}, -0.0"
    (found,) = sandbox.run([Program(code, "f", [(0,), (1,), (2,), (3,)])], ProgramLimits(cpu=0.3))
    assert (found.reason, len(found.values)) == ("cpu", 2)
    assert same_value(found.values[0], (0, float("nan"), {0: {0}}, -0.0))
    assert found.values[1] == NoValue("raised", "KeyError")


def test_a_script_reads_and_writes(sandbox: LocalSandbox) -> None:
    code = "import sys\nn = int(input())\nprint(n * 2, end='')\nprint(sys.stdin.readline())\nif n > 1: sys.exit(1)"
    (found,) = sandbox.run([Program(code, None, [("1\nä\n",), ("2\n",), ("x",)])], LIMITS)
    assert found.values == ("2ä\n\n", "4\n", NoValue("raised", "ValueError"))


def test_one_program_finds_nothing_of_another(sandbox: LocalSandbox) -> None:
    """Each is read by a process of its own: not even a copy of memory holds the one before."""
    mark = "mark" + "-4712"
    search = """
import gc
def f(half):
    word = half + '-4712'
    return any(word in thing for thing in gc.get_objects() + list(map(str, gc.get_objects())) if type(thing) is str)
"""
    one = LocalSandbox(sandbox.name, sandbox._command, width=1)
    marked, searching = Program(f"def f(x): return {mark!r}", "f", [(mark,)]), Program(search, "f", [("mark",)])
    first, second = one.run([marked, searching], LIMITS)
    one.close()
    assert first.values == (mark,)
    assert second.values == (False,)


def test_every_program_begins_alike(sandbox: LocalSandbox) -> None:
    code = "import random\ndef f(): return random.random(), hash('a'), [*{'a', 'b', 'c'}]"
    found = sandbox.run([Program(code, "f", [()])] * 6, LIMITS)
    assert len({repr(outcome.values) for outcome in found}) == 1
    assert found[0].reason is None
