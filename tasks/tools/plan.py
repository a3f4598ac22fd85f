"""Plans: JSON that is read into calls, and calls that are run in a world. Both say why not, and never raise.

A plan is a list of calls, ``[{"tool": "lookup", "args": {…}}, …]``. An argument is a number, a text, or ``"$1"``, which
stands for what the first call gave back. The answer of a plan is what its last call gave back that gives something.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NoReturn

from tasks.tools.toolset import TOOLS, PlanError, checked, number
from tasks.tools.world import Value, World

LONGEST_PLAN = 4000
"""Characters of a plan."""
MOST_CALLS = 8
LONGEST_NUMBER = 30
"""Characters of a number."""
REASONS: Mapping[str, str] = {
    "too-long": f"the text has more than {LONGEST_PLAN} characters",
    "not-json": "the text is no JSON, or it names a key twice",
    "not-a-list": "the JSON is no list of calls",
    "no-calls": "the list is empty",
    "too-many-calls": f"the list has more than {MOST_CALLS} calls",
    "not-a-call": "an entry is not an object with `tool` and `args` alone",
    "unknown-tool": "a tool of this name does not exist",
    "missing-argument": "an argument of the tool is not given",
    "unknown-argument": "an argument is given that the tool does not have",
    "wrong-type": "an argument is of another type: a text for a number, a list, true or null",
    "unknown-value": "a day, unit, good, column, city, operation or hour does not exist",
    "huge-number": "a number is too large or too fine",
    "long-text": "a text is too long",
    "bad-reference": "a reference names no earlier call that gives something back",
    "nothing-there": "an event or file does not exist",
    "exists": "an event of this title is in the calendar already",
    "unlike-units": "two units do not measure the same",
    "division-by-zero": "a number is divided by zero",
}
"""Why a plan cannot be read or run, by name."""
_REFERENCE = re.compile(r"\$([1-9][0-9]?)", re.ASCII)


@dataclass(frozen=True)
class ResultOf:
    """Stands for what an earlier call gave back; ``call`` counts from 0."""

    call: int


Argument = Value | ResultOf


@dataclass(frozen=True)
class Call:
    """One call of a plan.

    Attributes:
        tool: Its name, one of ``toolset.TOOLS``.
        args: All arguments, in the order of the tool's parameters.
    """

    tool: str
    args: tuple[tuple[str, Argument], ...]


Plan = tuple[Call, ...]


@dataclass(frozen=True)
class Refusal:
    """Why a plan was not read or run.

    Attributes:
        reason: One of ``REASONS``.
        sentence: For a person.
    """

    reason: str
    sentence: str


@dataclass(frozen=True)
class PlanOutcome:
    """What a plan came to in one world.

    Attributes:
        state: See ``World.state``.
        answer: What the last call gave back that gives something; ``None`` where none does.
    """

    state: tuple[object, ...]
    answer: Value | None


@lru_cache(maxsize=1024)
def read_plan(text: str) -> Plan | Refusal:
    """Read a plan. It is checked as far as it can be without a world."""
    try:
        calls = _calls(text)
        return tuple(_call(entry, calls[:i], i) for i, entry in enumerate(calls))
    except PlanError as error:
        return Refusal(error.reason, str(error))


def run_plan(plan: Sequence[Call], world: World) -> PlanOutcome | Refusal:
    """Run a plan in a copy of a world."""
    there, given, answer = world.copy(), list[Value | None](), None
    for i, call in enumerate(plan):
        tool = TOOLS[call.tool]
        try:
            values = {name: checked(_value(arg, given), tool.parameters[name], name) for name, arg in call.args}
            found = tool.run(there, values)
            given.append(checked(found, "value", "the result") if found is not None else None)
        except PlanError as error:
            return Refusal(error.reason, f"call {i + 1} ({call.tool}): {error}")
        answer = found if found is not None else answer
    return PlanOutcome(there.state, answer)


def write_plan(plan: Sequence[Call]) -> str:
    """The JSON of a plan as lessons hold it: without spaces, arguments in the order of the tool's parameters."""
    calls = [{"tool": call.tool, "args": {name: _plain(arg) for name, arg in call.args}} for call in plan]
    return json.dumps(calls, separators=(",", ":"))


