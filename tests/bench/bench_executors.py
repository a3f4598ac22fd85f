"""What fanning out costs and where it ends: real jobs on 1 and 2 workers, sleeping jobs on many, 1,000 on paper.

driver   processor time of the driver for one step, and where it goes: the rate at which one driver can feed workers.
workers  the same episodes on 1 and 2 workers, by processes, by Ray, and whole in the worker processes: wall time,
         efficiency, idle share of the workers (1 - their processor time / (workers x wall time)).
sleep    the real driver (engine, screen, keys, JSON, grading, commits) in front of workers that sleep and then answer
         with a recorded outcome: how many of them one driver keeps busy. From its best rate, 1,000 workers on paper.
"""

from __future__ import annotations

import argparse
import cProfile
import heapq
import itertools
import os
import pstats
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from common import FREE, machine, table

EPISODES, STEPS, WARM = 4, 5, 2
SLEEP, WIDTHS = 10.0, (1, 10, 30, 100, 300)
LENGTHS = (1.2, 10.0, 60.0, 600.0)
TICKS = os.sysconf("SC_CLK_TCK")
PARTS = {
    "engine": ("engines.py", "mixed"),
    "screen": ("screen.py", "screen"),
    "prices": ("tuition.py", "charge"),
    "keys": ("jobs.py", "key"),
    "job as JSON": ("main.py", "model_dump_json"),
    "rows committed": ("store.py", "put"),
    "grading": ("exams.py", "of"),
}


SEEDS = 6


def episodes(runner: Any, n: int, steps: int) -> None:
    """``n`` episodes of some steps side by side on six seeds, each with actions of its own, as a board plays them."""
    from dataenv.execution.runner import side_by_side

    setting = shared_setting()
    side_by_side(runner, range(n), lambda i: play(runner, setting, i, steps))


@lru_cache(maxsize=1)
def shared_setting() -> Any:
    """One for all, as on a board: it keeps what an untaught student is made from."""
    from dataenv.setting import make_setting

    return make_setting(FREE)


def play(runner: Any, setting: Any, i: int, steps: int) -> None:
    """One episode."""
    import numpy as np

    from dataenv.environment.env import TeachingEnv

    env = TeachingEnv("skill-list", runner=runner, setting=setting)
    env.reset(seed=i % SEEDS)
    for step in range(steps):
        env.step(np.random.default_rng((i, step)).random(len(env.task.skills)).astype(np.float32))


# --- driver ----------------------------------------------------------------------------------------------------------


