"""What the checks share: how a rule is broken, hostile text, and the generators that nobody may draw from."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numpy as np

from dataenv import registry
from dataenv.errors import DataenvError, SettingError

T = TypeVar("T")

HOSTILE = ("", " ", "\x00\x1b[2J\r\n\t", "é漢字😀\u202e", "²½٣", "\ud800", "<script>alert(1)</script>", "9" * 100_000)
"""What a student, a teacher or a file may say. ``²`` is a digit to ``str.isdigit`` and none to ``int``."""
HOSTILE_EXAMPLES = tuple(text for text in HOSTILE if text != "\ud800")
"""Of these, what an ``Example`` can hold: pydantic refuses half a character."""

SEALED = ("identity", "picture")
"""How it is seen that an example is a sealed problem; the other ways are for what holds one somewhere."""

HOSTILE_CHECKS = ("null", "0", '"x"', "[]", "{}", "-1e999", '{"": [null, {"tests": 7}]}', "[" * 90 + "]" * 90)
"""JSON that a teacher may put in ``Example.check``: of a form that no task asks for."""


class ContractError(DataenvError):
    """A task, student, teacher or another registered thing breaks its contract."""


def demand(kept: bool, sentence: str) -> None:
    """A rule.

    Raises:
        ContractError: With the sentence, if the rule is not kept.
    """
    if not kept:
        raise ContractError(sentence)


@contextmanager
def own_randomness(what: str) -> Iterator[None]:
    """Refuse draws from the generators that everybody shares."""
    before = _shared_randomness()
    yield
    for library, state in _shared_randomness().items():
        demand(
            before.get(library, state) == state,
            f"{what} draws from {library}'s global generator, which shifts everybody's draws; draw from the generator "
            "or seed that it is given",
        )


def _shared_randomness() -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state(legacy=True)
    states: dict[str, Any] = {"random": random.getstate(), "numpy": (kind, np.asarray(keys).tobytes(), *rest)}
    torch = sys.modules.get("torch")  # who has not loaded it has not drawn from it
    if torch is not None:
        states["torch"] = torch.random.get_rng_state().numpy().tobytes()
    return states


def survives(call: Callable[[], Any], what: str, instead: str) -> Any:
    """The result of a call that must not raise, on any text."""
    try:
        return call()
    except Exception as error:
        raise ContractError(f"{what} raises {type(error).__name__} ({error!s:.80}); give {instead}") from error


def short(text: str) -> str:
    """Text as a message can show it: escaped and not long."""
    shown = ascii(text)
    return shown if len(shown) <= 40 else f"{shown[:30]}… ({len(text)} characters)"


def made_of(kind: registry.Kind, thing: Any, base: Callable[..., T]) -> T:
    """What is checked, made where it is a name or a class.

    Args:
        kind: What it is.
        thing: A registered name, a class that needs no arguments, or the thing itself.
        base: What it derives from.

    Raises:
        ContractError: If it cannot be made, or does not derive from that.
    """
    try:
        made = registry.build(kind, thing) if isinstance(thing, str) else thing() if isinstance(thing, type) else thing
    except (SettingError, TypeError, ValueError) as error:
        raise ContractError(f"{kind} cannot be made ({error}); give one that is") from error
    derived = isinstance(made, cast("type[Any]", base))  # abstract classes are no type[T] to mypy
    demand(derived, f"it is a {type(made).__name__}; derive it from {base.__module__}.{base.__name__}")
    return cast("T", made)


def class_of(kind: registry.Kind, thing: str | type[Any], base: type[Any]) -> Any:
    """The class that is checked.

    Args:
        kind: What it is.
        thing: A registered name, or the class.
        base: What it derives from.

    Raises:
        ContractError: If it does not derive from that, or leaves something out.
    """
    found = registry.find(kind, thing) if isinstance(thing, str) else thing
    derived = isinstance(found, type) and issubclass(found, base)
    demand(derived, f"it is {found!r:.60}, no subclass of {base.__module__}.{base.__name__}; derive it from that")
    lacking = sorted(getattr(found, "__abstractmethods__", ()))
    demand(not lacking, f"it lacks {', '.join(lacking)}; see {base.__module__}.{base.__name__}")
    return found


def says_what_it_is(kind: str, thing: Any) -> None:
    """Whatever has a name has a sentence, which ``dataenv list`` shows."""
    said = thing.__dict__.get("__doc__")
    demand(bool(said and said.strip()), f"the {kind} has no docstring; say in one sentence what it is")
