"""From the columns of a row to a question: which column is what, and what a question must have."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tasks.checkers import Gold
from tasks.checkers.text import LETTERS, folded, to_number
from tasks.jsonl.reading import Raw
from tasks.records import digest

USUAL = {
    "prompt": ("question", "prompt", "problem", "input", "instruction", "query"),
    "answer": ("answer", "final_answer", "answerKey", "target", "output", "response", "gold", "label"),
    "solution": ("solution",),
    "skill": ("skill", "skills", "category", "subject", "topic"),
    "choices": ("choices", "options"),
    "pattern": ("pattern", "regex"),
    "id": ("id", "idx", "uid"),
}
"""The names by which a column is recognised, in this order, where no argument names it."""
NEEDED = ("prompt", "answer")
ALL = "all"
"""The one skill of a file that names none."""


@dataclass(frozen=True)
class Item:
    """A row that was read.

    Attributes:
        where: Where it stands.
        id: What the file calls it; empty where it does not.
        prompt: What the student reads, the options of a choice below it.
        gold: What a response is compared with.
        taught: The worked answer: the solution, or the answer alone.
        skills: The primary one first.
    """

    where: str
    id: str
    prompt: str
    gold: Gold
    taught: str
    skills: tuple[str, ...]

    @cached_property
    def identity(self) -> str:
        """See ``identity``."""
        return identity(self.prompt)

    @cached_property
    def digest(self) -> str:
        """Names all that decides what is asked, taught and right, and not where it stands."""
        answer, options, pattern = self.gold
        return digest([self.id, self.prompt, answer, dict(options), pattern, self.taught, list(self.skills)])


def identity(prompt: str) -> str:
    """The canonical form of a prompt: Unicode NFKC, with whitespace in a row as one space. Case counts."""
    return " ".join(unicodedata.normalize("NFKC", prompt).split())


@dataclass(frozen=True)
class Columns:
    """Which column is what. An empty name is a column that is not there.

    Attributes:
        prompt: The question.
        answer: The final answer; with a marker, what follows the marker in it.
        solution: A worked answer that ends in the final one.
        skill: A skill, or a list of them, the primary one first.
        choices: Texts, or texts by label, or ``{"text": […], "label": […]}``.
        pattern: A regular expression for ``regex``.
        id: A name of the row.
        checker: Of ``tasks.checkers.CHECKERS``.
        marker: What stands before the final answer; see ``make_checker``.
    """

    prompt: str
    answer: str
    solution: str
    skill: str
    choices: str
    pattern: str
    id: str
    checker: str
    marker: str

    def read(self, row: Raw) -> Item:
        """The question of a row.

        Raises:
            ValueError: In one sentence, with the place, if something is missing or has the wrong form.
        """
        prompt = self._text(row, self.prompt, "prompt")
        said = self._text(row, self.answer, "answer")
        options = self._options(row)
        final = (said.rpartition(self.marker)[2] if self.marker else said).strip()
        if self.checker == "choice":
            said = final = _label(row, row.fields[self.answer], final, options)
        if not final:
            raise ValueError(f"{row.where}, has no answer after {self.marker!r}; give one, or drop the row")
        if options:
            prompt = "\n".join([prompt, *(f"{label}. {text}" for label, text in options.items())])
        pattern = self._text(row, self.pattern, "pattern") if self.pattern else ""
        worked = self._text(row, self.solution, "solution") if self.solution else said
        return Item(
            where=row.where,
            id=self._text(row, self.id, "id") if self.id else "",
            prompt=prompt,
            gold=Gold(final, options, pattern),
            taught=self._marked(worked, final),
            skills=self._skills(row),
        )

    def _marked(self, worked: str, final: str) -> str:
        """A worked answer that shows its final answer behind the marker."""
        if not self.marker or self.marker in worked:
            return worked
        return f"{self.marker} {final}" if worked.strip() == final else f"{worked} {self.marker} {final}"

    def _text(self, row: Raw, column: str, what: str) -> str:
        value = self._value(row, column, what)
        if isinstance(value, bool | int | float):
            value = str(value)
        if not isinstance(value, str):
            raise ValueError(
                f"{row.where}, has a {type(value).__name__} in column {column!r}; give a text or a number as its {what}"
            )
        if not value.strip():
            raise ValueError(f"{row.where}, has an empty {what} in column {column!r}; give one, or drop the row")
        return _whole(row, column, value)

    def _value(self, row: Raw, column: str, what: str) -> Any:
        if column not in row.fields:
            raise ValueError(
                f"{row.where}, has no column {column!r}; give {what}= one of {', '.join(map(repr, row.fields))}"
            )
        return row.fields[column]

    def _skills(self, row: Raw) -> tuple[str, ...]:
        if not self.skill:
            return (ALL,)
        value = self._value(row, self.skill, "skill")
        if not isinstance(value, list | tuple):
            return (self._text(row, self.skill, "skill").strip(),)
        names = tuple(dict.fromkeys(str(name).strip() for name in value))
        if not names or not all(names):
            raise ValueError(f"{row.where}, has no skill in column {self.skill!r}; give at least one name")
        return tuple(_whole(row, self.skill, name) for name in names)

    def _options(self, row: Raw) -> dict[str, str]:
        """The options by label, checked so that a label or a text names one of them."""
        if not self.choices:
            return {}
        value = self._value(row, self.choices, "choices")
        if isinstance(value, Mapping) and {"text", "label"} <= set(value):
            value = dict(zip(value["label"], value["text"], strict=True)) if _even(value) else None
        elif isinstance(value, list | tuple):
            value = dict(zip(LETTERS, value, strict=False)) if len(value) <= len(LETTERS) else None
        if not isinstance(value, Mapping) or len(value) < 2:
            raise ValueError(
                f"{row.where}, has no options in column {self.choices!r}; give a list of 2 to {len(LETTERS)} texts, or "
                "texts by label"
            )
        texts = [_whole(row, self.choices, str(part).strip()) for pair in value.items() for part in pair]
        options: dict[str, str] = dict(zip(texts[::2], texts[1::2], strict=True))
        alike = [folded(text) for text in options.values()]  # as the checker compares them
        if len(set(alike)) < len(alike) or not all(alike):
            raise ValueError(f"{row.where}, has two equal or empty options in column {self.choices!r}; mend one")
        for label, text in options.items():
            if text in options and text != label:
                raise ValueError(
                    f"{row.where}, has an option {text!r} that is the label of another; give it other words"
                )
        return options


def _even(value: Mapping[str, Any]) -> bool:
    text, label = value["text"], value["label"]
    return isinstance(text, list | tuple) and isinstance(label, list | tuple) and len(text) == len(label)


def _whole(row: Raw, column: str, text: str) -> str:
    """The text, if UTF-8 can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{row.where}, has half a character in column {column!r}; mend its \\u escapes") from None
    return text


