"""Published tests taken apart: asserts become calls, which are made in the sandbox, and what must hold outside."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from tasks.code.expressions import UnsupportedExpressionError, bind, check, compute
from tasks.code.records import CodeCase, coded

MOST_CASES = 2000
"""Tests of one text; a loop of more runs inside."""
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


def parsed(text: str) -> ast.Module | None:
    """A text's tree; ``None`` where it is no Python, or nested without end."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strange escapes in somebody's text
            return ast.parse(text)
    except _UNREADABLE:
        return None


def cases_of_check(text: str, entry: str) -> tuple[list[CodeCase], bool]:
    """The tests of a HumanEval row: a text that defines ``check(candidate)``.

    Returns:
        What could be taken apart, and whether that is all of it.
    """
    tree = parsed(text)
    checks = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"] if tree else []
    if tree is None or len(checks) != 1 or len(checks[0].args.args) != 1:
        return [], False
    reader = _Reader({checks[0].args.args[0].arg, entry}, _compares(tree))
    around = [node for node in tree.body if node is not checks[0] and not isinstance(node, ast.FunctionDef)]
    own = [node for node in around if not _calls_check(node)]
    whole = reader.read([node for node in own if not isinstance(node, ast.Import | ast.ImportFrom)])
    return reader.cases, (reader.read(checks[0].body) and whole) if whole else False


def cases_of_asserts(texts: Sequence[str], entry: str) -> tuple[list[CodeCase], list[str]]:
    """The tests of an MBPP row: one text each.

    Returns:
        What could be taken apart, and the texts of the others.
    """
    cases: list[CodeCase] = []
    others: list[str] = []
    for number, text in enumerate(texts, start=1):
        reader, tree = _Reader({entry}), parsed(text)
        if tree is not None and reader.read(tree.body) and reader.cases:
            cases.extend(case.model_copy(update={"part": f"test {number}"}) for case in reader.cases)
        else:
            others.append(text)
    return cases, others


def _compares(tree: ast.Module) -> bool:
    """Whether a text has the function by which ``evalplus`` compares: equal, or near where they are floats."""
    own = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "assertion"]
    return len(own) == 1 and [arg.arg for arg in own[0].args.args] == ["out", "exp", "atol"]


