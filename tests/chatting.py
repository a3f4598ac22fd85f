"""Teachers that need a language model, with a scripted one for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from teachers.chat.scripted import Script, Server, serving
from teachers.chat.tutor import tutor


@contextmanager
def chatting(script: Script) -> Iterator[dict[str, dict[str, Any]]]:
    """The arguments of each such teacher, small ones, while a server runs ``script``."""
    with serving(Server(script)) as server:
        chat = {"base_url": server.base_url, "model": "scripted"}
        small = {"chat": chat, "quota": 6}
        yield {
            "stat-syn": small | {"difficult": 2},
            "embed-syn": small | {"difficult": 2},
            "augment": small,
            "genqa": small | {"topics": 3},
            "evol-instruct": small | {"seeds": 4},
            "skill-mix": small,
            "reflection": {"chat": chat, "teacher": "genqa", "args": small},
            "open-ended": {"chat": chat, "errors": 3},
            "skill-list": {"chat": chat},
            "skill-tree": {"chat": chat},
            "best-of": small | {"candidates": 2, "samples": 2},
        }


def _letters(question: str, rng: np.random.Generator) -> str:
    return "".join(chr(97 + c) for c in rng.integers(26, size=len(question) - 1)) + ">"


backwards = tutor(lambda question: question[-2::-1], _letters)
"""Plays a teacher of ``tests.toys.Reverse``."""
