"""A task and a student without gradients, for tests of what holds them. Both keep their contracts."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from students.base import Asked, Data, Decoding, Recipe, Student, Trained
from students.training.walk import tokens_of_batches
from tasks.base import Task
from tasks.discovered import Discovery, item_key
from tasks.errors import UnsupportedError
from tasks.records import Example, Grade, Problem, Split, stream

BUCKETS: dict[str, set[int]] = {"feedback": {0}, "selection": {1}, "test": {2}, "transfer": {3}}
TAUGHT = set(range(4, 16))
TOYS: dict[str, Any] = {
    "task": "reverse",
    "student": "parrot",
    "warm_start": {"examples": 0},
    "recipe": {"updates": 3, "batch": 4, "replay": 0.25},
    "lesson_size": 8,
    "items": {"feedback": 4, "selection": 4, "test": 4, "transfer": 4},
    "decoding": {"max_tokens": 7},
}
"""A Setting of the two, for tests that use the fixture ``toys``; a step takes milliseconds."""


class Reverse(Task):
    """Write a word backwards. A word's hash says which split owns it."""

    name = "reverse"
    version = "1"
    skills = ("short", "long")

    def split(self, name: Split) -> Sequence[Problem]:
        rng = stream(0, f"reverse/{name}")
        return [
            Problem(id=f"{name}/{word}", prompt=f"{word}>", answer=word[::-1], skills=(skill,), split=name)
            for skill in self.skills
            for word in self.words(skill, 10, rng, BUCKETS[name])
        ]

    def grade(self, problem: Problem, response: str) -> Grade:
        return Grade(correct=response.strip() == problem.answer)

    def identity(self, prompt: str) -> str:
        return prompt.strip()

    def generate(self, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None) -> list[Example]:
        words = self.words(skill, n, rng, TAUGHT)
        return [Example(prompt=f"{w}>", response=w[::-1], skills=(skill,)) for w in words]

    def pool(self) -> Sequence[Example]:
        return [e for skill in self.skills for e in self.generate(skill, 10, stream(0, "pool"))]

    def judge(self, example: Example) -> bool | None:
        return example.response == example.prompt.rstrip(">")[::-1]

    def words(self, skill: str, n: int, rng: np.random.Generator, buckets: set[int]) -> list[str]:
        length = {"short": 3, "long": 5}[skill]
        found: dict[str, None] = {}
        while len(found) < n:
            word = "".join(chr(97 + c) for c in rng.integers(26, size=length))
            if zlib.crc32(word.encode()) % 16 in buckets:
                found[word] = None
        return list(found)


class Plenty(Reverse):
    """The same with a larger pool, and with capitals in long words, by which a text shows its skill."""

    name = "plenty"

    def pool(self) -> Sequence[Example]:
        return [e for skill in self.skills for e in self.generate(skill, 200, stream(0, "plenty"))]

    def words(self, skill: str, n: int, rng: np.random.Generator, buckets: set[int]) -> list[str]:
        words = super().words(skill, n, rng, buckets)
        return [word.upper() for word in words] if skill == "long" else words


OTHER = {"short": "brief words", "long": "lengthy words"}


def found(task: Task, /, **fields: Any) -> Discovery:
    """A discovery of the toy's own skills under other names, from every item of its pool."""
    items = {item_key(task, e.prompt): OTHER[e.skills[0]] for e in task.pool()}
    return Discovery(**{"task": task.name, "method": "test", "skills": tuple(OTHER.values()), "items": items} | fields)


