"""Forms: the single steps of a program, each with its description in two styles, its code and what it computes.

What a step computes (``run``) is written beside its code and apart from it: expected values never come from running
text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import prod
from typing import Any, Literal

Given = Mapping[str, str]
"""The constants of a step, by their letter, as they are written."""
Style = Literal["compact", "english"]
Part = Literal["whole", "element", "condition", "fold"]

LOW, SUM, PRODUCT, ATOM = 0, 1, 2, 3
"""How tightly an expression binds: a condition, a sum or difference, a product or remainder, a call or subscript."""
NUMBERS, CHARACTERS, SIGN = "abc", "pq", "g"
"""The letters of constants: numbers, letters of the alphabet, and the sign between numbers."""
TOP = 59
"""The largest constant, where a form says nothing else."""
_PATTERNS = {
    **dict.fromkeys(NUMBERS, r"(0|[1-9][0-9]{0,2})"),
    **dict.fromkeys(CHARACTERS, "([a-z])"),
    SIGN: "([,;:/-])",
}
_PLACE = re.compile(r"\{([abcpqg])\}")


@dataclass(frozen=True, eq=False)
class Form:
    """A step of a program; each is there once, and equal to itself alone.

    Attributes:
        skill: What it needs.
        takes: The kinds of argument it works on, by their letters (``values.ARGUMENTS``).
        gives: The kind of its value: such a letter; ``=`` for what it took; ``b`` for truth; ``.`` for anything else.
        compact: Its description with constants in braces.
        english: The same in natural English.
        code: Its expression with constants in braces; of a ``whole`` with the value it works on as ``{v}``.
        run: What it computes, from the value and the constants by their letters.
        part: ``whole`` expression; ``element`` or ``condition`` of a comprehension over ``x``; ``fold`` of a list.
        level: How tightly its expression binds.
        needs: How tightly the value it works on must bind.
        limits: The least and the most of each number, where it is not 1 to ``TOP``.
    """

    skill: str
    takes: str
    gives: str
    compact: str
    english: str
    code: str
    run: Callable[..., Any]
    part: Part = "whole"
    level: int = ATOM
    needs: int = LOW
    limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @cached_property
    def letters(self) -> tuple[str, ...]:
        """The letters of its constants, each once."""
        return tuple(dict.fromkeys(_PLACE.findall(self.compact)))

    def describe(self, given: Given, style: Style) -> str:
        """Its description."""
        return (self.compact if style == "compact" else self.english).format_map(given)

    def read(self, text: str, style: Style) -> Given | None:
        """Its constants in a description, or ``None``."""
        letters, pattern = self._patterns[style]
        found = pattern.fullmatch(text)
        if found is None:
            return None
        given: dict[str, str] = {}
        for letter, value in zip(letters, found.groups(), strict=True):
            if given.setdefault(letter, value) != value:
                return None
        low = {letter: least for letter, (least, _) in self.limits.items()}
        return given if all(int(given[x]) >= low.get(x, 0) for x in given if x in NUMBERS) else None

    def bounds(self, letter: str) -> tuple[int, int]:
        """The least and the most of a number."""
        return self.limits.get(letter, (1, TOP))

    @cached_property
    def size(self) -> int:
        """How many sets of constants there are."""
        ranges = (self.bounds(letter) if letter in NUMBERS else (1, 26) for letter in self.letters)
        return prod(high - low + 1 for low, high in ranges)

    @cached_property
    def _patterns(self) -> dict[Style, tuple[list[str], re.Pattern[str]]]:
        return {"compact": _pattern(self.compact), "english": _pattern(self.english)}


def _pattern(text: str) -> tuple[list[str], re.Pattern[str]]:
    pieces = _PLACE.split(text)  # text, letter, text, letter … text
    letters = pieces[1::2]
    parts = [re.escape(piece) if i % 2 == 0 else _PATTERNS[piece] for i, piece in enumerate(pieces)]
    return letters, re.compile("".join(parts), re.ASCII)


@dataclass(frozen=True)
class Operation:
    """One operation on a number.

    Attributes:
        word: In the compact style.
        english: With ``{it}`` for the number and ``{a}`` for the constant.
        code: With ``{v}`` for the number.
        run: From number and constant.
        level: How tightly it binds.
        least: The least constant.
        most: The most.
    """

    word: str
    english: str
    code: str
    run: Callable[[int, int], int]
    level: int
    least: int = 1
    most: int = TOP


PLUS = Operation("plus", "add {a} to {it}", "{v}+{a}", lambda x, a: x + a, SUM)
MINUS = Operation("minus", "subtract {a} from {it}", "{v}-{a}", lambda x, a: x - a, SUM)
TIMES = Operation("times", "multiply {it} by {a}", "{v}*{a}", lambda x, a: x * a, PRODUCT, 2, 19)
MOD = Operation("mod", "take {it} modulo {a}", "{v}%{a}", lambda x, a: x % a, PRODUCT, 2)
OPERATIONS = (PLUS, MINUS, TIMES, MOD)
"""The operations on a number that most forms are made with."""


def _on(operation: Operation, value: str) -> str:
    """An operation's code on an expression that binds tightly."""
    return operation.code.replace("{v}", value)


