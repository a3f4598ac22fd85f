"""How a command ends, and on what terminal: signals, errors of the system, and encodings that lack our signs."""

from __future__ import annotations

import codecs
import os
import signal
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dataenv.errors import DataenvError

CTRL_C = 130
"""The exit code of a command that was stopped by Ctrl-C."""
KEPT = "what was computed is kept, and the same command goes on from it"
PLAIN = {
    "–": "-", "—": "-", "−": "-", "‑": "-", "×": "x", "±": "+-", "→": "->", "←": "<-", "…": "...", "·": "-", "•": "*",
    "✓": "ok", "✗": "x", "∞": "inf", "µ": "u", "⟨": "<", "⟩": ">", "“": '"', "”": '"', "‘": "'", "’": "'", "≤": "<=",
    "≥": ">=", "█": "#", "░": ".", "─": "-", "━": "-", "│": "|", "╺": "-", "╸": "-", "‼": "!!",
}  # fmt: skip
"""What stands for a sign that an encoding lacks."""


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """Replace the signs that an encoding lacks: by a plain one that looks like it, or by its number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = []
    for sign in error.object[error.start : error.end]:
        alike = PLAIN.get(sign) or unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
        found.append(alike or f"<U+{ord(sign):04X}>")
    return "".join(found), error.end


def write_plainly() -> None:
    """Let stdout and stderr take any text, whatever their encoding: ASCII terminals, the C locale, lone surrogates."""
    codecs.register_error("dataenv-plainly", _plainly)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="dataenv-plainly")


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does; yields the numbers of the signals that came.

    A signal that whoever started us ignores (``nohup``) stays ignored.
    """
    came: list[int] = []

    def stop(number: int, _: Any) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before: dict[int, Any] = {}
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            before[number] = signal.signal(number, stop)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def system_sentence(error: OSError) -> str:
    """An error of the system as one sentence: what cannot be used, why, and the mend where there is one."""
    from dataenv.execution.advice import advice, known

    told = error.strerror or str(error) or type(error).__name__
    named = " and ".join(os.fsdecode(name) for name in (error.filename, error.filename2) if name not in (None, ""))
    if not named and not known(error):
        return told
    return f"{named or 'a file'} cannot be used: {advice(error)}"


def stopped_code(code: object, came: list[int]) -> object:
    """The exit code of a command that ended with ``code``, and said so if it was stopped."""
    if code != CTRL_C:
        return code
    if not came:
        print(f"dataenv: stopped; {KEPT}", file=sys.stderr)
        return CTRL_C
    print(f"dataenv: stopped by {signal.Signals(came[0]).name}; {KEPT}", file=sys.stderr)
    return 128 + came[0]


def refusal(error: Exception) -> str:
    """What a command says of an error that a user can mend."""
    if isinstance(error, OSError) and not isinstance(error, DataenvError):
        return system_sentence(error)
    return str(error)
