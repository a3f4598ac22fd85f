"""The tools: typed parameters, what each gives back, and what it does to a world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from tasks.errors import DataenvError
from tasks.tools.lexicon import CITIES, COLUMNS, DAYS, DIMENSIONS, GOODS, UNITS, dimension
from tasks.tools.world import Value, World

LARGEST = 10**12
"""Of a number, and of what divides it."""
LONGEST = 200
"""Characters of a text value."""
OPERATIONS = ("plus", "minus", "times", "over")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "day": DAYS,
    "unit": UNITS,
    "good": GOODS,
    "column": COLUMNS,
    "city": CITIES,
    "operation": OPERATIONS,
}
"""Types that have a fixed list of values."""
Given = Mapping[str, Value]
Calls = Callable[[World, Given], Value | None]


class PlanError(DataenvError):
    """A plan cannot be read or run.

    Attributes:
        reason: One of ``plan.REASONS``.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True)
class Tool:
    """One tool.

    Attributes:
        name: In a plan.
        about: What it does, in a sentence.
        parameters: The type of each one: ``number``, ``hour``, ``text``, ``value`` (number or text), or a key of
            ``CHOICES``. All of them are needed.
        returns: The type of what it gives back; ``None`` for a tool that only changes something.
        run: Does it.
    """

    name: str
    about: str
    parameters: Mapping[str, str]
    returns: str | None
    run: Calls


def number(value: Value, name: str) -> Fraction:
    """A number within the limits.

    Raises:
        PlanError: If it is a text, or too large or too fine.
    """
    if not isinstance(value, Fraction):
        raise PlanError("wrong-type", f"argument {name!r} is the text {value!r:.40}; give a number")
    if abs(value) > LARGEST or value.denominator > LARGEST:
        raise PlanError("huge-number", f"argument {name!r} is a number beyond {LARGEST}; give a smaller one")
    return value


def _text(value: Value, name: str) -> str:
    if not isinstance(value, str):
        raise PlanError("wrong-type", f"argument {name!r} is a number; give a text")
    if len(value) > LONGEST:
        raise PlanError("long-text", f"argument {name!r} has {len(value)} characters; give at most {LONGEST}")
    return value


def checked(value: Value, kind: str, name: str) -> Value:
    """An argument of a type.

    Raises:
        PlanError: If it is not of this type.
    """
    if kind == "value":
        return number(value, name) if isinstance(value, Fraction) else _text(value, name)
    if kind in ("number", "hour"):
        found = number(value, name)
        if kind == "hour" and not (found.denominator == 1 and 0 <= found <= 23):
            raise PlanError("unknown-value", f"argument {name!r} is {found}; give a whole hour from 0 to 23")
        return found
    text = _text(value, name)
    if kind in CHOICES and text not in CHOICES[kind]:
        raise PlanError("unknown-value", f"argument {name!r} is {text!r:.40}, which is no {kind}")
    return text


def _add_event(world: World, given: Given) -> None:
    title, day, hour = str(given["title"]), str(given["day"]), given["hour"]
    if title in world.calendar:
        raise PlanError("exists", f"event {title!r:.40} is in the calendar already; move it")
    assert isinstance(hour, Fraction)
    world.calendar[title] = (day, hour)


def _move_event(world: World, given: Given) -> None:
    _event(world, given)
    hour = given["hour"]
    assert isinstance(hour, Fraction)
    world.calendar[str(given["title"])] = (str(given["day"]), hour)


def _cancel_event(world: World, given: Given) -> None:
    _event(world, given)
    del world.calendar[str(given["title"])]


def _event(world: World, given: Given) -> tuple[str, Fraction]:
    title = str(given["title"])
    if title not in world.calendar:
        raise PlanError("nothing-there", f"event {title!r:.40} is not in the calendar; add it first")
    return world.calendar[title]


def _move_file(world: World, given: Given) -> None:
    name = str(given["file"])
    if name not in world.files:
        raise PlanError("nothing-there", f"file {name!r:.40} is not there; write it first")
    world.files[name] = (str(given["folder"]), world.files[name][1])


def _write_file(world: World, given: Given) -> None:
    name = str(given["file"])
    folder = world.files[name][0] if name in world.files else "home"
    world.files[name] = (folder, given["content"])


def _convert(world: World, given: Given) -> Value:
    start, end = str(given["from"]), str(given["to"])
    measured = dimension(start)
    if measured is None or measured != dimension(end):
        raise PlanError("unlike-units", f"{start} and {end} do not measure the same; give units of one kind")
    value, units = given["value"], DIMENSIONS[measured]
    assert isinstance(value, Fraction)
    return value * units[start] / units[end]


def _set_cell(world: World, given: Given) -> None:
    value = given["value"]
    assert isinstance(value, Fraction)
    world.table[_cell(given)] = value


def _cell(given: Given) -> tuple[str, str, str]:
    return str(given["good"]), str(given["column"]), str(given["city"])


def _calculate(world: World, given: Given) -> Value:
    left, right, operation = given["left"], given["right"], given["operation"]
    assert isinstance(left, Fraction)
    assert isinstance(right, Fraction)
    if operation == "over":
        if not right:
            raise PlanError("division-by-zero", "argument 'right' is zero; nothing is divided by zero")
        return left / right
    return left + right if operation == "plus" else left - right if operation == "minus" else left * right


_WHERE = {"good": "good", "column": "column", "city": "city"}
_WHEN = {"title": "text", "day": "day", "hour": "hour"}
TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("add_event", "put a new event into the calendar", _WHEN, None, _add_event),
        Tool("move_event", "give an event another day and hour", _WHEN, None, _move_event),
        Tool("cancel_event", "take an event out of the calendar", {"title": "text"}, None, _cancel_event),
        Tool("find_day", "the day of an event", {"title": "text"}, "day", lambda w, g: _event(w, g)[0]),
        Tool("move_file", "put a file into a folder", {"file": "text", "folder": "text"}, None, _move_file),
        Tool("write_file", "write a file", {"file": "text", "content": "value"}, None, _write_file),
        Tool(
            "convert",
            "a number in another unit",
            {"value": "number", "from": "unit", "to": "unit"},
            "number",
            _convert,
        ),
        Tool("lookup", "a number of the table", _WHERE, "number", lambda w, g: w.table[_cell(g)]),
        Tool("set_cell", "change a number of the table", {**_WHERE, "value": "number"}, None, _set_cell),
        Tool(
            "travel_time",
            "minutes from one city to another",
            {"from": "city", "to": "city"},
            "number",
            lambda w, g: w.trips[str(g["from"]), str(g["to"])],
        ),
        Tool(
            "calculate",
            "one sum, difference, product or quotient",
            {"left": "number", "operation": "operation", "right": "number"},
            "number",
            _calculate,
        ),
        Tool(
            "join_texts",
            "two texts as one",
            {"first": "text", "second": "text"},
            "text",
            lambda w, g: f"{g['first']}{g['second']}",
        ),
    )
}  # fmt: skip
"""By name."""
