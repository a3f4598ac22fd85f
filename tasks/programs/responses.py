"""Responses: what a student wrote, read as a program and put into one form. Nothing here runs it."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache

from tasks.programs.values import ARGUMENTS

LONGEST = 4000
"""Letters of a response that is read; no one-line function comes near."""
ENTRY = "f"
_FENCED = re.compile(r"```[a-zA-Z0-9]*[ \t]*\n(.*?)```", re.DOTALL)
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What Python's parser raises on texts that are no program, or nested without end."""


@dataclass(frozen=True)
class ReadProgram:
    """A response that is a program.

    Attributes:
        code: Its text, in one form whatever its spaces, quotes and needless brackets.
        entry: The function to call.
        body: The expression that it gives, in one form; ``None`` where it is more than one expression.
    """

    code: str
    entry: str
    body: str | None


@lru_cache(maxsize=16384)
def read_program(response: str, letter: str) -> ReadProgram | None:
    """A response as a program: an expression of the argument, a lambda, or function definitions; ``None`` for neither.

    The first fenced block is read, where there is one. Of several functions the one named ``f`` is called, or the last.

    Args:
        response: What was written.
        letter: The argument's name.
    """
    if len(response) > LONGEST:
        return None
    fenced = _FENCED.search(response)
    text = (fenced[1] if fenced else response).strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strange escapes in a student's texts
            return _expression(text, letter) or _functions(text)
    except UNREADABLE:
        return None


def _expression(text: str, letter: str) -> ReadProgram | None:
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    if isinstance(tree, ast.Lambda):
        own = tree.args.args
        body = ast.unparse(tree.body) if [a.arg for a in own] == [letter] else None
        return ReadProgram(f"{ENTRY} = {ast.unparse(tree)}", ENTRY, body)
    body = ast.unparse(tree)
    return ReadProgram(f"{ENTRY} = lambda {letter}: ({body})", ENTRY, body)


def _functions(text: str) -> ReadProgram | None:
    tree = ast.parse(text)
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    names += [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    if not names:
        return None
    return ReadProgram(ast.unparse(tree), ENTRY if ENTRY in names else names[-1], None)


def parsed(body: str) -> ast.expr:
    """The tree of a body."""
    return ast.parse(body, mode="eval").body


assert ENTRY not in ARGUMENTS, "a program calls itself by a name that is no argument"
