"""Does one-step influence order skills as a lesson of them would turn out? The figures of docs/floors.md.

    python -m tests.bench.influence_order --seeds 4 --store FOLDER

For each seed, after 0 and after 3 stratified lessons of the board ``quick-2026``: the influence of a group of 16
examples of each skill on 128 reference examples, and from the same state a whole lesson (4/5 of it that skill, 1/5 all
skills) for each skill. Printed for each state: Spearman's correlation over the skills of influence with what the lesson
did to the reference's loss and to selection accuracy, and that of learnability ``p (1 - p)`` with the latter, for
comparison.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from scipy.stats import spearmanr, t

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.execution.runner import Runner
from dataenv.execution.store import open_store
from dataenv.leaderboard import config
from teachers.lessons import Source

GROUPS, GROUP, REFERENCE, MAIN = 2, 16, 128, 0.8


def one_state(env: TeachingEnv, observation: dict[str, Any]) -> list[float]:
    """The three correlations over the skills, at the environment's present state."""
    context = dataenv.Context(env)
    source, skills = Source(context), context.skills
    reference = source.stratified(REFERENCE)
    groups = [source.draw(skill, GROUP) for skill in skills for _ in range(GROUPS)]
    influence = context.influence(groups, reference).reshape(len(skills), GROUPS).mean(1)
    before = context.probe(reference).mean()
    lower, gain = [], []
    for at in range(len(skills)):
        branch = dataenv.fork(env)
        mixture = np.full(len(skills), (1 - MAIN) / len(skills), np.float32)
        mixture[at] += MAIN
        gain.append(float(branch.step(mixture)[1]))
        lower.append(before - dataenv.Context(branch).probe(reference).mean())
        env.runner.evict(branch.state)
    p = np.asarray(observation["accuracy"], np.float64)
    pairs = ((influence, lower), (influence, gain), (p * (1 - p), gain))
    return [float(spearmanr(a, b).statistic) for a, b in pairs]


def main() -> None:
    """Every state, then means over seeds with 95 % intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--store", default="")
    args = parser.parse_args()
    setting = config.load("quick-2026").setting.changed(budget={"student_tokens": 10**9})
    env = TeachingEnv("skill-list", runner=Runner(open_store(args.store or None)), setting=setting)
    found: dict[int, list[list[float]]] = {0: [], 3: []}
    for seed in range(args.seeds):
        observation, _ = env.reset(seed=seed)
        for step in range(4):
            if step in found:
                found[step].append(one_state(env, observation))
                print(f"seed {seed} step {step}: " + " ".join(f"{x:+.2f}" for x in found[step][-1]), flush=True)
            if step < 3:
                observation, *_ = env.step(np.ones(len(env.task.skills), np.float32))
    for step, rows in found.items():
        table = np.array(rows)
        half = t.ppf(0.975, len(table) - 1) * table.std(0, ddof=1) / np.sqrt(len(table)) if len(table) > 1 else 0
        for name, mean, width in zip(
            ("loss", "accuracy", "p(1-p)"), table.mean(0), np.broadcast_to(half, 3), strict=True
        ):
            print(f"after {step} lessons, {name}: {mean:+.2f} +- {width:.2f} (n = {len(table)} seeds)")


if __name__ == "__main__":
    main()
