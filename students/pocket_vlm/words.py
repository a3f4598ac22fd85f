"""The words of ``pocket-vlm``: those that it reads, and those that it answers."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

COLOURS = ("black", "blue", "brown", "gray", "green", "purple", "red", "teal", "white", "yellow")
SHAPES = ("circle", "cross", "rectangle", "square", "triangle")
PLACES = ("top left", "top right", "bottom left", "bottom right")
NUMBERS = tuple(map(str, range(10)))
ANSWERS = ("yes", "no", *COLOURS, *SHAPES, "small", "large", *PLACES, *NUMBERS)
"""What it can answer, unless ``student_args.answers`` says otherwise."""
READ = (
    *("a", "are", "color", "contain", "does", "how", "image", "in", "is", "left", "many", "more", "no", "not"),
    *("number", "of", "one", "picture", "present", "shape", "size", "than", "the", "there", "thing", "things"),
    *("what", "where", *COLOURS, *SHAPES),
)
STRANGE = 64
"""Rows that words which are not in ``READ`` share, by their CRC-32."""
SIZE = 1 + len(READ) + STRANGE
"""Rows in all; the first is padding."""
_ROWS = {word: i for i, word in enumerate(READ, 1)}
_WORD = re.compile(r"\w+|[^\w\s]")
MARKS = frozenset("?.,!")
"""Marks that are not read."""


def rows_of(text: str) -> list[int]:
    """The rows of a question's words, capitals apart."""
    found = (word for word in _WORD.findall(text.lower()) if word not in MARKS)
    return [_ROWS.get(word) or 1 + len(READ) + zlib.crc32(word.encode("utf-8", "surrogatepass")) % STRANGE
            for word in found]  # fmt: skip


class AnswerList:
    """A closed list of answers, each of them one token.

    Args:
        answers: Different texts, at least two.

    Raises:
        ValueError: If they are not that.
    """

    def __init__(self, answers: Sequence[str]) -> None:
        fine = isinstance(answers, list | tuple) and all(isinstance(a, str) and a for a in answers)
        if not fine or len(answers) < 2 or len(set(answers)) != len(answers):
            raise ValueError("student_args.answers must be a list of at least two different texts")
        self.answers = tuple(answers)
        self._places = {answer: i for i, answer in enumerate(self.answers)}

    def place(self, text: str) -> int | None:
        """The token of an answer; ``None`` for one that is not on the list."""
        return self._places.get(text.strip())