def call(tool: str, **args: Argument | int) -> Call:
    """One call. A parameter called ``from`` is written ``from_``."""
    given = {name.rstrip("_"): Fraction(arg) if isinstance(arg, int) else arg for name, arg in args.items()}
    return Call(tool, tuple((name, given[name]) for name in TOOLS[tool].parameters))


def _calls(text: str) -> list[Any]:
    if len(text) > LONGEST_PLAN:
        raise PlanError("too-long", f"the plan has {len(text)} characters; give at most {LONGEST_PLAN}")
    try:
        found = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_exact, parse_int=_exact
        )
    except (json.JSONDecodeError, RecursionError):
        raise PlanError("not-json", "the plan is no JSON; give a list of calls") from None
    if not isinstance(found, list):
        raise PlanError("not-a-list", "the plan is no list; give a list of calls")
    if not found:
        raise PlanError("no-calls", "the plan has no call; give at least one")
    if len(found) > MOST_CALLS:
        raise PlanError("too-many-calls", f"the plan has {len(found)} calls; give at most {MOST_CALLS}")
    return found


def _call(entry: Any, earlier: Sequence[Any], i: int) -> Call:
    where = f"call {i + 1}"
    if not isinstance(entry, dict) or set(entry) != {"tool", "args"} or not isinstance(entry["args"], dict):
        raise PlanError("not-a-call", f'{where} is no {{"tool": …, "args": {{…}}}}; give both and nothing else')
    name, args = entry["tool"], entry["args"]
    tool = TOOLS.get(name) if isinstance(name, str) else None
    if tool is None:
        raise PlanError("unknown-tool", f"{where} names no tool of {', '.join(TOOLS)}; give one of them")
    missing = [p for p in tool.parameters if p not in args]
    if missing:
        raise PlanError("missing-argument", f"{where} ({name}) lacks the argument {missing[0]!r}; give it")
    unknown = [p for p in args if p not in tool.parameters]
    if unknown:
        raise PlanError("unknown-argument", f"{where} ({name}) has no argument {unknown[0]!r:.40}; leave it out")
    return Call(
        tool.name, tuple((p, _argument(args[p], kind, p, earlier, where)) for p, kind in tool.parameters.items())
    )


def _argument(value: Any, kind: str, name: str, earlier: Sequence[Any], where: str) -> Argument:
    if isinstance(value, str):
        found = _REFERENCE.fullmatch(value)
        if found:
            return _reference(int(found[1]) - 1, earlier, where)
    elif not isinstance(value, Fraction):
        raise PlanError(
            "wrong-type", f"{where}: argument {name!r} is of type {type(value).__name__}; give a number or a text"
        )
    try:
        return checked(value, kind, name)
    except PlanError as error:
        raise PlanError(error.reason, f"{where}: {error}") from None


def _reference(at: int, earlier: Sequence[Any], where: str) -> ResultOf:
    """Earlier calls were read before this one, so each is a call of a tool."""
    if at >= len(earlier) or TOOLS[earlier[at]["tool"]].returns is None:
        raise PlanError("bad-reference", f"{where} refers to call {at + 1}, which gives nothing back before it")
    return ResultOf(at)


def _value(arg: Argument, given: Sequence[Value | None]) -> Value:
    if not isinstance(arg, ResultOf):
        return arg
    found = given[arg.call]
    assert found is not None  # the tool returns something: _reference has checked that
    return found


def _plain(arg: Argument) -> str | int | float:
    if isinstance(arg, ResultOf):
        return f"${arg.call + 1}"
    return arg if isinstance(arg, str) else int(arg) if arg.denominator == 1 else float(arg)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise PlanError("not-json", "the plan gives one key twice; give each once")
    return found


def _exact(text: str) -> Fraction:
    """A JSON number as what it says. One with an exponent is a float first, so that it takes no memory to refuse it."""
    if len(text) > LONGEST_NUMBER or not math.isfinite(value := float(text)):
        raise PlanError("huge-number", f"the plan holds the number {text[:20]}…; give a smaller one")
    return number(Fraction(str(value)) if "e" in text.lower() else Fraction(text), "of the plan")


def _no_constant(text: str) -> NoReturn:
    raise PlanError("not-json", f"the plan holds {text}, which is no JSON; give a number")
