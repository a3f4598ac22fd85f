"""Whether a model can be taught: a few rows go through it before anything is trained.

What is examined and trained here is batches, and a row's result must not depend on the rows beside it. Whether that
holds is a matter of a model's masks, positions and caches, so it is tried and not read off a list of architectures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from students.causal_lm import packing, ragged
from students.causal_lm.checkpoint import CheckpointError, fields_of, guarded

if TYPE_CHECKING:
    import torch

    Tensors = list[torch.Tensor]

Ids = tuple[int, ...]
LOOKED = 4
"""Last columns of each row that are compared."""
SHORTEST = 12
"""Tokens that the longest row has in any case."""
SHORT = 32
"""Tokens of the longest row that may have a prefix, where context and reach allow as many."""
BEYOND = 8
"""Tokens by which a row is longer than the reach, so that something is out of sight."""
EXACT = {"float32": 1e-3, "bfloat16": 0.25}
"""How far logits may differ, as a share of their spread. Rounding makes 1e-6 and 0.03, another mask 0.1 to 2."""
MEND = "give a model of another architecture (docs/causal-lm.md lists some)"


class Ways(NamedTuple):
    """In which ways rows may go through a model, beside whole and padded.

    Attributes:
        shares: What rows share at the front may be computed apart; see ``students.causal_lm.ragged``.
        packs: Rows may be packed into one sequence; see ``students.causal_lm.packing``.
    """

    shares: bool
    packs: bool


@dataclass(frozen=True)
class Candidate:
    """A model that asks to be taught.

    Attributes:
        shown: What it is called in an error.
        model: What a pass goes through.
        trainable: The parameters that training changes.
        arithmetic: That of a pass; see ``students.causal_lm.network.Network.autocast``.
        dtype: ``float32`` or ``bfloat16``.
        device: Where it is.
        context: Tokens of the longest row that it will see.
        reach: See ``students.causal_lm.architecture.reach``.
    """

    shown: str
    model: Any
    trainable: Sequence[torch.nn.Parameter]
    arithmetic: Callable[[], AbstractContextManager[Any]]
    dtype: str
    device: str
    context: int
    reach: int | None


def admit(candidate: Candidate) -> Ways:
    """Check that the rows of a batch have the results that each has alone, and that training reaches the model.

    Raises:
        CheckpointError: If it cannot be taught.
    """
    import torch

    whole = candidate.context if candidate.reach is None else min(candidate.reach, candidate.context)
    with guarded(f"{candidate.shown} cannot be taught: its forward pass fails", MEND):
        short = _rows(candidate, max(SHORTEST, min(SHORT, whole)))
        with torch.no_grad():
            _check_cache(candidate, short[-1])
            _check_causal(candidate, short[-1])
            alone = _check_rows(candidate, short)
            if whole < candidate.context:
                _check_rows(candidate, _rows(candidate, max(SHORTEST, min(whole + BEYOND, candidate.context)), 2))
            ways = Ways(
                *(whole >= SHORTEST and _holds(may, candidate, short, alone) for may in (_may_share, _may_pack))
            )
        _check_learns(candidate, short[:2])
    return ways


def _rows(candidate: Candidate, longest: int, count: int = 3) -> list[Ids]:
    """Rows that begin alike, from one with ``LOOKED`` tokens of its own to the longest; none of a special token.

    Args:
        candidate: Whose vocabulary they are of.
        longest: Tokens of the last.
        count: How many, at least two.
    """
    import torch

    config = candidate.model.config.to_dict()
    named = [value for name, value in fields_of(config) if "token" in name]
    special = {i for value in named for i in (value if isinstance(value, list) else [value]) if type(i) is int}
    plain = [i for i in range(len(candidate.model.get_input_embeddings().weight)) if i not in special]
    front = longest // 2
    generator = torch.Generator().manual_seed(0)

    def drawn(n: int) -> Ids:
        return tuple(plain[i] for i in torch.randint(len(plain), (n,), generator=generator).tolist())

    shared, most = drawn(front), longest - front
    return [shared + drawn(LOOKED + (most - LOOKED) * i // (count - 1)) for i in range(count)]


def _check_cache(candidate: Candidate, row: Ids) -> None:
    """What was read is kept, and rows can leave it: else each new token would cost all those before it."""
    import torch

    with candidate.arithmetic():
        out = candidate.model(input_ids=torch.tensor([row], device=candidate.device), use_cache=True)
    if not hasattr(getattr(out, "past_key_values", None), "reorder_cache"):
        raise CheckpointError(f"{candidate.shown} cannot be taught: it keeps no key-value cache; {MEND}")
    if any(hasattr(layer, "recurrent_states") for layer in getattr(out.past_key_values, "layers", ())):
        raise CheckpointError(
            f"{candidate.shown} cannot be taught: it is a hybrid, which keeps states beside keys and values; {MEND}"
        )


def _check_causal(candidate: Candidate, row: Ids) -> None:
    """What stands behind a token must not be seen from it: a loss would count what it was told."""
    other = (*row[:-1], row[0] if row[0] != row[-1] else row[1])
    one, two = (found[:-1] for found in _alone(candidate, [row, other]))
    if not _equal(candidate, [one], [two]):
        raise CheckpointError(
            f"{candidate.shown} cannot be taught: its logits change with tokens that come later, so it is no causal "
            f"language model; {MEND}"
        )


def _check_rows(candidate: Candidate, rows: Sequence[Ids]) -> Tensors:
    """Batches without a prefix are as rows alone, trained and examined; gives the logits of rows alone."""
    alone = _alone(candidate, rows)
    for found, expected, when in (
        (_batched(candidate, rows, 0), alone, "with the rows beside it"),
        (_written(candidate, rows, 0), _last(alone), "with a key-value cache"),
    ):
        if not _equal(candidate, found, expected):
            raise CheckpointError(
                f"{candidate.shown} cannot be taught: what a row of {len(rows[-1])} tokens gives changes {when}; {MEND}"
            )
    return alone


def _holds(trial: Callable[[Candidate, Sequence[Ids], Tensors], bool], *given: Any) -> bool:
    """What a trial says; no, where the model does not take what it is given."""
    try:
        return trial(*given)
    except (AttributeError, TypeError, ValueError, RuntimeError, IndexError):
        return False  # caches that cannot be repeated, or do not go on with several tokens; masks of other dimensions


def _may_share(candidate: Candidate, rows: Sequence[Ids], alone: Tensors) -> bool:
    """Whether a prefix that is computed apart changes nothing; else rows go through whole, which takes longer."""
    same = _equal(candidate, _batched(candidate, rows, None), alone)
    return same and _equal(candidate, _written(candidate, rows, None), _last(alone))


def _may_pack(candidate: Candidate, rows: Sequence[Ids], alone: Tensors) -> bool:
    """Whether rows that are packed into one sequence are as rows alone; else they go in as a batch."""
    import torch

    kept, dtype = [LOOKED] * len(rows), getattr(torch, candidate.dtype)
    with candidate.arithmetic():
        logits = packing.forward(candidate.model, rows, kept, sum(map(len, rows)), dtype, candidate.device)
    return _equal(candidate, list(logits.float().split(kept)), alone)


def _check_learns(candidate: Candidate, rows: Sequence[Ids]) -> None:
    """A backward pass comes to what is trained, and what comes is finite."""
    laid = ragged.lay(rows, [LOOKED] * len(rows), candidate.device, 0)
    try:
        with candidate.arithmetic():
            logits, _ = ragged.forward(candidate.model, laid, LOOKED)
        score = logits.float().log_softmax(-1)[..., 0].sum()
        if score.requires_grad:
            score.backward()
        found = [p.grad for p in candidate.trainable if p.grad is not None]
        what, mend = "", MEND
        if not any(bool(grad.any()) for grad in found):
            what, mend = "no gradient comes to what is trained", "give other targets, or another model"
        elif not all(bool(grad.isfinite().all()) for grad in found):
            what = "its gradients are not finite where rows are filled up"
        if what:
            raise CheckpointError(f"{candidate.shown} cannot be taught: {what}; {mend}")
    finally:
        for parameter in candidate.trainable:
            parameter.grad = None


def _equal(candidate: Candidate, found: Tensors, expected: Tensors) -> bool:
    """Whether logits differ by rounding alone, as a share of the spread of those that are expected."""
    most = EXACT[candidate.dtype]
    pairs = zip(found, expected, strict=True)
    return all(float((a - b).norm()) <= most * float((b - b.mean(-1, keepdim=True)).norm()) for a, b in pairs)


def _last(alone: Tensors) -> Tensors:
    """What ``_written`` is compared with: the first row leaves after one token, the others after three."""
    return [alone[0][-3:-2], *(logits[-3:] for logits in alone[1:])]


def _alone(candidate: Candidate, rows: Sequence[Ids]) -> Tensors:
    """Each row by itself: no padding, no mask, no cache; its last logits, (``LOOKED``, vocabulary)."""
    import torch

    found = []
    for row in rows:
        with candidate.arithmetic():
            out = candidate.model(input_ids=torch.tensor([row], device=candidate.device))
        found.append(out.logits[0, -LOOKED:].float())
        if not bool(found[-1].isfinite().all()):
            raise CheckpointError(
                f"{candidate.shown} cannot be taught: its logits are not finite; fetch the model again, or give "
                "dtype='float32'"
            )
    return found


def _batched(candidate: Candidate, rows: Sequence[Ids], reach: int | None) -> Tensors:
    """The same through a batch, as it is trained: with a shared prefix (``reach`` ``None``), or without (0)."""
    laid = ragged.lay(rows, [LOOKED] * len(rows), candidate.device, reach, worth=1)
    with candidate.arithmetic():
        logits, _ = ragged.forward(candidate.model, laid, LOOKED)
    return list(logits.float())


def _written(candidate: Candidate, rows: Sequence[Ids], reach: int | None) -> Tensors:
    """The same as it is examined: token by token behind a cache; the first row leaves before the last token."""
    import torch

    laid = ragged.lay([row[:-2] for row in rows], [1] * len(rows), candidate.device, reach, worth=1)
    mask, positions = laid.mask, laid.positions[:, -1:]
    with candidate.arithmetic():
        logits, cache = ragged.forward(candidate.model, laid, 1)
        seen, live = [logits[:, -1:]], torch.arange(len(rows), device=candidate.device)
        for place in (-2, -1):
            if place == -1:
                live = live[1:]
                cache.reorder_cache(live)
                mask, positions = mask[live], positions[live]
            mask, positions = torch.cat([mask, mask.new_ones(len(mask), 1)], 1), positions + 1
            ids = torch.tensor([[rows[i][place]] for i in live.tolist()], device=candidate.device)
            seen.append(ragged.step(candidate.model, ids, mask, positions, cache, 1).logits)
    one, two, three = (part.float() for part in seen)
    return [one[0], *(torch.cat([one[i], two[i], three[i - 1]]) for i in range(1, len(rows)))]
