"""``pocket`` computed by PyTorch and ``transformers``: the reference of what NumPy computes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from students.base import Recipe
from students.pocket.decoding import Draws, choose
from students.training.loop import IGNORE, Batch, Ints, Optimisation, unpack

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM

PASS = 512
"""Examples that are measured at once."""


class TorchModel:
    """One model while it is trained, asked or measured.

    Args:
        weights: A State's.
        trunk: The model to go on with, not the branch that exams see.
        heads: Attention heads.
        context: Longest row.
        threads: Torch's.
    """

    def __init__(self, weights: bytes, trunk: bool, heads: int, context: int, threads: int) -> None:
        import torch
        from transformers.initialization import no_init_weights

        torch.set_num_threads(threads)
        tensors, self._moments = unpack(weights, trunk)
        with torch.random.fork_rng(devices=[]), no_init_weights():
            self.model = _build(tensors, heads, context)
        self.model.load_state_dict(tensors)

    @staticmethod
    def numerics() -> dict[str, Any]:
        """What computes."""
        import torch

        return {
            "isa": torch.backends.cpu.get_cpu_capability(),
            "numpy": np.__version__,
            "torch": torch.__version__.split("+")[0],
            "transformers": version("transformers"),  # the model's code is theirs
        }

    @property
    def state(self) -> dict[str, torch.Tensor]:
        """Parameters by name, without a gradient."""
        held: dict[str, torch.Tensor] = self.model.state_dict()
        return held

    def optimisation(self, recipe: Recipe) -> Optimisation[Batch]:
        """A training run by next-token loss."""
        self.model.train()
        return Optimisation(self.tensors()[0], self._loss_of, recipe, self._moments)

    def losses(self, ids: Ints, targets: Ints) -> list[float]:
        """Mean loss of each row, in nats per target; see ``students.training.loop.Encoded``."""
        return self._each(ids, targets, _cross_entropy)

    def entropies(self, ids: Ints, targets: Ints) -> list[float]:
        """Mean entropy of each row over its targets."""
        return self._each(ids, targets, _entropy)

    def write(
        self, rows: Sequence[Sequence[int]], rooms: Ints, temperature: float, draws: Draws, ends: int
    ) -> list[list[int]]:
        """See ``students.pocket.decoding.generate``; prompts of equal length are a group, so that none is padded."""
        groups: dict[int, list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            groups[len(row)].append(i)
        written: list[list[int]] = [[] for _ in rows]
        for members in groups.values():
            ids = np.array([rows[i] for i in members])
            found = generate_group(self.model, ids, int(rooms[members].max()), temperature, draws[members], ends)
            for i, tokens in zip(members, found, strict=True):
                written[i] = _ended(tokens[: rooms[i]], ends)
        return written

    def tensors(self) -> tuple[dict[str, torch.nn.Parameter], dict[str, torch.Tensor]]:
        """Parameters and moments."""
        return dict(self.model.named_parameters()), self._moments

    def score(
        self, parameters: dict[str, torch.nn.Parameter], batch: Batch, temperature: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probability of each target, (rows, columns), with a gradient of the parameters."""
        import torch

        logits = self.model(input_ids=torch.from_numpy(batch.ids[:, :-1]), use_cache=False).logits / temperature
        targets = torch.from_numpy(batch.targets[:, 1:])
        return -_cross_entropy(logits, targets), targets != IGNORE

    def _loss_of(self, batch: Batch) -> torch.Tensor:
        import torch
        import torch.nn.functional as F

        logits = self.model(input_ids=torch.from_numpy(batch.ids[:, :-1]), use_cache=False).logits
        flat = torch.from_numpy(batch.targets[:, 1:]).reshape(-1)
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), flat, ignore_index=IGNORE)

    def _each(
        self, ids: Ints, targets: Ints, measure: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    ) -> list[float]:
        """The mean over the targets of what is measured at each; ``measure`` gives zero where a target is ignored."""
        import torch

        out: list[float] = []
        with torch.inference_mode():
            for start in range(0, len(ids), PASS):
                rows = torch.from_numpy(ids[start : start + PASS, :-1])
                due = torch.from_numpy(targets[start : start + PASS, 1:])
                measured = measure(self.model(input_ids=rows, use_cache=False).logits, due)
                out.extend((measured.sum(1) / (due != IGNORE).sum(1)).tolist())
        return out


def _build(tensors: dict[str, torch.Tensor], heads: int, context: int) -> LlamaForCausalLM:
    """The model that these tensors are of, as the student shapes it."""
    from transformers import LlamaConfig, LlamaForCausalLM

    vocabulary, width = tensors["model.embed_tokens.weight"].shape
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=len(tensors["model.layers.0.mlp.gate_proj.weight"]),
        num_hidden_layers=sum(name.endswith("input_layernorm.weight") for name in tensors),
        num_attention_heads=heads,
        max_position_embeddings=context,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config)


def generate_group(
    model: LlamaForCausalLM, ids: Ints, room: int, temperature: float, draws: Draws, ends: int
) -> list[list[int]]:
    """At most ``room`` new tokens for each row of ``ids`` (rows, length); rows may run on after their end token."""
    import torch

    with torch.inference_mode():
        out = model(input_ids=torch.from_numpy(ids), use_cache=True, logits_to_keep=1)
        columns, ended = [], np.zeros(len(ids), bool)
        for step in range(room):
            token = choose(out.logits[:, -1].numpy(), temperature, draws[:, step])
            columns.append(token)
            ended |= token < ends
            if ended.all() or step == room - 1:
                break
            new = torch.from_numpy(token[:, None])
            out = model(input_ids=new, past_key_values=out.past_key_values, use_cache=True, logits_to_keep=1)
    rows: list[list[int]] = np.stack(columns, 1).tolist()
    return rows


def _ended(tokens: list[int], ends: int) -> list[int]:
    """Tokens up to the one that ends an answer, with it."""
    end = next((i for i, token in enumerate(tokens) if token < ends), len(tokens) - 1)
    return tokens[: end + 1]


def _cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    import torch.nn.functional as F

    return F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORE, reduction="none")


def _entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    likely = logits.log_softmax(-1)
    return -(likely.exp() * likely).sum(-1) * (targets != IGNORE)
