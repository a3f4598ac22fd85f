"""Screen: what every example passes before it is trained. Nothing is dropped without being counted by its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

from pydantic import ValidationError

from dataenv.lessons.columns import columns, different
from dataenv.lessons.leaks import Hit, guard_of
from students.base import Student
from tasks import media
from tasks.base import Task
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
    kept: tuple[Example, ...] = ()
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
    passed, names = sieve.passing(offers)
    said = list((judge or task.judges)(passed))
    kept, verdicts = list[Example](), list[bool | None]()
    if len(passed) == len(set(names)) == len(said) and not (verify and False in said) and allowed is None:
        kept, verdicts, names, said, passed = passed, said, [], [], []  # nothing is against any of them
    taken = set[Name]()
    for example, name, verdict in zip(passed, names, said, strict=True):
        if name in taken:
            sieve.rejected["duplicate"] += 1
        elif verify and verdict is False:
            sieve.rejected["wrong"] += 1
        elif allowed is not None and len(kept) >= allowed:
            sieve.rejected["budget"] += 1
        else:
            taken.add(name)
            verdicts.append(verdict)
            kept.append(example)
    judged = Counter(map(_VERDICTS.__getitem__, verdicts))
    rejected = dict(sorted(sieve.rejected.items()))
    able = () if kept else (*sieve.refused, *passed)
    seen = len(offers) + beyond
    return Screened(seen, tuple(kept), rejected, dict(sorted(judged.items())), tuple(sieve.leaks), able)


def _first(offered: Iterable[Any], most: int) -> tuple[list[Any], int]:
    """The first of what is offered, and how many are behind them: a teacher's own sequence may have no end."""
    if isinstance(offered, list | tuple) and type(offered) in (list, tuple):
        return list(offered[:most]), max(0, len(offered) - most)
    ahead = list(islice(offered, most + 1))
    return ahead[:most], len(ahead[most:])


Name = tuple[str, str, str | None, tuple[str, ...]]


def names_of(examples: Sequence[Example]) -> list[Name]:
    """What makes two examples of a lesson one, of each."""
    return list(zip(*columns(examples, "prompt", "response", "rejected", "media"), strict=True))


class _Sieve:
    """The checks that need one example alone; the judge gets all examples at once."""

    def __init__(self, task: Task, student: Student, pairs: bool) -> None:
        self._guard, self._student, self._pairs = guard_of(task), student, pairs
        self.rejected: Counter[str] = Counter()
        self.leaks: list[Hit] = []
        self.refused: list[Example] = []

    def passing(self, offers: Sequence[Any]) -> tuple[list[Example], list[Name]]:
        """The examples that nothing is against but what the judge, the size or the budget may have; the rest counted.

        With them, what makes two of them one (``names_of``). The guard looks at all of a lesson at once.
        """
        if (names := self._plain(offers)) is not None:
            readable, names = self._read(offers, names)
            suspects = self._guard.suspects([name[0] for name in names], [name[1] for name in names])
            if not any(suspects):
                return readable, names
            hits = [self._guard.find(e) if look else None for e, look in zip(readable, suspects, strict=True)]
        else:
            readable = [example for offer in offers if (example := self._one(offer)) is not None]
            hits = self._hits(readable)
        passed = [e for e, hit in zip(readable, hits, strict=True) if hit is None or self._leaks(e, hit)]
        return passed, names_of(passed)

    def _plain(self, offers: Sequence[Any]) -> list[Name] | None:
        """The names of a lesson's examples, if nothing can be against their form, as is so of an engine's lessons.

        Their fields are looked at together. ``None`` where one example is anything but two ASCII texts of a kind that
        the student takes: then they are looked at one by one.
        """
        if self._pairs or set(map(type, offers)) != {Example}:
            return None
        fields = columns(offers, "prompt", "response", "rejected", "skills", "kind", "origin", "media")
        prompts, responses, rejected, skills, kinds, origins, images = fields
        texts = [*prompts, *responses]
        if set(map(type, texts)) != {str} or not all(texts) or not "".join(texts).isascii():
            return None
        if different(rejected) != [None] or any(images):
            return None
        labels = [label for some in different(skills) for label in some] + [o or "-" for o in different(origins)]
        if not all(kind in self._student.kinds for kind in different(kinds)) or not all(map(_is_text, labels)):
            return None
        return list(zip(prompts, responses, rejected, images, strict=True))

    def _read(self, offers: Sequence[Example], names: list[Name]) -> tuple[list[Example], list[Name]]:
        """A plain lesson without what the student cannot read, which is counted."""
        reasons = list(map(self._student.refuse, offers))
        if not any(reasons):
            return list(offers), names
        self.rejected.update(filter(None, reasons))
        kept = [i for i, reason in enumerate(reasons) if not reason]
        return [offers[i] for i in kept], [names[i] for i in kept]

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

    def _leaks(self, example: Example, hit: Hit) -> bool:
        """Count a leak; it never passes."""
        self.leaks.append(hit)
        self.refused.append(example)
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
    readable = [example for example in examples if student.refuse(example) is None]
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
