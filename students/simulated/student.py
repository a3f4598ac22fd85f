"""The student: it reads real lessons and answers real problems, and what it knows is k numbers (see ``model``).

It learns a problem's skill from what the problem *is*, not from what an example says it is. Each problem has a place
in [0, 1) that its text decides; a student of accuracy a at a skill answers those below a, so one who knows more answers
the same ones and more, and exams of two students differ by what they know and by nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice, repeat
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load, save

from students.base import Asked, Data, Decoding, Recipe, Student, Trained
from students.simulated.model import Floats, Model, fitted
from tasks.arithmetic import Arithmetic
from tasks.errors import UnsupportedError
from tasks.records import Example, digest, stream

STRANGE = float(np.log(97))
"""Loss on what it cannot make sense of, nats per token: a guess among pocket's tokens."""
CONTEXT = 64
"""Longest prompt and response together in characters and one end, as of pocket."""


class Known(NamedTuple):
    """What a prompt asks: its skill's place in the arrays, its gold answer, and its own place in [0, 1)."""

    skill: int
    answer: str
    place: float


class Simulated(Student):
    """The simulated student. It knows the task ``arithmetic``.

    Args:
        speed: Multiplies how fast it learns; another size of student.
        spread: Standard deviation of the log of a student's pace on a skill, over seeds; ``None`` for the fitted one.
    """

    name = "simulated"
    simulated = True
    tasks = ("arithmetic",)
    code = ("students.simulated.model",)

    def __init__(self, speed: float = 1.0, spread: float | None = None) -> None:
        super().__init__(speed=speed, spread=spread)
        if not (np.isfinite(speed) and speed > 0):
            raise ValueError(f"student_args.speed is {speed!r}; give a number above 0")
        if spread is not None and not (np.isfinite(spread) and spread >= 0):
            raise ValueError(f"student_args.spread is {spread!r}; give a number of at least 0, or null")
        self.curves = fitted()
        self.model, self.speed = Model(self.curves), speed
        self.spread = self.curves.spread if spread is None else spread

    @property
    def base(self) -> dict[str, Any]:
        """The curves."""
        return {"curves": digest(self.curves.model_dump(mode="json")), "skills": list(self.curves.skills)}

    @property
    def numerics(self) -> dict[str, Any]:
        """Double precision."""
        return {"dtype": "float64", "numpy": np.__version__}

    def initial(self, seed: int) -> bytes:
        """A student that knows nothing yet, at the pace of its seed."""
        return save({"loss": self.model.ceiling.copy(), "pace": self.speed * self.model.pace(seed, self.spread)})

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        """Learn by the shares of the skills in the data and the number of updates.

        Rate and updates count, to first order; warm-up, weight decay, clipping, patience and the optimiser's moments do
        not. A cool-down's updates count as a quarter each, about the mean of its rate, and go on into the next lesson.
        """
        state = load(weights)
        loss, pace = state["loss"][None], state["pace"][None]
        lesson = self.shares(data.lesson)
        replayed = round(recipe.batch * recipe.replay) / recipe.batch if data.earlier else 0.0
        mixed = (1 - replayed) * lesson + (replayed * self.shares(data.earlier) if replayed else 0.0)
        after = self.model.after(loss, pace, mixed[None], self.effort(recipe))
        fresh, earlier = ([self.tokens(e) for e in part] for part in (data.lesson, data.earlier))
        tokens = sum(islice(self.walk(fresh, earlier, recipe, seed), recipe.updates + recipe.cooldown))
        ends = tuple(float(lesson @ at[0] + max(0.0, 1 - lesson.sum()) * STRANGE) for at in (loss, after))
        report = Trained(loss=(ends[0], ends[1]), updates=recipe.updates, tokens=tokens)
        return save({"loss": after[0], "pace": state["pace"]}), report

    def walk(self, fresh: Sequence[int], earlier: Sequence[int], recipe: Recipe, seed: int) -> Iterator[int]:
        """The tokens of each update: a batch of mean length, for it learns by shares; see ``training.walk``."""
        replayed = round(recipe.batch * recipe.replay) if earlier else 0
        tokens = (recipe.batch - replayed) * float(np.mean(fresh))
        return repeat(ceil(tokens + (replayed * float(np.mean(earlier)) if replayed else 0.0) - 1e-9))

    def answer(self, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        """Gold answers to the problems that it can do, and a digit amiss in the others; drawn anew when it is warm."""
        accuracy = self.model.accuracy(load(weights)["loss"])
        drawn = stream(seed, "answers").random(len(asked)) if decoding.temperature > 0 else None
        out = []
        for i, known in enumerate(recognise(text) for text, _ in asked):
            if known is None:
                out.append("")
                continue
            place = known.place if drawn is None else drawn[i]
            right = place < accuracy[known.skill]
            out.append((known.answer if right else _amiss(known.answer))[: decoding.max_tokens])
        return out

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """The loss of its skill where the response is right; that of a guess where it is not."""
        loss = load(weights)["loss"]
        return [STRANGE if (i := _teaches(e)) is None else float(loss[i]) for e in examples]

    def tokens(self, example: Example) -> int:
        """As pocket's: characters and one end token."""
        return len(example.prompt) + len(example.response) + 1

    def refuse(self, example: Example) -> str | None:
        """What is too long for pocket, and what is no question of the task."""
        if self.tokens(example) > CONTEXT:
            return "length"
        return None if recognise(example.prompt) else "alphabet"

    def export(self, weights: bytes, folder: Path) -> None:
        """There is nothing to write.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError("student 'simulated' is a learning curve without a model; export a real student")

    def shares(self, examples: Sequence[Example]) -> Floats:
        """Shares of the examples by the skill that they teach, ``(k,)``; wrong responses are in none."""
        taught = [i for e in examples if (i := _teaches(e)) is not None]
        counts = np.bincount(np.array(taught, np.int64), minlength=len(self.curves.skills))
        return np.asarray(counts / len(examples))

    def effort(self, recipe: Recipe) -> float:
        """Updates of a recipe in units of the rate that the curves were measured at."""
        return (recipe.updates + 0.25 * recipe.cooldown) * recipe.rate / self.curves.rate


def _teaches(example: Example) -> int | None:
    """The skill that an example teaches, or ``None`` where its response is wrong."""
    known = recognise(example.prompt)
    return known.skill if known is not None and example.response.strip(" ") == known.answer else None


@lru_cache(maxsize=1 << 15)  # a lesson is read by the screen, the fit and the losses; exams are always the same
def recognise(prompt: str) -> Known | None:
    """What a prompt asks, or ``None`` where it is no question of a skill that is taught."""
    solved = _TASK.solve(prompt)
    if solved is None:
        return None
    skill, answer = solved
    place = int.from_bytes(hashlib.blake2b(prompt.encode(), digest_size=8).digest(), "big") / 2**64
    return Known(_TASK.skills.index(skill), answer, place)


def _amiss(answer: str) -> str:
    """The answer with its last digit one off."""
    return answer[:-1] + str((int(answer[-1]) + 1) % 10)


_TASK = Arithmetic()
