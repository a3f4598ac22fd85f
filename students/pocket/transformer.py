"""A decoder-only transformer of the Llama kind in NumPy, forward and backward by hand.

Blocks of causal attention (arXiv 1706.03762) with rotary positions (arXiv 2104.09864) and SwiGLU (arXiv 2002.05202),
each behind RMSNorm (arXiv 1910.07467) and beside a residual connection; embedding and head are not tied. Parameters
have the names and shapes of ``LlamaForCausalLM`` in ``transformers``, and all is computed in their dtype.

What is not needed is not computed. Rows are packed one behind the other, so there is no padding outside attention. In
the last block, queries, SwiGLU and head see the positions of targets alone. The input of the first block is the
embedding alone, so its queries, keys and values are a table with one line for each token of the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from students.pocket.packed import Ints, Packed

Array = npt.NDArray[Any]
Parameters = dict[str, Array]
At = Ints | slice

EPSILON = 1e-6
"""Of RMSNorm."""
THETA = 10_000.0
"""Base of the rotary frequencies."""
MOST = 60.0
"""Attention scores up to this size need no shift: a sum of their exponentials neither overflows nor vanishes."""


class Norm(NamedTuple):
    """Rows divided by their root mean square, ``(n, width)``, and what they were multiplied by, ``(n, 1)``."""

    unit: Array
    scale: Array


@dataclass
class MlpTape:
    """Of SwiGLU: its input; the gate's sigmoid, its SiLU, ``up`` and the product of the last two, ``(n, inner)``."""

    norm: Norm
    sigmoid: Array
    silu: Array
    up: Array
    hidden: Array


@dataclass
class BlockTape:
    """What the backward pass of one block needs of its forward pass."""

    norm: Norm
    attended: AttentionTape
    mixed: Array
    mlp: MlpTape


@dataclass
class Tape:
    """What a forward pass leaves: for the backward pass, and its keys and values for writing on."""

    rows: Packed
    blocks: list[BlockTape]
    keys: list[Array]
    values: list[Array]
    norm: Norm


@dataclass
class AttentionTape:
    """Queries, keys, values and weights as grids, (rows, heads, columns, …); ``totals`` divide the weights."""

    queries: Array
    keys: Array
    values: Array
    weights: Array
    totals: Array
    out: Array


