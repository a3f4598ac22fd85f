"""What the pool costs and gains on a processor: processor seconds, medians of interleaved rounds.

jobs    jobs of `pocket` (one slot) by two workers of `processes` and of `pool`: the pool should cost nothing.
slots   trainings one after the other without slots, and K at once in one computation, per student.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import common  # sets the number of threads, so it comes before NumPy
from bench_causal_lm import problems

from dataenv.execution.executors import make_executor
from dataenv.execution.jobs import BuildSpec, Exam, Training, from_initial
from dataenv.execution.runner import Runner, run_all
from dataenv.execution.store import Store
from students.base import Data, Recipe, Student
from students.causal_lm import CausalLM
from students.many import Fit, fit_many
from students.pocket import Pocket
from students.pocket_stacked import PocketStacked
from tasks.arithmetic import Arithmetic
from tasks.records import Example, stream

TASK = Arithmetic()


def lesson(seed: int, n: int) -> tuple[Example, ...]:
    """Examples of four skills."""
    return tuple(e for skill in TASK.skills[:4] for e in TASK.generate(skill, n // 4, stream(seed, skill)))


def seconds() -> float:
    """Processor seconds of this process and of the children that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def jobs(kind: str, n: int, folder: Path) -> float:
    """Processor seconds a job, workers and their start included."""
    exam = Exam(name="exam", prompts=tuple(e.prompt for e in lesson(1, 400)))
    recipe = Recipe()
    trainings = [Training(lesson=lesson(i, 512), recipe=recipe, seed=i) for i in range(n)]
    begun, executor = seconds(), make_executor({"kind": kind, "workers": 2})
    try:
        run_all(
            Runner(Store(folder), executor), [from_initial(BuildSpec(name="pocket"), 0, t, (exam,)) for t in trainings]
        )
    finally:
        pools = list(executor._pools.values())  # type: ignore[attr-defined]
        for pool in pools:
            pool.shutdown(wait=True)  # so that the processes have ended, and their seconds are known
        executor.close()
    return (seconds() - begun) / n


def slots(
    plain: Student, stacked: Callable[[int], Student], ks: list[int], recipe: Recipe, taught: list[tuple[Example, ...]],
    rounds: int,
) -> list[list[str]]:  # fmt: skip
    """Processor seconds a student, by how many are trained at once."""
    students = {0: plain} | {k: stacked(k) for k in ks}
    found: dict[int, list[float]] = {k: [] for k in students}
    for turn in range(rounds + 1):
        for k, student in students.items():
            fits = [Fit(student.initial(i), Data(taught[i]), recipe, i) for i in range(k or 1)]
            begun = time.process_time()
            fit_many(student, fits)
            if turn:
                found[k].append((time.process_time() - begun) / len(fits))
    base = median(found[0])
    return [[str(k or "without slots"), f"{median(x):.3f}", f"{base / median(x):.2f}"] for k, x in found.items()]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=["jobs", "pocket", "lm"], default=["jobs", "pocket", "lm"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=12)
    given = parser.parse_args()
    print(common.machine("numpy", "torch"))
    if "jobs" in given.parts:
        found: dict[str, list[float]] = {"processes": [], "pool": []}
        for _ in range(given.rounds):
            for kind, times in found.items():
                with tempfile.TemporaryDirectory() as folder:
                    times.append(jobs(kind, given.jobs, Path(folder)))
        common.markdown(["executor", "processor s a job"], [[kind, f"{median(x):.3f}"] for kind, x in found.items()])
    head = ["students at once", "s a student", "times as fast as without slots"]
    if "pocket" in given.parts:
        taught = [lesson(i, 512) for i in range(16)]
        for backend in ("numpy", "torch"):
            print(f"\npocket, backend {backend}, and pocket-stacked")
            rows = slots(Pocket(backend=backend), lambda k: PocketStacked(slots=k, device="cpu"), [1, 2, 4, 8, 16],
                         Recipe(updates=8), taught, given.rounds)  # fmt: skip
            common.markdown(head, rows)
    if "lm" in given.parts:
        taught = [tuple(problems(32, f"lesson {i}")) for i in range(4)]
        recipe = Recipe(updates=2, batch=8)
        rows = slots(
            CausalLM(context=128), lambda k: CausalLM(context=128, slots=k), [2, 4], recipe, taught, given.rounds
        )
        print("\ncausal-lm, SmolLM2-135M")
        common.markdown(head, rows)


if __name__ == "__main__":
    main()