def _said(operation: Operation, it: str, letter: str = "a") -> str:
    return operation.english.replace("{it}", it).replace("{a}", f"{{{letter}}}")


def _bounds(operation: Operation) -> dict[str, tuple[int, int]]:
    return {"a": (operation.least, operation.most)}


def _slices() -> Iterator[Form]:
    rows: tuple[tuple[str, str, str, Callable[[Any, int], Any], int], ...] = (
        ("first {a}", "keep the first {a} items", "{v}[:{a}]", lambda v, a: v[:a], 1),
        ("last {a}", "keep the last {a} items", "{v}[-{a}:]", lambda v, a: v[-a:], 1),
        ("drop {a}", "drop the first {a} items", "{v}[{a}:]", lambda v, a: v[a:], 1),
        ("cut {a}", "drop the last {a} items", "{v}[:-{a}]", lambda v, a: v[:-a], 1),
    )
    for compact, english, code, run, least in rows:
        yield Form("slice", "vsw", "=", compact, english, code, run, needs=ATOM, limits={"a": (least, 15)})
    yield Form(
        "slice", "vsw", "=", "from {a} to {b}", "keep the items from place {a}, counted from 0, up to but without {b}",
        "{v}[{a}:{b}]", lambda v, a, b: v[a:b], needs=ATOM, limits={"a": (1, 8), "b": (9, 20)},
    )  # fmt: skip
    yield Form(
        "slice", "vsw", "=", "every {a} from {b}", "keep the item at place {b}, counted from 0, and each {a} places on",
        "{v}[{b}::{a}]", lambda v, a, b: v[b::a], needs=ATOM, limits={"a": (2, 12), "b": (1, 9)},
    )  # fmt: skip
    yield Form("slice", "vsw", "=", "reverse", "reverse the order", "{v}[::-1]", lambda v: v[::-1], needs=ATOM)


def _maps() -> Iterator[Form]:
    for op in OPERATIONS:
        yield Form(
            "map", "vi", "v", f"each {_on(op, 'x')}", _said(op, "each number"), _on(op, "x"),
            lambda v, a, op=op: [op.run(x, a) for x in v], "element", limits=_bounds(op),
        )  # fmt: skip
    two: tuple[tuple[str, str, Callable[[int, int, int], int], dict[str, tuple[int, int]]], ...] = (
        ("x*{a}+{b}", "multiply each number by {a} and add {b}", lambda x, a, b: x * a + b, {"a": (2, 12)}),
        ("(x+{a})*{b}", "add {a} to each number and multiply by {b}", lambda x, a, b: (x + a) * b, {"b": (2, 12)}),
        ("x%{a}+{b}", "take each number modulo {a} and add {b}", lambda x, a, b: x % a + b, {"a": (2, TOP)}),
    )
    for code, english, run, limits in two:
        yield Form(
            "map", "vi", "v", f"each {code}", english, code,
            lambda v, a, b, run=run: [run(x, a, b) for x in v], "element", limits=limits,
        )  # fmt: skip


