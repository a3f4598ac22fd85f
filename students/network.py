"""A pre-trained network in memory, and the part of it that is trained: a LoRA adapter, or all weights.

The model on disk is read once a process and only read. What training changes is in a State, and is put into the network
at the beginning of each use, so nothing stays behind between two.

Parameters that are trained, and AdamW's moments, are float32 in any case; bfloat16 is the arithmetic of a forward and
backward pass (autocast), and what frozen weights are held in. Dropout is off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from students.checkpoint import quiet, tensor_names
from students.loop import unpack

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (arXiv 2106.09685): ``alpha / rank * B A`` is added to the weights of linear layers.

    Attributes:
        rank: Rows of A.
        alpha: Scale.
        targets: Names of layers, or ``all-linear`` for all but the head.
    """

    rank: int
    alpha: int
    targets: str | tuple[str, ...]


class Network:
    """A causal language model.

    Args:
        folder: Holds the model; see ``students.checkpoint``.
        lora: The adapter, or ``None`` to train all weights.
        dtype: ``float32``, ``bfloat16``, or ``auto``.
        device: ``cpu``, ``cuda``, or ``auto``.
        threads: Torch threads.

    Raises:
        ValueError: If ``peft`` is missing, the layers of the adapter are, or the device is.
    """

    def __init__(self, folder: Path, lora: Lora | None, dtype: str, device: str, threads: int) -> None:
        self.folder, self.lora, self._threads = folder, lora, threads
        self.device = _device(device)
        self.dtype = _dtype(dtype, self.device)
        if lora is None:
            return
        if find_spec("peft") is None:
            raise ValueError("adapter 'lora' needs the package peft; pip install 'dataenv[lm]', or give adapter='none'")
        layers = {name.rpartition(".")[0] for name in tensor_names(folder)}
        for target in () if lora.targets == "all-linear" else _names(lora.targets):
            if not any(layer == target or layer.endswith(f".{target}") for layer in layers):
                leaves = sorted({layer.rpartition(".")[2] for layer in layers if not layer[-1:].isdigit()})
                raise ValueError(f"targets names {target!r}, which the model has not; it has {', '.join(leaves)}")

    @cached_property
    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, by name; tied weights once."""
        return _trainable(self._whole)

    @cached_property
    def model(self) -> Any:
        """What a pass goes through: the model as ``transformers`` knows it, with the adapter in it."""
        return self._whole.get_base_model() if self.lora else self._whole

    def untaught(self, seed: int) -> Tensors:
        """The trained part before any training.

        Of an adapter, A is uniform within ±1/sqrt(inputs), as ``peft`` draws it, and B is zero (LoRA, section 4.1).
        """
        import torch

        if self.lora is None:
            return dict(_trainable(self._load("float32")))
        generator, tensors = torch.Generator().manual_seed(seed), {}
        for name, parameter in self.trainable.items():
            tensors[name] = torch.zeros(parameter.shape)
            if "lora_B" not in name:
                bound = parameter.shape[1] ** -0.5
                tensors[name].uniform_(-bound, bound, generator=generator)
        return tensors

    @contextmanager
    def ready(self, weights: bytes, trunk: bool = False) -> Iterator[Tensors]:
        """Put a State into the network, and compute repeatably while this lasts.

        Args:
            weights: The State's.
            trunk: Whether training goes on; see ``students.loop.unpack``.

        Yields:
            AdamW's moments.
        """
        import torch

        torch.set_num_threads(self._threads)
        tensors, moments = unpack(weights, trunk)
        _put(tensors, self.trainable)
        before = torch.are_deterministic_algorithms_enabled()
        if self.device == "cuda":  # kernels whose sums do not depend on chance
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
        try:
            yield {name: tensor.to(self.device) for name, tensor in moments.items()}
        finally:
            torch.use_deterministic_algorithms(before)

    def autocast(self) -> torch.autocast:
        """The arithmetic of a forward pass."""
        import torch

        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def export(self, weights: bytes, folder: Path, name: str) -> None:
        """Write the model with the adapter merged into it; the adapter by itself is in ``adapter/``.

        Args:
            weights: The State's.
            folder: Where to.
            name: What the adapter says it belongs to.
        """
        whole = self._load("auto")  # what is on disk, so that only what was trained differs from it
        _put(unpack(weights)[0], _trainable(whole))
        if self.lora:
            whole.peft_config["default"].base_model_name_or_path = name
            whole.save_pretrained(folder / "adapter", save_embedding_layers=False)  # else peft asks the hub
            whole = whole.merge_and_unload()
        whole.save_pretrained(folder)

    @cached_property
    def _whole(self) -> Any:
        return self._load(self.dtype if self.lora else "float32").to(self.device)

    def _load(self, dtype: Any) -> Any:
        """Read the model from disk, and add an adapter if there is one."""
        import torch
        from transformers import AutoModelForCausalLM

        with quiet(), torch.random.fork_rng(devices=[]):
            model = AutoModelForCausalLM.from_pretrained(
                self.folder, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False
            )
            if self.lora:
                from peft import LoraConfig, get_peft_model

                targets = self.lora.targets if self.lora.targets == "all-linear" else list(_names(self.lora.targets))
                config = LoraConfig(
                    r=self.lora.rank, lora_alpha=self.lora.alpha, target_modules=targets, task_type="CAUSAL_LM"
                )
                model = get_peft_model(model, config)  # holds the adapter in float32, whatever the model is in
        return model.eval()


def _names(targets: str | tuple[str, ...]) -> tuple[str, ...]:
    return (targets,) if isinstance(targets, str) else targets


def _trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _put(tensors: Tensors, parameters: dict[str, torch.nn.Parameter]) -> None:
    """Copy values into parameters of the same names."""
    import torch

    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])


def _device(asked: str) -> str:
    import torch

    if asked == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is 'cuda' and torch sees none here; give 'cpu', or run where one is")
    return asked if asked != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def _dtype(asked: str, device: str) -> torch.dtype:
    """``auto`` is bfloat16 on CUDA alone: on processors, with instructions for it too, float32 is faster (docs)."""
    import torch

    short = asked == "bfloat16" or (asked == "auto" and device == "cuda")
    return torch.bfloat16 if short else torch.float32