class Transformer:
    """The model.

    Args:
        parameters: By name. They are read at each call, so whoever trains may change them in place.
        heads: Attention heads.
    """

    def __init__(self, parameters: Parameters, heads: int) -> None:
        self.parameters, self.heads = parameters, heads
        self.vocabulary, self.width = parameters["model.embed_tokens.weight"].shape
        self.layers = sum(name.endswith("input_layernorm.weight") for name in parameters)
        self.dtype = parameters["lm_head.weight"].dtype
        half = self.width // heads // 2
        self._turn = np.zeros((2 * half, 2 * half), self.dtype)  # x @ turn = (−second half, first half)
        self._turn[half:, :half], self._turn[:half, half:] = -np.eye(half), np.eye(half)
        self.score_scale = (2 * half) ** -0.5
        self._frequencies = THETA ** (-np.arange(half) / half)

    def forward(self, rows: Packed) -> tuple[Array, Tape]:
        """Logits where something is asked, ``(m, vocabulary)``, and what was computed on the way."""
        blocks, keys, values = [], [], []
        cos, sin = self.rotations(rows.positions)
        x = self.parameters["model.embed_tokens.weight"][rows.tokens]
        for layer in range(self.layers):
            last = layer == self.layers - 1
            at = rows.asked if last else slice(None)
            q, k, v, norm = self._project(layer, x, rows.tokens, at)
            q, k = self.rotate(q, cos[at], sin[at]), self.rotate(k, cos, sin)
            mixed, attended = self._attend(q, k, v, rows, last)
            x = x[at] + self.output(layer, mixed)
            change, mlp = self.swiglu(layer, x)
            x = x + change
            blocks.append(BlockTape(norm, attended, mixed, mlp))
            keys.append(k)
            values.append(v)
        return self.head(x), Tape(rows, blocks, keys, values, _norm(x))

    def backward(self, tape: Tape, upstream: Array) -> Parameters:
        """The gradient of each parameter, from that of the logits, ``(m, vocabulary)``."""
        rows = tape.rows
        out: Parameters = {}
        scale = self.parameters["model.norm.weight"]
        out["lm_head.weight"] = upstream.T @ (tape.norm.unit * scale)
        x, out["model.norm.weight"] = _norm_back(upstream @ self.parameters["lm_head.weight"], tape.norm, scale)
        cos, sin = self.rotations(rows.positions)
        for layer in reversed(range(self.layers)):
            block, last = tape.blocks[layer], layer == self.layers - 1
            at = rows.asked if last else slice(None)
            x = x + self._swiglu_back(layer, block.mlp, x, out)
            name = f"model.layers.{layer}.self_attn.o_proj.weight"
            out[name] = x.T @ block.mixed
            q, k, v = self._attend_back(x @ self.parameters[name], block.attended, rows, last)
            q, k = self._rotate_back(q, cos[at], sin[at]), self._rotate_back(k, cos, sin)
            if last:
                some, x = x, np.zeros((len(rows.tokens), self.width), self.dtype)
                x[at] = some
            x = self._project_back(layer, block.norm, (q, k, v), x, rows.tokens, at, out)
        out["model.embed_tokens.weight"] = x
        return {name: out[name] for name in self.parameters}

    def table(self) -> tuple[Array, Norm]:
        """Queries, keys and values of the first block, a line for each token, ``(vocabulary, 3 * width)``."""
        return self.project(0, self.parameters["model.embed_tokens.weight"])

    def project(self, layer: int, x: Array) -> tuple[Array, Norm]:
        """Queries, keys and values of a block side by side, ``(n, 3 * width)``, before they are rotated."""
        norm = _norm(x)
        return norm.unit * self._weight(layer, "input_layernorm") @ self._qkv(layer).T, norm

    def output(self, layer: int, mixed: Array) -> Array:
        """What attention adds to the residual, from the mixed values of all heads, ``(n, width)``."""
        return mixed @ self._weight(layer, "self_attn.o_proj").T

    def head(self, x: Array) -> Array:
        """Logits, ``(n, vocabulary)``."""
        return _norm(x).unit * self.parameters["model.norm.weight"] @ self.parameters["lm_head.weight"].T

    def rotations(self, positions: Ints) -> tuple[Array, Array]:
        """Cosines and sines of rotary positions, ``(n, width)``: both halves of each head turn alike."""
        angles = np.arange(positions.max(initial=0) + 1)[:, None] * self._frequencies
        cos, sin = (np.tile(part.astype(self.dtype), 2 * self.heads) for part in (np.cos(angles), np.sin(angles)))
        return cos[positions], sin[positions]

    def rotate(self, x: Array, cos: Array, sin: Array) -> Array:
        """RoFormer's equation 34, with the halves of a head in place of its pairs, as ``transformers`` has it."""
        turned: Array = (x.reshape(-1, len(self._turn)) @ self._turn).reshape(x.shape)
        turned *= sin
        turned += x * cos
        return turned

    def _rotate_back(self, upstream: Array, cos: Array, sin: Array) -> Array:
        back: Array = ((upstream * sin).reshape(-1, len(self._turn)) @ self._turn.T).reshape(upstream.shape)
        back += upstream * cos
        return back

    def swiglu(self, layer: int, x: Array) -> tuple[Array, MlpTape]:
        """``down(silu(gate(h)) * up(h))`` of the normed ``h``, ``(n, width)``, and what its backward pass needs."""
        norm = _norm(x)
        normed = norm.unit * self._weight(layer, "post_attention_layernorm")
        gate = normed @ self._weight(layer, "mlp.gate_proj").T
        up = normed @ self._weight(layer, "mlp.up_proj").T
        sigmoid = _sigmoid(gate)
        silu = np.multiply(gate, sigmoid, out=gate)
        hidden = silu * up
        return hidden @ self._weight(layer, "mlp.down_proj").T, MlpTape(norm, sigmoid, silu, up, hidden)

    def _swiglu_back(self, layer: int, tape: MlpTape, upstream: Array, out: Parameters) -> Array:
        prefix = f"model.layers.{layer}"
        out[f"{prefix}.mlp.down_proj.weight"] = upstream.T @ tape.hidden
        gate = upstream @ self._weight(layer, "mlp.down_proj")
        up = gate * tape.silu
        slope = 1 - tape.sigmoid  # silu'(g) = s + g s (1 − s), with s the sigmoid of g
        slope *= tape.silu
        slope += tape.sigmoid
        gate *= tape.up
        gate *= slope
        name = f"{prefix}.post_attention_layernorm.weight"
        normed = tape.norm.unit * self.parameters[name]
        out[f"{prefix}.mlp.gate_proj.weight"] = gate.T @ normed
        out[f"{prefix}.mlp.up_proj.weight"] = up.T @ normed
        back = gate @ self._weight(layer, "mlp.gate_proj") + up @ self._weight(layer, "mlp.up_proj")
        back, out[name] = _norm_back(back, tape.norm, self.parameters[name])
        return back

    def _project(self, layer: int, x: Array, tokens: Ints, at: At) -> tuple[Array, Array, Array, Norm]:
        """Queries at some places, keys and values everywhere, ``(n, width)``, and the norm of the input."""
        if layer == 0:
            table, norm = self.table()
            k, v = np.hsplit(table[:, self.width :][tokens], 2)
            return table[:, : self.width][tokens[at]], k, v, norm
        norm = _norm(x)
        normed, weight = norm.unit * self._weight(layer, "input_layernorm"), self._qkv(layer)
        k, v = np.hsplit(normed @ weight[self.width :].T, 2)
        return normed[at] @ weight[: self.width].T, k, v, norm

    def _project_back(
        self,
        layer: int,
        norm: Norm,
        parts: tuple[Array, Array, Array],
        residual: Array,
        tokens: Ints,
        at: At,
        out: Parameters,
    ) -> Array:
        """The gradient of the block's input, (n, width); for the first block, whose input it is, of the embedding."""
        q, k, v = parts
        if layer == 0:  # what was read from one line of the table is added up there
            q = _by_token(q, tokens[at], self.vocabulary)
            k, v, residual = np.hsplit(_by_token(np.hstack((k, v, residual)), tokens, self.vocabulary), 3)
            at = slice(None)
        prefix = f"model.layers.{layer}"
        name = f"{prefix}.input_layernorm.weight"
        normed = norm.unit * self.parameters[name]
        back = k @ self._weight(layer, "self_attn.k_proj") + v @ self._weight(layer, "self_attn.v_proj")
        back[at] += q @ self._weight(layer, "self_attn.q_proj")
        out[f"{prefix}.self_attn.q_proj.weight"] = q.T @ normed[at]
        out[f"{prefix}.self_attn.k_proj.weight"] = k.T @ normed
        out[f"{prefix}.self_attn.v_proj.weight"] = v.T @ normed
        back, out[name] = _norm_back(back, norm, self.parameters[name])
        return residual + back

    def _attend(
        self, queries: Array, keys: Array, values: Array, rows: Packed, last: bool
    ) -> tuple[Array, AttentionTape]:
        """``softmax(q k / sqrt(d)) v`` over the tokens of a row up to the query's own, for each head."""
        slots, grid = (rows.asked_slots, rows.asked_grid) if last else (rows.slots, rows.grid)
        q = self._spread(queries * self.score_scale, slots, grid)
        k, v = (self._spread(part, rows.slots, rows.grid) for part in (keys, values))
        columns = np.arange(rows.grid[1])
        if last:  # an empty place of the grid sees everything, so that its sum is not zero; nothing reads it
            limits = np.full(grid[0] * grid[1], rows.grid[1])
            limits[slots] = rows.positions[rows.asked]
            seen = (columns <= limits.reshape(grid)[:, :, None])[:, None]
        else:
            seen = columns <= columns[:, None]
        weights = _exponentials(q @ k.swapaxes(-1, -2), seen)
        totals = np.einsum("bhqk->bhq", weights)[..., None]
        out = weights @ v
        out /= totals
        return _gather(out, slots), AttentionTape(q, k, v, weights, totals, out)

    def _attend_back(
        self, upstream: Array, tape: AttentionTape, rows: Packed, last: bool
    ) -> tuple[Array, Array, Array]:
        """Gradients of queries, keys and values."""
        slots, grid = (rows.asked_slots, rows.asked_grid) if last else (rows.slots, rows.grid)
        mixed = self._spread(upstream, slots, grid) / tape.totals  # so that the weights need not be normalised
        values = tape.weights.swapaxes(-1, -2) @ mixed
        scores = mixed @ tape.values.swapaxes(-1, -2)
        scores -= np.einsum("bhqd,bhqd->bhq", mixed, tape.out)[..., None]  # what each weight takes from the others
        scores *= tape.weights
        queries = scores @ tape.keys * self.score_scale
        keys = scores.swapaxes(-1, -2) @ tape.queries
        return _gather(queries, slots), _gather(keys, rows.slots), _gather(values, rows.slots)

    def _spread(self, x: Array, slots: Ints, grid: tuple[int, int]) -> Array:
        """Packed rows (n, width) as a grid (rows, heads, columns, width / heads), zero where it is empty."""
        if len(slots) == grid[0] * grid[1]:
            full = x
        else:
            full = np.zeros((grid[0] * grid[1], self.width), self.dtype)
            full[slots] = x
        return full.reshape(*grid, self.heads, -1).transpose(0, 2, 1, 3)

    def _weight(self, layer: int, name: str) -> Array:
        return self.parameters[f"model.layers.{layer}.{name}.weight"]

    def _qkv(self, layer: int) -> Array:
        return np.concatenate([self._weight(layer, f"self_attn.{part}_proj") for part in "qkv"])


