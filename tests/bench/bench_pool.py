"""What the pool costs and gains on a processor: processor seconds, medians of interleaved rounds.

jobs    jobs of `pocket` (one slot) by two workers of `processes` and of `pool`: the pool should cost nothing.
slots   trainings one after the other without slots, and K at once in one computation, per student.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import common  # sets the number of threads, so it comes before NumPy
from bench_causal_lm import problems

from dataenv.execution.executors import make_executor
from dataenv.execution.jobs import BuildSpec, Exam, Training, from_initial
from dataenv.execution.runner import Runner, run_all
from dataenv.execution.store import Store
from students.base import Data, Recipe, Student
from students.causal_lm.student import CausalLM
from students.pocket.stacked_student import PocketStacked
from students.pocket.student import Pocket
from students.training.many import Fit, fit_many
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


def slots(arms: dict[str, tuple[Student, int]], recipe: Recipe, taught: Sequence[tuple[Example, ...]], n: int) -> None:
    """Print processor seconds a training, by arm: a student, and how many states of it are trained at once."""
    found: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(n + 1):
        for name, (student, k) in arms.items():
            fits = [Fit(student.initial(i), Data(taught[i]), recipe, i) for i in range(k)]
            begun = time.process_time()
            fit_many(student, fits)
            if turn:  # the first warms up
                found[name].append((time.process_time() - begun) / k)
    base = median(next(iter(found.values())))
    rows = [[name, f"{median(x) / recipe.updates:.3f}", f"{base / median(x):.2f}"] for name, x in found.items()]
    common.markdown(["student, states at once", "processor s an update and state", "times as fast as the first"], rows)


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
    if "pocket" in given.parts:
        plain = {f"pocket, {backend}": (Pocket(backend=backend), 1) for backend in ("numpy", "torch")}
        stacked = {f"pocket-stacked, {k}": (PocketStacked(slots=k, device="cpu"), k) for k in (1, 4, 8)}
        slots(plain | stacked, Recipe(updates=4), [lesson(i, 512) for i in range(8)], given.rounds)
    if "lm" in given.parts:
        shown = {f"slots={k}": (CausalLM(context=128, slots=k), k) for k in (1, 2, 4)}
        slots(shown, Recipe(updates=2, batch=8), [tuple(problems(32, f"lesson {i}")) for i in range(4)], given.rounds)


if __name__ == "__main__":
    main()
