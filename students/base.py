"""Student, State and Recipe, and the two pure functions under everything: ``train`` and ``respond``.

A student is pure: weights go in, new weights come out, nothing hidden stays behind. A State is *named by its
derivation*: the key says how it came about, so it can be looked up, forked and rebuilt without being computed.
"""

from __future__ import annotations

import ast
import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from tasks.records import Example, Record, digest, digest_examples, stream


class Recipe(Record):
    """How data is trained.

    Attributes:
        method: ``sft``: next-token loss on the responses.
        updates: Optimiser steps; a step of the environment is a fixed number of them, never seconds. The most that are
            made, where there is patience.
        batch: Examples per update.
        rate: Peak learning rate of AdamW.
        warmup: Updates over which the rate rises linearly from zero, where the optimiser starts afresh.
        weight_decay: Of AdamW.
        clip: Largest gradient norm.
        start: ``current`` goes on from the student as it is; ``base`` from the untaught student.
        data: ``lesson`` trains on this lesson; ``all`` on every lesson so far.
        replay: Share of each batch drawn from earlier lessons and from what the student knew at first, in [0, 1).
        optimiser: ``carry`` keeps AdamW's moments from the state before; ``reset`` starts them at zero.
        cooldown: Updates of a branch, with the rate falling to zero by a cosine, that is what exams see; the next
            training goes on from where the branch began. With ``warmup`` it is the warm-up, stable, cool-down schedule.
        patience: Looks at the feedback problems' loss, without a better one, after which training stops; 0 to make
            all updates. Under ``data="all"`` it grows with the data: times all examples over those of the first lesson.
        interval: Updates between two looks.
    """

    method: Literal["sft"] = "sft"
    updates: Annotated[int, Field(ge=1, le=1_000_000)] = 32
    batch: Annotated[int, Field(ge=1, le=65_536)] = 64
    rate: Annotated[float, Field(gt=0, le=1)] = 3e-3
    warmup: Annotated[int, Field(ge=0)] = 0
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    clip: Annotated[float, Field(gt=0)] = 1.0
    start: Literal["current", "base"] = "current"
    data: Literal["lesson", "all"] = "lesson"
    replay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    optimiser: Literal["carry", "reset"] = "carry"
    cooldown: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    patience: Annotated[int, Field(ge=0)] = 0
    interval: Annotated[int, Field(ge=1)] = 16


class Decoding(Record):
    """How a student answers: ``temperature`` 0 is greedy; at most ``max_tokens`` new tokens."""

    temperature: Annotated[float, Field(ge=0)] = 0.0
    max_tokens: Annotated[int, Field(ge=1)] = 32


