"""What a method of training is that is more than next-token loss: it trains a policy on data, and has a price.

``sft`` is each student's own. The others are named in ``training.methods``; one from outside is one class and an entry
point in the group ``dataenv.methods``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from students.base import FORWARD_BACKWARD, Data, Recipe, Student
from students.training.loop import Fitted
from students.training.policy import Policy
from tasks.records import Example

if TYPE_CHECKING:
    import torch


class Rate(NamedTuple):
    """What training costs by the token of what it sees.

    Attributes:
        times: Student tokens for each token.
        metered: Whether that is the most it may cost, and what it did cost is counted (``Trained``): how long answers
            are is known when they are written.
    """

    times: int
    metered: bool = False


class Method(ABC):
    """One training run of a policy. A subclass is made anew for each run.

    Args:
        policy: The model.
        data: The lesson, and what else the recipe asks for.
        recipe: How; ``method_args`` are this method's own.
        seed: Of every order and draw.
    """

    verifies: ClassVar[bool] = False
    """Whether it asks the task's checker about answers of the student (``Data.verdict``)."""
    pairs: ClassVar[bool] = False
    """Whether each example must be a pair (``Example.rejected``)."""

    @abstractmethod
    def __init__(self, policy: Policy, data: Data, recipe: Recipe, seed: int) -> None: ...

    @abstractmethod
    def run(self, moments: dict[str, torch.Tensor]) -> Fitted:
        """Train; ``moments`` are AdamW's."""

    @classmethod
    def rate(cls, recipe: Recipe) -> Rate:
        """What it costs; the default is that of next-token loss."""
        return Rate(FORWARD_BACKWARD)

    @classmethod
    def size(cls, student: Student, example: Example, recipe: Recipe) -> int:
        """Tokens of an example as it is trained on; the default is the example itself."""
        return student.tokens(example)

    @classmethod
    def needs_verdict(cls, recipe: Recipe) -> bool:
        """Whether a recipe of this method asks the task's checker."""
        return cls.verifies

    @classmethod
    def needs_pairs(cls, recipe: Recipe) -> bool:
        """Whether a recipe of this method is for pairs."""
        return cls.pairs