class Parrot(Student):
    """Knows by heart what it was taught, and says so. Weights are the JSON of what it knows."""

    name = "parrot"
    walk = staticmethod(tokens_of_batches)

    @property
    def base(self) -> dict[str, Any]:
        return {}

    @property
    def numerics(self) -> dict[str, Any]:
        return {}

    def initial(self, seed: int) -> bytes:
        return b"{}"

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        known = json.loads(weights) | {e.prompt: e.response for e in (*data.earlier, *data.lesson)}
        fresh, earlier = ([self.tokens(e) for e in part] for part in (data.lesson, data.earlier))
        tokens = sum(islice(self.walk(fresh, earlier, recipe, seed), recipe.updates + recipe.cooldown))
        report = Trained(loss=(1.0, 0.0), updates=recipe.updates, tokens=tokens)
        return json.dumps(known).encode(), report

    def answer(self, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        known = json.loads(weights)
        return [known.get(text, "")[: decoding.max_tokens] for text, _ in asked]

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        known = json.loads(weights)
        return [0.0 if known.get(e.prompt) == e.response else 1.0 for e in examples]

    def tokens(self, example: Example) -> int:
        return len(example.prompt) + len(example.response)

    def refuse(self, example: Example) -> str | None:
        return "length" if self.tokens(example) > 100 else None

    def export(self, weights: bytes, folder: Path) -> None:
        raise UnsupportedError("a parrot has no from_pretrained")


class Apprentice(Parrot):
    """Writes a word backwards but for the last letter, and that one too for more and more words as it is taught."""

    name = "apprentice"

    def answer(self, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        lengths = [len(prompt) for prompt in json.loads(weights)]
        return [
            prompt[-2::-1] if zlib.crc32(prompt.encode()) % 40 < lengths.count(len(prompt)) else prompt[-2:0:-1] + "?"
            for prompt, _ in asked
        ]


class Choosy(Apprentice):
    """An apprentice that learns long words alone: what is spent on short ones is lost."""

    name = "choosy"

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        _, report = super().fit(weights, data, recipe, seed)
        lesson = tuple(e for e in data.lesson if len(e.response) > 3)
        return super().fit(weights, Data(lesson), recipe, seed)[0] if lesson else weights, report


class Lenient(Reverse):
    """The same problems with a checker that forgives the last letter: what ``rescore`` is for."""

    def grade(self, problem: Problem, response: str) -> Grade:
        return Grade(correct=response.strip()[:-1] == problem.answer[:-1])


class Branching(Reverse):
    """The same problems, divided by the first letter of the word: short words in two subskills, long ones in three."""

    name = "branching"
    parts = {"short": {"a-m": "am", "n-z": "nz"}, "long": {"a-h": "ah", "i-q": "iq", "r-z": "rz"}}

    def subskills(self, skill: str) -> tuple[str, ...]:
        return tuple(self.parts[skill])

    def generate_subskill(self, skill: str, subskill: str, n: int, rng: np.random.Generator) -> list[Example]:
        self.check_subskill(skill, subskill, n)
        first, last = self.parts[skill][subskill]
        made: dict[str, Example] = {}
        while len(made) < n:
            fresh = self.generate(skill, 4 * n, rng)
            made |= {e.prompt: e for e in fresh if first <= e.prompt[0] <= last}
        return [e.model_copy(update={"origin": "toy"}) for e in list(made.values())[:n]]


class Renewed(Reverse):
    """A later version."""

    version = "2"


PLENTY: dict[str, Any] = TOYS | {"task": "plenty"}
"""A Setting whose skills can be discovered."""
BRANCHING: dict[str, Any] = TOYS | {
    "task": "branching",
    "student": "apprentice",
    "lesson_size": 12,
    "budget": {"student_tokens": 50_000},
}
"""A Setting with two skills, of two and three subskills."""
PAYING: dict[str, Any] = BRANCHING | {
    "student": "choosy",
    "items": {"feedback": 6, "selection": 10, "test": 4, "transfer": 4},
    "budget": {"student_tokens": 1500},
}
"""The same with a student of whose skills one cannot be learnt, and four lessons: what is taught matters."""
TOY_BOARD: dict[str, Any] = {
    "name": "toy",
    "seeds": [0, 1],
    "teachers": ["stratified", {"name": "failure", "args": {"alpha": 2.0}}],
    "references": ["nothing", "static-best"],
    "mixtures": {"seeds": [7], "weights": {"plain": {}, "long-alone": {"short": 0}}},
    "setting": {
        "task": "reverse",
        "student": "apprentice",
        "warm_start": {"examples": 0},
        "recipe": {"updates": 4, "batch": 4},
        "lesson_size": 16,
        "items": {"feedback": 5, "selection": 5, "test": 5, "transfer": 10},
        "decoding": {"max_tokens": 8},
        "budget": {"student_tokens": 1200},
    },
}
"""A board that is played in a moment, once ``reverse`` and ``apprentice`` are registered."""


def write_toml(path: Path, board: dict[str, Any]) -> str:
    """A board as the file that a user would have written; returns its path."""

    def text(value: Any) -> str:
        if isinstance(value, dict):
            return "{ " + ", ".join(f'"{k}" = {text(v)}' for k, v in value.items()) + " }"
        return "[" + ", ".join(map(text, value)) + "]" if isinstance(value, list) else json.dumps(value)

    path.write_text("\n".join(f"{key} = {text(value)}" for key, value in board.items()))
    return str(path)
