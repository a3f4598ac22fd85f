"""Attempts: how often a problem is answered in an exam, and what its answers are worth (avg@k, pass@k)."""

from __future__ import annotations

from math import comb
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.records import Record, absent

MOST_SETS = 10**12
"""Sets of k samples that a problem may have: sums over an exam stay exact in 64 bits."""


class Attempts(Record):
    """How often each problem of the selection, test and transfer exams is answered, and what the answers are worth.

    ``avg``: right answers over answers (avg@k, with k = ``samples``). ``pass``: the chance that one of ``k`` answers is
    right, estimated without bias from ``samples`` answers of which c are right, 1 − C(samples − c, k) / C(samples, k)
    (pass@k; Chen et al. 2021, arXiv 2107.03374, eq. 1). Both are counts: of the answers, or of all sets of ``k`` of
    them, how many are right, or hold one that is.

    Attributes:
        samples: Answers to a problem; above 1 they are sampled, so ``decoding.temperature`` must be above 0.
        score: ``avg`` or ``pass``.
        k: Of ``pass``, at most ``samples``; ``None`` for ``samples``.
    """

    samples: Annotated[int, Field(ge=1, le=1024)] = 1
    score: Literal["avg", "pass"] = "avg"
    k: Annotated[int, Field(ge=1)] | None = Field(default=None, exclude_if=absent)

    @model_validator(mode="after")
    def _counts(self) -> Self:
        if self.k is not None and self.score == "avg":
            raise ValueError(f"exam.k is {self.k}, and only score = 'pass' has one; leave it out, or give samples")
        if self.k is not None and self.k > self.samples:
            raise ValueError(f"exam.k is {self.k}, more than exam.samples, {self.samples}; give as many samples")
        if self.out_of > MOST_SETS:
            raise ValueError(
                f"exam has {self.out_of:.1e} sets of {self.k} in {self.samples} samples; give fewer samples, or a k "
                "nearer to 1 or to samples"
            )
        return self

    @property
    def name(self) -> str:
        """As the board calls it: ``avg@4``, ``pass@4``, ``pass@4 of 16 samples``; empty for one answer a problem."""
        if self.samples == 1:
            return ""
        k = self.k or self.samples
        return f"{self.score}@{k}" + (f" of {self.samples} samples" if k < self.samples else "")

    @property
    def out_of(self) -> int:
        """What a problem counts, all of its answers right: answers (``avg``), or sets of ``k`` of them (``pass``)."""
        return self.samples if self.score == "avg" else comb(self.samples, self.k or self.samples)

    def worth(self, right: int) -> int:
        """What a problem counts with some right answers, from 0 to ``out_of``."""
        if self.score == "avg":
            return right
        return self.out_of - comb(self.samples - right, self.k or self.samples)


ONCE = Attempts()
