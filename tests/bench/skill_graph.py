"""The graph that Skill-It learns on the board ``lego``, and what it takes: what its arm with a given graph is given.

    python -m tests.bench.skill_graph --seeds 100 101

A lesson of each depth alone on a branch of the untaught student of each seed, the mean over seeds, and the student
tokens of all of them together, which are the ``prior`` of the board. docs/lego.md has what came of seeds 100 and 101;
another class of processor has other students, and so other numbers.
"""

from __future__ import annotations

import argparse

import numpy as np

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.execution.runner import Runner
from dataenv.execution.store import open_store
from dataenv.leaderboard import config
from teachers.skill_it import SkillIt


def learnt(env: TeachingEnv, seed: int) -> tuple[np.ndarray, int]:
    """The graph ``(k, k)`` of a seed, rows teach columns, its largest entry 1; and the student tokens it took."""
    observation, info = env.reset(seed=seed)
    teacher = SkillIt()
    teacher.begin(dataenv.Context(env))
    teacher.act(observation, info)
    assert teacher._matrix is not None
    return teacher._matrix, env.purse.uses["probes"]


def main() -> None:
    """Each seed's graph, then what the board is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101])
    parser.add_argument("--board", default="lego")
    parser.add_argument("--store", default="", help="a folder; without, this process's memory")
    args = parser.parse_args()
    setting = config.load(args.board).setting
    env = TeachingEnv("skill-list", runner=Runner(open_store(args.store or None)), setting=setting)
    found = []
    for seed in args.seeds:
        found.append(learnt(env, seed))
        print(f"seed {seed}: {found[-1][1]:,} student tokens\n{np.round(found[-1][0], 3)}", flush=True)
    print(f"prior = {sum(tokens for _, tokens in found)}, graph = [")
    for row in np.mean([graph for graph, _ in found], axis=0):
        print(f"    {[round(float(x), 3) for x in row]},")
    print("]")


if __name__ == "__main__":
    main()
