"""What discovered skills are worth to a teacher, beside the task's own: the figures of docs/skills.md.

    python -m tests.bench.discovered_skills loss=skills.json --seeds 6 --store FOLDER

Each teacher plays each seed under the task's own skills and under those of each file, all else equal (the Setting of
the board ``quick``). The state with the best selection score, by the skills that the run was played under, is asked the
whole test split, so the arms are compared on the same problems: k of n, and the mean of the paired differences over
seeds with its interval (t).
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from scipy.stats import t

from dataenv import registry
from dataenv.environment import TeachingEnv
from dataenv.episode import run
from dataenv.exams import grade
from dataenv.leaderboard import config
from dataenv.leaderboard.board import best_step, closing_job
from dataenv.runner import Runner
from dataenv.store import open_store

OWN = "its own"


def solved(fields: dict[str, Any], name: str, seed: int, runner: Runner) -> tuple[int, int]:
    """Test problems that the best student of one episode solves, and how many there are."""
    env = TeachingEnv("skill-list", runner=runner, **fields)
    episode = run(env, registry.build("teacher", name), seed)
    state = episode.steps[best_step([step.selection for step in episode.steps])].state
    answers = runner.run(env.anchor(closing_job(env.setting, state))).answers["test"]
    for step in episode.steps[1:]:
        runner.evict(step.state)
    flags = grade(env.setting, "test", answers).flags
    return sum(flags), len(flags)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("skills", nargs="+", help="label=file")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--teachers", nargs="+", default=["stratified", "stat-sel"])
    parser.add_argument("--store", required=True)
    given = parser.parse_args()
    fields = config.load("quick").setting.model_dump(mode="json")
    fields["items"] |= {"test": 100_000, "transfer": 1}
    arms = {OWN: fields} | {k: fields | {"skills": v} for k, _, v in (pair.partition("=") for pair in given.skills)}
    runner = Runner(open_store(given.store))
    shares: dict[tuple[str, str], list[float]] = {(who, arm): [] for who in given.teachers for arm in arms}
    for seed in range(given.first, given.first + given.seeds):
        for (who, arm), found in shares.items():
            k, n = solved(arms[arm], who, seed, runner)
            found.append(100 * k / n)
            print(f"seed {seed} {who} {arm}: {k}/{n}", flush=True)
        if seed > given.first:
            report(shares)


def report(shares: dict[tuple[str, str], list[float]]) -> None:
    """Means, differences to the task's own skills, and differences to stratified under the same skills."""
    for (who, arm), found in shares.items():
        line = f"{who}, {arm}: {np.mean(found):.1f} %"
        if arm != OWN:
            line += f"; beside its own {interval(found, shares[who, OWN])}"
        if who != "stratified" and ("stratified", arm) in shares:
            line += f"; beside stratified {interval(found, shares['stratified', arm])}"
        print(line, flush=True)


def interval(a: list[float], b: list[float]) -> str:
    """Mean and 95 % interval of paired differences, in points."""
    gaps = np.subtract(a, b)
    half = float(t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps)))
    return f"{gaps.mean():+.1f} [{gaps.mean() - half:+.1f}, {gaps.mean() + half:+.1f}]"


if __name__ == "__main__":
    main()
