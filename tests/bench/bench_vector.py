"""Many students at once.

numpy    environment steps a second of the simulated student's vector form, on one core, by the number of environments.
fan-out  the same lessons of real students through make_vec on 1 and 2 worker processes: wall time and efficiency,
         t(1) / (2 t(2)); alternated, for the machine is shared.
sleep    the same with workers that sleep for 1.2 s and answer with a recorded outcome: what the driver alone costs,
         which a machine whose cores are busy with other work can tell too.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from common import FREE, machine, table


def numpy_form(seconds: float) -> None:
    """Random mixtures, automatic resets included; processor time."""
    import gymnasium as gym
    import numpy as np

    import dataenv  # noqa: F401

    rows = []
    for n in (64, 1024, 4096):
        envs = gym.make_vec("dataenv/Simulated-v0", num_envs=n)
        envs.reset(seed=None)
        batches = np.random.default_rng(0).random((8, *envs.action_space.shape)).astype(np.float32)
        even = np.ones(envs.action_space.shape, np.float32)
        rates = []
        for actions in (batches, even[None]):
            steps, begun = 0, time.process_time()
            while time.process_time() - begun < seconds:
                envs.step(actions[steps % len(actions)])
                steps += 1
            rates.append(f"{n * steps / (time.process_time() - begun):,.0f}")
        rows.append([n, *rates])
    table("Simulated-v0, steps a second of one core", ["environments", "drawn mixtures", "even mixtures"], rows)


def fan_out(envs: int, steps: int, rounds: int) -> None:
    """Real students; a round is the same lessons on one worker and on two, with stores of their own."""
    times: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(rounds):
        for workers in (1, 2) if turn % 2 == 0 else (2, 1):
            times[workers].append(_lessons(workers, envs, steps))
    rows = [[w, f"{median(t):.1f} s", ", ".join(f"{x:.1f}" for x in t)] for w, t in times.items()]
    table(f"{envs} students, {steps} lessons each", ["workers", "median", "all"], rows)
    ratios = [one / (2 * two) for one, two in zip(times[1], times[2], strict=True)]
    print(f"efficiency on 2 workers: {median(ratios):.2f} ({', '.join(f'{r:.2f}' for r in ratios)})")


class _Asleep:
    """So many of the sleepers at once and no more: the driver has a thread more than there are workers."""

    def __init__(self, width: int, sleepers: Any) -> None:
        from dataenv.execution.executors.base import Slots

        self.width, self._sleepers, self._line = width, sleepers, Slots(width)

    def submit(self, job: Any, key: str, blobs: Any) -> Any:
        """See Executor."""
        return self._line.submit(lambda place: self._sleepers.submit(job, key, blobs))

    def close(self) -> None:
        """Nothing to stop."""


def asleep(envs: int, steps: int, seconds: float = 1.2) -> None:
    """One round on one, two and eight workers that only sleep."""
    import numpy as np
    from bench_executors import Replay, recorded

    from dataenv.execution.runner import Runner
    from dataenv.execution.store import Store
    from dataenv.vector.vector_env import TeachingVectorEnv

    outcome, rows = recorded(), []
    for workers in (1, 2, 8):
        with tempfile.TemporaryDirectory() as folder:
            runner = Runner(Store(Path(folder)), _Asleep(workers, Replay(workers, seconds, outcome)))
            many = TeachingVectorEnv(envs, runner=runner, **FREE)
            many.reset(seed=0)
            batches = np.random.default_rng(0).random((steps, *many.action_space.shape)).astype(np.float32)
            begun = time.perf_counter()
            for actions in batches:
                many.step(actions)
            wall = time.perf_counter() - begun
        rows.append([workers, f"{wall:.1f} s", f"{envs * steps * seconds / (workers * wall):.2f}"])
    table(f"{envs} students, {steps} lessons each, workers that sleep {seconds} s", ["workers", "wall", "share of the "
          "workers' time"], rows)  # fmt: skip


def _lessons(workers: int, n: int, steps: int) -> float:
    """Wall time of the lessons alone: workers are up and students untaught but made."""
    import gymnasium as gym
    import numpy as np

    import dataenv  # noqa: F401

    small: dict[str, Any] = {"warm_start": {"examples": 640, "recipe": {"updates": 10}}}
    with tempfile.TemporaryDirectory() as folder:
        executor = {"kind": "processes", "workers": workers}
        envs = gym.make_vec(
            "dataenv/SkillList-v0", num_envs=n, store=str(Path(folder) / "store"), executor=executor, **(FREE | small)
        )
        envs.reset(seed=0)
        batches = np.random.default_rng(0).random((steps, *envs.action_space.shape)).astype(np.float32)
        begun = time.perf_counter()
        for actions in batches:
            envs.step(actions)
        wall = time.perf_counter() - begun
        envs.close()
    return wall


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["numpy", "fan-out"])
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print(machine("gymnasium", "numpy", "torch"))
    if "numpy" in args.parts:
        numpy_form(seconds=2.0)
    if "sleep" in args.parts:
        asleep(args.envs, args.steps)
    if "fan-out" in args.parts:
        fan_out(args.envs, args.steps, args.rounds)