def _gather(grid: Array, slots: Ints) -> Array:
    """A grid (rows, heads, columns, width / heads) as packed rows (n, width)."""
    rows, heads, columns, size = grid.shape
    full = grid.transpose(0, 2, 1, 3).reshape(rows * columns, heads * size)
    return full if len(slots) == len(full) else full[slots]


def _exponentials(scores: Array, seen: npt.NDArray[np.bool_]) -> Array:
    """Softmax before the division, in place; 0 where nothing is seen. Shifted only where sizes ask for it."""
    if np.abs(scores).max(initial=0) > MOST:
        scores -= np.where(seen, scores, -np.inf).max(-1, keepdims=True)
        np.minimum(scores, 0, out=scores)
    np.exp(scores, out=scores)
    scores *= seen
    return scores


def _norm(x: Array) -> Norm:
    """``x / sqrt(mean(x²) + ε)``; RMSNorm's weight comes after it."""
    scale = 1 / np.sqrt(np.einsum("nd,nd->n", x, x) / x.shape[1] + EPSILON)[:, None]
    return Norm(x * scale, scale)


def _norm_back(upstream: Array, norm: Norm, weight: Array) -> tuple[Array, Array]:
    """Gradients of what was normed and of RMSNorm's weight, from that of their product ``(n, width)``."""
    weight_back = np.einsum("nd,nd->d", upstream, norm.unit)
    back = upstream * weight
    back -= norm.unit * (np.einsum("nd,nd->n", back, norm.unit) / back.shape[1])[:, None]
    back *= norm.scale
    return back, weight_back


