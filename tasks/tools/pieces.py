"""The pieces that requests and plans are made of: a vocabulary for small students."""

from __future__ import annotations

from tasks.templates import spoken
from tasks.tools.kinds import CATALOGUE, LONGER, STYLES
from tasks.tools.lexicon import FILLERS, PLACEHOLDERS
from tasks.tools.plan import MOST_CALLS
from tasks.tools.toolset import OPERATIONS, TOOLS


def _heads() -> list[str]:
    """How the call of each tool begins, up to the value of its first argument."""
    return [f'{{"tool":"{tool.name}","args":{{"{next(iter(tool.parameters))}":' for tool in TOOLS.values()]


def _pieces() -> tuple[str, ...]:
    """Signs and heads of plans, quoted values, and the words and numbers of requests."""
    later = [f',"{name}":' for tool in TOOLS.values() for name in list(tool.parameters)[1:]]
    words = [word for kind, fillers in FILLERS.items() for word in fillers if kind != "number"]
    quoted = [f'"{word}"' for word in (*words, *OPERATIONS, *(f"${i + 1}" for i in range(MOST_CALLS)))]
    texts = [t.text for kind in (*CATALOGUE, *LONGER) for style in STYLES for t in kind.templates(style)]
    own = [word for text in texts for word in spoken(text.format_map(dict.fromkeys(PLACEHOLDERS, " ")))]
    return tuple(
        dict.fromkeys(["[", "]", ",", "}}", *_heads(), *later, *quoted, *FILLERS["number"], *words, *own, ".", "?"])
    )


PIECES = _pieces()
