"""Screen: what every example passes before it is trained. Nothing is dropped without being counted by its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from dataenv.leaks import Hit, guard_of
from students.base import Student
from tasks.base import Task
from tasks.records import Example

REASONS = ("form", "length", "alphabet", "duplicate", "leak", "wrong", "size", "budget")
"""Why an example is rejected, in the order in which the screen asks:

form: not a record of two non-empty texts, or no pair where pairs are asked; length, alphabet: the student cannot read
it; duplicate: twice in one lesson; leak: asks or spells out what a sealed problem asks; wrong: the task's judge says so
(only under ``verify``); size: beyond the longest lesson allowed; budget: beyond the cap on examples.
"""


@dataclass(frozen=True)
class Screened:
    """What came through, and the counts: ``offered == len(kept) + sum(rejected.values())``.

    ``judged`` counts the kept examples by the judge's verdict: right, wrong, unknown. ``leaks`` are for the board's
    owner and not for a teacher, who could ask them what is sealed.
    """

    offered: int = 0
    kept: tuple[Example, ...] = ()
    rejected: dict[str, int] = field(default_factory=dict)
    judged: dict[str, int] = field(default_factory=dict)
    leaks: tuple[Hit, ...] = ()


def screen(
    offered: Iterable[Any],
    task: Task,
    student: Student,
    *,
    verify: bool,
    largest: int,
    allowed: int | None,
    pairs: bool = False,
) -> Screened:
    """Pass a lesson through the screen.

    Args:
        offered: Examples, or whatever a teacher gave in their place; a bad one is counted and never raises.
        task: Says what is sealed, and what is right.
        student: Says what it can read.
        verify: Whether wrong examples are rejected or only counted.
        largest: Longest lesson.
        allowed: How many more examples the budget allows; ``None`` for no cap.
        pairs: Whether only pairs are taken.
    """
    guard = guard_of(task)
    kept: list[Example] = []
    rejected: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    leaks: list[Hit] = []
    seen: set[tuple[str, str, str | None]] = set()
    offers = 0
    for offer in offered:
        offers += 1
        example = as_example(offer)
        if example is None or (pairs and example.rejected is None):
            rejected["form"] += 1
            continue
        both = [example] if example.rejected is None else [example, refused(example)]
        name = (example.prompt, example.response, example.rejected)
        reason = next(filter(None, map(student.refuse, both)), None) or ("duplicate" if name in seen else None)
        if reason is not None:
            rejected[reason] += 1
            continue
        hit = next(filter(None, map(guard.find, both)), None)
        if hit is not None:
            leaks.append(hit)
            rejected["leak"] += 1
            continue
        verdict = task.judge(example)
        if verify and verdict is False:
            rejected["wrong"] += 1
        elif len(kept) >= largest:
            rejected["size"] += 1
        elif allowed is not None and len(kept) >= allowed:
            rejected["budget"] += 1
        else:
            seen.add(name)
            judged[_VERDICTS[verdict]] += 1
            kept.append(example)
    return Screened(offers, tuple(kept), dict(sorted(rejected.items())), dict(sorted(judged.items())), tuple(leaks))


def passing(examples: Iterable[Example], task: Task, student: Student) -> list[Example]:
    """Those that the student can read and that copy nothing sealed, in their order; duplicates stay."""
    guard = guard_of(task)
    return [example for example in examples if student.refuse(example) is None and guard.find(example) is None]


_VERDICTS = {True: "right", False: "wrong", None: "unknown"}


def as_example(offer: Any) -> Example | None:
    """An Example from an Example or a mapping with ``prompt`` and ``response``; ``None`` where it is neither.

    It is always a plain Example of plain texts, so that what is screened is what is trained: a subclass could show the
    screen one text and the student another.
    """
    if type(offer) is not Example:
        if isinstance(offer, Example):
            offer = {name: getattr(offer, name) for name in Example.model_fields}
        if not isinstance(offer, Mapping):
            return None
        try:
            offer = Example.model_validate(dict(offer))
        except (ValidationError, TypeError):
            return None
    if not _is_text(offer.prompt) or not _is_text(offer.response):
        return None
    if offer.rejected is not None and (not _is_text(offer.rejected) or offer.rejected == offer.response):
        return None
    return offer if all(map(_is_text, offer.skills)) and _is_text(offer.origin or "-") else None


def refused(pair: Example) -> Example:
    """A pair with what is rejected in place of the response, to be read and measured as that is."""
    return pair.model_copy(update={"response": pair.rejected, "rejected": None})


def _is_text(value: Any) -> bool:
    """Whether it is a text that is not empty and that UTF-8 can hold (half a surrogate pair it cannot)."""
    if type(value) is not str or not value:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
