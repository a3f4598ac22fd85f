"""What one step costs the driver: processor time before an executor that answers at once, by phase.

steps    the median of a step and of its phases, of the default board's task and lesson size, with a store on disk.
long     the first and the last fifteen of many steps: whether a step costs the same however long the episode is.
branch   a fork and a restore early and late in an episode.

``--against PATH`` measures another checkout too, in rounds that are interleaved, for the machine is shared:

    python tests/bench/bench_driver.py --against ../dataenv-before --rounds 5
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from statistics import mean, median
from typing import Any

from common import FREE, machine, table

EARLY, LATE = 2, 24
"""Steps after which a branch is taken."""
PHASES = ("engine", "screen", "prices", "run", "end", "rest", "step")
BRANCHES = (f"fork at {EARLY}", f"restore at {EARLY}", f"fork at {LATE}", f"restore at {LATE}")


class Instant:
    """An executor that answers at once what nobody computed: every second answer is right."""

    width = 1

    def __init__(self) -> None:
        self._texts: dict[tuple[str, int, bool], str] = {}
        self.spent = 0.0

    def submit(self, job: Any, key: str, blobs: Any) -> Future[Any]:
        """As an executor in other processes would: the job becomes text, and the outcome is read from text."""
        from dataenv.execution.jobs import Outcome

        text = getattr(job, "text", None)
        _ = job.model_dump_json() if text is None else text()
        blob = blobs.put(b"weights")  # always the same, for to write them is a worker's time
        found = Outcome.model_validate_json(self._answer(job))
        update = {"key": key, "blob": blob if job.train else job.blob}
        future: Future[Any] = Future()
        future.set_result(found.model_copy(update=update))
        return future

    def _answer(self, job: Any) -> str:
        """The text of a worker; made once, for it is a worker's time."""
        exams = tuple(e.name for e in job.exams)
        name = ("/".join(exams), len(exams), job.train is not None)
        if name not in self._texts:
            begun, answers = time.process_time(), {}
            for exam in job.exams:
                golds = exam.golds or ("123",) * len(exam.prompts)
                said = [gold if i % 2 else "000" for i, gold in enumerate(golds)]
                answers[exam.name] = {"responses": said, "losses": [1.5] * len(said) if exam.golds else None}
            trained = {"loss": [2.0, 1.0], "updates": 32, "tokens": 32 * 64} if job.train else None
            self._texts[name] = json.dumps({"key": "", "trained": trained, "answers": answers})
            self.spent += time.process_time() - begun
        return self._texts[name]

    def close(self) -> None:
        """Nothing to stop."""


# --- one checkout, in a process of its own ---------------------------------------------------------------------------


def timed(spent: dict[str, float], phase: str, act: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, whose processor time is added to a phase."""

    @functools.wraps(act)
    def within(*args: Any, **kwargs: Any) -> Any:
        begun = time.process_time()
        try:
            return act(*args, **kwargs)
        finally:
            spent[phase] += time.process_time() - begun

    return within


def environment(folder: Path, spent: dict[str, float]) -> Any:
    """A TeachingEnv before an instant executor, whose phases are timed."""
    from dataenv.environment import env as room
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import Store

    room.charge = timed(spent, "prices", room.charge)
    env = room.TeachingEnv("skill-list", runner=Runner(Store(folder), Instant()), **FREE)
    env.level.make = timed(spent, "engine", env.level.make)
    env._screened = timed(spent, "screen", env._screened)
    env.runner.run = timed(spent, "run", env.runner.run)
    env.end = timed(spent, "end", env.end)
    return env


def stepped(env: Any, first: int, n: int, spent: dict[str, float]) -> dict[str, list[float]]:
    """Processor ms of each phase of some steps."""
    import numpy as np

    found: dict[str, list[float]] = defaultdict(list)
    for i in range(first, first + n):
        spent.clear()
        action = np.random.default_rng(i).random(len(env.task.skills)).astype(np.float32)
        begun = time.process_time()
        env.step(action)
        whole = time.process_time() - begun
        for phase in PHASES[:-2]:
            found[phase].append(1000 * spent[phase])
        found["rest"].append(1000 * (whole - sum(spent.values())))
        found["step"].append(1000 * whole)
    return found


def branched(env: Any, found: dict[str, float], step: int) -> None:
    """Processor ms of a fork and of a restore at this moment."""
    from dataenv.environment.branch import fork
    from dataenv.environment.env import TeachingEnv

    for name, act in {
        "fork": lambda: fork(env),
        "restore": lambda: TeachingEnv("skill-list", runner=env.runner, setting=env.setting).reset(
            seed=0, options={"snapshot": env.snapshot()}
        ),
    }.items():
        begun = time.process_time()
        act()
        found[f"{name} at {step}"] = 1000 * (time.process_time() - begun)


def measured(steps: int, long: int) -> dict[str, float]:
    """All figures of the checkout that is imported, with the garbage collector as its command line sets it."""
    with contextlib.suppress(ImportError):  # an older checkout does not set it
        from dataenv.execution.collector import collect_rarely

        collect_rarely()
    spent: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as name:
        env, found = environment(Path(name) / "store", spent), dict[str, float]()
        env.reset(seed=0)
        stepped(env, 0, EARLY, spent)
        branched(env, found, EARLY)
        times = stepped(env, EARLY, steps, spent)
        found |= {phase: median(values) for phase, values in times.items()}
        found["step, mean"] = mean(times["step"])  # with the garbage that is collected once in many steps
        stepped(env, EARLY + steps, max(0, LATE - EARLY - steps), spent)
        branched(env, found, LATE)
        if long:
            env.reset(seed=1)
            values = stepped(env, 0, long, spent)["step"]
            found |= {"steps 1-15": median(values[1:15]), f"steps {long - 14}-{long}": median(values[-15:])}
        return found


# --- all of them -----------------------------------------------------------------------------------------------------


def child(tree: Path, args: argparse.Namespace) -> dict[str, float]:
    """The figures of a checkout."""
    words = [sys.executable, __file__, "--child", "--steps", str(args.steps), "--long", str(args.long)]
    ran = subprocess.run(words, env=os.environ | {"PYTHONPATH": str(tree)}, cwd=tree, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(ran.stderr)
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--long", type=int, default=90, help="steps of the long episode; 0 for none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout, measured in turn with this one")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measured(args.steps, args.long)))
        return 0
    here = Path(__file__).resolve().parents[2]
    trees = [args.against.resolve(), here] if args.against else [here]
    rounds = [[child(tree, args) for tree in trees] for _ in range(args.rounds)]
    print(machine("torch"))
    rows = []
    for name in rounds[0][0]:
        middle = [median(found[i][name] for found in rounds) for i in range(len(trees))]
        ratio = [f"{median(a[name] / b[name] for a, b in rounds):.1f}"] if len(trees) == 2 else []
        rows.append([name, *(f"{value:.1f}" for value in middle), *ratio])
    head = ["", *([str(args.against), "here", "times"] if args.against else ["ms"])]
    table(f"processor ms, medians of {args.rounds} rounds", head, rows)
    step = median(found[-1]["step, mean"] for found in rounds)
    print(f"  one driver can feed at most {1000 / step:.0f} jobs a second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
