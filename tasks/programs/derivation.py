"""Derivations: what a description asks for, step by step. A derivation is written, read, computed and put into code."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from tasks.programs.forms import ATOM, FORMS, LOW, SUM, Form, Given, Style
from tasks.programs.values import ARGUMENTS, BATTERY, Value
from tasks.records import digest

END = "="
"""What ends a compact description."""
ENGLISH = re.compile(r"Write the body of the Python function f\(([a-z])\) as one expression\. \1 is ([^.]*)\. (.*)\.")
STEPS: dict[Style, str] = {"compact": "; ", "english": ", then "}
MOST_STEPS = 6
LONGEST = 400
"""Letters of a description that is read."""
FAULTS = (ValueError, TypeError, IndexError, KeyError, ZeroDivisionError, OverflowError)
"""What a step may raise on an input that it is not for, such as the largest item of nothing."""


@dataclass(frozen=True)
class Step:
    """A form with its constants."""

    form: Form
    given: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, form: Form, given: Given) -> Step:
        """A step whose constants stand in the order of their letters."""
        return cls(form, tuple(sorted(given.items())))

    def run(self, value: Value) -> Value:
        """What it computes."""
        constants = {letter: int(x) if x.isdigit() else x for letter, x in self.given}
        found: Value = self.form.run(value, **constants)
        return found

    def fragment(self) -> str:
        """Its own part of the code, with ``{v}`` where a whole form has the value that it works on."""
        return self.form.code.format(v="{v}", **dict(self.given))


@dataclass(frozen=True)
class Derivation:
    """What a description asks for.

    Attributes:
        letter: The argument, of ``ARGUMENTS``.
        steps: In order.
        shown: Inputs by whose values it is described, in place of words; empty where words do.
    """

    letter: str
    steps: tuple[Step, ...]
    shown: tuple[tuple[int, ...], ...] = ()

    def value(self, value: Value) -> Value:
        """What it computes.

        Raises:
            ValueError, TypeError, IndexError: Where an input is none that it is for.
        """
        for step in self.steps:
            value = step.run(value)
        return value

    def values(self, inputs: Iterable[Value]) -> list[tuple[Value, Value]]:
        """Inputs with their values, without those that it is not for."""
        found = []
        for given in inputs:
            try:
                found.append((given, self.value(given)))
            except FAULTS:
                continue
        return found

    @property
    def constants(self) -> list[str]:
        """All constants, as they are written."""
        return [value for step in self.steps for _, value in step.given]

    @cached_property
    def behaviour(self) -> str:
        """What it computes on fixed inputs: equal for two descriptions that ask the same thing."""
        inputs: Sequence[Value] = BATTERY[self.letter]
        if self.letter == "t":
            signs = [c for c in self.constants if not c.isalnum()][:1]
            inputs = [str(given).replace(_sign(str(given)), sign) for given in inputs for sign in signs or [","]]
        said: list[str] = []
        for given in inputs:
            try:
                said.append(repr(self.value(given)))
            except FAULTS as fault:
                said.append(type(fault).__name__)
        return f"{self.letter} {digest(said)}"

    def describe(self, style: Style) -> str:
        """The prompt."""
        if self.shown:
            return self._by_example(style)
        steps = STEPS[style].join(step.form.describe(dict(step.given), style) for step in self.steps)
        return self._around(steps, style)

    def _around(self, text: str, style: Style) -> str:
        if style == "compact":
            return f"{self.letter}: {text}{END}"
        head = f"Write the body of the Python function f({self.letter}) as one expression. "
        sentence = text if text.startswith("f(") else text[0].upper() + text[1:]
        return f"{head}{self.letter} is {ARGUMENTS[self.letter].english}. {sentence}."

    def _by_example(self, style: Style) -> str:
        pairs = [(row, self.value(list(row))) for row in self.shown]
        if style == "compact":
            return self._around(" ".join(f"{_numbers(row)}>{_numbers(value)}" for row, value in pairs), style)
        return self._around(" and ".join(f"f({list(row)}) is {value}" for row, value in pairs), style)

    @cached_property
    def code(self) -> str:
        """The reference program: a Python expression of the argument."""
        text, level, loop = self.letter, ATOM, None
        for step in self.steps:
            form, own = step.form, step.fragment()
            if form.part == "element":
                before = loop if loop is not None and loop.element == "x" else _Loop(source=_bound(text, level, SUM))
                loop = _Loop(own, before.source, before.conditions)
                text, level = loop.code, ATOM
            elif form.part == "condition":
                before = loop if loop is not None and loop.element == "x" else _Loop(source=_bound(text, level, SUM))
                loop = _Loop("x", before.source, (*before.conditions, own))
                text, level = loop.code, ATOM
            elif form.part == "fold":
                bare = loop is not None and own != "len"
                text, level, loop = f"{own}({text[1:-1] if bare else text})", ATOM, None
            else:
                text, level, loop = own.replace("{v}", _bound(text, level, form.needs)), form.level, None
        return text


@dataclass(frozen=True)
class _Loop:
    """A list comprehension that the next step may go on with."""

    element: str = "x"
    source: str = ""
    conditions: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        tail = "".join(f" if {condition}" for condition in self.conditions)
        return f"[{self.element} for x in {self.source}{tail}]"


def _bound(text: str, level: int, needs: int) -> str:
    return text if level >= needs or needs == LOW else f"({text})"


def _numbers(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _sign(text: str) -> str:
    return next((c for c in text if not c.isdigit()), ",")


@lru_cache(maxsize=8192)  # the screen asks for a prompt's identity and then for its answer; exams ask again and again
def read(prompt: str) -> Derivation | None:
    """Read a description in either style; ``None`` where it is none, or where its steps do not fit together."""
    text = " ".join(prompt.split())
    if len(text) > LONGEST or not text.isascii():
        return None
    style: Style
    found = ENGLISH.fullmatch(text)
    if found is not None:
        letter, kind, body = found.groups()
        if letter not in ARGUMENTS or ARGUMENTS[letter].english != kind:
            return None
        style, body = "english", body[0].lower() + body[1:]
    elif len(text) > 4 and text[1:3] == ": " and text.endswith(END) and text[0] in ARGUMENTS:
        style, letter, body = "compact", text[0], text[3 : -len(END)]
    else:
        return None
    shown = by_example(body, style) if letter == "v" else None
    return shown if shown is not None else _in_words(letter, body, style)


def _in_words(letter: str, body: str, style: Style) -> Derivation | None:
    pieces = body.split(STEPS[style])
    if len(pieces) > MOST_STEPS:
        return None
    kind, steps = letter, list[Step]()
    for piece in pieces:
        step = next((s for s in _steps(piece, style) if kind in s.form.takes), None)
        if step is None:
            return None
        kind = step.form.gives if step.form.gives != "=" else kind
        steps.append(step)
    recursive = any(step.form.skill == "recur" for step in steps)
    return None if kind == "i" or (recursive and len(steps) > 1) else Derivation(letter, tuple(steps))


@lru_cache(maxsize=4096)
def _steps(piece: str, style: Style) -> tuple[Step, ...]:
    given = [(form, form.read(piece, style)) for form in _by_first_word()[style, _first_word(piece)]]
    return tuple(Step.of(form, found) for form, found in given if found is not None)


@lru_cache(maxsize=1)
def _by_first_word() -> dict[tuple[Style, str], list[Form]]:
    found: dict[tuple[Style, str], list[Form]] = defaultdict(list)
    for form in FORMS:
        for style, text in (("compact", form.compact), ("english", form.english)):
            found[style, _first_word(text)].append(form)  # type: ignore[index]
    return found


def _first_word(text: str) -> str:
    return re.split(r"[^a-z]", text, maxsplit=1)[0]


SHOWN: dict[Style, tuple[re.Pattern[str], str]] = {
    "compact": (re.compile(r"(-?\d+(?:,-?\d+)*)>((?:-?\d+(?:,-?\d+)*)?)", re.ASCII), " "),
    "english": (re.compile(r"f\(\[([\d, -]*)\]\) is \[?([\d, -]*)\]?", re.ASCII), " and "),
}
CANDIDATES = ("each x+{a}", "each x*{a}", "each x-{a}", "first {a}", "last {a}", "drop {a}", "cut {a}")
"""What may be described by examples, by its compact form; the constant is 1 to 12."""


def by_example(body: str, style: Style) -> Derivation | None:
    """The only candidate with the values that are shown, or ``None``."""
    pattern, between = SHOWN[style]
    rows = [pattern.fullmatch(piece) for piece in body.split(between)]
    pairs = [(_read_numbers(row[1]), _read_numbers(row[2])) for row in rows if row is not None]
    if len(pairs) < len(rows) or not all(inputs for inputs, _ in pairs):
        return None
    fitting = [s for s in candidates() if all(s.run(list(inputs)) == value for inputs, value in pairs)]
    return Derivation("v", (fitting[0],), tuple(tuple(inputs) for inputs, _ in pairs)) if len(fitting) == 1 else None


@lru_cache(maxsize=1)
def candidates() -> tuple[Step, ...]:
    """All steps that examples may show."""
    forms = {form.compact: form for form in FORMS}
    return tuple(
        Step.of(forms[name], {"a": str(a)})
        for name in CANDIDATES
        for a in range(forms[name].limits.get("a", (1, 0))[0], 13)
    )


def _read_numbers(text: str) -> list[int]:
    return [int(x[:6]) for x in text.split(",") if x.strip(" -").isdigit()]
