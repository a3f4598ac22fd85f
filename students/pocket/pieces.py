"""``piece-pocket``: the student ``pocket`` with the pieces of a task's texts for tokens, trained from scratch.

A piece is a word, or a run of signs that JSON has between two values. A plan of three tool calls is some thirty pieces
and some two hundred characters, so it learns and answers several times faster than ``pocket`` (docs/tools.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from students.pocket.student import Pocket
from students.pocket.vocabulary import EOS, FIRST, PAD, UNKNOWN, surveyed
from tasks.records import digest

PIECES: Mapping[str, str] = {"tools": "tasks.tools.pieces"}
"""Lists that have a name: the module whose ``PIECES`` each one is."""
_WORD = re.compile(r"[A-Za-z0-9_]+")


class Pieces:
    """Each piece of a list is a token. All other words and signs are one token; spaces are none.

    Args:
        pieces: In the order of their tokens: words, or texts without a space that hold a sign.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self.pieces = (UNKNOWN, *pieces)
        self.size = FIRST + len(self.pieces)
        self._tokens = {piece: i + FIRST for i, piece in enumerate(self.pieces)}
        signs = sorted((p for p in pieces if not _WORD.fullmatch(p)), key=lambda p: (-len(p), p))
        self._pattern = "|".join([*map(re.escape, signs), _WORD.pattern, r"\S"])
        self._find = re.compile(self._pattern).findall

    def encode(self, text: str) -> list[int]:
        """See Vocabulary. Of several pieces that fit, the longest is taken."""
        return [self._tokens.get(piece, FIRST) for piece in self._find(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """See Vocabulary; a space stands between two words, and nowhere else."""
        written: list[str] = []
        for token in ids:
            if token < FIRST:
                break
            piece = self.pieces[token - FIRST]
            apart = bool(written) and bool(_WORD.fullmatch(piece)) and bool(_WORD.fullmatch(written[-1]))
            written.extend([" ", piece] if apart else [piece])
        return "".join(written)

    def count(self, text: str) -> int:
        """See Vocabulary."""
        return len(self._find(text))

    def knows(self, text: str) -> bool:
        """See Vocabulary."""
        return FIRST not in self.encode(text)

    def survey(self, texts: Sequence[str]) -> tuple[list[int], bool]:
        """See Vocabulary."""
        return surveyed(list(map(self.encode, texts)))

    def tokenizer(self) -> Any:
        """See Vocabulary. It writes no space between two words."""
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

        known = {"<pad>": PAD, "<eos>": EOS} | self._tokens
        tokenizer = Tokenizer(models.WordLevel(known, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(r"\s+"), "removed"), pre_tokenizers.Split(Regex(self._pattern), "isolated")]
        )
        tokenizer.decoder = decoders.Fuse()
        return tokenizer


class PiecePocket(Pocket):
    """The pocket student with pieces of text for tokens.

    Args:
        pieces: A name of ``PIECES``, or the pieces themselves.
        width: Hidden size; a multiple of ``4 * heads`` is fastest.
        layers: Transformer blocks.
        heads: Attention heads.
        context: Longest prompt and response together, in pieces and one end token.
        threads: Threads while it trains or answers. Results are bit-exact within one number of threads.
        backend: ``numpy``, or ``torch``, which is the reference and takes twice as long.

    Raises:
        ValueError: If the pieces have no name of ``PIECES``, or one is empty, has a space or stands twice.
    """

    name = "piece-pocket"

    def __init__(
        self,
        pieces: str | Sequence[str] = "tools",
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        context: int = 64,
        threads: int = 1,
        backend: str = "numpy",
    ) -> None:
        super().__init__(width, layers, heads, context, threads, backend)
        self._pieces = _pieces(pieces)
        self.args = {"pieces": pieces if isinstance(pieces, str) else list(pieces), **self.args}
        self.vocabulary = Pieces(self._pieces)

    @property
    def base(self) -> dict[str, Any]:
        """Architecture and the digest of the pieces; there are no base weights."""
        return {"architecture": "llama", "pieces": digest(list(self._pieces)), "special": ["pad", "eos", "unk"]}


def _pieces(given: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        if given not in PIECES:
            raise ValueError(f"student_args.pieces is {given!r}; give one of {', '.join(PIECES)}, or a list of pieces")
        return tuple(import_module(PIECES[given]).PIECES)
    if not isinstance(given, Sequence):
        raise ValueError(f"student_args.pieces is {given!r}; give a name or a list of pieces")
    wrong = [p for p in given if not isinstance(p, str) or not p or any(c.isspace() for c in p) or p == UNKNOWN]
    if wrong or not given:
        raise ValueError(f"student_args.pieces holds {wrong[:1]}; give texts without spaces, at least one")
    if len(set(given)) < len(given):
        raise ValueError("student_args.pieces names a piece twice; name each once")
    return tuple(given)
