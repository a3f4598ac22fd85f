"""The kinds of request: how each is worded, what its numbers may be, and the plan that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from tasks.templates import Slots
from tasks.tools.lexicon import TIMES, UNITS, RequestTemplate, dimension
from tasks.tools.plan import Call, Plan, ResultOf, call

Style = Literal["compact", "english"]
STYLES: tuple[Style, ...] = ("compact", "english")
HOURS = ("h", 8, 20)
COUNTS = ("x", 2, 60)
CLOCK_UNITS = ("u", UNITS.index("hours"), UNITS.index("seconds"))
R1, R2, R3, R4 = map(ResultOf, range(4))


@dataclass(frozen=True)
class RequestKind:
    """A skill, or of the transfer split a longer request that no lesson holds.

    Attributes:
        name: In the catalogue: that of the tool, or of a composition.
        plan: The gold plan from what fills the places; ``None`` where that makes no request.
        compact: How it is asked in the compact style.
        english: How it is asked in plain English, in equal shares.
        limits: Of a number, least and most; of a word, its least and most place in its list.
        by: The letter whose word tells the subskills apart; empty for a skill that is one piece.
    """

    name: str
    plan: Callable[[Slots], Plan | None]
    compact: str
    english: tuple[str, ...]
    limits: tuple[tuple[str, int, int], ...] = ()
    by: str = ""

    def templates(self, style: Style) -> tuple[RequestTemplate, ...]:
        """All ways to ask it in a style."""
        return self._templates[style]

    @cached_property
    def _templates(self) -> dict[Style, tuple[RequestTemplate, ...]]:
        return {"compact": (RequestTemplate(self.compact),), "english": tuple(map(RequestTemplate, self.english))}


def subskill_of(letter: str, word: str) -> str:
    """The subskill that a word belongs to: itself, or what a unit measures."""
    return dimension(word) or word if letter == "u" else word


def _number(slots: Slots, letter: str) -> int:
    return int(slots[letter])


def _add_event(s: Slots) -> Plan:
    return (call("add_event", title=s["n"], day=s["d"], hour=_number(s, "h")),)


def _move_event(s: Slots) -> Plan:
    return (call("move_event", title=s["e"], day=s["d"], hour=_number(s, "h")),)


def _move_file(s: Slots) -> Plan:
    return (call("move_file", file=s["f"], folder=s["o"]),)


def _write_file(s: Slots) -> Plan:
    return (call("write_file", file=s["m"], content=s["w"]),)


def _convert(s: Slots) -> Plan | None:
    if dimension(s["t"]) != dimension(s["u"]):
        return None
    return (call("convert", value=_number(s, "x"), from_=s["t"], to=s["u"]),)


def _lookup(s: Slots) -> Plan:
    return (_cell(s["g"], s["c"], s["p"]),)


def _cell(good: str, column: str, city: str) -> Call:
    return call("lookup", good=good, column=column, city=city)


def _set_cell(s: Slots) -> Plan:
    return (call("set_cell", good=s["g"], column=s["c"], city=s["p"], value=_number(s, "x")),)


def _travel_time(s: Slots) -> Plan:
    return (_trip(s["p"], s["q"]),)


def _trip(start: str, end: str) -> Call:
    return call("travel_time", from_=start, to=end)


def _calculate(s: Slots) -> Plan:
    return (call("calculate", left=_number(s, "x"), operation=s["z"], right=_number(s, "y")),)


def _sum(left: ResultOf | int, operation: str, right: ResultOf | int) -> Call:
    return call("calculate", left=left, operation=operation, right=right)


def _join_texts(s: Slots) -> Plan:
    return (call("join_texts", first=s["v"], second=s["w"]),)


def _same_day(s: Slots) -> Plan:
    return call("find_day", title=s["e"]), call("add_event", title=s["n"], day=R1, hour=_number(s, "h"))


def _cost(s: Slots) -> Plan:
    return _cell(s["g"], "price", s["p"]), _sum(_number(s, "x"), "times", R1)


def _trip_in(s: Slots) -> Plan | None:
    if s["u"] not in TIMES or s["u"] == "minutes":
        return None
    return _trip(s["p"], s["q"]), call("convert", value=R1, from_="minutes", to=s["u"])


def _write_trip(s: Slots) -> Plan:
    return _trip(s["p"], s["q"]), call("write_file", file=s["m"], content=R1)


def _price_gap(s: Slots) -> Plan:
    return _cell(s["g"], "price", s["p"]), _cell(s["g"], "price", s["q"]), _sum(R1, "minus", R2)


def _via(s: Slots) -> Plan:
    return _trip(s["p"], s["q"]), _trip(s["q"], s["r"]), _sum(R1, "plus", R2)


def _replace(s: Slots) -> Plan:
    return call("cancel_event", title=s["e"]), *_add_event(s)


def _raise(s: Slots) -> Plan:
    change = call("set_cell", good=s["g"], column=s["c"], city=s["p"], value=R2)
    return _cell(s["g"], s["c"], s["p"]), _sum(R1, "plus", _number(s, "x")), change


def _via_in(s: Slots) -> Plan | None:
    if s["u"] not in TIMES or s["u"] == "minutes":
        return None
    return *_via(s), call("convert", value=R3, from_="minutes", to=s["u"])


def _write_via(s: Slots) -> Plan:
    return *_via(s), call("write_file", file=s["m"], content=R3)


def _write_cost(s: Slots) -> Plan:
    return *_cost(s), call("write_file", file=s["m"], content=R2)


def _basket(s: Slots) -> Plan:
    second = _cell(s["k"], "price", s["p"]), _sum(_number(s, "y"), "times", R3)
    return *_cost(s), *second, _sum(R2, "plus", R4)


def _replace_write(s: Slots) -> Plan:
    return *_replace(s), *_write_file(s)


CATALOGUE: tuple[RequestKind, ...] = (
    RequestKind(
        "add_event",
        _add_event,
        "add {n} {d} {h}",
        ("please book {n} on {d} at {h}.", "my calendar needs {n} at {h} on {d}."),
        (HOURS,),
    ),
    RequestKind(
        "move_event",
        _move_event,
        "shift {e} {d} {h}",
        ("please shift {e} to {d} at {h}.", "{e} will now be at {h} on {d}."),
        (HOURS,),
    ),
    RequestKind(
        "move_file",
        _move_file,
        "put {f} {o}",
        ("please put the file {f} into {o}.", "the folder {o} should hold {f}."),
    ),
    RequestKind(
        "write_file",
        _write_file,
        "write {m} {w}",
        ("please write {w} into the file {m}.", "make the file {m} say {w}."),
    ),
    RequestKind(
        "convert",
        _convert,
        "convert {x} {t} {u}",
        ("how many {u} are {x} {t}?", "tell me {x} {t} in {u}."),
        (COUNTS,),
        by="u",
    ),
    RequestKind(
        "lookup",
        _lookup,
        "look {c} {g} {p}",
        ("what is the {c} of {g} in {p}?", "tell me for {p} the {c} of {g}."),
        by="c",
    ),
    RequestKind(
        "set_cell",
        _set_cell,
        "set {c} {g} {p} {x}",
        ("please set the {c} of {g} in {p} to {x}.", "in {p} the {c} of {g} is now {x}."),
        (COUNTS,),
        by="c",
    ),
    RequestKind(
        "travel_time",
        _travel_time,
        "way {p} {q}",
        ("how long is the way from {p} to {q}?", "how long does it take to reach {q} from {p}?"),
    ),
    RequestKind(
        "calculate",
        _calculate,
        "work {x} {z} {y}",
        ("what is {x} {z} {y}?", "please work out {x} {z} {y}."),
        (COUNTS, ("y", 2, 60)),
        by="z",
    ),
    RequestKind(
        "join_texts",
        _join_texts,
        "join {v} {w}",
        ("please join {v} and {w}.", "which text do {v} and {w} make?"),
    ),
    RequestKind(
        "same-day",
        _same_day,
        "add {n} like {e} {h}",
        ("please book {n} at {h} on the day of {e}.", "{n} should be on the same day as {e}, at {h}."),
        (HOURS,),
    ),
    RequestKind(
        "cost",
        _cost,
        "cost {x} {g} {p}",
        ("what do {x} {g} cost in {p}?", "what must be paid for {x} {g} in {p}?"),
        (COUNTS,),
    ),
    RequestKind(
        "trip-in",
        _trip_in,
        "travel {p} {q} in {u}",
        ("how many {u} is it from {p} to {q}?", "tell me in {u} how long it takes from {p} to {q}."),
        (CLOCK_UNITS,),
    ),
    RequestKind(
        "write-trip",
        _write_trip,
        "log {m} {p} {q}",
        (
            "please write into the file {m} how long it takes from {p} to {q}.",
            "make the file {m} say how long the way from {p} to {q} is.",
        ),
    ),
    RequestKind(
        "price-gap",
        _price_gap,
        "gap {g} {p} {q}",
        ("how much more do {g} cost in {p} than in {q}?", "how much dearer are {g} in {p} than in {q}?"),
    ),
    RequestKind(
        "via",
        _via,
        "via {p} {q} {r}",
        ("how long is it from {p} to {r} via {q}?", "how long does it take to go from {p} over {q} to {r}?"),
    ),
    RequestKind(
        "replace",
        _replace,
        "swap {e} {n} {d} {h}",
        ("please cancel {e} and book {n} on {d} at {h}.", "swap {e} for {n} at {h} on {d}."),
        (HOURS,),
    ),
    RequestKind(
        "raise",
        _raise,
        "raise {c} {g} {p} {x}",
        ("please raise the {c} of {g} in {p} by {x}.", "in {p} the {c} of {g} grows by {x}."),
        (COUNTS,),
    ),
)
"""What is taught: ten tools, then eight compositions."""

LONGER: tuple[RequestKind, ...] = (
    RequestKind(
        "via-in",
        _via_in,
        "through {p} {q} {r} in {u}",
        ("how many {u} is it from {p} to {r} via {q}?",),
        (CLOCK_UNITS,),
    ),
    RequestKind(
        "write-via",
        _write_via,
        "keep {m} {p} {q} {r}",
        ("please write into the file {m} how long it takes from {p} to {r} via {q}.",),
    ),
    RequestKind(
        "write-cost",
        _write_cost,
        "bill {m} {x} {g} {p}",
        ("please write into the file {m} what {x} {g} cost in {p}.",),
        (COUNTS,),
    ),
    RequestKind(
        "basket",
        _basket,
        "basket {x} {g} {y} {k} {p}",
        ("what do {x} {g} and {y} {k} cost in {p}?",),
        (COUNTS, ("y", 2, 60)),
    ),
    RequestKind(
        "replace-write",
        _replace_write,
        "exchange {e} {n} {d} {h} {m} {w}",
        ("please cancel {e}, book {n} on {d} at {h}, and write {w} into the file {m}.",),
        (HOURS,),
    ),
)
"""Of the transfer split: longer plans of tools that are taught."""
