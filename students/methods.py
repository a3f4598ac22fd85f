"""What a student made of tensors can be trained by besides next-token loss, by the name that a recipe gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from students.base import Data, Method, Recipe
from students.dpo import Preferring
from students.grpo import Practising
from students.loop import Fitted
from students.policy import Policy

if TYPE_CHECKING:
    import torch

METHODS: tuple[Method, ...] = ("sft", "grpo", "dpo")
CODE = ("students.loop", "students.policy", "students.grpo", "students.dpo", __name__)
"""Modules that decide what such a student computes; see ``Student.code``."""


def beyond(policy: Policy, data: Data, recipe: Recipe, seed: int, moments: dict[str, torch.Tensor]) -> Fitted:
    """One training run by a method that is not ``sft``.

    Args:
        policy: The model.
        data: What ``Practising`` or ``Preferring`` takes.
        recipe: Of method ``grpo`` or ``dpo``.
        seed: Of every order and draw.
        moments: AdamW's.
    """
    method = Practising if recipe.method == "grpo" else Preferring
    return method(policy, data, recipe, seed).run(moments)
