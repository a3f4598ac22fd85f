"""The losses of ``training.grpo`` and ``training.dpo`` beside TRL's own code, on random log-probabilities.

    python tests/bench/trl_losses.py            # with TRL: pip install 'dataenv[trl]'

``GRPOTrainer._compute_loss`` and ``DPOTrainer._compute_loss`` are called as they are, on a stand-in for the trainer
whose model gives the log-probabilities that ours are given. Prints the largest differences of losses and gradients.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
import trl

from students.training.dpo import dpo_loss
from students.training.grpo import advantages, divergence, surrogate

COLUMNS, GROUP, GROUPS, DRAWS = 9, 4, 8, 50


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probabilities now, of who wrote the answers, and of a reference, (rows, columns); and a mask."""
    g = torch.Generator().manual_seed(seed)
    shape = (GROUP * GROUPS, COLUMNS)
    now = -3 * torch.rand(shape, generator=g, dtype=torch.float64)
    old, reference = (now + 0.3 * torch.randn(shape, generator=g, dtype=torch.float64) for _ in range(2))
    mask = torch.arange(COLUMNS)[None] < torch.randint(1, COLUMNS + 1, (len(now), 1), generator=g)
    return now.requires_grad_(), old, reference, mask


def grpo(variant: str, kl: float, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    now, old, reference, mask = drawn(seed)
    rewards = np.random.default_rng(seed).integers(2, size=(GROUPS, GROUP)).astype(float)
    worth = torch.from_numpy(advantages(rewards, variant).ravel())
    each = (surrogate(now, old, worth[:, None], 0.2) + kl * divergence(now, reference)) * mask
    ours = each.sum() / (len(each) * COLUMNS) if variant == "dr-grpo" else (each.sum(1) / mask.sum(1)).mean()

    grouped = torch.from_numpy(rewards)  # as in _generate_and_score_completions, of which this is no function
    theirs_worth = grouped - grouped.mean(1, keepdim=True)
    if variant == "grpo":
        theirs_worth = theirs_worth / (grouped.std(1, keepdim=True) + 1e-4)
    trainer = MagicMock()
    trainer.configure_mock(
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level="token",
        aux_loss_enabled=False,
        beta=kl,
        epsilon_low=0.2,
        epsilon_high=0.2,
        loss_type=variant.replace("-", "_"),
        use_vllm=False,
        max_completion_length=COLUMNS,
        _entropy_bonus_enabled=False,
        model=SimpleNamespace(training=False),
        args=SimpleNamespace(delta=None, use_bias_correction_kl=False),
    )
    trainer._get_per_token_logps_and_entropies.return_value = (now, torch.zeros_like(now), None)
    trainer.accelerator.gather.side_effect = lambda tensor: tensor
    ids = torch.zeros(mask.shape, dtype=torch.long)
    inputs: dict[str, Any] = {"prompt_ids": ids, "prompt_mask": ids, "completion_ids": ids, "completion_mask": mask}
    inputs |= {"advantages": theirs_worth.flatten(), "old_per_token_logps": old, "ref_per_token_logps": reference}
    return ours, trl.GRPOTrainer._compute_loss(trainer, None, inputs), now


def dpo(beta: float, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    now, _, reference, mask = drawn(seed)
    n = len(now) // 2
    gained = ((now - reference) * mask).sum(1)
    ours = dpo_loss(gained[:n], gained[n:], beta)

    trainer = MagicMock()
    trainer.configure_mock(
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        loss_types=["sigmoid"],
        loss_weights=[1.0],
        beta=beta,
        use_weighting=False,
        model=SimpleNamespace(training=False),
    )
    trainer.accelerator.gather_for_metrics.side_effect = lambda tensor: tensor
    trainer.accelerator.gather.side_effect = lambda tensor: tensor
    zeros = torch.zeros_like(now)
    said = SimpleNamespace(log_probs=now * mask, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool())
    whole = torch.cat([torch.zeros(len(mask), 1, dtype=torch.bool), mask], 1)  # its model predicts from a first token
    sums = (reference * mask).sum(1)
    inputs: dict[str, Any] = {"input_ids": whole.long(), "completion_mask": whole.long()}
    inputs |= {"ref_chosen_logps": sums[:n], "ref_rejected_logps": sums[n:]}
    return ours, trl.DPOTrainer._compute_loss(trainer, lambda **given: said, inputs, False), now


def compare(name: str, made: Any) -> None:
    losses, slopes = 0.0, 0.0
    for seed in range(DRAWS):
        ours, theirs, now = made(seed)
        here, there = (torch.autograd.grad(loss, now, retain_graph=True)[0] for loss in (ours, theirs))
        losses = max(losses, abs(float(ours.detach() - theirs.detach())))
        slopes = max(slopes, float((here - there).abs().max()))
    print(f"{name:24} {DRAWS} batches: largest difference of losses {losses:.1e}, of gradients {slopes:.1e}")
    assert max(losses, slopes) < 1e-9, "the two are not one loss"


if __name__ == "__main__":
    print(f"trl {trl.__version__}")
    for variant in ("grpo", "dr-grpo"):
        for kl in (0.0, 0.05):
            compare(f"{variant}, kl {kl}", lambda seed, v=variant, k=kl: grpo(v, k, seed))
    for beta in (0.1, 0.5):
        compare(f"dpo, beta {beta}", lambda seed, b=beta: dpo(b, seed))
