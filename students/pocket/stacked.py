"""The transformer of ``students.pocket.transformer`` in PyTorch, for several sets of parameters at once.

Every tensor has the slots as its first axis, and every product is a batch of products of one shape (``training.slots``
says why). Rows are filled up at the end, where nothing sees what fills them. Shapes are (s, r, c): slots, rows of each,
columns; n is r · c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from students.pocket.decoding import Draws, choose
from students.pocket.transformer import EPSILON, THETA
from students.training.loop import IGNORE, Ints
from students.training.slots import whole

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]


class Cache(NamedTuple):
    """Keys and values of one block, (s, r, heads, columns, width / heads)."""

    keys: torch.Tensor
    values: torch.Tensor


class Stacked:
    """The model; parameters, (slots, …) by name, come with each call.

    Args:
        layers: Blocks.
        heads: Attention heads.
    """

    def __init__(self, layers: int, heads: int) -> None:
        self.layers, self.heads = layers, heads

    def nats(self, parameters: Tensors, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Loss at each target, in nats, and 0 where it is ignored, (s, r, c)."""
        import torch.nn.functional as F

        logits = self._logits(parameters, ids).flatten(0, 2)
        lost = F.cross_entropy(logits, targets.flatten(), ignore_index=IGNORE, reduction="none")
        return lost.view(targets.shape)

    def entropies(self, parameters: Tensors, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Entropy at each target, in nats, and 0 where it is ignored, (s, r, c)."""
        logs = self._logits(parameters, ids).log_softmax(-1)
        return -(logs.exp() * logs).sum(-1) * (targets != IGNORE)

    def write(
        self,
        parameters: Tensors,
        rows: Sequence[Sequence[int]],
        rooms: Ints,
        temperature: float,
        draws: Draws,
        ends: int,
    ) -> list[list[list[int]]]:
        """What each slot writes behind the same rows; see ``students.pocket.decoding.generate``.

        All rows are computed until those of all slots have ended, so that shapes depend on what is asked alone.

        Returns:
            Tokens by slot and row.
        """
        import torch

        device, slots = parameters["lm_head.weight"].device, len(parameters["lm_head.weight"])
        lengths, r = np.array([len(row) for row in rows]), whole(len(rows))
        ids = np.zeros((r, whole(int(lengths.max()))), np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
        draws = np.tile(np.pad(draws, ((0, r - len(rows)), (0, 0))), (slots, 1))
        positions = torch.from_numpy(np.pad(lengths, (0, r - len(rows)), constant_values=1) - 1).to(device)
        caches = self._caches(parameters, r, whole(int((lengths + rooms).max())))
        read = torch.from_numpy(ids).to(device).expand(slots, -1, -1)
        at = torch.arange(ids.shape[1], device=device)
        x = self._through(parameters, read, at, at[:, None] >= at, caches)
        x = x.view(slots, *ids.shape, -1)[:, torch.arange(r, device=device), positions]
        out = np.full((slots, len(rows), int(rooms.max())), -1)
        ended = np.zeros((slots, len(rows)), bool)
        columns = torch.arange(caches[0].keys.shape[3], device=device)
        for step in range(out.shape[2]):
            logits = self._head(parameters, x)
            tokens = _chosen(logits, temperature, draws[:, step])
            some = tokens.cpu().numpy()[:, : len(rows)]
            out[:, :, step] = np.where(ended, -1, some)
            ended |= (some < ends) | (step + 1 >= rooms)
            if ended.all():
                break
            positions = (positions + 1).clamp(max=len(columns) - 1)
            seen = (columns <= positions[:, None])[:, None, None]
            x = self._through(parameters, tokens[..., None], positions[:, None], seen, caches)
        return [[row[row >= 0].tolist() for row in slot] for slot in out]

    def _caches(self, parameters: Tensors, rows: int, columns: int) -> list[Cache]:
        import torch

        head = parameters["lm_head.weight"]
        shape = (len(head), rows, self.heads, columns, head.shape[2] // self.heads)
        return [Cache(*(torch.zeros(shape, device=head.device) for _ in range(2))) for _ in range(self.layers)]

    def _logits(self, parameters: Tensors, ids: torch.Tensor) -> torch.Tensor:
        """(s, r, c, vocabulary)."""
        import torch

        at = torch.arange(ids.shape[2], device=ids.device)
        return self._head(parameters, self._through(parameters, ids, at, at[:, None] >= at)).view(*ids.shape, -1)

    def _head(self, parameters: Tensors, x: torch.Tensor) -> torch.Tensor:
        return _normed(x, parameters["model.norm.weight"]) @ parameters["lm_head.weight"].mT

    def _through(
        self,
        parameters: Tensors,
        ids: torch.Tensor,
        positions: torch.Tensor,
        seen: torch.Tensor,
        caches: Sequence[Cache] = (),
    ) -> torch.Tensor:
        """All blocks, (s, n, width).

        Args:
            parameters: By name.
            ids: (s, r, c).
            positions: Of the tokens in their rows, (c,) or (r, c).
            seen: Which column of keys a token sees, (c, columns) or (r, 1, c, columns).
            caches: Of each block; keys and values are written into them at ``positions``, and all columns are read.
        """
        import torch.nn.functional as F

        embedded = parameters["model.embed_tokens.weight"]
        s, r, c = ids.shape
        # A product, for what adds up the gradients of lines that were read may add in another order in each slot.
        x = F.one_hot(ids, embedded.shape[1]).to(embedded.dtype).view(s, r * c, -1) @ embedded
        turn = _rotations(positions, embedded.shape[2] // self.heads)
        for layer in range(self.layers):
            own = {name.removeprefix(f"model.layers.{layer}."): p for name, p in parameters.items()}
            normed = _normed(x, own["input_layernorm.weight"])
            parts = (normed @ own[f"self_attn.{part}_proj.weight"].mT for part in "qkv")
            q, k, v = (part.view(s, r, c, self.heads, -1).transpose(2, 3) for part in parts)
            q, k = _rotated(q, *turn), _rotated(k, *turn)
            if caches:
                k, v = _kept(caches[layer], k, v, positions)
            mixed = F.scaled_dot_product_attention(
                q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), attn_mask=_each_slot(seen, s)
            )
            x = x + mixed.transpose(1, 2).reshape(s, r * c, -1) @ own["self_attn.o_proj.weight"].mT
            normed = _normed(x, own["post_attention_layernorm.weight"])
            gate, up = (normed @ own[f"mlp.{part}_proj.weight"].mT for part in ("gate", "up"))
            x = x + (F.silu(gate) * up) @ own["mlp.down_proj.weight"].mT
        return x


def _each_slot(seen: torch.Tensor, slots: int) -> torch.Tensor:
    """A mask by row for the rows of all slots; one that is alike for all rows is left as it is."""
    return seen if seen.dim() == 2 else seen.repeat(slots, 1, 1, 1)


def _normed(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """RMSNorm of (s, n, width) by weights (s, width)."""
    return x * (x.square().mean(-1, keepdim=True) + EPSILON).rsqrt() * weight[:, None]


def _rotations(positions: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines, (c, size) or (r, 1, c, size)."""
    import torch

    frequencies = torch.from_numpy(THETA ** (-np.arange(size // 2) / (size // 2))).to(positions.device)
    angles = positions[..., None] * frequencies
    angles = torch.cat([angles, angles], -1)
    angles = angles if angles.dim() == 2 else angles[:, None]
    return angles.cos().float(), angles.sin().float()


def _rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """RoFormer's equation 34, with the halves of a head in place of its pairs."""
    import torch

    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


def _kept(cache: Cache, k: torch.Tensor, v: torch.Tensor, at: torch.Tensor) -> Cache:
    """The cache with new keys and values in it: in the same columns of all rows, or in one column of each row."""
    import torch

    if at.dim() == 1:  # the first pass: nothing else is there yet
        n = min(len(at), cache.keys.shape[3])
        cache.keys[:, :, :, :n], cache.values[:, :, :, :n] = k[:, :, :, :n], v[:, :, :, :n]
        return Cache(k, v)
    row = torch.arange(len(at), device=at.device)
    cache.keys[:, row, :, at[:, 0]], cache.values[:, row, :, at[:, 0]] = (
        part[:, :, :, 0].transpose(0, 1) for part in (k, v)
    )
    return cache


def _chosen(logits: torch.Tensor, temperature: float, draws: Draws) -> torch.Tensor:
    """One token of each row of logits (s, r, vocabulary), (s, r); ``draws`` are (s · r,)."""
    import torch

    if temperature == 0:
        return logits.argmax(-1)
    found = choose(logits.flatten(0, 1).cpu().numpy(), temperature, draws)
    return torch.from_numpy(found).view(logits.shape[:2]).to(logits.device)
