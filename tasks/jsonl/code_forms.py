"""Published forms of questions about code: what a row asks, its reference solution, and its tests.

Sources: HumanEval and pass@k, Chen et al. 2021 (arXiv 2107.03374); MBPP, Austin et al. 2021 (2108.07732); HumanEval+,
Liu et al. 2023 (2305.01210); LiveCodeBench, Jain et al. 2024 (2403.07974).
"""

from __future__ import annotations

import ast
import base64
import binascii
import json
import pickletools
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.code.asserts import cases_of_asserts, cases_of_check, literal, parsed
from tasks.code.records import CodeCase, CodeTests, coded
from tasks.errors import DataenvError
from tasks.jsonl.reading import Raw, WrittenFloat

LARGEST = 1 << 28
"""Bytes of a row's tests, once they are unpacked."""
SHOWN_TESTS = "Your code should pass these tests:"
STDIN = "Read the input from standard input, and print the answer to standard output."
STARTER = "Begin with this code:"
IMPORTS = (
    "import bisect, collections, copy, datetime, functools, heapq, itertools, math, operator, random, re, string, sys\n"
    "from bisect import *\nfrom collections import *\nfrom functools import *\nfrom heapq import *\n"
    "from itertools import *\nfrom math import *\nfrom typing import *\n"
)
"""What stands before a program of LiveCodeBench: most of what its own judge imports."""
LEVELS = {"easy": 0.0, "medium": 0.5, "hard": 1.0}
# A text that somebody pickled; all other operations would build objects, and are refused.
_TEXT_ALONE = {"PROTO", "FRAME", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "MEMOIZE", "BINPUT", "STOP"}


class RefusedRowError(DataenvError, ValueError):
    """A row that cannot be asked. The others can."""


@dataclass(frozen=True)
class CodeQuestion:
    """What a row asks.

    Attributes:
        prompt: What the student reads.
        solution: The reference solution, in the form of an answer; empty where the row has none.
        tests: What is asked of a program.
    """

    prompt: str
    solution: str
    tests: CodeTests


def read_question(form: str, row: Raw, prompt: str, solution: str, tests: str, entry: str) -> CodeQuestion:
    """The question of a row.

    Args:
        form: One of ``READERS``.
        row: The row.
        prompt: What stands in its column of the prompt.
        solution: What stands in its column of the solution; empty for none.
        tests: The column of its tests.
        entry: What stands in its column of the function's name; empty for none.

    Raises:
        RefusedRowError: If it has no tests, or they are of no form that can be read.
    """
    try:
        found = READERS[form](row.fields, prompt.replace("\r\n", "\n"), solution.replace("\r\n", "\n"), tests, entry)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise RefusedRowError(f"{row.where}, is left out: {said:.200}") from None
    if not found.tests.cases and not found.tests.inside:
        raise RefusedRowError(f"{row.where}, is left out: it has no tests")
    return found


def _humaneval(row: Mapping[str, Any], prompt: str, solution: str, tests: str, entry: str) -> CodeQuestion:
    text = str(row[tests] or "")
    cases, whole = cases_of_check(text, entry)
    if not whole and "def check(" not in text:
        raise ValueError("its tests define no function check(candidate)" if text.strip() else "it has no tests")
    inside = () if whole else (f"{text}\ncheck({entry})\n",)
    return CodeQuestion(prompt, solution, CodeTests(**_begun(prompt, entry), cases=tuple(cases), inside=inside))


def _humaneval_plus(row: Mapping[str, Any], prompt: str, solution: str, tests: str, entry: str) -> CodeQuestion:
    cases = [
        CodeCase(part=part, calls=(coded(_valued(arguments)),))
        for part, column in (("base", "base_input"), ("plus", tests))
        for arguments in _listed(row.get(column), column)
    ]
    begun = _begun(prompt, entry)
    reference = f"{prompt}{solution}" if begun["completes"] else solution
    tolerance = float(row.get("atol") or 0.0)
    asked = CodeTests(**begun, cases=tuple(cases), reference=reference, tolerance=tolerance)
    return CodeQuestion(prompt, solution, asked)


def _begun(prompt: str, entry: str) -> dict[str, Any]:
    """The fields of ``CodeTests`` that say what stands before an answer."""
    tree = parsed(prompt)
    begins = tree is not None and any(isinstance(node, ast.FunctionDef) and node.name == entry for node in tree.body)
    return {"entry": entry, "before": prompt if begins else "", "completes": begins}


def _mbpp(row: Mapping[str, Any], prompt: str, solution: str, tests: str, entry: str) -> CodeQuestion:
    texts = [str(text) for text in _listed(row.get(tests), tests)]
    if not texts:
        raise ValueError("it has no tests")
    entry = entry or _called_first(texts, solution)
    before = "\n".join(
        [*map(str, _listed(row.get("test_imports"), "test_imports")), str(row.get("test_setup_code") or "")]
    )
    cases, inside = cases_of_asserts(texts, entry)
    asked = CodeTests(entry=entry, before=before.strip(), cases=tuple(cases), inside=tuple(inside))
    return CodeQuestion("\n".join([prompt.strip(), SHOWN_TESTS, *texts]), solution, asked)


