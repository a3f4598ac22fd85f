"""What discovered skills are worth to a teacher, beside the task's own: the figures of docs/skills.md.

    python -m tests.bench.discovered_skills loss=skills.json --seeds 6 --store FOLDER
    python -m tests.bench.discovered_skills

Each teacher plays each seed under the task's own skills and under those of each file, all else equal (the Setting of
the board ``quick-2026``). The state with the best selection score, by the skills that the run was played under, is
asked the whole test split, so the arms are compared on the same problems: k of n, and the mean of the paired
differences over seeds with its interval (t).

Without a file: what the rule that labels the rest is worth, when the labels that it learns from are all right.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from scipy.stats import t

from dataenv import registry
from dataenv.discovery.agreement import adjusted_mutual_information
from dataenv.environment.env import TeachingEnv
from dataenv.environment.exams import grade
from dataenv.episode.loop import run
from dataenv.execution.runner import Runner
from dataenv.execution.store import open_store
from dataenv.leaderboard import config
from dataenv.leaderboard.scoring import best_step, closing_job
from tasks.discovered import TextRule, primary
from tasks.records import stream

OWN = "its own"


def solved(fields: dict[str, Any], name: str, seed: int, runner: Runner) -> tuple[int, int]:
    """Test problems that the best student of one episode solves, and how many there are."""
    env = TeachingEnv("skill-list", runner=runner, **fields)
    episode = run(env, registry.build("teacher", name), seed)
    state = episode.steps[best_step([step.selection for step in episode.steps])].state
    answers = runner.run(env.anchor(closing_job(env.setting, state))).answers["test"]
    for step in episode.steps[1:]:
        runner.evict(step.state)
    flags = grade(env.setting, "test", answers).answers
    return sum(flags), len(flags)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("skills", nargs="*", help="label=file")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--teachers", nargs="+", default=["stratified", "stat-sel"])
    parser.add_argument("--store", default="off")
    given = parser.parse_args()
    if not given.skills:
        return rule()
    fields = config.load("quick-2026").setting.model_dump(mode="json")
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


def rule(draws: int = 6) -> None:
    """Agreement of the rule with the task's own skills on feedback problems, after that many right labels."""
    task = registry.build("task", "arithmetic")
    pool, asked = task.pool(), task.split("feedback")
    for n in (100, 400, 1600):
        found = []
        for seed in range(draws):
            chosen = [pool[i] for i in stream(seed, "rule").permutation(len(pool))[:n]]
            labels = [task.skills.index(e.skills[0]) for e in chosen]
            said = TextRule([e.prompt for e in chosen], labels, len(task.skills)).labels([p.prompt for p in asked])
            found.append(adjusted_mutual_information(said, primary(asked)))
        print(f"{n} labels: AMI {interval(found, [0.0] * draws, 3)}, n = {len(asked)}, {draws} draws")


def report(shares: dict[tuple[str, str], list[float]]) -> None:
    """Means, differences to the task's own skills, and differences to stratified under the same skills."""
    for (who, arm), found in shares.items():
        line = f"{who}, {arm}: {np.mean(found):.1f} %"
        if arm != OWN:
            line += f"; beside its own {interval(found, shares[who, OWN])}"
        if who != "stratified" and ("stratified", arm) in shares:
            line += f"; beside stratified {interval(found, shares['stratified', arm])}"
        print(line, flush=True)


def interval(a: list[float], b: list[float], digits: int = 1) -> str:
    """Mean and 95 % interval of paired differences."""
    gaps = np.subtract(a, b)
    half = float(t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps)))
    low, mean, high = (f"{gaps.mean() + x:+.{digits}f}" for x in (-half, 0, half))
    return f"{mean} [{low}, {high}]"


if __name__ == "__main__":
    main()