def _calls_check(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "check"


class _Reader:
    """Reads statements one after the other, as far as all of them are of a simple form.

    Args:
        entries: Names by which the program's function is called.
        compares: Whether ``assertion(out, exp, atol)`` is that of ``evalplus``.
    """

    def __init__(self, entries: Collection[str], compares: bool = False) -> None:
        self._compares = compares
        self.cases: list[CodeCase] = []
        self._entries, self._known = entries, dict[str, ast.expr]()

    def read(self, body: Sequence[ast.stmt]) -> bool:
        """Whether all of it was taken apart. An assert that is not changes nothing for those behind it."""
        whole = True
        for statement in body:
            try:
                self._statement(statement)
            except (UnsupportedExpressionError, *_UNREADABLE, ArithmeticError, TypeError, LookupError):
                if not isinstance(statement, ast.Assert):
                    return False
                whole = False
        return whole

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assert():
                self._case(statement.test)
            case ast.Assign(targets=[ast.Name(id=name)]):
                self._known[name] = self._settled(self._put(statement.value))
            case ast.For(orelse=[]):
                self._loop(statement)
            case ast.Expr(value=ast.Call(func=ast.Name(id="assertion"), args=[_, _, _] as given, keywords=[])):
                if not self._compares:
                    raise UnsupportedExpressionError("no assertion of evalplus")
                self._case(ast.Call(ast.Name("near", ast.Load()), given, []))
            case ast.Pass() | ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                pass  # of an import only names count that are listed in ``expressions``
            case _:
                raise UnsupportedExpressionError(f"a {type(statement).__name__} is not taken apart")

    def _loop(self, statement: ast.For) -> None:
        over = self._put(statement.iter)
        check(over)
        for value in compute(over):
            self._known |= {name: literal(held) for name, held in bind(statement.target, value).items()}
            for inner in statement.body:
                self._statement(inner)

    def _case(self, test: ast.expr) -> None:
        calls: list[list[Any]] = []
        held = _Calls(self._entries, calls).visit(self._put(test))
        check(held, [f"v{i}" for i in range(len(calls))])
        if not calls:
            if not compute(held):
                raise UnsupportedExpressionError("an assert without a call fails")
            return
        if len(self.cases) >= MOST_CASES:
            raise UnsupportedExpressionError("there are too many tests")
        part = f"test {len(self.cases) + 1}"
        self.cases.append(CodeCase(part=part, calls=tuple(calls), holds=ast.unparse(ast.fix_missing_locations(held))))

    def _put(self, node: ast.expr) -> ast.expr:
        """The expression with what is known in place of names."""
        return _Names(self._known).visit(_copy(node))  # type: ignore[no-any-return]

    def _settled(self, node: ast.expr) -> ast.expr:
        """A literal in place of an expression without a call of the entry."""
        if any(isinstance(part, ast.Name) and part.id in self._entries for part in ast.walk(node)):
            return node
        check(node)
        return literal(compute(node))


def _copy(node: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(node), mode="eval").body


class _Names(ast.NodeTransformer):
    """Puts known expressions in place of names."""

    def __init__(self, known: dict[str, ast.expr]) -> None:
        self._known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._known.get(node.id, node) if isinstance(node.ctx, ast.Load) else node

    def visit_comprehension(self, node: ast.comprehension) -> ast.comprehension:
        own = {part.id for part in ast.walk(node.target) if isinstance(part, ast.Name)}
        if own & self._known.keys():
            raise UnsupportedExpressionError("a name has two meanings")
        self.generic_visit(node)
        return node


class _Calls(ast.NodeTransformer):
    """Puts ``v0``, ``v1`` … in place of calls of the entry, and keeps their arguments."""

    def __init__(self, entries: Collection[str], calls: list[list[Any]]) -> None:
        self._entries, self._calls = entries, calls

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if not (isinstance(node.func, ast.Name) and node.func.id in self._entries):
            return self.generic_visit(node)  # type: ignore[return-value]
        if node.keywords:
            raise UnsupportedExpressionError("a call with names is not taken apart")
        arguments: list[Any] = []
        for part in node.args:
            inner = part.value if isinstance(part, ast.Starred) else part
            check(inner)
            arguments.extend(compute(inner) if isinstance(part, ast.Starred) else [compute(inner)])
        self._calls.append(coded(arguments))
        return ast.Name(f"v{len(self._calls) - 1}", ast.Load())

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        return self._no_calls(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.expr:
        return self._no_calls(node)

    def visit_SetComp(self, node: ast.SetComp) -> ast.expr:
        return self._no_calls(node)

    def _no_calls(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> ast.expr:
        """Of an element of a loop it is not known how often a call is made."""
        if any(isinstance(part, ast.Name) and part.id in self._entries for part in _within(node)):
            raise UnsupportedExpressionError("a call in a comprehension is not taken apart")
        return self.generic_visit(node)  # type: ignore[return-value]


def _within(node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> Iterator[ast.AST]:
    """All of a comprehension but for what it goes over first, which is computed once."""
    first, *rest = node.generators
    for part in (node.elt, first.target, *first.ifs, *rest):
        yield from ast.walk(part)


def literal(value: object) -> ast.expr:
    """The expression of a plain value.

    Raises:
        ValueError: If it is none.
    """
    coded([value])
    special = {"inf": "float('inf')", "nan": "float('nan')"}
    text = repr(value)
    if any(word in text for word in special) and not isinstance(value, str):
        text = _spelled(value)
    return ast.parse(text, mode="eval").body


def _spelled(value: object) -> str:
    """Like ``repr``, and readable where a part is not finite."""
    if isinstance(value, float):
        return f"float({str(value)!r})"
    if isinstance(value, list | tuple | set | frozenset):
        inner = "".join(f"{_spelled(item)}, " for item in value)
        return {list: f"[{inner}]", tuple: f"({inner})"}.get(type(value), f"{type(value).__name__}([{inner}])")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_spelled(k)}: {_spelled(v)}" for k, v in value.items()) + "}"
    return repr(value)
