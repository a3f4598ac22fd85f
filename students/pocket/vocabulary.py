"""What a text is to a pocket student: characters, or words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

PAD, EOS, FIRST = 0, 1, 2
ALPHABET = "".join(map(chr, range(32, 127)))
UNKNOWN = "<unk>"
_PIECE = re.compile(r"[a-z]+|[0-9]+|[^\sa-z0-9]")


class Vocabulary(Protocol):
    """Tokens of texts. Those below ``FIRST`` pad a row and end an answer."""

    size: int
    """How many tokens there are."""

    def encode(self, text: str) -> list[int]:
        """A text's tokens."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text up to the end-of-answer token; a pad the student writes itself ends the answer too."""

    def count(self, text: str) -> int:
        """How many tokens a text has."""

    def knows(self, text: str) -> bool:
        """Whether each part of a text has a token of its own."""

    def survey(self, texts: Sequence[str]) -> tuple[list[int], bool]:
        """Of many texts at once: how many tokens each has, and whether all are known."""

    def tokenizer(self) -> Any:
        """The same as a tokenizer of ``tokenizers``."""


class Characters:
    """Each character of printable ASCII is a token."""

    size = FIRST + len(ALPHABET)

    def encode(self, text: str) -> list[int]:
        """See Vocabulary."""
        return [code - 32 + FIRST for code in text.encode("ascii")]

    def decode(self, ids: Sequence[int]) -> str:
        """See Vocabulary."""
        return "".join(chr(token - FIRST + 32) for token in _until_end(ids))

    def count(self, text: str) -> int:
        """See Vocabulary."""
        return len(text)

    def knows(self, text: str) -> bool:
        """See Vocabulary."""
        return text.isascii() and text.isprintable()

    def survey(self, texts: Sequence[str]) -> tuple[list[int], bool]:
        """See Vocabulary."""
        return list(map(len, texts)), self.knows("".join(texts))

    def tokenizer(self) -> Any:
        """See Vocabulary."""
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

        known = {"<pad>": PAD, "<eos>": EOS} | {c: i + FIRST for i, c in enumerate(ALPHABET)}
        characters = Tokenizer(models.WordLevel(known, unk_token="<pad>"))
        characters.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        characters.decoder = decoders.Fuse()
        return characters


def pieces(text: str) -> list[str]:
    """A text's words, numbers and signs, in lower case."""
    return _PIECE.findall(text.lower())


class WordList:
    """Each word, number and sign of a list is a token; capitals do not count. All other words are one token.

    Args:
        words: In the order of their tokens.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = (UNKNOWN, *words)
        self.size = FIRST + len(self.words)
        self._tokens = {word: i + FIRST for i, word in enumerate(self.words)}

    def encode(self, text: str) -> list[int]:
        """See Vocabulary."""
        return [self._tokens.get(piece, FIRST) for piece in pieces(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """See Vocabulary; a space stands between two words."""
        return " ".join(self.words[token - FIRST] for token in _until_end(ids))

    def count(self, text: str) -> int:
        """See Vocabulary."""
        return len(pieces(text))

    def knows(self, text: str) -> bool:
        """See Vocabulary."""
        return FIRST not in self.encode(text)

    def survey(self, texts: Sequence[str]) -> tuple[list[int], bool]:
        """See Vocabulary."""
        return surveyed(list(map(self.encode, texts)))

    def tokenizer(self) -> Any:
        """See Vocabulary."""
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

        known = {"<pad>": PAD, "<eos>": EOS} | self._tokens
        words = Tokenizer(models.WordLevel(known, unk_token=UNKNOWN))
        words.normalizer = normalizers.Lowercase()
        words.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(r"\s+"), "removed"), pre_tokenizers.Split(Regex(_PIECE.pattern), "isolated")]
        )
        return words


def surveyed(rows: Sequence[Sequence[int]]) -> tuple[list[int], bool]:
    """What ``Vocabulary.survey`` says of texts, computed from their tokens."""
    return list(map(len, rows)), not any(FIRST in row for row in rows)


def _until_end(ids: Sequence[int]) -> Sequence[int]:
    return ids[: next((i for i, token in enumerate(ids) if token < FIRST), len(ids))]
