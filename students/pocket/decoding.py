"""Writing on: which token comes next, and the loop that asks a NumPy transformer for one token after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from students.pocket.packed import Ints, packed
from students.pocket.transformer import Array, Tape, Transformer, log_softmax
from tasks.records import digest

BLOCK = 256
"""Rows that are written at once: their keys and values stay in a processor's cache."""
Draws = npt.NDArray[np.float64]


def draws_for(seed: int, prompts: Sequence[str], most: int) -> Draws:
    """Numbers in [0, 1) that choose tokens, (prompts, most): by a prompt's text and how often it came before.

    So what is answered to one prompt does not depend on what else is asked, nor on how long an answer may be.
    """
    before: Counter[str] = Counter()
    out = np.empty((len(prompts), most))
    for i, prompt in enumerate(prompts):
        named = digest([seed, prompt, before[prompt]])
        before[prompt] += 1
        out[i] = np.random.default_rng(int(named[:15], 16)).random(most)
    return out


def choose(logits: Array, temperature: float, draws: Draws) -> Ints:
    """One token a row: the likeliest at temperature 0, else where the distribution function passes the draw.

    Args:
        logits: ``(n, vocabulary)``.
        temperature: At least 0.
        draws: ``(n,)``, in [0, 1); not looked at where the temperature is 0.
    """
    if temperature == 0:
        return np.asarray(logits.argmax(-1))
    below = np.exp(log_softmax(logits.astype(np.float64) / temperature)).cumsum(-1)
    return np.asarray((below[:, :-1] <= draws[:, None]).sum(-1))


def generate(
    model: Transformer, rows: Sequence[Sequence[int]], rooms: Ints, temperature: float, draws: Draws, ends: int
) -> list[list[int]]:
    """What the model writes behind rows, each with the token that ended it, if one did.

    Args:
        model: The model.
        rows: Tokens, at least one each.
        rooms: ``(rows,)``, the most tokens for each, at least one.
        temperature: See ``choose``.
        draws: ``(rows, most)``; see ``choose``.
        ends: Every token below it ends a row.
    """
    out: list[list[int]] = [[] for _ in rows]
    order = np.array(sorted(range(len(rows)), key=lambda i: len(rows[i])), np.int64)
    for start in range(0, len(order), BLOCK):
        some = order[start : start + BLOCK]
        block = _Block(model, [rows[i] for i in some], int(rooms[some].max()))
        for i, tokens in zip(some, block.write(rooms[some], temperature, draws[some], ends), strict=True):
            out[i] = tokens
    return out


class _Block:
    """Some rows and a cache of their keys and values, (slots, rows, width): their last tokens stand side by side.

    Args:
        model: The model.
        rows: Tokens of each.
        most: New tokens at most.
    """

    def __init__(self, model: Transformer, rows: Sequence[Sequence[int]], most: int) -> None:
        self._model, lengths = model, np.array([len(row) for row in rows])
        longest = int(lengths.max())
        ids, columns = np.zeros((len(rows), longest), np.int64), np.arange(longest)
        ids[columns < lengths[:, None]] = np.concatenate([np.asarray(row) for row in rows])
        self._logits, tape = model.forward(packed(ids, columns == lengths[:, None] - 1))
        slots = longest + most
        self._empty = np.arange(slots)[:, None] < longest - lengths
        self._keys, self._values = self._cache(tape, tape.keys, slots), self._cache(tape, tape.values, slots)
        self._table = model.table()[0]
        self._positions, self._slot = lengths, longest

    def write(self, rooms: Ints, temperature: float, draws: Draws, ends: int) -> list[list[int]]:
        """See ``generate``."""
        out = np.full((len(rooms), int(rooms.max())), -1)
        live = np.arange(len(rooms))
        done = np.zeros(len(rooms), bool)
        for step in range(out.shape[1]):
            tokens = choose(self._logits, temperature, draws[live, step])
            out[live[~done], step] = tokens[~done]
            done |= (tokens < ends) | (step + 1 >= rooms[live])
            if done.all():
                break
            if done.mean() >= 0.25:  # fewer are not worth a copy of the cache
                self._keep(~done)
                live, tokens, done = live[~done], tokens[~done], done[~done]
            self._read(tokens)
        return [row[row >= 0].tolist() for row in out]

    def _cache(self, tape: Tape, parts: Sequence[Array], slots: int) -> list[Array]:
        rows, width = tape.rows.grid
        row = tape.rows.slots // width
        at = tape.rows.positions + self._empty.sum(0)[row]
        out = [np.empty((slots, rows, self._model.width), self._model.dtype) for _ in parts]
        for cache, part in zip(out, parts, strict=True):
            cache[self._empty] = 0  # weighs nothing, and must be finite for that
            cache[at, row] = part
        return out

    def _keep(self, kept: npt.NDArray[np.bool_]) -> None:
        self._keys, self._values = ([cache[:, kept] for cache in part] for part in (self._keys, self._values))
        self._empty, self._positions = self._empty[:, kept], self._positions[kept]

    def _read(self, tokens: Ints) -> None:
        """One more token a row; afterwards the logits are those of the next."""
        model = self._model
        cos, sin = model.rotations(self._positions)
        x = model.parameters["model.embed_tokens.weight"][tokens]
        for layer in range(model.layers):
            q, k, v = np.hsplit(model.project(layer, x)[0] if layer else self._table[tokens], 3)
            self._keys[layer][self._slot] = model.rotate(k, cos, sin)
            self._values[layer][self._slot] = v
            x = x + model.output(layer, self._attend(layer, model.rotate(q, cos, sin)))
            x = x + model.swiglu(layer, x)[0]
        self._logits = model.head(x)
        self._positions, self._slot = self._positions + 1, self._slot + 1

    def _attend(self, layer: int, queries: Array) -> Array:
        """Values mixed by one query a row, (rows, width); one product and sum is faster here than many small ones."""
        seen = slice(self._slot + 1)
        shape = (-1, len(queries), self._model.heads, self._model.width // self._model.heads)
        keys, values = self._keys[layer][seen].reshape(shape), self._values[layer][seen].reshape(shape)
        scores = np.einsum("tbhd,bhd->tbh", keys, (queries * self._model.score_scale).reshape(shape[1:]))
        scores[self._empty[seen]] = -np.inf
        scores -= scores.max(0)
        weights = np.exp(scores, out=scores)
        weights /= weights.sum(0)
        return np.asarray(np.einsum("tbh,tbhd->bhd", weights, values).reshape(queries.shape))
