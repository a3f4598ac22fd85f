"""What a teacher that brings its data is given, without an environment: a task of two skills and a made-up student."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from dataenv.errors import BudgetSpentError
from tasks.errors import UnsupportedError
from tasks.records import Example, stream

SKILLS = ("add", "chain")


class Fake:
    """A context. An example's prompt says its skill and difficulty; every token costs 1, and every text has one.

    Args:
        tokens: The purse.
        knows: How likely the student is right, by skill and difficulty.
        generator: Whether the task has one; else there is a pool of four examples a skill.
        effect: The influence of a group, by its examples.
    """

    def __init__(
        self,
        tokens: int = 10_000,
        knows: Callable[[str, float], float] = lambda skill, difficulty: 0.5,
        generator: bool = True,
        effect: Callable[[Sequence[Example]], float] = lambda group: 0.0,
    ) -> None:
        self.skills, self.lesson_size, self.rng = SKILLS, 40, stream(0, "teacher")
        self.order, self.step = "shuffled", 0
        self.budget = SimpleNamespace(
            total=tokens, spent=0, remaining=tokens, step_price=1000, example_price=1, answer_price=2
        )
        self.knows, self.effect, self._generator = knows, effect, generator
        self.asked: list[Any] = []
        self._made = 0

    def generate(self, skill: str, n: int, difficulty: float | None = None) -> list[Example]:
        if not self._generator:
            raise UnsupportedError("no generator")
        return [self._example(skill, difficulty) for _ in range(n)]

    def pool(self) -> list[Example]:
        return [self._example(skill, None) for skill in SKILLS for _ in range(4)]

    def _example(self, skill: str, difficulty: float | None) -> Example:
        self._made += 1
        needs = ("chain", "add") if skill == "chain" else (skill,)
        return Example(prompt=f"{skill} {difficulty} {self._made}", response="right", skills=needs, origin="engine")

    def describe(self, error: dict[str, str]) -> tuple[str, float]:
        skill, difficulty, _ = error["prompt"].split()
        return skill, float(difficulty)

    def sames(self, pairs: Sequence[tuple[Example, str]]) -> list[bool]:
        return [self.same(example, answer) for example, answer in pairs]

    def same(self, example: Example, answer: str) -> bool:
        return answer == example.response

    def pay(self, price: int) -> None:
        if price > self.budget.remaining:
            raise BudgetSpentError("the purse is too small")
        self.budget.spent += price
        self.budget.remaining -= price

    def probe(self, examples: list[Example], kind: str) -> Any:
        self.pay(2 * len(examples))
        self.asked.append(examples)
        return np.array([self._right(e.prompt) for e in examples], np.float64)

    def sample(self, prompts: list[str], n: int, temperature: float) -> list[list[str]]:
        self.pay(2 * n * len(prompts))
        self.asked.append(prompts)
        return [["right" if self._right(p) else "wrong" for _ in range(n)] for p in prompts]

    def influence(self, groups: list[list[Example]], reference: list[Example]) -> Any:
        self.pay(sum(3 * len(group) + len(reference) for group in groups) + len(reference))
        self.asked.append(groups)
        return np.array([self.effect(group) for group in groups])

    def _right(self, prompt: str) -> bool:
        skill, difficulty, _ = prompt.split()
        return bool(self.rng.random() < self.knows(skill, 0.0 if difficulty == "None" else float(difficulty)))


def wrong(*places: str) -> dict[str, Any]:
    """An observation with an error of each ``skill difficulty``."""
    counts = [sum(place.startswith(skill) for place in places) for skill in SKILLS]
    errors = tuple({"prompt": f"{p} 0", "response": "", "answer": "right"} for p in places)
    return {"errors": errors, "wrong": np.array(counts, np.float32)}


def taught(lesson: Sequence[Example]) -> dict[str, int]:
    """How many examples of each ``skill difficulty``."""
    counts: dict[str, int] = {}
    for example in lesson:
        place = example.prompt.rsplit(" ", 1)[0]
        counts[place] = counts.get(place, 0) + 1
    return counts
