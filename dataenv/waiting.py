"""What goes on while nothing is seen: one line on stderr if something takes longer than a person likes to wait."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger("dataenv")
SECONDS = 2.0
"""Of silence before the line."""


@dataclass
class Telling:
    """Where such lines go.

    Attributes:
        to: ``terminal``: to stderr where that is a terminal; ``always``: to stderr, a file too; ``never``. The logger
            ``dataenv`` is told in any case (level INFO).
        depth: How many things are waited for now: what is part of a thing that says what it does says nothing itself.
    """

    to: Literal["terminal", "always", "never"] = "terminal"
    depth: int = 0

    def tell(self, what: str) -> None:
        """Say it."""
        log.info(what)
        if self.to == "always" or (self.to == "terminal" and sys.stderr.isatty()):
            print(f"dataenv: {what}", file=sys.stderr, flush=True)


telling = Telling()


@contextmanager
def waiting(what: str, seconds: float | None = None) -> Iterator[None]:
    """Say what goes on, once, if it takes longer than some seconds.

    Args:
        what: Such as ``checking the board …``.
        seconds: After which it is said; ``SECONDS`` unless given.
    """
    timer = threading.Timer(SECONDS if seconds is None else seconds, telling.tell, (what,))
    timer.daemon = True
    if not telling.depth:
        timer.start()
    telling.depth += 1
    try:
        yield
    finally:
        telling.depth -= 1
        timer.cancel()
