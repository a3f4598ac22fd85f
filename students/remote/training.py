"""What is sent to train on a server, and what a State's blob holds."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from students.base import Recipe
from students.remote.service import Session
from students.training.adamw import BETAS, EPSILON
from students.training.loop import IGNORE, Batch, Ints
from tasks.records import Record, canonical_json

PAD = -1
"""Fills rows up in ``Encoded``; no token, and taken off again before anything is sent."""


class Checkpoint(Record):
    """What a State's blob holds.

    Attributes:
        seed: Of the adapter before any training.
        training: Where the server has the weights that were examined, with AdamW's moments; empty before any training.
        sampler: Where it has the same weights to answer with.
        trunk: Where it has those that training goes on from, where the others are a branch that was cooled down.
    """

    seed: int
    training: str = ""
    sampler: str = ""
    trunk: str = ""


class RemoteAdamW:
    """Updates that a server makes; see ``students.training.adamw.AdamW``.

    Args:
        opened: The session.
        trainer: The package's ``TrainingClient``.
        recipe: Weight decay and clipping.
        seconds: For which checkpoints are kept.
    """

    def __init__(self, opened: Session, trainer: Any, recipe: Recipe, seconds: int | None) -> None:
        self._opened, self._trainer, self._recipe, self._seconds = opened, trainer, recipe, seconds
        self._finite = True

    def update(self, batch: Batch, rate: float) -> float:
        """Take one step; the mean loss of response tokens before it."""
        import tinker

        weight = 1 / int((batch.targets != IGNORE).sum())
        data = [datum(ids, targets, weight) for ids, targets in zip(batch.ids, batch.targets, strict=True)]
        params = tinker.AdamParams(
            learning_rate=rate,
            beta1=BETAS[0],
            beta2=BETAS[1],
            eps=EPSILON,
            weight_decay=self._recipe.weight_decay,
            grad_clip_norm=self._recipe.clip,
        )
        # Both are sent before the first is waited for: the server takes them in order.
        passed, stepped = self._trainer.forward_backward(data, "cross_entropy"), self._trainer.optim_step(params)
        out = self._opened.wait(passed, "train")
        metrics = self._opened.wait(stepped, "train").metrics or {}
        self._finite = all(np.isfinite(value) for value in metrics.values())
        return float(np.mean(np.concatenate(nats(out, batch.targets))))

    def parameters(self) -> dict[str, Any]:
        """Where the server keeps them as they are now, with the moments."""
        return {"training": self.save("trunk")}

    def moments(self) -> dict[str, Any]:
        """None: they are kept with the parameters."""
        return {}

    def is_finite(self) -> bool:
        """Whether all that the server told of its last update is."""
        return self._finite

    def save(self, name: str) -> str:
        """Keep the weights and AdamW's moments; where."""
        return str(self._opened.wait(self._trainer.save_state(name, self._seconds), "save a checkpoint").path)

    def save_to_answer(self, name: str) -> str:
        """Keep the weights to answer with; where."""
        promised = self._trainer.save_weights_for_sampler(name, self._seconds)
        return str(self._opened.wait(promised, "save a checkpoint").path)


def datum(ids: Ints, targets: Ints, weight: float) -> Any:
    """A row of a batch, (longest,) each, as the server takes it: of the last token nothing is predicted.

    Args:
        ids: Tokens, padded.
        targets: The response's tokens; all others ignored.
        weight: Of each response token in the loss, which is a sum.
    """
    import tinker

    whole = ids[ids != PAD]
    due = targets[1 : len(whole)] != IGNORE
    inputs = {"target_tokens": whole[1:], "weights": (due * weight).astype(np.float32)}
    return tinker.Datum(model_input=tinker.ModelInput.from_ints(whole[:-1].tolist()), loss_fn_inputs=inputs)


def nats(out: Any, targets: Ints) -> list[npt.NDArray[np.float64]]:
    """The loss of each response token, row by row, from what a pass gives.

    Args:
        out: The package's ``ForwardBackwardOutput``.
        targets: (rows, longest); what is no response ignored.
    """
    rows = []
    for told, due in zip(out.loss_fn_outputs, targets, strict=True):
        logprobs = np.asarray(told["logprobs"].data, np.float64)
        rows.append(-logprobs[due[1 : len(logprobs) + 1] != IGNORE])
    return rows


def packed(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as a safetensors blob without tensors."""
    from safetensors.numpy import save

    return save({}, {"checkpoint": canonical_json(checkpoint.model_dump(mode="json"))})


def unpacked(weights: bytes) -> Checkpoint:
    """The checkpoint in a blob."""
    (length,) = struct.unpack("<Q", weights[:8])
    return Checkpoint.model_validate_json(json.loads(weights[8 : 8 + length])["__metadata__"]["checkpoint"])
