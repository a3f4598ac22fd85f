"""Teachers that need a language model, with a scripted one for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from teachers.chat.scripted import Script, Server, serving
from teachers.chat.tutor import tutor


@contextmanager
def chatting(script: Script) -> Iterator[tuple[dict[str, dict[str, Any]], Server]]:
    """The arguments of each such teacher, small ones, and the server that runs ``script`` meanwhile."""
    with serving(Server(script)) as server:
        chat = {"base_url": server.base_url, "model": "scripted"}
        small = {"chat": chat, "quota": 6}
        arguments = {
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
        yield arguments, server


ONCE = {"engine": {"solutions": 1, "agree": 1, "rounds": 1}}
MAY_ASK: dict[str, tuple[str, dict[str, Any]]] = {
    "best-of, learnability": ("best-of", {"candidates": 2, "samples": 2, "score": "learnability"} | ONCE),
    "best-of, influence": ("best-of", {"candidates": 2, "reference": 4, "score": "influence"} | ONCE),
    "best-of, teaching": ("best-of", {"candidates": 2, "exam": 2, "score": "teaching"} | ONCE),
    "deliberate-practice": ("deliberate-practice", {"signal": "loss", "candidates": 2, "exemplars": 2} | ONCE),
    "accel": ("accel", {"buffer": 4, "items": 2} | ONCE),
    "influence": ("influence", {"group": 2, "reference": 4} | ONCE),
    "llm2llm": ("llm2llm", ONCE),
    "stat-sel": ("stat-sel", {"diagnosis": "chat", "difficult": 4}),
    "con-sel": ("con-sel", {"diagnosis": "chat", "difficult": 4}),
    "stat-sel-pool": ("stat-sel-pool", {"diagnosis": "chat", "difficult": 4, "rewrites": 2}),
    "skill-list, written": ("skill-list", ONCE),
}
"""Teachers that ask a language model where they are given a chat: name and arguments, without it."""


def _letters(question: str, rng: np.random.Generator) -> str:
    return "".join(chr(97 + c) for c in rng.integers(26, size=len(question) - 1)) + ">"


backwards = tutor(lambda question: question[-2::-1], _letters)
"""Plays a teacher of ``tests.toys.Reverse``."""
