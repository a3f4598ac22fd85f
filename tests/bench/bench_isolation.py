"""What a process of its own costs a teacher: milliseconds a step, and seconds to start.

    python tests/bench/bench_isolation.py --rounds 5

Each round plays the same episode twice, the teacher here and in a process of its own, in turns. The student is the toy
of the tests, whose step takes no time, so that what is left is the price. Time is CPU time, of the driver and of the
teacher's process; a busy machine changes it little.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.episode.loop import run
from dataenv.episode.teacher import as_teacher, build_teacher
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.isolation.process import TeacherProcess
from dataenv.isolation.teacher import IsolatedTeacher
from tests.toys import TOYS

FIELDS = TOYS | {"budget": {"student_tokens": 60_000}}


def spent(process: TeacherProcess | None) -> float:
    """CPU seconds of a teacher's process so far, with those around it."""
    assert process is not None
    rest, ticks = [process._process.pid], 0
    while rest:
        pid = rest.pop()
        rest += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def episode(teacher: object, store: Store) -> tuple[int, float]:
    who = as_teacher(teacher)
    env = TeachingEnv(who.level, runner=Runner(store), **FIELDS)
    began = time.process_time()
    steps = len(run(env, who, 0).steps) - 1
    return steps, time.process_time() - began


def measure(name: str, rounds: int) -> str:
    store, here, apart, inside = Store(), list[float](), list[float](), list[float]()
    episode(build_teacher(name), store)  # the store then knows every state: what is left is the teacher and the books
    for _ in range(rounds):
        steps, cpu = episode(build_teacher(name), store)
        here.append(1000 * cpu / steps)
        one = IsolatedTeacher(name)
        one.close()
        one._facts()
        start = spent(one._process)
        steps, cpu = episode(one, store)
        apart.append(1000 * cpu / steps)
        inside.append(1000 * (spent(one._process) - start) / steps)
        one.close()
    extra = statistics.median(a - h for a, h in zip(apart, here, strict=True))
    return (
        f"| {name} | {steps} | {statistics.median(here):.2f} | {statistics.median(apart):.2f} | {extra:+.2f} | "
        f"{statistics.median(inside):.2f} | {start:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--teachers", default="stratified,frontier,lookahead")
    given = parser.parse_args()
    registry.TASKS["reverse"] = "tests.toys:Reverse"
    registry.STUDENTS["parrot"] = "tests.toys:Parrot"
    print(f"load {os.getloadavg()[0]:.1f}, {given.rounds} rounds, medians, CPU milliseconds a step")
    print("| teacher | steps | here | isolated: driver | difference | isolated: its process | start, CPU s |")
    print("|---|---|---|---|---|---|---|")
    for name in given.teachers.split(","):
        print(measure(name, given.rounds), flush=True)


if __name__ == "__main__":
    main()
