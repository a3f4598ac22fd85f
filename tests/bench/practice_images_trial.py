"""Deliberate Practice on digits, arm by arm without a board: the first figures of ``docs/practice_images.md``.

python tests/bench/practice_images_trial.py 0 1 2
python tests/bench/practice_images_trial.py 0 1 2 --source optical --side 8
"""

from __future__ import annotations

import argparse
from typing import Any, cast

import torch

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.leaderboard.accuracy import number
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.statistics.sample_efficiency import LearningCurve, learning_curve, ratio, sentence
from teachers.practice import DeliberatePractice

TOP = {"added": 100, "select": "top", "cap": 0.1, "trim": 0.0, "unguided": 0.0}
ARMS: dict[str, dict[str, Any]] = {
    "static": {"omega": 0.0, "added": 310, "steer": {}},
    "top-of-8": {**TOP, "steer": {}},
    "guided-0.1": {"added": 100, "unguided": 0.0, "steer": {"omega": 0.1}},
    "prune": {**TOP, "rescore": False, "steer": {}},
}
SETTING: dict[str, Any] = {
    "task": "digits",
    "student": "image-mlp",
    "recipe": {"updates": 600, "batch": 64, "data": "all", "patience": 2, "interval": 25, "cooldown": 100},
    "lesson_size": 310,
    "items": {"feedback": 25, "selection": 50, "test": 175, "transfer": 10},
    "decoding": {"max_tokens": 1},
    "budget": {"student_tokens": 8_000_000, "examples": 3200},
}
SMALLER = {"feedback": 8, "selection": 15, "test": 60, "transfer": 10}
"""Items of ``optical``, which has fewer pictures."""


def main() -> None:
    """Play all arms of each seed, and print what they came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--additions", type=int, default=7)
    parser.add_argument("--source", default="mnist")
    parser.add_argument("--side", type=int, default=12)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    setting = SETTING | {"task_args": {"source": asked.source}, "student_args": {"side": asked.side}}
    if asked.source == "optical":
        setting |= {"items": SMALLER}
    curves: dict[str, dict[int, LearningCurve]] = {name: {} for name in ARMS}
    for seed in asked.seeds:
        for name, args in ARMS.items():
            env = TeachingEnv("open-ended", **setting)
            teacher = DeliberatePractice(first=100, additions=asked.additions, **args)
            episode = dataenv.run(env, teacher, seed=seed)
            curve = curves[name][seed] = learning_curve(cast(Row, episode))  # it reads nothing but the steps
            points = ", ".join(f"{n}: {number(a):.3f}" for n, a in zip(*curve, strict=True))
            print(f"seed {seed}, {name} ({env.purse.spent:,} tokens): {points}", flush=True)
    for name in (name for name in ARMS if name != "static"):
        for size in (200, 400, 800):
            made = ratio(name, curves[name], "static", curves["static"], size)
            if made is not None:
                print(sentence(made))


if __name__ == "__main__":
    main()
