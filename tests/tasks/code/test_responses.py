"""The one rule by which an answer is read as a program."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.code.responses import LONGEST, program_text

PROMPT = 'import math\n\n\ndef f(x):\n    """Say something."""\n'
BODIES = ("    return x + 1\n", "    y = x\n    if y:\n        y = 2\n\n    return y\n", "    return '''a\nb'''\n")
WORDS = st.text(alphabet=st.sampled_from("abc .,:;!?()'\"\n\t#=-"), max_size=40)


def value(text: str | None, x: int = 1) -> object:
    """What ``f`` gives, by Python: only our own programs come here."""
    assert text is not None
    names: dict[str, object] = {}
    exec(text, names)
    return names["f"](x)  # type: ignore[operator]


@pytest.mark.parametrize("body", BODIES)
def test_a_completion_a_whole_function_and_a_block_are_the_same_program(body: str) -> None:
    whole = f"def f(x):\n{body}"
    answers = [
        body, body.lstrip(), whole, PROMPT + body, f"```python\n{whole}```", f"```\n{body}```",
        f"Here is it:\n\n```python\n{whole}\n```\n\nIt works.", f"{body}\n\nprint(f(3))\ndef g(:\n",
        f"{whole}\n\nSo it is.",
        f"```python\nf = 0\n```\nor rather\n```python\n{whole}```", f"```python\n{whole}", f"\n\n{body}",
    ]  # fmt: skip
    expected = value(PROMPT + body)
    for answer in answers:
        assert value(program_text(answer, "f", PROMPT, True)) == expected, answer


@given(WORDS)
def test_what_stands_behind_a_completion_changes_nothing(more: str) -> None:
    """Behind a line that is not indented, as where a model goes on to write."""
    found = program_text(f"    return x + 1\n\n\ndone {more.lstrip()}", "f", PROMPT, True)
    if "```" not in more:
        assert value(found) == 2


@given(WORDS)
def test_what_is_read_is_python_and_defines_the_entry(answer: str) -> None:
    found = program_text(answer, "f", PROMPT, True)
    if found is not None:
        assert "f" in {node.name for node in ast.parse(found).body if isinstance(node, ast.FunctionDef)}
    script = program_text(answer, "")
    if script is not None:
        ast.parse(script)


@pytest.mark.parametrize(
    "answer",
    ["", " \n", "no code here", "def g(x):\n    return 1\n", "x = 1", "def f(x:\n    return 1", "\x00", "(" * 5000,
     "x" * (LONGEST + 1), "f = lambda x: 1", "if True:\n    def f(x):\n        return 1\n"],
)  # fmt: skip
def test_what_is_no_program_for_a_question_without_a_beginning(answer: str) -> None:
    assert program_text(answer, "f") is None


def test_a_method_a_script_and_what_stands_before() -> None:
    answer = "class Solution:\n    def f(self, x):\n        return sqrt(x)\n"
    found = program_text(f"```python\n{answer}```", "Solution().f", "from math import *\n")
    assert found == f"from math import *\n\n{answer}"
    assert program_text("def f(x):\n    return 1\n", "Solution().f") is None
    assert program_text("print(input())", "") == "print(input())"
    assert program_text("Sure:\n```python\nprint(1)\n```\n", "", "import math") == "import math\n\nprint(1)\n"
    assert program_text("print(1", "") is None
    assert program_text("print(1)\n\nThat is it.", "") is None, "of a script it is not known where it ends"
