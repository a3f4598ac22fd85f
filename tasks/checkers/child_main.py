"""What runs in the child: regular expressions from a file, and ``math_verify``. It imports nothing of ours.

A line of JSON in, a line of JSON out; it ends when its input does. Patterns and answers are data: they are compiled and
parsed, never evaluated as code, and they get no more than ``MEMORY`` bytes.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

MEMORY = 4 << 30
LONGEST = 20_000
"""Characters of a response that are parsed: its end, where the answer stands."""


def regex(question: dict[str, Any]) -> dict[str, Any]:
    """Strict: the whole response, trimmed, matches; lenient: something in it does."""
    pattern = re.compile(question["pattern"], re.IGNORECASE if question["fold_case"] else 0)
    said = question["said"].strip()
    strict = pattern.fullmatch(said) is not None
    return {"strict": strict, "lenient": strict or pattern.search(said) is not None}


def math_verify(question: dict[str, Any]) -> dict[str, Any]:
    r"""Strict: the last ``\boxed{…}``, or else the whole response, is the answer; lenient: what ``parse`` finds is."""
    from math_verify import LatexExtractionConfig, parse, verify

    gold, said = _boxed(question["gold"]), question["said"][-LONGEST:]
    # No timeouts of its own, which are whole seconds of an alarm: the deadline is kept by who asks.
    answer = parse(gold, [LatexExtractionConfig()], parsing_timeout=None)
    whole = parse(_boxed(said), [LatexExtractionConfig(boxed_match_priority=0)], parsing_timeout=None)
    strict = verify(answer, whole, timeout_seconds=None)
    return {
        "strict": strict,
        "lenient": strict or verify(answer, parse(said, parsing_timeout=None), timeout_seconds=None),
    }


def _boxed(text: str) -> str:
    """A text that says which part of it is the answer: its own box, or one around all of it."""
    bare = text.strip()
    return bare if "\\boxed" in bare else "\\boxed{" + bare.strip("$ ") + "}"


def load(question: dict[str, Any]) -> dict[str, Any]:
    """Import what an operation needs, so that its deadline counts the work alone."""
    if question["what"] == "math-verify":
        import math_verify  # noqa: F401
    return {}


OPERATIONS = {"load": load, "regex": regex, "math-verify": math_verify}


def main() -> None:
    """Answer lines until there are no more."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):  # not every system has such limits
        pass
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever a package prints is not an answer
    for line in sys.stdin.buffer:
        question = json.loads(line)
        try:
            reply = OPERATIONS[question["op"]](question)
        except ModuleNotFoundError:
            reply = {"error": "math-verify is not installed; pip install 'dataenv[data]'"}
        except BaseException as error:  # said to who asked: a checker's failure, and no wrong answer
            reply = {"error": f"{question['op']} fails ({type(error).__name__}: {error!s:.100})"}
        out.write(json.dumps(reply) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
