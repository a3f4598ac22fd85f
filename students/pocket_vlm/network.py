"""The network of ``pocket-vlm``: the question scales and shifts what the picture's convolutions see (FiLM).

Then it looks at some places more than at others (attention with the question as its query), so that it can ask what
stands where something is. The largest and the mean response of each channel say what is there, and how much of it.

Source: E. Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer", arXiv 1709.07871, section 2. The
question is read by a GRU; the coordinates of each pixel are two more channels, so that places can be told.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 32
"""Pixels of a side; other pictures are averaged or repeated to it."""
GROUPS = 4
EMBEDDED, QUESTION = 32, 64
"""Widths of a word and of a question."""
LOOKS = 4
"""Places that a question looks at, each a mixture of all."""


class FilmNetwork(nn.Module):
    """Logits over a closed list of answers.

    Args:
        words: Rows of the word table.
        answers: How many there are.
        width: Channels; a multiple of ``GROUPS``.
        blocks: Blocks that the question conditions.
    """

    def __init__(self, words: int, answers: int, width: int, blocks: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, EMBEDDED, padding_idx=0)
        self.reader = nn.GRU(EMBEDDED, QUESTION, batch_first=True)
        self.stem = nn.Conv2d(5, width, 5, 2, 2)
        self.deeper = nn.Conv2d(width, width, 3, 1, 1)
        self.norm = nn.GroupNorm(GROUPS, width)
        self.blocks = nn.ModuleList([nn.Conv2d(width, width, 3, 1, 1) for _ in range(blocks)])
        self.norms = nn.ModuleList([nn.GroupNorm(GROUPS, width, affine=False) for _ in range(blocks)])
        self.film = nn.Linear(QUESTION, blocks * 2 * width)
        self.look = nn.Linear(QUESTION, LOOKS * width)
        self.hidden = nn.Linear((2 + LOOKS) * width + QUESTION, 64)
        self.out = nn.Linear(64, answers)
        line = torch.linspace(-0.5, 0.5, SIDE)
        grid = torch.stack(torch.meshgrid(line, line, indexing="ij"))
        self.register_buffer("grid", grid[None], persistent=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pictures: Tensor, words: Tensor) -> Tensor:
        """Logits, ``(n, answers)``.

        Args:
            pictures: ``(n, 3, SIDE, SIDE)``, 8-bit.
            words: ``(n, longest)``, rows of the word table, padded with 0.
        """
        question = self._read(words)
        grid: Any = self.grid
        seen = pictures.float() / 255 - 0.5
        x = torch.cat([seen, grid.expand(len(seen), -1, -1, -1)], 1).contiguous(memory_format=torch.channels_last)
        x = F.relu(self.norm(self.deeper(F.relu(self.stem(x)))))
        scales, shifts = self.film(question).view(len(seen), len(self.blocks), 2, -1, 1, 1).unbind(2)
        for i, (block, norm) in enumerate(zip(self.blocks, self.norms, strict=True)):
            x = x + F.relu((1 + scales[:, i]) * norm(block(x)) + shifts[:, i])
        cells = x.flatten(2)
        queries = self.look(question).view(len(seen), LOOKS, -1) / cells.shape[1] ** 0.5
        places = (queries @ cells).softmax(-1)
        seen_there = (places @ cells.transpose(1, 2)).flatten(1)
        pooled = torch.cat([cells.amax(2), cells.mean(2), seen_there, question], 1)
        logits: Tensor = self.out(F.relu(self.hidden(pooled)))
        return logits

    def _read(self, words: Tensor) -> Tensor:
        """The state of the reader after the last word of each question; zeros for one without words."""
        states, _ = self.reader(self.words(words))
        lengths = (words > 0).sum(1)
        last = states[torch.arange(len(words)), (lengths - 1).clamp(min=0)]
        question: Tensor = last * (lengths > 0)[:, None]
        return question