def _filters() -> Iterator[Form]:
    rows: tuple[tuple[str, str, Callable[..., bool], dict[str, tuple[int, int]]], ...] = (
        ("x>{a}", "keep the numbers greater than {a}", lambda x, a: x > a, {"a": (1, 59)}),
        ("x<{a}", "keep the numbers less than {a}", lambda x, a: x < a, {"a": (2, 59)}),
        ("x!={a}", "remove each {a}", lambda x, a: x != a, {"a": (0, 59)}),
        ("x%{a}=={b}", "keep the numbers that leave {b} when divided by {a}", lambda x, a, b: x % a == b,
         {"a": (5, 29), "b": (0, 4)}),
        ("{a}<x<{b}", "keep the numbers between {a} and {b}, without these two", lambda x, a, b: a < x < b,
         {"a": (1, 19), "b": (21, 59)}),
    )  # fmt: skip
    for code, english, run, limits in rows:
        yield Form(
            "filter", "vi", "v", f"keep {code}", english, code,
            lambda v, run=run, **given: [x for x in v if run(x, **given)], "condition", limits=limits,
        )  # fmt: skip
    yield Form(
        "filter", "w", "w", "keep with {p} and size>{a}", "keep the words with the letter {p} of more than {a} letters",
        "'{p}' in x and len(x)>{a}", lambda w, p, a: [x for x in w if p in x and len(x) > a], "condition",
        limits={"a": (1, 7)},
    )  # fmt: skip


@dataclass(frozen=True)
class Fold:
    """From a list to a number.

    Attributes:
        english: Of a step.
        noun: What it gives.
        code: The function's name.
        run: From the list.
    """

    english: str
    noun: str
    code: str
    run: Callable[[Any], int]


FOLDS: dict[str, Fold] = {
    "sum": Fold("take the sum", "sum", "sum", sum),
    "max": Fold("take the largest", "largest number", "max", max),
    "min": Fold("take the smallest", "smallest number", "min", min),
    "size": Fold("count the items", "size", "len", len),
}


def _folds() -> Iterator[Form]:
    for name, fold in FOLDS.items():
        takes = "v" if name == "size" else "vi"
        yield Form("agg", takes, "n", name, fold.english, fold.code, lambda v, run=fold.run: run(v), "fold")
    yield Form(
        "agg", "v", "n", "count {a}", "count how often {a} is there", "{v}.count({a})",
        lambda v, a: v.count(a), needs=ATOM, limits={"a": (0, 39)},
    )  # fmt: skip


def _sorts() -> Iterator[Form]:
    yield Form("sort", "vi", "v", "sort", "sort in rising order", "sorted({v})", lambda v: sorted(v))
    keys: tuple[tuple[str, str, str, Callable[..., Any], dict[str, tuple[int, int]]], ...] = (
        ("v", "x%{a}", "the remainder modulo {a}", lambda x, a: x % a, {"a": (2, TOP)}),
        ("v", "abs(x-{a})", "the distance from {a}", lambda x, a: abs(x - a), {}),
        ("v", "(x%{a},x)", "the remainder modulo {a} and then by size", lambda x, a: (x % a, x), {"a": (2, TOP)}),
        ("v", "(x-{a})%{b}", "the remainder modulo {b} after taking {a} away", lambda x, a, b: (x - a) % b,
         {"b": (5, TOP)}),
        ("w", "x.count('{p}')", "how often they have the letter {p}", lambda x, p: x.count(p), {}),
        ("w", "x.count('{p}')-x.count('{q}')", "how many more of {p} than of {q} they have",
         lambda x, p, q: x.count(p) - x.count(q), {}),
    )  # fmt: skip
    for takes, key, english, run, limits in keys:
        for down in (False, True):
            said = key.replace("x.count('{p}')", "count of {p}").replace("x.count('{q}')", "{q}")
            yield Form(
                "sort", takes + "i" * (takes == "v"), takes, f"sort {'down ' * down}by {said}",
                f"sort {'downwards ' * down}by {english}", f"sorted({{v}},key=lambda x:{key}{',reverse=True' * down})",
                lambda v, run=run, down=down, **given: sorted(v, key=lambda x: run(x, **given), reverse=down),
                limits=limits,
            )  # fmt: skip


