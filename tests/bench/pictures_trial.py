"""How ``pocket-vlm`` learns ``vqa`` or ``scenes``, by kind of question, beside the question-only prior.

    .venv/bin/python tests/bench/pictures_trial.py scenes --seconds 180 --rate 3e-3

The student is trained on the task's pool, every kind equally often. Seconds are processor time of training alone.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from dataenv import registry
from students.base import Asked, Data, Decoding, Recipe
from tasks import media
from tasks.base import Task
from tasks.records import Example, Problem, stream

EACH = 150
"""Test problems of each kind."""


def prior(task: Task, problems: Sequence[Problem]) -> dict[str, float]:
    """Accuracy by kind of who knows the pool's answers to each question text, and sees nothing."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for example in task.pool():
        seen[task.identity(example.prompt)][example.response] += 1
        seen[example.skills[0]][example.response] += 1
    right: dict[str, list[bool]] = defaultdict(list)
    for p in problems:
        said = (seen.get(task.identity(p.prompt)) or seen[p.skills[0]]).most_common(1)[0][0]
        right[p.skills[0]].append(said == p.answer)
    return {skill: float(np.mean(hits)) for skill, hits in right.items()}


def main() -> None:
    """Train, and print a line every ``--every`` seconds."""
    asked = argparse.ArgumentParser()
    asked.add_argument("task", choices=["vqa", "scenes"])
    asked.add_argument("--seconds", type=float, default=180)
    asked.add_argument("--every", type=float, default=30)
    asked.add_argument("--rate", type=float, default=3e-3)
    asked.add_argument("--seed", type=int, default=0)
    args = asked.parse_args()
    task, student = registry.build("task", args.task), registry.build("student", "pocket-vlm")
    by_skill: dict[str, list[Problem]] = defaultdict(list)
    for problem in task.split("test"):
        by_skill[problem.skills[0]].append(problem)
    problems = [p for rows in by_skill.values() for p in rows[:EACH]]
    shown = [Asked(p.prompt, tuple(map(media.picture, p.media))) for p in problems]
    print("prior", _line(prior(task, problems)), flush=True)
    weights, spent, updates, lesson = student.initial(args.seed), 0.0, 0, 0
    while spent < args.seconds:
        goal = min(spent + args.every, args.seconds)
        while spent < goal:
            rng = stream(args.seed, "trial", lesson)
            made = _lesson(task, rng)
            began = time.process_time()
            recipe = Recipe(updates=32, batch=64, rate=args.rate, warmup=16)
            weights, report = student.fit(weights, Data(tuple(made)), recipe, lesson)
            spent, updates, lesson = spent + time.process_time() - began, updates + report.updates, lesson + 1
        began = time.process_time()
        said = student.answer(weights, shown, Decoding(), 0)
        each = (time.process_time() - began) / len(said)
        right: dict[str, list[bool]] = defaultdict(list)
        for p, text in zip(problems, said, strict=True):
            right[p.skills[0]].append(text == p.answer)
        print(f"{spent:.0f} s, {updates} updates, loss {report.loss[1]:.3f}, {each * 1e3:.2f} ms an answer:",
              _line({skill: float(np.mean(hits)) for skill, hits in right.items()}), flush=True)  # fmt: skip


def _lesson(task: Task, rng: np.random.Generator) -> list[Example]:
    """Two thousand examples, each kind equally often."""
    by_skill: dict[str, list[Example]] = defaultdict(list)
    if task.name == "scenes":
        return [e for skill in task.skills for e in task.generate(skill, 2048 // len(task.skills), rng)]
    for example in task.pool():
        by_skill[example.skills[0]].append(example)
    return [rows[i] for rows in by_skill.values() for i in rng.integers(len(rows), size=2048 // len(by_skill))]


def _line(by_skill: dict[str, float]) -> str:
    mean = float(np.mean(list(by_skill.values())))
    return f"mean {mean:.3f} " + " ".join(f"{skill} {value:.2f}" for skill, value in by_skill.items())


if __name__ == "__main__":
    main()
