"""From the columns of a row to a question: which column is what, and what a question must have."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from tasks.checkers import Gold
from tasks.checkers.text import LETTERS, folded, to_number, to_quantity
from tasks.code.records import CodeTests
from tasks.jsonl.code_forms import LEVELS, read_question
from tasks.jsonl.formats import BOX, CODE, FORMATS, PLAIN, PublishedFormat, last_box, recognised
from tasks.jsonl.reading import Raw
from tasks.records import canonical_json, digest

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
OTHERS = ("difficulty", "tests", "entry")
"""Purposes that only a published form has (``formats.FORMATS``)."""
ALL = "all"
"""The one skill of a file that names none."""
LONGEST_NAME = 200
"""Characters of a skill and of an id: what a row of a board may hold."""
FEW = 0.1
"""Share of answers that are no numbers, up to which they look like slips."""
BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Characters that show nothing, though Unicode calls them letters, marks or symbols; so do variation selectors."""


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
        difficulty: In [0, 1].
        tests: How code is checked; ``None`` for a question that is not about code.
        cut: Whether the final answer was cut out of the worked one.
    """

    where: str
    id: str
    prompt: str
    gold: Gold
    taught: str
    skills: tuple[str, ...]
    difficulty: float = 0.0
    tests: CodeTests | None = None
    cut: bool = False

    @cached_property
    def check(self) -> str | None:
        """The tests as JSON."""
        return None if self.tests is None else canonical_json(self.tests.model_dump(mode="json"))

    @cached_property
    def identity(self) -> str:
        """See ``identity``."""
        return identity(self.prompt)

    @cached_property
    def digest(self) -> str:
        """Names all that decides what is asked, taught and right, and not where it stands."""
        answer, options, pattern = self.gold
        held = [self.id, self.prompt, answer, dict(options), pattern, self.taught, list(self.skills)]
        return digest(held if self.check is None else [*held, self.check])


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
        checker: Of ``tasks.checkers.CHECKERS``, or ``formats.CODE``.
        marker: What stands before the final answer; see ``make_checker``.
        form: A name of ``formats.FORMATS``; empty for a file that is none of these.
        letters: In place of ``choices``: columns that hold an option each, and are called like its label.
        difficulty: A number in [0, 1], or a level from 1 to 5.
        tests: The tests of a question about code; ``entry`` is the function that they call.
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
    form: str = ""
    letters: tuple[str, ...] = ()
    difficulty: str = ""
    tests: str = ""
    entry: str = ""

    @property
    def named(self) -> tuple[str, ...]:
        """All columns that are there."""
        named = (*(getattr(self, purpose) for purpose in (*USUAL, *OTHERS)), *self.letters)
        return tuple(name for name in named if name)

    def read(self, row: Raw) -> Item:
        """The question of a row.

        Raises:
            ValueError: In one sentence, with the place, if something is missing or has the wrong form. It is a
                ``RefusedRowError`` where the other rows can be asked all the same.
        """
        prompt = self._text(row, self.prompt, "prompt")
        if self.checker == CODE:
            return self._code(row, prompt)
        worked = self._text(row, self.solution, "solution") if self.solution else ""
        said = self._text(row, self.answer, "answer") if self.answer else worked
        options = self._options(row)
        boxed = bool(self.form) and FORMATS[self.form].box
        marked = boxed and (not self.answer or BOX in said)
        final = (last_box(said) if marked else said.rpartition(self.marker)[2] if self.marker else said).strip()
        if self.checker == "choice":
            said = final = _label(row, row.fields[self.answer], final, options)
        unmarked = bool(self.form and self.marker) and self.marker not in said and to_quantity(said) is None
        if unmarked or not _shown(final):  # else a worked answer is taken for the final one
            mark = f"in a {BOX}{{…}}" if marked else f"after {self.marker!r}"
            raise ValueError(f"{row.where}, has no answer {mark}; give one, or drop the row")
        if options:
            prompt = "\n".join([prompt, *(f"{label}. {text}" for label, text in options.items())])
        return Item(
            where=row.where,
            id=self._name(row, self.id, self._text(row, self.id, "id")) if self.id else "",
            prompt=prompt,
            gold=Gold(final, options, self._text(row, self.pattern, "pattern") if self.pattern else ""),
            taught=self._marked(worked or said, final, boxed),
            skills=self._skills(row),
            difficulty=self._difficulty(row),
            cut=marked or (bool(self.marker) and not worked),
        )

    def _code(self, row: Raw, prompt: str) -> Item:
        """A question about code; it may have no reference solution."""
        held = row.fields.get(self.answer) if self.answer else None
        solution = self._text(row, self.answer, "solution") if held else ""
        entry = self._text(row, self.entry, "entry point").strip() if self.entry else ""
        asked = read_question(self.form, row, prompt, solution, self.tests, entry)
        return Item(
            where=row.where,
            id=self._name(row, self.id, self._text(row, self.id, "id")) if self.id else "",
            prompt=asked.prompt,
            gold=Gold(asked.solution),
            taught=asked.solution,
            skills=self._skills(row),
            difficulty=self._difficulty(row),
            tests=asked.tests,
        )

    def alone(self, final: str) -> str:
        """A final answer as it is written without a worked one before it."""
        return self._marked(final, final, bool(self.form) and FORMATS[self.form].box)

    def _marked(self, worked: str, final: str, boxed: bool) -> str:
        """A worked answer that shows its final answer behind the marker, or in a box."""
        mark = BOX if boxed else self.marker
        if not mark or mark in worked:
            return worked
        shown = f"{BOX}{{{final}}}" if boxed else f"{mark} {final}"
        return shown if worked.strip() == final else f"{worked} {shown}"

    def _difficulty(self, row: Raw) -> float:
        """In [0, 1]; 0 where the file does not say, as some rows of MATH do not (``Level ?``)."""
        said = str(row.fields.get(self.difficulty, "")).strip() if self.difficulty else ""
        if said.lower() in LEVELS:
            return LEVELS[said.lower()]
        found = re.search(r"\d+(\.\d+)?", said)
        level = float(found.group()) if found else 0.0
        return level if level < 1 else min(1.0, (level - 1) / 4)

    def _text(self, row: Raw, column: str, what: str) -> str:
        value = self._value(row, column, what)
        if isinstance(value, float | Decimal) and not math.isfinite(value):
            raise ValueError(f"{row.where}, has {value} as {what} in column {column!r}; give one, or drop the row")
        if isinstance(value, bool | int | float | Decimal):
            value = str(value)
        elif isinstance(value, date | time):  # a datetime is a date
            value = value.isoformat()
        if not isinstance(value, str):
            raise ValueError(
                f"{row.where}, has a {type(value).__name__} in column {column!r}; give a text or a number as its {what}"
            )
        if not _shown(value):
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
            return (self._name(row, self.skill, self._text(row, self.skill, "skill").strip()),)
        if not all(isinstance(name, str | int) for name in value):
            raise ValueError(f"{row.where}, has a skill that is no text in column {self.skill!r}; give names alone")
        names = tuple(dict.fromkeys(str(name).strip() for name in value))
        if not names or not all(names):
            raise ValueError(f"{row.where}, has no skill in column {self.skill!r}; give at least one name")
        return tuple(self._name(row, self.skill, _whole(row, self.skill, name)) for name in names)

    def _name(self, row: Raw, column: str, name: str) -> str:
        """A skill or an id, which people read and compare: not too long, and nothing in it is hidden."""
        if len(name) > LONGEST_NAME:
            said = f"a name of {len(name)} characters in column {column!r}; give at most {LONGEST_NAME}"
            raise ValueError(f"{row.where}, has {said}")
        hidden = next((c for c in name if _hidden(c)), None)
        if hidden is not None:
            raise ValueError(
                f"{row.where}, has an invisible character (U+{ord(hidden):04X}) in column {column!r}; "
                "give a name without it"
            )
        return name

    def _options(self, row: Raw) -> dict[str, str]:
        """The options by label, checked so that a label or a text names one of them."""
        if self.letters:
            return self._checked(row, {label: self._text(row, label, "option") for label in self.letters})
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
        return self._checked(row, value)

    def _checked(self, row: Raw, value: Mapping[Any, Any]) -> dict[str, str]:
        none = [part for part in value.values() if part is None or (isinstance(part, float) and math.isnan(part))]
        if none:
            raise ValueError(f"{row.where}, has {none[0]} as an option; give a text, or drop the row")
        column = self.choices or self.letters[0]
        texts = [_whole(row, column, str(part).strip()) for pair in value.items() for part in pair]
        options: dict[str, str] = dict(zip(texts[::2], texts[1::2], strict=True))
        alike = [folded(text) for text in options.values()]  # as the checker compares them
        if len(set(alike)) < len(alike) or not all(alike):
            raise ValueError(f"{row.where}, has two equal or empty options in column {column!r}; mend one")
        for label, text in options.items():
            if text in options and text != label:
                raise ValueError(
                    f"{row.where}, has an option {text!r} that is the label of another; give it other words"
                )
        return options


def _hidden(char: str) -> bool:
    """Whether a character shows nothing, or changes how others are shown."""
    kind = unicodedata.category(char)
    return kind[0] == "C" or kind in ("Zl", "Zp") or char in BLANK or 0xFE00 <= ord(char) <= 0xFE0F


def _shown(text: str) -> bool:
    """Whether anything of a text can be seen."""
    return any(not char.isspace() and not _hidden(char) for char in text)


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


def recognise(
    rows: Sequence[Raw],
    given: Mapping[str, str | None],
    checker: str | None,
    marker: str,
    form: str = "",
) -> Columns:
    """Which column is what: as given, and else by its usual name.

    Args:
        rows: All rows; the first shows the columns.
        given: Column by purpose; ``None`` to recognise it, ``""`` for none.
        checker: The checker, or ``None`` for that of the form, and else for ``choice`` where there are choices,
            ``regex`` where there are patterns, ``number`` where every answer is one, and else ``exact``.
        marker: See ``Columns``.
        form: See ``Columns``; empty to recognise it where the file could not be read without.

    Raises:
        ValueError: If a column is not there, or none looks like the prompt or the answer.
    """
    if form and form not in FORMATS:
        near = get_close_matches(form, FORMATS, n=1)
        raise ValueError(f"format is {form!r}; " + (f"did you mean {near[0]!r}" if near else f"give {_list(FORMATS)}"))
    there = rows[0].fields
    answered = any(name in there for name in USUAL["answer"])
    form = form or recognised(rows, given, checker is None and not marker, answered)
    shape = FORMATS[form] if form else PLAIN
    chosen, letters = _columns(rows[0], given, shape, form)
    marker = marker or shape.marker
    if checker is None:
        checker = shape.checker or _checker(rows, chosen, marker, units=bool(form))
    if checker == "regex" and not chosen["pattern"]:
        raise ValueError(f"{rows[0].where}, has no pattern for checker 'regex'; give pattern= the column that has it")
    return Columns(**chosen, checker=checker, marker=marker, form=form, letters=letters)


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, names))


def _columns(
    row: Raw, given: Mapping[str, str | None], shape: PublishedFormat, form: str
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The column of each purpose, and the columns that hold an option each."""
    there, chosen = row.fields, {}
    for purpose in (*USUAL, *OTHERS):
        name = given.get(purpose)
        if name is None:
            usual = (*shape.columns.get(purpose, ()), *USUAL.get(purpose, ()))
            name = next((column for column in usual if column in there), "")
        chosen[purpose] = name
    letters = tuple(letter for letter in LETTERS if letter in there)
    letters = letters if form == "mmlu" and not chosen["choices"] and len(letters) > 1 else ()
    for purpose, name in chosen.items():
        boxed = shape.box and purpose == "answer" and not chosen["solution"]
        needed = boxed or (purpose in shape.needs and not (purpose == "choices" and letters))
        if name in there or not (name or needed):
            continue
        if purpose in OTHERS:
            column = shape.columns[purpose][0]
            raise ValueError(f"{row.where}, has no column {column!r}, which format {form!r} needs; rename it so")
        missing = f"has no column {name!r}" if name else f"has no column that is called like a {purpose}"
        raise ValueError(f"{row.where}, {missing}; give {purpose}= one of {_list(there)}")
    return chosen, letters