def _choices() -> Iterator[Form]:
    tests: tuple[tuple[str, str, Callable[[int, int], bool], dict[str, tuple[int, int]]], ...] = (
        ("n>{a}", "it is greater than {a}", lambda n, a: n > a, {"a": (1, 29)}),
        ("n<{a}", "it is less than {a}", lambda n, a: n < a, {"a": (2, 29)}),
        ("n%{a}==0", "it divides by {a}", lambda n, a: n % a == 0, {"a": (2, 9)}),
    )
    for (test, said, is_so, limits), yes, no in product(tests, OPERATIONS, OPERATIONS):
        then, other = (op.code.replace("{v}", "n").replace("{a}", x) for op, x in ((yes, "{b}"), (no, "{c}")))
        yield Form(
            "cond", "n", "n", f"if {test} {then} else {other}",
            f"if {said} {_said(yes, 'it', 'b')}, or else {_said(no, 'it', 'c')}", f"{then} if {test} else {other}",
            lambda n, a, b, c, so=is_so, yes=yes, no=no: yes.run(n, b) if so(n, a) else no.run(n, c),
            level=LOW, limits={**limits, "b": (yes.least, yes.most), "c": (no.least, no.most)},
        )  # fmt: skip


def _arithmetic() -> Iterator[Form]:
    for op in OPERATIONS:
        yield Form(
            "arith", "n", "n", f"{op.word} {{a}}", _said(op, "it"), op.code, op.run,
            level=op.level, needs=op.level, limits=_bounds(op),
        )  # fmt: skip
    yield Form("arith", "n", "n", "square", "square it", "{v}**2", lambda n: n * n, level=PRODUCT, needs=ATOM)
    yield Form("arith", "n", "n", "over {a}", "divide it by {a} and round down", "{v}//{a}", lambda n, a: n // a,
               level=PRODUCT, needs=PRODUCT, limits={"a": (2, TOP)})  # fmt: skip


def _texts() -> Iterator[Form]:
    rows: tuple[tuple[str, str, str, str, str, Callable[..., Any]], ...] = (
        ("s", "s", "replace {p} by {q}", "replace each {p} by {q}", "{v}.replace('{p}','{q}')",
         lambda s, p, q: s.replace(p, q)),
        ("s", "s", "append {p}{q}", "write {p}{q} behind it", "{v}+'{p}{q}'", lambda s, p, q: s + p + q),
        ("s", "s", "put {p}{q} before", "write {p}{q} before it", "'{p}{q}'+{v}", lambda s, p, q: p + q + s),
        ("s", "n", "find {p}{q}", "find the place of {p}{q}, or -1", "{v}.find('{p}{q}')",
         lambda s, p, q: s.find(p + q)),
        ("s", "w", "cut at {p}", "cut it at each {p}", "{v}.split('{p}')", lambda s, p: s.split(p)),
        ("s", "n", "letters {p}", "count the letter {p}", "{v}.count('{p}')", lambda s, p: s.count(p)),
        ("w", "s", "join with {p}{q}", "join the words with {p}{q} between", "'{p}{q}'.join({v})",
         lambda w, p, q: (p + q).join(w)),
    )  # fmt: skip
    for takes, gives, compact, english, code, run in rows:
        level = SUM if "+" in code else ATOM
        needs = LOW if "join" in code else level
        yield Form("text", takes, gives, compact, english, code, run, level=level, needs=needs)


def _parsing() -> Iterator[Form]:
    yield Form("parse", "t", "i", "split {g}", "read the numbers between the signs {g}", "map(int,{v}.split('{g}'))",
               lambda t, g: [int(x) for x in t.split(g)], needs=ATOM)  # fmt: skip


def _dicts() -> Iterator[Form]:
    for op in OPERATIONS:
        bounds, x = _bounds(op), _on(op, "x")
        yield Form("dict", "v", "d", f"dict x to {x}", f"make a dict from each number: {_said(op, 'it')}",
                   f"{{{{x:{x} for x in {{v}}}}}}", lambda v, a, op=op: {x: op.run(x, a) for x in v},
                   needs=SUM, limits=bounds)  # fmt: skip
        yield Form("dict", "w", "d", f"dict x to {_on(op, 'size')}",
                   f"make a dict from each word to its length, and {_said(op, 'that')}",
                   f"{{{{x:{_on(op, 'len(x)')} for x in {{v}}}}}}",
                   lambda w, a, op=op: {x: op.run(len(x), a) for x in w}, needs=SUM, limits=bounds)  # fmt: skip
        yield Form("dict", "d", "d", f"values {op.word} {{a}}", f"change each value: {_said(op, 'it')}",
                   f"{{{{k:{x} for k,x in {{v}}.items()}}}}",
                   lambda d, a, op=op: {k: op.run(x, a) for k, x in d.items()},
                   needs=ATOM, limits=bounds)  # fmt: skip
    yield Form("dict", "d", "n", "get {p} or {a}", "get the value of {p}, or {a} where there is none",
               "{v}.get('{p}',{a})", lambda d, p, a: d.get(p, a), needs=ATOM)  # fmt: skip
    yield Form("dict", "d", "d", "keys with value>{a}", "keep the keys whose value is greater than {a}",
               "{{k:x for k,x in {v}.items() if x>{a}}}", lambda d, a: {k: x for k, x in d.items() if x > a},
               needs=ATOM, limits={"a": (1, 29)})  # fmt: skip


