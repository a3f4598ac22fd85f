"""``word-lm``: a language model of 0.2 M parameters whose tokens are words, pre-trained on stories and drills.

It is ``pocket`` with another vocabulary and with weights to begin from. They come along as one small file, which
``python -m students.word_lm.pretrain`` makes (docs/words.md).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from students.base import code_digest
from students.pocket.student import Pocket
from students.pocket.transformer import Parameters
from students.pocket.vocabulary import WordList
from students.training.loop import pack
from tasks.records import canonical_json, digest

PRETRAINED = Path(__file__).with_name("word_lm.safetensors")
"""The weights that come along."""
ABOUT = "pretrained"
"""The entry of a file's metadata that holds the rest as JSON."""
STORED = np.float16
"""How weights are kept in a file; all is computed in float32."""


@dataclass(frozen=True)
class Pretrained:
    """What a file of pre-trained weights holds.

    Attributes:
        parameters: By name, float32.
        words: The vocabulary.
        heads: Attention heads.
        context: Longest row of tokens that it was trained on.
    """

    parameters: Parameters
    words: tuple[str, ...]
    heads: int
    context: int

    @cached_property
    def digest(self) -> str:
        """Names all of it."""
        named = {name: hashlib.sha256(_stored(value).tobytes()).hexdigest() for name, value in self.parameters.items()}
        return digest([dict(sorted(named.items())), list(self.words), self.heads, self.context])

    def write(self, path: Path) -> None:
        """Write the file, in half precision: reading it gives what half precision keeps."""
        from safetensors.numpy import save

        held = {name: _stored(value) for name, value in self.parameters.items()}
        about = {"words": self.words, "heads": self.heads, "context": self.context, "digest": self.digest}
        path.write_bytes(save(held, {ABOUT: canonical_json(about)}))  # one entry: several have no order of their own


def read_pretrained(path: Path) -> Pretrained:
    """Read a file of pre-trained weights.

    Raises:
        ValueError: If there is none, or it is not whole.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ValueError(f"student_args.path is {str(path)!r}, which is no file; give one of students.word_lm.pretrain")
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})[ABOUT])
            parameters = {name: file.get_tensor(name).astype(np.float32) for name in sorted(file.keys())}
        found = Pretrained(parameters, tuple(about["words"]), int(about["heads"]), int(about["context"]))
        whole = found.digest == about["digest"]
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"student_args.path is {str(path)!r}, which students.word_lm.pretrain did not write "
            f"({type(error).__name__}: {error}); give a file of it"
        ) from None
    if not whole:
        raise ValueError(f"student_args.path is {str(path)!r}, which is damaged: its digest is another; write it again")
    return found


class WordLm(Pocket):
    """The pocket student, pre-trained, with words for tokens.

    Args:
        path: A file of ``python -m students.word_lm.pretrain``; empty for the one that comes along.
        threads: Threads while it trains or answers. Results are bit-exact within one number of threads.
        backend: ``numpy``, or ``torch``, which is the reference and takes twice as long.
    """

    name = "word-lm"

    def __init__(self, path: str = "", threads: int = 1, backend: str = "numpy") -> None:
        self._pretrained = found = read_pretrained(Path(path) if path else PRETRAINED)
        embedded = found.parameters["model.embed_tokens.weight"]
        layers = sum(name.endswith("input_layernorm.weight") for name in found.parameters)
        super().__init__(embedded.shape[1], layers, found.heads, found.context, threads, backend)
        self.args = {"path": path, "threads": threads, "backend": backend}
        self.vocabulary = WordList(found.words)

    @cached_property
    def fingerprint(self) -> str:
        """As ``Student.fingerprint``, without the place of the weights, whose content ``base`` names."""
        args = {name: value for name, value in self.args.items() if name != "path"}
        return digest([self.name, args, code_digest(type(self)), self.base, self.numerics])

    @property
    def base(self) -> dict[str, Any]:
        """Architecture, and the digest of weights and vocabulary."""
        return {"architecture": "llama", "pretrained": self._pretrained.digest}

    def initial(self, seed: int) -> bytes:
        """The pre-trained weights, which are the same for every seed."""
        return pack(self._pretrained.parameters)


def _stored(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(value, STORED)