class Replay:
    """Workers that sleep and then give a recorded outcome, however many there are, from one thread."""

    def __init__(self, width: int, seconds: float, record: tuple[str, bytes]) -> None:
        self.width, self._seconds, (self._outcome, self._weights) = width, seconds, record
        self._due: list[tuple[float, int, Future[Any]]] = []
        self._order, self._changed = itertools.count(), threading.Condition()
        threading.Thread(target=self._wake, daemon=True).start()

    def submit(self, job: Any, key: str, blobs: Any) -> Future[Any]:
        """As an executor on other machines would: the job becomes text, and the outcome comes as text."""
        from dataenv.execution.jobs import Outcome

        job.text()
        blobs.put(self._weights)  # a worker's work, but for one look whether they are there
        answered: Future[Any] = Future()
        promised: Future[Any] = Future()

        def read(done: Future[Any]) -> None:
            found = Outcome.model_validate_json(self._outcome)
            keep = found.trained if job.train is not None else None
            promised.set_result(found.model_copy(update={"key": key, "trained": keep}))

        answered.add_done_callback(read)
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + self._seconds, next(self._order), answered))
            self._changed.notify()
        return promised

    def _wake(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                answered = heapq.heappop(self._due)[2]
            answered.set_result(None)

    def close(self) -> None:
        """Nothing to stop."""


def recorded() -> tuple[str, bytes]:
    """The outcome of one real step, as JSON, and its weights."""
    import numpy as np

    from dataenv.environment.env import TeachingEnv

    env = TeachingEnv("skill-list", **FREE)
    env.reset(seed=0)
    job = env.begin(np.ones(len(env.task.skills), np.float32))
    assert job is not None
    outcome = env.runner.run(job)
    assert outcome.trained is not None
    # It answers for lessons of any length, and no lesson may report more tokens than were paid for it.
    short = outcome.model_copy(update={"trained": outcome.trained.model_copy(update={"tokens": 1})})
    return short.model_dump_json(), env.runner.store.blobs.get(str(outcome.blob))


def driver(outcome: tuple[str, bytes], folder: Path) -> None:
    """The driver's processor time for a step, and its parts."""
    import numpy as np

    from dataenv.environment.env import TeachingEnv
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import Store

    env = TeachingEnv("skill-list", runner=Runner(Store(folder / "driver"), Replay(1, 0.0, outcome)), **FREE)
    env.reset(seed=0)
    actions = [np.random.default_rng(i).random(len(env.task.skills)).astype(np.float32) for i in range(21)]
    times = []
    for action in actions[:11]:
        begun = time.process_time()
        env.step(action)
        times.append(time.process_time() - begun)
    whole = median(times[1:])
    profile = cProfile.Profile()
    profile.enable()
    for action in actions[11:]:
        env.step(action)
    profile.disable()
    stats: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = sum(entry[2] for entry in stats.values())
    rows = []
    for part, (file, name) in PARTS.items():
        spent = sum(e[3] for (path, _, function), e in stats.items() if path.endswith(file) and function == name)
        rows.append([part, f"{1000 * whole * spent / total:.1f}", f"{spent / total:.0%}"])
    rows.append(["whole step", f"{1000 * whole:.1f}", "100%"])
    table(
        "the driver's part of one step, processor ms (shares by profile; a part may hold another)", ["", "ms", ""], rows
    )
    print(f"  one driver can feed at most {1 / whole:.1f} jobs a second")


def on_paper(rate: float) -> None:
    """What one driver that gets through so many jobs a second would make of 1,000 workers."""
    rows = [[f"{length:g} s", f"{rate * length:,.0f}", f"{min(1.0, rate * length / 1000):.0%}"] for length in LENGTHS]
    head = ["a job takes", "workers one driver feeds", "busy share of 1,000 workers"]
    table(f"on paper, at the best rate seen above ({rate:.1f} jobs a processor second)", head, rows)


# --- workers ---------------------------------------------------------------------------------------------------------


def processor_seconds(kind: str) -> float:
    """Processor time that the workers of this process have used so far."""
    spent = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ours = kind != "ray" and int(fields[1]) == os.getpid() and b"--multiprocessing-fork" in words
        if ours or (kind == "ray" and words[0].startswith(b"ray::")):
            spent += int(fields[11]) + int(fields[12])
    return spent / TICKS


def whole_episode(folder: str, episode: str, steps: str) -> str:
    """One of the episodes, played in this worker: its jobs too. A function of texts, for it is handed to a worker."""
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import open_store

    play(Runner(open_store(folder)), shared_setting(), int(episode), int(steps))
    return ""


def played(kind: str, runner: Any, folder: Path, steps: int) -> None:
    """The episodes of one measurement."""
    if kind != "whole":
        return episodes(runner, EPISODES, steps)
    done = [runner.executor.hand(whole_episode, str(folder), str(i), str(steps)) for i in range(EPISODES)]
    for future in done:
        future.result()


def workers(folder: Path, rounds: int, kinds: tuple[str, ...]) -> None:
    """The same episodes on 1 and 2 workers; rounds are interleaved, for the machine is shared."""
    from dataenv.execution.executors import make_executor
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import Store

    found: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    for turn in range(rounds):
        for kind, width in itertools.product(kinds, (1, 2)):
            executor = make_executor(f"{'processes' if kind == 'whole' else kind}:{width}")
            store = folder / f"{kind}{width}-{turn}"
            runner = Runner(Store(store), executor)
            played(kind, runner, store, 1)  # starts the workers, loads a student in each, makes the untaught students
            wall, cpu, busy = time.perf_counter(), time.process_time(), processor_seconds(kind)
            played(kind, runner, store, 1 + STEPS)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            found.setdefault((kind, width), []).append((wall, cpu, processor_seconds(kind) - busy))
            executor.close()
            print(f"round {turn}, {kind}, {width}: {wall:.1f} s", flush=True)
    jobs, rows = EPISODES * STEPS, []
    for (kind, width), times in found.items():
        wall, cpu, busy = (median(t[i] for t in times) for i in range(3))
        ratio = median(a[0] / (width * b[0]) for a, b in zip(found[kind, 1], times, strict=True))
        idle = 1 - busy / (width * wall)
        spent = [f"{1000 * s / jobs:.0f}" for s in (cpu, cpu + busy)]
        rows.append([f"{kind}, {width}", f"{wall:.1f}", f"{ratio:.2f}", f"{idle:.0%}", *spent])
    head = ["workers", "wall s", "efficiency", "idle share", "driver ms a job", "all ms a job"]
    table(f"{jobs} real jobs of `quick` ({EPISODES} episodes side by side), median of {rounds} rounds", head, rows)


# --- sleep -----------------------------------------------------------------------------------------------------------


def sleep(outcome: tuple[str, bytes], folder: Path, widths: tuple[int, ...], seconds: float) -> float:
    """How busy one driver keeps workers that sleep; each is given an episode of a reset and ``WARM`` steps.

    Returns:
        The best rate, in jobs a second of the driver's processor time.
    """
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import Store

    rows = []
    for width in widths:
        runner = Runner(Store(folder / f"sleep{width}"), Replay(width, seconds, outcome))
        wall, cpu = time.perf_counter(), time.process_time()
        episodes(runner, width, WARM)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        jobs = width * WARM + min(width, SEEDS)  # an untaught student is made once a seed
        rows.append(
            [
                width,
                jobs,
                f"{wall:.1f}",
                f"{jobs * seconds / (width * wall):.2f}",
                f"{jobs / wall:.1f}",
                f"{cpu / wall:.0%}",
                f"{jobs / cpu:.1f}",
            ]
        )
    head = ["workers", "jobs", "wall s", "busy share of the workers", "jobs a second", "driver's core"]
    head.append("jobs a processor second")  # of the driver: what it gets through where nobody shares its core
    table(f"one driver before workers that sleep {seconds:g} s a job", head, rows)
    return max(float(row[6]) for row in rows)


def main() -> int:
    """Print the tables."""
    from dataenv.execution.collector import collect_rarely

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of real jobs")
    parser.add_argument("--widths", type=int, nargs="*", default=WIDTHS, help="of sleeping workers")
    parser.add_argument("--kinds", nargs="*", default=["processes", "whole", "ray"], help="of workers for real jobs")
    args = parser.parse_args()
    print(machine("torch", "ray"))
    collect_rarely()  # as the command line does
    with tempfile.TemporaryDirectory() as name:
        outcome = recorded()
        driver(outcome, Path(name))
        if args.widths:
            on_paper(sleep(outcome, Path(name), tuple(args.widths), SLEEP))
        workers(Path(name), args.rounds, tuple(args.kinds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
