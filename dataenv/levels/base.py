"""What a level is: it declares the spaces, reads an action into a plan, and shapes the observation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

TEXT = 256
"""Longest text in an observation, in characters; longer ones are cut there and nowhere else."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Plan:
    """What an action asks: to stop, examples to teach as they are, or a mixture for the engine (shares, sum 1)."""

    stop: bool = False
    offered: Sequence[Any] | None = None
    mixture: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class View:
    """What the environment knows that a teacher may see. Arrays are ``(skills,)``.

    Attributes:
        accuracy: On the feedback split, in [0, 1].
        loss: Mean loss on the feedback split's gold answers, in nats per token.
        counts: Examples taught so far by primary skill.
        score: Accuracy on the selection split, in [0, 1].
        budget: Share of the purse that is left, in [0, 1].
        errors: Feedback problems answered wrongly, an equal cap per skill: skill, prompt, response, answer.
    """

    accuracy: npt.NDArray[np.float64]
    loss: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    score: float
    budget: float
    errors: tuple[dict[str, str], ...]


class Level(ABC):
    """A component of the environment. All memory it has between steps is in the Snapshot.

    Args:
        skills: The task's skills, in order.
        lesson_size: Examples a lesson is expected to hold.
    """

    name: ClassVar[str]
    action_space: spaces.Space[Any]
    observation_space: spaces.Space[Any]

    def __init__(self, skills: tuple[str, ...], lesson_size: int) -> None:
        self.skills, self.lesson_size = skills, lesson_size

    @abstractmethod
    def read(self, action: Any) -> Plan:
        """Read an action.

        Raises:
            ActionError: If it is no action of this level; the sentence says what one is.
        """

    @abstractmethod
    def observe(self, view: View) -> dict[str, Any]:
        """A fresh observation, in ``observation_space``."""


def cut(text: str) -> str:
    """Text as an observation holds it."""
    return text[:TEXT]


def scalar(value: float) -> Floats:
    """One number as the spaces hold it: shape (1,), float32."""
    return np.array([value], np.float32)
