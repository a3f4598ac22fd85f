"""How an answer is read as a program. Nothing here runs it.

1. Where the answer has fenced blocks (three backticks), they are read, the last one first; else all of it is.
2. A text that defines the entry is a whole program. What stands behind the last statement that can be read is cut.
3. Where the prompt is the beginning of a function, another text completes it, up to the end of that function. If its
   first line is not indented, four spaces are put before it.
4. A script is the last block, or all of the answer.
"""

from __future__ import annotations

import ast
import re
import warnings

LONGEST = 1 << 16
"""Characters of an answer that is read."""
TRIES = 12
"""How often what cannot be read is cut from the end."""
_FENCED = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_DEFINES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def program_text(response: str, entry: str, before: str = "", completes: bool = False) -> str | None:
    """The program that an answer is, with what stands before it; ``None`` where it is none.

    Args:
        response: The answer.
        entry: See ``CodeTests``; of ``Solution().add`` the class has to be there.
        before: See ``CodeTests``.
        completes: See ``CodeTests``.
    """
    if len(response) > LONGEST:
        return None
    texts = [block for block in reversed(_FENCED.findall(response)) if block.strip()] or [response]
    if not entry:
        script = _readable(texts[0], 0)
        return None if script is None or script[0] != texts[0] else _joined(before, texts[0])
    name = entry.partition("(")[0]
    for text in texts:
        whole = _readable(text, 0)
        if whole is not None and _definition(whole[1], name, len(text)) is not None:
            return _joined(before, whole[0])
    return next(filter(None, (_completed(before, text, name) for text in texts)), None) if completes else None


def _joined(before: str, text: str) -> str:
    return f"{before.rstrip()}\n\n{text}" if before.strip() else text


def _completed(before: str, text: str, name: str) -> str | None:
    """The beginning of a function with the rest of its body, and nothing behind that."""
    text = text.lstrip("\r\n")
    indented = text if text[:1] in (" ", "\t") else f"    {text}"
    start = before.rstrip() + "\n"
    found = _readable(start + indented, start.count("\n") + 1)
    function = _definition(found[1], name, start.count("\n")) if found is not None else None
    if found is None or function is None or not function.end_lineno or function.end_lineno <= start.count("\n"):
        return None
    return "".join(found[0].splitlines(keepends=True)[: function.end_lineno])


def _readable(text: str, least: int) -> tuple[str, ast.Module] | None:
    """The longest beginning of a text that can be read, cut where a line is not indented; ``None`` for none.

    Args:
        text: The text.
        least: Lines that are not cut.
    """
    lines = text.split("\n")
    for _ in range(TRIES):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of strange escapes in a student's text
                return "\n".join(lines), ast.parse("\n".join(lines))
        except SyntaxError as error:
            bad = min(error.lineno or 0, len(lines)) - 1
        except (ValueError, RecursionError, MemoryError):
            return None
        cut = next((i for i in range(bad, least - 1, -1) if i > 0 and lines[i][:1] not in ("", " ", "\t")), 0)
        if not cut:
            return None
        lines = lines[:cut]
    return None


def _definition(tree: ast.Module, name: str, last: int) -> _DEFINES | None:
    """The last definition of a name that begins in a line up to ``last``."""
    found = [node for node in tree.body if isinstance(node, _DEFINES) and node.name == name and node.lineno <= last]
    return found[-1] if found else None