def _label(row: Raw, value: Any, answer: str, options: Mapping[str, str]) -> str:
    """The label of the right option: the answer is a label, an option's text, or (a JSON number) its place from 0."""
    labels = tuple(options) or tuple(LETTERS)
    if isinstance(value, int) and not isinstance(value, bool) and str(value) not in labels:
        return labels[value] if 0 <= value < len(labels) else _no_option(row, answer, labels)
    bare = answer.strip()
    for label in labels:
        if bare == label or options.get(label) == bare:
            return label
    return _no_option(row, answer, labels)


def _no_option(row: Raw, answer: str, labels: Sequence[str]) -> str:
    raise ValueError(
        f"{row.where}, has the answer {answer[:40]!r}, which is none of its options; give {', '.join(labels)}, the "
        "text of an option, or its place as a number from 0"
    )


def recognise(rows: Sequence[Raw], given: Mapping[str, str | None], checker: str | None, marker: str) -> Columns:
    """Which column is what: as given, and else by its usual name.

    Args:
        rows: All rows; the first shows the columns.
        given: Column by purpose; ``None`` to recognise it, ``""`` for none.
        checker: The checker, or ``None`` for ``choice`` where there are choices, ``regex`` where there are patterns,
            ``number`` where every answer is one, and else ``exact``.
        marker: See ``Columns``.

    Raises:
        ValueError: If a column is not there, or none looks like the prompt or the answer.
    """
    there, chosen = rows[0].fields, {}
    for purpose, usual in USUAL.items():
        name = given[purpose]
        if name is None:
            name = next((column for column in usual if column in there), "")
        if (name and name not in there) or (not name and purpose in NEEDED):
            missing = f"has no column {name!r}" if name else f"has no column that is called like a {purpose}"
            raise ValueError(f"{rows[0].where}, {missing}; give {purpose}= one of {', '.join(map(repr, there))}")
        chosen[purpose] = name
    if checker is None:
        answers = [str(row.fields.get(chosen["answer"], "")) for row in rows]
        if marker:
            answers = [answer.rpartition(marker)[2] for answer in answers]
        checker = (
            "choice" if chosen["choices"] else "regex" if chosen["pattern"]
            else "number" if all(to_number(answer) is not None for answer in answers) else "exact"
        )  # fmt: skip
    if checker == "regex" and not chosen["pattern"]:
        raise ValueError(f"{rows[0].where}, has no pattern for checker 'regex'; give pattern= the column that has it")
    return Columns(**chosen, checker=checker, marker=marker)
