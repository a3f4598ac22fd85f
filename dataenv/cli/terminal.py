"""The terminal: whatever stands in a text from a file or a model, nothing of it acts there."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

PLAIN = re.compile(r"[\n -~]*")
"""Text of which it is seen at once that nothing in it acts: most of what is shown."""


def visible_lines(text: str) -> str:
    """Text in which nothing is hidden and nothing acts, with its lines as they are; see ``format.visible``."""
    if PLAIN.fullmatch(text):
        return text
    from dataenv.leaderboard.format import visible

    return "\n".join(map(visible, text.split("\n")))


def escaped(text: str) -> str:
    """JSON of the same value in which what would act in a terminal is written by its number."""
    return "".join(c if unicodedata.category(c)[0] != "C" else _unit(c) for c in text)


def _unit(character: str) -> str:
    encoded = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{encoded[i : i + 4]}" for i in range(0, len(encoded), 4))


class InertConsole(Console):
    """A console on which nothing acts that stands in a text; what it sends to the terminal itself stays."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """See ``rich.console.Console``; every text passes here, that of a live display and of a table's cell too."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible_lines(text), style, control)


class _Visibly(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return visible_lines(super().format(record))


def warn_visibly() -> None:
    """Let warnings that go to the terminal, because nobody asked for them elsewhere, be visible too."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Visibly())