def _called_first(texts: Sequence[str], solution: str) -> str:
    """The function of a reference solution that its tests call first."""
    tree = parsed(solution)
    if tree is None:
        raise ValueError("its reference solution is no Python")
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for text in texts:
        read = parsed(text)
        for node in ast.walk(read) if read is not None else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in own:
                return node.func.id
    raise ValueError("its tests call no function of its reference solution")


def _livecodebench(row: Mapping[str, Any], prompt: str, solution: str, tests: str, entry: str) -> CodeQuestion:
    rows = [("public", case) for case in _listed(row.get("public_test_cases"), "public_test_cases")]
    rows += [("private", case) for case in _listed(row.get("private_test_cases"), "private_test_cases")]
    starter = str(row.get("starter_code") or "").rstrip()
    kinds = {str(case.get("testtype", "functional" if starter else "stdin")) for _, case in rows}
    if kinds == {"functional"}:
        entry = entry or _method(row, starter)
        cases = [_functional(part, case) for part, case in rows]
        prompt = f"{prompt.rstrip()}\n\n{STARTER}\n{starter}" if starter else prompt
    elif kinds <= {"stdin"}:
        entry = ""
        cases = [CodeCase(part=part, calls=([case["input"]],), output=str(case["output"])) for part, case in rows]
        prompt = f"{prompt.rstrip()}\n\n{STDIN}"
    else:
        raise ValueError(f"its tests are of the types {', '.join(sorted(kinds))}; give stdin or functional")
    return CodeQuestion(prompt, solution, CodeTests(entry=entry, before=IMPORTS, cases=tuple(cases)))


def _method(row: Mapping[str, Any], starter: str) -> str:
    """What is called: ``Solution().name`` where the starting code has that class, and else ``name``."""
    held = row.get("metadata") or {}
    held = json.loads(held) if isinstance(held, str) else held
    name = str(held.get("func_name") or "")
    tree = parsed(f"{starter.rstrip().removesuffix(':')}:\n        pass\n" if starter else "")
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)] if tree is not None else []
    inner = classes[0].body if classes else tree.body if tree is not None else []
    name = name or next((node.name for node in inner if isinstance(node, ast.FunctionDef)), "")
    if not name.isidentifier():
        raise ValueError("its starting code names no function, nor does func_name of its metadata")
    return f"{classes[0].name}().{name}" if classes else name


def _functional(part: str, case: Mapping[str, Any]) -> CodeCase:
    """Arguments are a JSON value a line; of what is returned, a tuple counts as a list."""
    arguments = [json.loads(line) for line in str(case["input"]).split("\n") if line.strip()]
    right = ast.unparse(literal(json.loads(str(case["output"]))))
    value = "(list(v0) if isinstance(v0, tuple) else v0)" if right.startswith("[") else "v0"
    return CodeCase(part=part, calls=(coded(arguments),), holds=f"{value} == {right}")


def _listed(value: Any, column: str) -> Sequence[Any]:
    """A list, or the JSON text of one, packed or not; empty for none."""
    if isinstance(value, str):
        value = json.loads(_unpacked(value) if value.strip()[:1] not in ("[", "") else value or "[]")
    if value is None:
        return []
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        raise ValueError(f"column {column!r} holds a {type(value).__name__}; give a list")
    return value


def _unpacked(text: str) -> str:
    """The tests of LiveCodeBench as they are published: base64 of zlib of a pickled text. Nothing is unpickled."""
    try:
        opened = zlib.decompressobj()
        data = opened.decompress(base64.b64decode(text, validate=True), LARGEST)
        if opened.unconsumed_tail:
            raise ValueError(f"its tests hold more than {LARGEST >> 20} MiB")
        steps = [(step.name, argument) for step, argument, _ in pickletools.genops(data)]
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"its tests are neither JSON nor packed ({error})") from None
    texts = [argument for _, argument in steps if isinstance(argument, str)]
    if {name for name, _ in steps} - _TEXT_ALONE or len(texts) != 1:
        raise ValueError("its packed tests are no text")
    return texts[0]


def _valued(value: Any) -> Any:
    """A value of JSON, with its floats as numbers: the reader keeps them as they are written."""
    if isinstance(value, WrittenFloat):
        return float(value)
    if isinstance(value, list | tuple):
        return [_valued(item) for item in value]
    return {key: _valued(item) for key, item in value.items()} if isinstance(value, Mapping) else value


READERS: dict[str, Callable[[Mapping[str, Any], str, str, str, str], CodeQuestion]] = {
    "humaneval": _humaneval,
    "humaneval+": _humaneval_plus,
    "mbpp": _mbpp,
    "livecodebench": _livecodebench,
}
"""By the name that ``format=`` takes."""
