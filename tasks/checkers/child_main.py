"""What runs in the child: regular expressions from a file, and ``math_verify``. It imports nothing of ours.

A line of JSON in, a line of JSON out; it ends when its input does. Patterns and answers are data: they are compiled and
parsed, never evaluated as code, and they get no more than ``MEMORY`` bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

MEMORY = 4 << 30


def regex(question: dict[str, Any]) -> dict[str, Any]:
    """Strict: the whole response, trimmed, matches; lenient: something in it does.

    Time is counted in seconds of computing, so that a busy machine makes nobody's pattern slow.
    """
    pattern = re.compile(question["pattern"], re.IGNORECASE if question["fold_case"] else 0)
    said = question["said"].strip()
    with _limited(question.get("seconds", 0)):
        strict = pattern.fullmatch(said) is not None
        return {"strict": strict, "lenient": strict or pattern.search(said) is not None}


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """End what is inside after some seconds of computing; ``re`` looks for signals every few thousand steps."""
    if not seconds or not hasattr(signal, "setitimer"):  # on Windows who asks ends this process instead
        yield
        return
    signal.signal(signal.SIGVTALRM, _slow)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _slow(*_: object) -> None:
    raise TimeoutError


def math_verify(question: dict[str, Any]) -> dict[str, Any]:
    r"""Strict: the final expression equals the gold one; lenient: what ``parse`` finds in the whole response does."""
    from math_verify import LatexExtractionConfig, parse, verify

    def equal(found: list[Any]) -> bool:
        # No timeouts of its own, which are whole seconds of an alarm: the deadline is kept by who asks.
        return bool(verify(answer, found, float_rounding=question["places"], timeout_seconds=None))

    boxed = [LatexExtractionConfig(boxed_match_priority=0)]
    answer = parse(_boxed(question["gold"]), [LatexExtractionConfig()], parsing_timeout=None)
    strict = question["final"] is not None and equal(parse(_boxed(question["final"]), boxed, parsing_timeout=None))
    return {"strict": strict, "lenient": strict or equal(parse(question["said"], parsing_timeout=None))}


def _boxed(text: str) -> str:
    """An expression as the one that ``parse`` takes."""
    return "\\boxed{" + text.strip("$ ") + "}"


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
        began = time.process_time()
        try:
            reply = OPERATIONS[question["op"]](question)
        except TimeoutError:
            reply = {"error": f"{question['op']} took longer than {question['seconds']:g} s"}
        except ModuleNotFoundError:
            reply = {"error": "math-verify is not installed; pip install 'dataenv[data]'"}
        except BaseException as error:  # said to who asked: a checker's failure, and no wrong answer
            reply = {"error": f"{question['op']} fails ({type(error).__name__}: {error!s:.100})"}
        reply["seconds"] = time.process_time() - began
        out.write(json.dumps(reply) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
