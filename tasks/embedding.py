"""Texts as vectors without a model: hashed character n-grams, weighed by how rare they are (TF-IDF)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

SIZES = (1, 2, 3)
"""Characters of an n-gram."""
BUCKETS = 1024
"""Numbers in a vector."""
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_FINISH = np.uint64(0xFF51AFD7ED558CCD)  # of MurmurHash3's finaliser (A. Appleby, public domain)


class Embedding:
    """``tf * (ln((1 + n) / (1 + df)) + 1)``, scaled to length 1, so that a product of two is their cosine.

    tf counts how often a text's n-grams fall into a bucket, df the texts of the corpus that have any there. The hash
    is a fixed polynomial, the same in every process.

    Args:
        corpus: The texts that say what is rare, n of them.
        buckets: Numbers in a vector.
    """

    def __init__(self, corpus: Sequence[str], buckets: int = BUCKETS) -> None:
        self._buckets = buckets
        counts = ngrams(corpus, buckets)
        self._weights = (np.log((1 + len(corpus)) / (1 + (counts > 0).sum(axis=0))) + 1).astype(np.float32)
        self.vectors: Vectors = self._scaled(counts)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """``(texts, buckets)``, each of length 1; all zeros for an empty text."""
        return self._scaled(ngrams(texts, self._buckets))

    def _scaled(self, counts: Vectors) -> Vectors:
        counts *= self._weights
        lengths = np.sqrt(np.einsum("ij,ij->i", counts, counts))
        counts /= np.maximum(lengths, np.float32(1e-12))[:, None]
        return counts


def nearest(corpus: Vectors, queries: Vectors) -> npt.NDArray[np.int64]:
    """The corpus in order of cosine for each query, the nearest first; of equals, the first.

    Args:
        corpus: ``(n, d)``, rows of length 1.
        queries: ``(q, d)``, rows of length 1.

    Returns:
        ``(q, n)``.
    """
    # Rounded, for a product's last bits depend on how many queries are asked at once; and sixteen bits are sorted fast.
    farness = -np.round(32767 * (queries @ corpus.T).clip(-1, 1)).astype(np.int16)
    return np.argsort(farness, axis=1, kind="stable")


def ngrams(texts: Sequence[str], buckets: int = BUCKETS) -> Vectors:
    """``(texts, buckets)``: how many n-grams of each text fall into each bucket, as float32.

    All texts are laid end to end, and what reaches across an end is left out.
    """
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    rows = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    counts = np.zeros((len(texts), buckets), np.float32)
    for size in SIZES:
        last = len(codes) - size + 1
        if last <= 0:
            break
        hashed = np.full(last, size, np.uint64)
        for i in range(size):
            hashed = (hashed + codes[i : i + last] + np.uint64(1)) * _MULTIPLIER
            hashed ^= hashed >> np.uint64(29)
        hashed = (hashed * _FINISH) >> np.uint64(33)
        whole = rows[:last] == rows[size - 1 :]
        np.add.at(counts, (rows[:last][whole], (hashed[whole] % np.uint64(buckets)).astype(np.int64)), 1.0)
    return counts
