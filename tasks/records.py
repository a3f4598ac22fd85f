"""The records that every other package speaks in: Problem, Example, Grade, and how records are named.

Everything here is small, immutable and JSON. ``digest`` gives a record its name: the SHA-256 of its canonical JSON,
so equal content has an equal name on every machine and in every process.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable
from operator import not_
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

Kind = Literal["solution", "edit", "document", "dialogue"]
Split = Literal["feedback", "selection", "test", "transfer"]
SPLITS: tuple[Split, ...] = ("feedback", "selection", "test", "transfer")
"""Sealed splits. Teachers see *feedback* responses; *selection* is behind the reward; the rest is the board's."""


def absent(value: object) -> bool:
    """For ``Field(exclude_if=absent)``: without a value, a record keeps the name that it had without the field."""
    return value is None


class Record(BaseModel):
    """A frozen pydantic model that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(Record):
    """A question with a checkable answer. It belongs to exactly one split.

    Attributes:
        id: Unique within the task, stable across processes.
        prompt: What the student reads.
        answer: The gold answer; the task's checker accepts it. Empty where ``check`` alone says what is right.
        skills: The skills it needs, the primary one first (the row it is counted in).
        split: The split it is sealed in.
        difficulty: Task-defined, in [0, 1]; 0 is easiest.
        media: Digests of the images that the prompt refers to, in order; the blobs are in the store.
        check: How an answer to it is checked, as JSON, where that is not by comparing texts.
        suite: Of *transfer*: which of several suites it is of; empty where there is one. Of *test*: the part with a
            name that it is of, if any.
    """

    id: str
    prompt: str
    answer: str
    skills: tuple[str, ...]
    split: Split
    difficulty: float = 0.0
    media: tuple[str, ...] = Field(default=(), exclude_if=not_)
    check: str | None = Field(default=None, exclude_if=absent)
    suite: str = Field(default="", exclude_if=not_)


class Example(Record):
    """One training record.

    Attributes:
        prompt: What the student reads; carries no loss.
        response: What the student learns to write; carries the loss.
        skills: The skills it teaches, the primary one first; may be empty where the teacher does not say.
        kind: ``solution``, a worked answer; ``edit``, a better answer to a prompt that shows a worse one; ``document``,
            a text that is read as a whole, whose prompt may be empty; ``dialogue``, the last turn of several.
        origin: Who made it (an engine's or a teacher's name).
        rejected: A response that the other one is preferred to; it makes the example a pair.
        check: How an answer to it is checked, as JSON: tests, rules or a tool schema. The task reads it in ``judge``,
            ``verify`` and ``same``; no student reads it.
        media: Digests of the images that the prompt refers to, in order; the blobs are in the store.
    """

    prompt: str
    response: str
    skills: tuple[str, ...] = ()
    kind: Kind = "solution"
    origin: str = ""
    # Optional fields are left out of a record's JSON where they hold nothing: they rename nothing that has none.
    rejected: str | None = Field(default=None, exclude_if=absent)
    check: str | None = Field(default=None, exclude_if=absent)
    media: tuple[str, ...] = Field(default=(), exclude_if=not_)

    @classmethod
    def made(
        cls, prompts: Iterable[str], responses: Iterable[str], labels: Iterable[tuple[tuple[str, ...], Kind, str]]
    ) -> list[Example]:
        """Examples of our own making, which nobody validates; what comes from anybody else is given to ``Example(…)``.

        They equal those that are validated.

        Args:
            prompts: Of each.
            responses: Of each.
            labels: Skills, kind and origin of each.
        """
        given = {"prompt", "response", "skills", "origin"}
        new, put, made = cls.__new__, object.__setattr__, []
        for prompt, response, (skills, kind, origin) in zip(prompts, responses, labels, strict=True):
            example = new(cls)
            fields = {"prompt": prompt, "response": response, "skills": skills, "kind": kind, "origin": origin}
            put(example, "__dict__", fields | {"rejected": None, "check": None, "media": ()})
            put(example, "__pydantic_fields_set__", given)
            put(example, "__pydantic_extra__", None)
            put(example, "__pydantic_private__", None)
            made.append(example)
        return made

    @field_validator("check")
    @classmethod
    def _is_json(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                json.loads(value)
            except RecursionError:
                raise ValueError("check is nested too deeply; give flatter JSON") from None
        return value


class Grade(Record):
    """What a task's checker says of a response.

    Attributes:
        correct: Whether the response answers the problem.
        error: Why the *checker* failed, or ``None``. A checker that failed has not found the answer wrong.
        lenient: Whether it is right if only the form of the answer is forgiven (the answer is the last number or choice
            letter of the response, or stands in it as words); ``None`` where the task has no lenient score. What is
            ``correct`` is lenient too, so a gain in ``correct`` alone is one of form and not of skill.
        parts: Whether each part of the response is right, by the part's name (a test, a step of a plan); ``None``
            where the task knows no parts. ``correct`` is then whether all of them are.
    """

    correct: bool
    error: str | None = None
    lenient: bool | None = None
    parts: dict[str, bool] | None = Field(default=None, exclude_if=absent)


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN.

    Raises:
        ValueError: If the value holds NaN or an infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def digest_examples(examples: Iterable[Example]) -> str:
    """The name of a lesson: order matters, for the order is part of what is trained."""
    return digest(as_objects(examples))


def as_objects(examples: Iterable[Example]) -> list[dict[str, Any]]:
    """Examples as a lesson's record holds them: JSON objects, without the optional fields that hold nothing."""
    return [example.model_dump(mode="json") for example in examples]


def stream(seed: int, purpose: str, step: int = 0) -> np.random.Generator:
    """The random generator of one purpose at one step of one seed.

    Every draw of the project comes from such a stream, so one more draw for one purpose shifts nothing for another.

    Args:
        seed: Non-negative.
        purpose: A word, such as ``"engine"``; hashed by CRC-32, which is the same in every process.
        step: Non-negative.
    """
    return np.random.default_rng(np.random.SeedSequence((seed, zlib.crc32(purpose.encode()), step)))
