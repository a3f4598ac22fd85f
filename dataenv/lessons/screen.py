"""Screen: what every example passes before it is trained. Nothing is dropped without being counted by its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

from pydantic import ValidationError

from dataenv.errors import SettingError
from dataenv.lessons.leaks import Hit, guard_of
from students.base import Student
from tasks import media
from tasks.base import Task
from tasks.columns import ExampleColumns, columns, distinct, taken
from tasks.records import Example

Judge = Callable[[Sequence[Example]], Sequence[bool | None]]
"""The verdict on each of many examples: right, wrong, or cannot tell."""
REASONS = ("form", "kind", "media", "length", "alphabet", "leak", "duplicate", "wrong", "size", "budget")
"""Why an example is rejected, in the order in which the screen asks:

form: not a record of two non-empty texts, or no pair where pairs are asked; kind: not for this student; media: not for
this student, or an image that is nowhere; length, alphabet: the student cannot read it; leak: asks or spells out what a
sealed problem asks, or shows what it shows; duplicate: twice in one lesson; wrong: the task's judge says so (only under
``verify``); size: beyond the longest lesson allowed; budget: beyond the cap on examples.
"""


@dataclass(frozen=True)
class Screened:
    """What came through, and the counts: ``offered == len(kept) + sum(rejected.values())``.

    ``judged`` counts the kept examples by the judge's verdict: right, wrong, unknown. ``leaks`` are for the board's
    owner and not for a teacher, who could ask them what is sealed. ``refused`` are those of the rejected that the
    student could have been trained on: what a lesson of which nothing was kept is priced by.
    """

    offered: int = 0
    kept: Sequence[Example] = ()
    rejected: dict[str, int] = field(default_factory=dict)
    judged: dict[str, int] = field(default_factory=dict)
    leaks: tuple[Hit, ...] = ()
    refused: tuple[Example, ...] = ()


def screen(
    offered: Iterable[Any],
    task: Task,
    student: Student,
    *,
    verify: bool,
    largest: int,
    allowed: int | None,
    pairs: bool = False,
    judge: Judge | None = None,
) -> Screened:
    """Pass a lesson through the screen.

    No more than ``largest`` are looked at; those behind them are counted under ``size``, of an offer that does not say
    its length as one.

    Args:
        offered: Examples, or whatever a teacher gave in their place; a bad one is counted and never raises.
        task: Says what is sealed, and what is right.
        student: Says what it can read.
        verify: Whether wrong examples are rejected or only counted.
        largest: Longest lesson.
        allowed: How many more examples the budget allows; ``None`` for no cap.
        pairs: Whether only pairs are taken.
        judge: Asked in place of the task's ``judges``.
    """
    sieve, (offers, beyond) = _Sieve(task, student, pairs), _first(offered, largest)
    sieve.rejected.update({"size": beyond} if beyond else {})
    passed = sieve.passing(offers)
    said = list((judge or task.judges)(passed))
    places = sieve.unlike(passed, said, verify, allowed)
    kept = passed if len(places) == len(passed) else taken(passed, places)
    judged = {_VERDICTS[verdict]: n for verdict, n in Counter(map(said.__getitem__, places)).items()}
    rejected = dict(sorted(sieve.rejected.items()))
    able = () if kept else (*sieve.refused, *passed)
    kept = kept if isinstance(kept, ExampleColumns) else tuple(kept)
    return Screened(len(offers) + beyond, kept, rejected, dict(sorted(judged.items())), tuple(sieve.leaks), able)


def _first(offered: Iterable[Any], most: int) -> tuple[Sequence[Any], int]:
    """The first of what is offered, and how many are behind them: a teacher's own sequence may have no end."""
    if isinstance(offered, list | tuple | ExampleColumns) and type(offered) in (list, tuple, ExampleColumns):
        return offered[:most], max(0, len(offered) - most)
    ahead = list(islice(offered, most + 1))
    return ahead[:most], len(ahead[most:])


