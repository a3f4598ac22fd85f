"""Methods of training by name, and how a student made of tensors is trained by one."""

from __future__ import annotations

import importlib
from functools import lru_cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from students.base import Data, Recipe, code_digest
from students.training.loop import Fitted
from students.training.method import Method
from students.training.policy import Policy

if TYPE_CHECKING:
    import torch

BUILT_IN = {
    "sft": "students.training.methods:NextToken",
    "grpo": "students.training.grpo:Practising",
    "dpo": "students.training.dpo:Preferring",
}
"""Methods of this project: ``name -> "module:Class"``."""
GROUP = "dataenv.methods"
"""The entry-point group of methods from outside."""
METHODS = tuple(BUILT_IN)
CODE = (
    "students.training.adamw",
    "students.training.loop",
    "students.training.policy",
    "students.training.grpo",
    "students.training.dpo",
)
"""Modules that decide what such a student computes; see ``Student.code``."""


class NextToken(Method):
    """Next-token loss on the responses. Students train by it themselves, and it has its price from here."""

    def __init__(self, policy: Policy, data: Data, recipe: Recipe, seed: int) -> None:
        raise NotImplementedError("method 'sft' is each student's own; see Student.fit")

    def run(self, moments: dict[str, torch.Tensor]) -> Fitted:
        """See the class."""
        raise NotImplementedError("method 'sft' is each student's own; see Student.fit")


HERE: dict[str, Any] = {}
"""Methods that this process was told of: their classes, or where these are; see ``dataenv.register``."""


@lru_cache(maxsize=1)
def _outside() -> dict[str, str]:
    """Entry points: scanning them takes milliseconds, and they do not change while a process runs."""
    return {point.name: point.value for point in entry_points(group=GROUP)}


def names() -> dict[str, str]:
    """Every method and where its class is; those of this project win over entry points."""
    here = {k: v if isinstance(v, str) else f"{v.__module__}:{v.__qualname__}" for k, v in HERE.items()}
    return _outside() | here | BUILT_IN


def method_of(recipe: Recipe) -> type[Method]:
    """The method of a recipe.

    Raises:
        ValueError: If there is none of that name, or it cannot be loaded.
    """
    known = names()
    where = known.get(recipe.method, recipe.method if ":" in recipe.method else "")
    if not where:
        raise ValueError(f"method is {recipe.method!r}; give one of {', '.join(known)}")
    module, _, attribute = where.partition(":")
    found = None if recipe.method in BUILT_IN else HERE.get(recipe.method)
    try:
        found = getattr(importlib.import_module(module), attribute) if not isinstance(found, type) else found
    except (Exception, SystemExit) as error:  # whatever somebody's module does when it is imported: said
        raise ValueError(f"method {recipe.method!r} is {where!r}, which cannot be loaded: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise ValueError(
            f"method {recipe.method!r} is no subclass of students.training.method.Method; derive it from that"
        )
    return found


def method_code(recipe: Recipe) -> str:
    """Names the code of a method from outside; empty for the others, whose code is in a student's fingerprint."""
    return "" if recipe.method in BUILT_IN else code_digest(method_of(recipe))


def beyond(policy: Policy, data: Data, recipe: Recipe, seed: int, moments: dict[str, torch.Tensor]) -> Fitted:
    """One training run by a method that is not ``sft``.

    Args:
        policy: The model.
        data: What the method takes.
        recipe: Of that method.
        seed: Of every order and draw.
        moments: AdamW's.
    """
    return method_of(recipe)(policy, data, recipe, seed).run(moments)