def _sigmoid(x: Array) -> Array:
    out = np.negative(x)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def _by_token(x: Array, tokens: Ints, vocabulary: int) -> Array:
    """Sums of the lines of ``x`` (n, …) that belong to each token, (vocabulary, …)."""
    one_hot = np.zeros((vocabulary, len(tokens)), x.dtype)
    one_hot[tokens, np.arange(len(tokens))] = 1
    return np.asarray(one_hot @ x)


def log_softmax(logits: Array) -> Array:
    """Log-probabilities, over the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def token_scores(logits: Array, targets: Ints) -> tuple[Array, Array]:
    """Log-probability of each target, ``(m,)``, and all probabilities, ``(m, vocabulary)``."""
    logs = log_softmax(logits)
    return logs[np.arange(len(targets)), targets], np.exp(logs)


def token_scores_back(upstream: Array, probabilities: Array, targets: Ints) -> Array:
    """The gradient of the logits, ``u (onehot − p)``, from that of the targets' log-probabilities, ``(m,)``."""
    out = -upstream[:, None] * probabilities
    out[np.arange(len(targets)), targets] += upstream
    return out


def entropy(logits: Array) -> Array:
    """Entropy of each distribution, in nats, ``(m,)``."""
    logs = log_softmax(logits)
    return np.asarray(-np.einsum("mv,mv->m", np.exp(logs), logs))