class _Sieve:
    """The checks that need one example alone; the judge gets all examples at once."""

    def __init__(self, task: Task, student: Student, pairs: bool) -> None:
        self._guard, self._student, self._pairs = guard_of(task), student, pairs
        self.rejected: Counter[str] = Counter()
        self.leaks: list[Hit] = []
        self.refused: list[Example] = []

    def passing(self, offers: Sequence[Any]) -> Sequence[Example]:
        """The examples that nothing is against but what the judge, the size or the budget may have; the rest counted.

        The guard looks at all of a lesson at once.
        """
        if self._is_plain(offers):
            readable = self._read(offers)
            suspects = self._guard.suspects(*columns(readable, "prompt", "response"))
            hits = {i: self._guard.find(readable[i]) for i, look in enumerate(suspects) if look}
        else:
            readable = [example for offer in offers if (example := self._one(offer)) is not None]
            hits = dict(enumerate(self._hits(readable)))
        if not any(hits.values()):
            return readable
        return taken(readable, [i for i in range(len(readable)) if self._is_clean(readable, i, hits.get(i))])

    def unlike(
        self, passed: Sequence[Example], said: Sequence[bool | None], verify: bool, allowed: int | None
    ) -> Sequence[int]:
        """The places of the examples that are kept of those that passed; the rest counted.

        Args:
            passed: What nothing else is against.
            said: The judge's verdict on each.
            verify: Whether wrong examples are rejected.
            allowed: How many are kept at the most.
        """
        if len(said) != len(passed):
            raise SettingError(f"judges() gives {len(said)} verdicts on {len(passed)} examples; give one for each")
        prompts, *others = columns(passed, "prompt", "response", "rejected", "media")
        if len(set(prompts)) == len(passed) and not (verify and False in said) and allowed is None:
            return range(len(passed))  # nothing is against any of them
        kept: dict[tuple[Any, ...], int] = {}
        for i, name in enumerate(zip(prompts, *others, strict=True)):
            if name in kept:
                self.rejected["duplicate"] += 1
            elif verify and said[i] is False:
                self.rejected["wrong"] += 1
            elif allowed is not None and len(kept) >= allowed:
                self.rejected["budget"] += 1
            else:
                kept[name] = i
        return list(kept.values())

    def _is_plain(self, offers: Sequence[Any]) -> bool:
        """Whether nothing can be against the form of a lesson's examples, as is so of an engine's lessons.

        Their fields are looked at together. Where one example is anything but two ASCII texts of a kind that the
        student takes, they are looked at one by one.
        """
        if self._pairs or not (type(offers) is ExampleColumns or set(map(type, offers)) == {Example}):
            return False
        prompts, responses = columns(offers, "prompt", "response")
        texts = [*prompts, *responses]
        if set(map(type, texts)) != {str} or not all(texts) or not "".join(texts).isascii():
            return False
        if any(distinct(offers, "rejected")) or any(distinct(offers, "media")):
            return False
        labels = [label for some in distinct(offers, "skills") for label in some]
        labels += [origin or "-" for origin in distinct(offers, "origin")]
        return all(kind in self._student.kinds for kind in distinct(offers, "kind")) and all(map(_is_text, labels))

    def _read(self, offers: Sequence[Example]) -> Sequence[Example]:
        """A plain lesson without what the student cannot read, which is counted."""
        reasons = self._student.refusals(offers)
        if len(reasons) != len(offers):
            raise SettingError(
                f"refusals() of student {self._student.name!r} gives {len(reasons)} words on {len(offers)} examples; "
                "give one, or None, for each"
            )
        if not any(reasons):
            return offers
        self.rejected.update(filter(None, reasons))
        return taken(offers, [i for i, reason in enumerate(reasons) if not reason])

    def _one(self, offer: Any) -> Example | None:
        """An offer as an example that the student can read; ``None`` where it is none, which is counted."""
        example = as_example(offer)
        if example is None or (self._pairs and example.rejected is None):
            self.rejected["form"] += 1
        elif (reason := self._unreadable(example)) is not None:
            self.rejected[reason] += 1
        else:
            return example
        return None

    def _hits(self, examples: Sequence[Example]) -> list[Hit | None]:
        """The first hit of each; of a pair, that of the response that is rejected is the second."""
        hits = self._guard.find_all(examples)
        for i, example in enumerate(examples):
            if hits[i] is None and example.rejected is not None:
                hits[i] = self._guard.find(refused(example))
        return hits

    def _is_clean(self, examples: Sequence[Example], place: int, hit: Hit | None) -> bool:
        """Whether an example leaks nothing; a leak is counted."""
        if hit is None:
            return True
        self.leaks.append(hit)
        self.refused.append(examples[place])
        self.rejected["leak"] += 1
        return False

    def _unreadable(self, example: Example) -> str | None:
        if example.kind not in self._student.kinds:
            return "kind"
        if example.media and not ("image" in self._student.sees and all(map(media.has, example.media))):
            return "media"
        return next(filter(None, map(self._student.refuse, both_of(example))), None)


def both_of(example: Example) -> list[Example]:
    """An example, and of a pair what is rejected in place of the response too."""
    return [example] if example.rejected is None else [example, refused(example)]


def passing(examples: Iterable[Example], task: Task, student: Student) -> list[Example]:
    """Those that the student can read and that copy nothing sealed, in their order; duplicates stay."""
    some = list(examples)
    readable = [example for example, why in zip(some, student.refusals(some), strict=True) if why is None]
    hits = guard_of(task).find_all(readable)
    return [example for example, hit in zip(readable, hits, strict=True) if hit is None]


@lru_cache(maxsize=8)
def pool_of(task: Task, student: Student) -> tuple[Example, ...]:
    """The task's pool as far as it passes; screened once, for the pool is fixed and so is what is sealed.

    Raises:
        tasks.errors.UnsupportedError: If the task has none.
    """
    return tuple(passing(task.pool(), task, student))


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
        except (ValidationError, TypeError, RecursionError):  # the last of a check that is nested without end
            return None
    prompt, response = offer.prompt, offer.response
    if type(prompt) is type(response) is str and prompt and response and prompt.isascii() and response.isascii():
        pass  # by far the most: the rest of this is then all there is to ask
    elif not _is_text(prompt) or not _is_text(response):
        return None
    if offer.rejected is not None and (not _is_text(offer.rejected) or offer.rejected == response):
        return None
    return offer if all(map(_is_text, offer.skills)) and _is_text(offer.origin or "-") else None


def refused(pair: Example) -> Example:
    """A pair with what is rejected in place of the response, to be read and measured as that is."""
    return pair.model_copy(update={"response": pair.rejected, "rejected": None})


def _is_text(value: Any) -> bool:
    """Whether a value is a non-empty text that UTF-8 can encode (half a surrogate pair it cannot)."""
    if type(value) is not str or not value:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
