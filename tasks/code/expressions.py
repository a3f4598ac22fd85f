"""A small part of Python's expressions, computed here on plain values: what is left of an assert without its calls.

``eval`` is never used. A row is data: names, calls and kinds of nodes that are not listed here are refused, and no
expression makes a value of more than ``LARGEST`` parts or takes more than ``STEPS`` steps.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tasks.code.comparing import near
from tasks.errors import DataenvError

LARGEST = 1_000_000
"""Parts of a sequence, and bits of a whole number."""
STEPS = 1_000_000
"""Nodes that are computed for one expression."""
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_, ast.BitXor: operator.xor,
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_, ast.Invert: operator.invert,
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
_CALLS: dict[str, Callable[..., Any]] = {
    "abs": abs, "all": all, "any": any, "bool": bool, "complex": complex, "dict": dict, "float": float,
    "frozenset": frozenset, "int": int, "isinstance": isinstance,
    "len": len, "list": list, "max": max, "min": min, "round": round, "set": set,
    "sorted": sorted, "str": str, "sum": sum, "tuple": tuple, "isclose": math.isclose, "fabs": math.fabs,
    "math.isclose": math.isclose, "math.fabs": math.fabs, "math.sqrt": math.sqrt, "math.isnan": math.isnan,
    "near": near,
}  # fmt: skip
_NAMES: dict[str, Any] = {"math.pi": math.pi, "math.e": math.e, "math.inf": math.inf, "math.nan": math.nan}
_TYPES: dict[str, type] = {
    kind.__name__: kind for kind in (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)
}
_KEYWORDS = frozenset({"rel_tol", "abs_tol", "reverse", "ndigits"})


class UnsupportedExpressionError(DataenvError, ValueError):
    """An expression is of no form that is computed outside of the sandbox."""


def check(node: ast.expr, names: Iterable[str] = ()) -> None:
    """Refuse an expression that ``compute`` cannot compute, whatever the values are.

    Args:
        node: The expression.
        names: Names that will have a value.

    Raises:
        UnsupportedExpressionError: If it is of another form.
    """
    known = {*names}
    for comprehension in (part for part in ast.walk(node) if isinstance(part, ast.comprehension)):
        known.update(part.id for part in ast.walk(comprehension.target) if isinstance(part, ast.Name))
    for part in ast.walk(node):
        _check_one(part, known)


def _check_one(node: ast.AST, known: set[str]) -> None:
    match node:
        case ast.Call():
            named = all(keyword.arg in _KEYWORDS for keyword in node.keywords)
            fine = named and _dotted(node.func) in {*_CALLS, "range", "zip", "enumerate"}
        case ast.Name():
            fine = node.id in known or node.id in _CALLS or node.id in ("range", "zip", "enumerate", "math")
        case ast.Attribute():
            fine = _dotted(node) in {*_CALLS, *_NAMES}
        case ast.Compare():
            constants = (ast.Is, ast.IsNot)
            fine = not any(isinstance(op, constants) for op in node.ops) or isinstance(
                node.comparators[0], ast.Constant
            )
        case ast.BinOp():
            fine = type(node.op) in _BINARY
        case ast.comprehension():
            fine = not node.is_async
        case ast.Constant():
            fine = node.value is not Ellipsis
        case ast.Dict():
            fine = None not in node.keys
        case _:
            fine = isinstance(node, _KINDS)
    if not fine:
        raise UnsupportedExpressionError(f"{ast.unparse(node)[:60]!r} is not computed here")


_KINDS = (
    ast.List, ast.Tuple, ast.Set, ast.UnaryOp, ast.BoolOp, ast.IfExp, ast.Subscript, ast.Slice, ast.ListComp,
    ast.GeneratorExp, ast.SetComp, ast.keyword, ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.expr_context,
)  # fmt: skip


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def compute(node: ast.expr, names: Mapping[str, Any] | None = None) -> Any:
    """The value of an expression that ``check`` accepts.

    Args:
        node: The expression.
        names: Plain values by name.

    Raises:
        UnsupportedExpressionError: If it grows too large or takes too long.
        Exception: Whatever Python raises where the values do not suit, such as ``TypeError``.
    """
    return _Computation().of(node, dict(names or {}))


class _Computation:
    """One expression's computation, with the steps that are left."""

    def __init__(self) -> None:
        self._left = STEPS

    def of(self, node: ast.AST, names: Mapping[str, Any]) -> Any:
        self._spend(1)
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return names[node.id] if node.id in names else _TYPES[node.id]
            case ast.Attribute():
                return _NAMES[_dotted(node)]
            case ast.List() | ast.Tuple() | ast.Set():
                kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
                return kind(self.of(item, names) for item in node.elts)
            case ast.Dict():
                pairs = zip(node.keys, node.values, strict=True)
                return {self.of(key, names): self.of(value, names) for key, value in pairs if key is not None}
            case ast.UnaryOp():
                return _UNARY[type(node.op)](self.of(node.operand, names))
            case ast.BinOp():
                return self._binary(node.op, self.of(node.left, names), self.of(node.right, names))
            case ast.BoolOp():
                return self._bool(node, names)
            case ast.Compare():
                return self._compare(node, names)
            case ast.IfExp():
                return self.of(node.body if self.of(node.test, names) else node.orelse, names)
        return self._rest(node, names)

    def _rest(self, node: ast.AST, names: Mapping[str, Any]) -> Any:
        match node:
            case ast.Subscript():
                return self.of(node.value, names)[self.of(node.slice, names)]
            case ast.Slice():
                ends = (node.lower, node.upper, node.step)
                return slice(*(None if end is None else self.of(end, names) for end in ends))
            case ast.ListComp() | ast.GeneratorExp():
                return [self.of(node.elt, bound) for bound in self._bound(node.generators, names)]
            case ast.SetComp():
                return {self.of(node.elt, bound) for bound in self._bound(node.generators, names)}
            case ast.Call():
                return self._call(node, names)
        raise UnsupportedExpressionError(f"a {type(node).__name__} is not computed here")

    def _binary(self, op: ast.operator, a: Any, b: Any) -> Any:
        if isinstance(a, str | bytes) and isinstance(op, ast.Mod):
            raise UnsupportedExpressionError("a text with % is not computed here")
        size = _size(a) + _size(b)
        if isinstance(op, ast.Pow) and type(a) is int and type(b) is int:
            size = a.bit_length() * max(1, b)
        elif isinstance(op, ast.Mult) and type(a) is not type(b):
            size = max(_size(a) * b if type(b) is int else 0, _size(b) * a if type(a) is int else 0)
        if size > LARGEST:
            raise UnsupportedExpressionError("a value is too large to be computed here")
        return _BINARY[type(op)](a, b)

    def _bool(self, node: ast.BoolOp, names: Mapping[str, Any]) -> Any:
        wanted, value = isinstance(node.op, ast.Or), None
        for part in node.values:
            value = self.of(part, names)
            if bool(value) is wanted:
                break
        return value

    def _compare(self, node: ast.Compare, names: Mapping[str, Any]) -> bool:
        left = self.of(node.left, names)
        for op, part in zip(node.ops, node.comparators, strict=True):
            right = self.of(part, names)
            if not _COMPARE[type(op)](left, right):
                return False
            left = right
        return True

    def _bound(self, generators: Sequence[ast.comprehension], names: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        first, *rest = generators
        for value in self.of(first.iter, names):
            inner = {**names, **bind(first.target, value)}
            if all(self.of(condition, inner) for condition in first.ifs):
                yield from self._bound(rest, inner) if rest else (inner,)

    def _call(self, node: ast.Call, names: Mapping[str, Any]) -> Any:
        given = [self.of(part, names) for part in node.args]
        named = {str(keyword.arg): self.of(keyword.value, names) for keyword in node.keywords}
        name = _dotted(node.func)
        self._spend(sum(map(_size, given)))
        if name == "sum" and len(given) > 1:  # of lists it would take time that nobody counts
            raise UnsupportedExpressionError("a sum with a beginning is not computed here")
        if name == "range":
            if len(range(*given)) > LARGEST:
                raise UnsupportedExpressionError("a range is too long to be computed here")
            return list(range(*given))
        if name in ("zip", "enumerate"):
            return list(zip(*given, strict=False) if name == "zip" else enumerate(*given))
        return _CALLS[name](*given, **named)

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise UnsupportedExpressionError("it takes too many steps to be computed here")


def bind(target: ast.expr, value: Any) -> dict[str, Any]:
    """Names that a target such as ``a, b`` gives to a value.

    Raises:
        UnsupportedExpressionError: If it is no name and no tuple of names.
        ValueError: If there are not as many values as names.
    """
    if isinstance(target, ast.Name):
        return {target.id: value}
    if not isinstance(target, ast.Tuple | ast.List):
        raise UnsupportedExpressionError("a target is no name")
    pairs = zip(target.elts, value, strict=True)
    return {name: held for part, item in pairs for name, held in bind(part, item).items()}


def _size(value: object) -> int:
    """Parts of a sequence; bits of a whole number; else 1."""
    if isinstance(value, int):
        return value.bit_length()
    return len(value) if isinstance(value, str | bytes | list | tuple | set | frozenset | dict) else 1