@dataclass(frozen=True)
class Data:
    """What one training run sees: the lesson, the earlier examples that replay draws from, and what patience watches.

    ``watched`` examples are read and not trained on.
    """

    lesson: tuple[Example, ...]
    earlier: tuple[Example, ...] = ()
    watched: tuple[Example, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Names the data, order included."""
        return digest([digest_examples(part) for part in (self.lesson, self.earlier, self.watched)])


@dataclass(frozen=True)
class State:
    """A student at one moment: its name (how it came about) and its weights (a safetensors blob)."""

    key: str
    weights: bytes


class Trained(Record):
    """What a training run reports.

    Attributes:
        loss: Mean response loss (nats per token) of the first and of the last eighth of the updates.
        updates: Optimiser steps made, a branch's apart.
        tokens: Tokens that went forward and backward, padding excluded.
        looks: How often the watched examples were looked at.
    """

    loss: tuple[float, float]
    updates: int
    tokens: int
    looks: int = 0


class TrainingDiverged(ArithmeticError):
    """The loss became NaN or infinite; the state before is untouched."""


class Student(ABC):
    """A trainable model. Subclasses keep no state between calls beyond what can be recomputed from ``args``."""

    name: ClassVar[str]
    simulated: ClassVar[bool] = False
    code: ClassVar[tuple[str, ...]] = ()
    """Modules that decide what it computes, besides its own and those of what it inherits from."""

    def __init__(self, **args: Any) -> None:
        self.args = args

    @cached_property
    def fingerprint(self) -> str:
        """Names everything that decides what training computes, weights and data apart."""
        return digest([self.name, self.args, code_digest(type(self)), self.base, self.numerics])

    @property
    @abstractmethod
    def base(self) -> dict[str, Any]:
        """Base weights, architecture, tokenizer and chat template, as JSON."""

    @property
    @abstractmethod
    def numerics(self) -> dict[str, Any]:
        """The numerics class, as JSON: device type, dtype, threads, instruction set, library version."""

    @abstractmethod
    def initial(self, seed: int) -> bytes:
        """The weights before any training, as a safetensors blob."""

    @abstractmethod
    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        """Train. Pure: equal arguments give equal bytes within one numerics class.

        Raises:
            TrainingDiverged: If the loss is not finite.
        """

    @abstractmethod
    def answer(self, weights: bytes, prompts: Sequence[str], decoding: Decoding, seed: int) -> list[str]:
        """Decode a response to each prompt, in order."""

    @abstractmethod
    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean response loss of each example, in nats per token (teacher-forced, no training)."""

    def entropies(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean entropy of what the student would write at each token of the response, in nats (teacher-forced).

        Raises:
            NotImplementedError: If the student does not measure it, which is the default.
        """
        raise NotImplementedError(f"student {self.name!r} does not measure entropy; probe kind='loss' in its place")

    @abstractmethod
    def tokens(self, example: Example) -> int:
        """Tokens of an example as the student trains on it; the unit of the budget."""

    @abstractmethod
    def refuse(self, example: Example) -> str | None:
        """Why the student cannot be trained on an example (``length``, ``alphabet``), or ``None``."""

    @abstractmethod
    def export(self, weights: bytes, folder: Path) -> None:
        """Write the student as a folder that ``transformers``' ``from_pretrained`` loads."""


@lru_cache(maxsize=64)
def code_digest(student: type[Student]) -> str:
    """Names the code that trains: this module, the records', those of the student, its parents and its ``code``.

    Comments, docstrings and layout are left out.

    So a change to what is trained changes every State key by itself, and a change of wording changes none.
    """
    inherited = {c.__module__ for c in student.__mro__ if c.__module__ not in ("abc", "builtins")}
    modules = [sys.modules[name] for name in sorted({__name__, stream.__module__, *student.code} | inherited)]
    try:
        return digest([_bare(inspect.getsource(module)) for module in modules])
    except (OSError, TypeError):
        raise TypeError(
            f"student {student.__name__} is defined where Python keeps no source; put it in a file, for a student's "
            "fingerprint covers the code that trains it"
        ) from None


def _bare(source: str) -> str:
    """The syntax tree of a module without its docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return ast.dump(tree)


def initial_key(student: Student, seed: int) -> str:
    """The name of the state before any training."""
    return digest(["initial", student.fingerprint, seed])


def derive_key(student: Student, parent: str, data_digest: str, recipe: Recipe, seed: int) -> str:
    """The name of the state that training would give."""
    return digest(["train", student.fingerprint, parent, data_digest, recipe.model_dump(mode="json"), seed])


def initial(student: Student, seed: int) -> State:
    """The untrained student of a seed."""
    return State(initial_key(student, seed), student.initial(seed))


def train(student: Student, state: State, data: Data, recipe: Recipe, seed: int) -> tuple[State, Trained]:
    """Fine-tune: ``state`` is left as it is, a new State comes back, and what the training reports."""
    weights, trained = student.fit(state.weights, data, recipe, seed)
    return State(derive_key(student, state.key, data.digest, recipe, seed), weights), trained


def respond(student: Student, state: State, prompts: Sequence[str], decoding: Decoding, seed: int) -> list[str]:
    """What the student answers. Grading is apart (``Task.grade``) and never stored together with responses."""
    return student.answer(state.weights, prompts, decoding, seed)