def _nests() -> Iterator[Form]:
    for (name, fold), op in product(FOLDS.items(), OPERATIONS):
        yield Form("nest", "m", "v", f"rows to {_on(op, name)}",
                   f"replace each row by its {fold.noun} and {_said(op, 'that')}",
                   f"[{_on(op, f'{fold.code}(r)')} for r in {{v}}]",
                   lambda m, a, run=fold.run, op=op: [op.run(run(r), a) for r in m],
                   needs=SUM, limits=_bounds(op))  # fmt: skip
    for op in OPERATIONS:
        yield Form("nest", "m", "m", f"all {_on(op, 'x')}", f"in each row {_said(op, 'each number')}",
                   f"[[{_on(op, 'x')} for x in r] for r in {{v}}]",
                   lambda m, a, op=op: [[op.run(x, a) for x in r] for r in m],
                   needs=SUM, limits=_bounds(op))  # fmt: skip
        yield Form("nest", "m", "v", f"flat {_on(op, 'x')}",
                   f"join all rows to one list and {_said(op, 'each number')}",
                   f"[{_on(op, 'x')} for r in {{v}} for x in r]",
                   lambda m, a, op=op: [op.run(x, a) for r in m for x in r], needs=SUM, limits=_bounds(op))  # fmt: skip
    yield Form("nest", "m", "v", "item {a} of rows", "take of each row the item at place {a}, counted from 0",
               "[r[{a}] for r in {v}]", lambda m, a: [r[a] for r in m], needs=SUM, limits={"a": (0, 4)})  # fmt: skip
    yield Form("nest", "m", "m", "rows with sum>{a}", "keep the rows whose sum is greater than {a}",
               "[r for r in {v} if sum(r)>{a}]", lambda m, a: [r for r in m if sum(r) > a],
               needs=SUM, limits={"a": (30, 79)})  # fmt: skip


def _recursion() -> Iterator[Form]:
    rows: tuple[tuple[str, str, Callable[[int, int, int, int], int], dict[str, tuple[int, int]]], ...] = (
        ("f(n-1)+{b}", "f(n-1) plus {b}", lambda n, f, b, c: f + b, {}),
        ("f(n-1)*{b}+{c}", "f(n-1) times {b} plus {c}", lambda n, f, b, c: f * b + c, {"b": (2, 5)}),
        ("f(n-1)+n*{b}", "f(n-1) plus n times {b}", lambda n, f, b, c: f + n * b, {"b": (2, 12)}),
        ("f(n-1)*{b}-n", "f(n-1) times {b} minus n", lambda n, f, b, c: f * b - n, {"b": (2, 5)}),
        ("n*{b}-f(n-1)", "n times {b} minus f(n-1)", lambda n, f, b, c: n * b - f, {"b": (2, 12)}),
    )
    for code, english, step, limits in rows:

        def run(n: int, a: int, b: int, c: int = 0, step: Callable[[int, int, int, int], int] = step) -> int:
            value = a
            for i in range(1, n + 1):
                value = step(i, value, b, c)
            return value

        yield Form("recur", "n", "n", f"f(0)={{a}}, f(n)={code}", f"f(0) is {{a}} and f(n) is {english}",
                   f"{{a}} if n<1 else {code}", run, level=LOW, limits=limits)  # fmt: skip


FORMS: tuple[Form, ...] = (
    *_slices(), *_maps(), *_filters(), *_folds(), *_sorts(), *_choices(), *_arithmetic(), *_texts(), *_parsing(),
    *_dicts(), *_nests(), *_recursion(),
)  # fmt: skip