def _checker(rows: Sequence[Raw], chosen: Mapping[str, str], marker: str, units: bool) -> str:
    """What the columns and the answers suggest; in a published form a number may have a unit, such as ``$18``."""
    if chosen["choices"] or chosen["pattern"]:
        return "choice" if chosen["choices"] else "regex"
    answers = [str(row.fields.get(chosen["answer"], "")) for row in rows]
    if marker:
        answers = [answer.rpartition(marker)[2] for answer in answers]
    is_number = to_quantity if units else to_number
    return "number" if all(is_number(answer) is not None for answer in answers) else "exact"


def letters_of(rows: Sequence[Raw], columns: Columns) -> tuple[str, ...]:
    """Columns that look like options of a choice question and are not read as such; empty where none do."""
    letters = tuple(letter for letter in LETTERS if letter in rows[0].fields)
    labels = len(letters) > 1 and not columns.choices and not columns.letters
    said = {str(row.fields.get(columns.answer, "")).strip() for row in rows} if labels else {""}
    return letters if said <= set(letters) else ()


def not_numbers(items: Sequence[Item], columns: Columns) -> str:
    """What kept the checker from being ``number``, where nearly all answers are one; empty elsewhere."""
    others = [item for item in items if to_number(item.gold.answer) is None] if columns.checker == "exact" else []
    if not others or len(others) > FEW * len(items):
        return ""
    shown = f"{others[0].gold.answer[:40]!r} ({others[0].where}) is none"
    return f"{len(items) - len(others)} of {len(items)} are numbers and {shown}"
