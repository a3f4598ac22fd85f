"""Examples as columns: many plain examples held as two lists of texts and the labels that they share.

A generated lesson is thousands of examples that few ever look at one by one. Held as columns it is made, screened,
counted and named without an object for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, Self, overload

from tasks.records import Example, Kind


class ExampleLabels(NamedTuple):
    """What many examples have in common; see ``Example``."""

    skills: tuple[str, ...] = ()
    kind: Kind = "solution"
    origin: str = ""


class ExampleColumns(Sequence[Example]):
    """A sequence of plain examples: without a check, media or a rejected response. It cannot be changed.

    It equals any list or tuple of equal examples.

    Args:
        prompts: Of each.
        responses: Of each, as many.
        labels: Of each, as many; those that are alike are one object.
    """

    __slots__ = ("_alike", "_examples", "_primary", "labels", "prompts", "responses")

    def __init__(self, prompts: Sequence[str], responses: Sequence[str], labels: Sequence[ExampleLabels]) -> None:
        self.prompts, self.responses, self.labels = tuple(prompts), tuple(responses), tuple(labels)
        self._examples: tuple[Example, ...] | None = None
        self._alike: tuple[ExampleLabels, ...] | None = None
        self._primary: Mapping[str, int] | None = None
        if not len(self.prompts) == len(self.responses) == len(self.labels):
            raise ValueError(
                f"{len(self.prompts)} prompts, {len(self.responses)} responses and {len(self.labels)} labels are "
                "given; give as many of each"
            )

    @classmethod
    def made(cls, prompts: Sequence[str], responses: Sequence[str], skills: tuple[str, ...], origin: str) -> Self:
        """Examples of a generator, alike in skills and origin; see ``Example.made``."""
        return cls(prompts, responses, (ExampleLabels(skills, origin=origin),) * len(prompts))

    @property
    def examples(self) -> tuple[Example, ...]:
        """The same as objects; they are made when somebody asks for one."""
        if self._examples is None:
            self._examples = tuple(Example.made(self.prompts, self.responses, self.labels))
        return self._examples

    @property
    def alike(self) -> tuple[ExampleLabels, ...]:
        """Its labels, each object once."""
        if self._alike is None:
            self._alike = tuple(different(self.labels))
        return self._alike

    @property
    def primary_skills(self) -> Mapping[str, int]:
        """How many examples have each primary skill; those without skills count nowhere."""
        if self._primary is None:
            counts, found = Counter(map(id, self.labels)), Counter[str]()
            for labels in self.alike:
                if labels.skills:
                    found[labels.skills[0]] += counts[id(labels)]
            self._primary = found
        return self._primary

    def taken(self, places: Sequence[int]) -> Self:
        """Those at some places, in their order."""
        prompts, responses, labels = self.prompts, self.responses, self.labels
        return type(self)([prompts[i] for i in places], [responses[i] for i in places], [labels[i] for i in places])

    def __len__(self) -> int:
        return len(self.prompts)

    @overload
    def __getitem__(self, place: int) -> Example: ...

    @overload
    def __getitem__(self, place: slice) -> Self: ...

    def __getitem__(self, place: int | slice) -> Example | Self:
        if isinstance(place, slice):
            return type(self)(self.prompts[place], self.responses[place], self.labels[place])
        if self._examples is not None:
            return self._examples[place]
        return Example.made([self.prompts[place]], [self.responses[place]], [self.labels[place]])[0]

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ExampleColumns):
            mine, theirs = ((x.prompts, x.responses, x.labels) for x in (self, other))
            return mine == theirs
        return self.examples == tuple(other) if isinstance(other, list | tuple) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self.examples)


def joined(parts: Sequence[Sequence[Example]]) -> Sequence[Example]:
    """All examples of some parts in one, as columns where all parts are."""
    held = [part for part in parts if isinstance(part, ExampleColumns)]
    if held and len(held) == len(parts):
        every = chain.from_iterable
        prompts, responses = every(part.prompts for part in held), every(part.responses for part in held)
        return ExampleColumns(list(prompts), list(responses), list(every(part.labels for part in held)))
    return [example for part in parts for example in part]


def taken(examples: Sequence[Example], places: Sequence[int]) -> Sequence[Example]:
    """The examples at some places, in their order, as columns where they are columns."""
    if isinstance(examples, ExampleColumns):
        return examples.taken(places)
    return [examples[i] for i in places]


def columns(examples: Sequence[Example], *names: str) -> list[Sequence[Any]]:
    """Some fields of many examples, each in their order: the attributes of a record are looked up slowly one by one."""
    if isinstance(examples, ExampleColumns):
        return [_column(examples, name) for name in names]
    held = [example.__dict__ for example in examples]
    return [[fields[name] for fields in held] for name in names]


def _column(examples: ExampleColumns, name: str) -> Sequence[Any]:
    if name in ("prompt", "response"):
        return examples.prompts if name == "prompt" else examples.responses
    return _shared(examples.labels, name)


def _shared(labels: Sequence[ExampleLabels], name: str) -> list[Any]:
    """A field of examples with these labels, which is no text of their own."""
    if name in ExampleLabels._fields:
        return [getattr(each, name) for each in labels]
    return [Example.model_fields[name].default] * len(labels)


def distinct(examples: Sequence[Example], name: str) -> list[Any]:
    """The values of a field that many examples share, each object once (``different``)."""
    if isinstance(examples, ExampleColumns):
        return _shared(examples.alike, name)
    return different(columns(examples, name)[0])


def primary_skills(examples: Sequence[Example]) -> Mapping[str, int]:
    """How many examples have each primary skill; those without skills count nowhere."""
    if isinstance(examples, ExampleColumns):
        return examples.primary_skills
    return Counter(skills[0] for skills in columns(examples, "skills")[0] if skills)


def different(values: Sequence[Any]) -> list[Any]:
    """The values without those that are the very same object, as labels of an engine's examples are."""
    return list(dict(zip(map(id, values), values, strict=True)).values())
