"""A pre-trained network in memory, and the part of it that is trained: a LoRA adapter, or all weights.

The model on disk is read once a process and only read. What training changes is in a State, and is put into the network
at the beginning of each use, so nothing stays behind between two.

Parameters that are trained, and AdamW's moments, are float32 in any case; bfloat16 is the arithmetic of a forward and
backward pass (autocast), and what frozen weights are held in. Dropout is off.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from students.causal_lm.admission import Candidate, Ways, admit
from students.causal_lm.architecture import check_targets, reach, shared_weights, skeleton, takes_adapter
from students.causal_lm.checkpoint import CheckpointError, guarded, longest_context, quiet
from students.causal_lm.merging import ADAPTER, Merging
from students.causal_lm.smollm2 import cache
from students.training.devices import device_of, repeatable
from students.training.loop import unpack
from students.training.slots import StateSlots

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]


COMPUTED = ("rotary_emb.inv_freq", ".masked_bias", ".attn.bias", ".attention.bias", "position_ids")
"""Ends of the names of tensors in older files that a model computes by itself."""

TWICE = 2 << 30
"""Bytes of weights that may be held twice: as they are, and with the adapter merged into them."""
ZERO = ("lora_B", "lora_embedding_A")
"""The factor of an adapter that is zero before any training, by its name in ``peft``."""


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


@dataclass(frozen=True)
class Use:
    """What a network will be used for.

    Attributes:
        context: Tokens of the longest row.
        name: Names the student, so that a model which was admitted once is not tried again in each process.
    """

    context: int
    name: Callable[[], str]


class Network:
    """A causal language model.

    Args:
        folder: Holds the model; see ``students.causal_lm.checkpoint``.
        lora: The adapter, or ``None`` to train all weights.
        dtype: ``float32``, ``bfloat16``, or ``auto``.
        device: ``cpu``, ``cuda``, or ``auto``.
        threads: Torch threads.
        use: What for.

    Raises:
        ValueError: If ``peft`` is missing or the device is.
        CheckpointError: If the model is none that can be taught, as far as its config says, or has not the layers.
    """

    def __init__(self, folder: Path, lora: Lora | None, dtype: str, device: str, threads: int, use: Use) -> None:
        self.folder, self.lora, self._threads, self._use = folder, lora, threads, use
        self.device = device_of(device)
        self.dtype = _dtype(dtype, self.device)
        bare = skeleton(folder)
        self.vocabulary = len(bare.get_input_embeddings().weight)
        self._near = reach(bare.config)
        if lora is None:
            return
        if find_spec("peft") is None:
            raise ValueError("adapter 'lora' needs the package peft; pip install 'dataenv[lm]', or give adapter='none'")
        if lora.targets != "all-linear":
            check_targets(bare, _names(lora.targets))

    def admit(self) -> None:
        """Check that the model can be taught, unless this machine has seen it; see ``students.causal_lm.admission``.

        Raises:
            CheckpointError: If it cannot.
        """
        if self._known() is None:
            self._loaded  # noqa: B018

    @property
    def reach(self) -> int | None:
        """The longest row of a batch that may have a prefix, ``None`` for any; see ``causal_lm.ragged.lay``."""
        return self._near if self._loaded[1].shares else 0

    @property
    def pack_most(self) -> int:
        """Tokens of the longest pack, and so of a row in one; 0 for none. See ``students.causal_lm.packing``."""
        if self.device != "cpu" or not self._loaded[1].packs:  # on CUDA it was not measured
            return 0
        known = (self._near, longest_context(self.folder))
        return min((n for n in known if n is not None), default=self._use.context)

    @cached_property
    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, by name; tied weights once."""
        return _trainable(self._loaded[0])

    @cached_property
    def model(self) -> Any:
        """What a pass goes through: the model as ``transformers`` knows it, with the adapter in it."""
        whole = self._loaded[0]
        return whole.get_base_model() if self.lora else whole

    def untaught(self, seed: int) -> Tensors:
        """The trained part before any training.

        Of an adapter, A is uniform within ±1/sqrt(inputs), as ``peft`` draws it, and B is zero (LoRA, section 4.1). On
        an embedding, where A has a column for each word, A is zero and B is drawn.
        """
        import torch

        if self.lora is None:
            return dict(_trainable(self._load("float32")))
        generator, tensors = torch.Generator().manual_seed(seed), {}
        for name, parameter in self.trainable.items():
            tensors[name] = torch.zeros(parameter.shape)
            if not any(factor in name for factor in ZERO):
                bound = parameter.shape[1] ** -0.5
                tensors[name].uniform_(-bound, bound, generator=generator)
        return tensors

    @contextmanager
    def ready(self, weights: bytes, trunk: bool = False) -> Iterator[Tensors]:
        """Put a State into the network, and compute repeatably while this lasts.

        Args:
            weights: The State's.
            trunk: Whether training goes on; see ``training.loop.unpack``. If not, the adapter is merged meanwhile.

        Yields:
            AdamW's moments.
        """
        with self._repeatable():
            tensors, moments = unpack(weights, trunk)
            _put(tensors, self.trainable)
            with nullcontext() if trunk else self._merging.merged():
                yield {name: tensor.to(self.device) for name, tensor in moments.items()}

    @contextmanager
    def beside(self, states: Sequence[Tensors], slots: int) -> Iterator[StateSlots]:
        """Put the adapters of several States side by side; see ``through``. Compute repeatably while this lasts.

        Args:
            states: Their adapters, at least one and at most as many as there are slots.
            slots: Of one computation.
        """
        self._pairs  # noqa: B018 (refuses what cannot be)
        with self._repeatable(), Merging(list(_adapters(self._loaded[0]).values())).left_out():
            yield StateSlots(states, slots, self.device)

    def through(self, parameters: Tensors, rows: int) -> AbstractContextManager[Any]:
        """Let so many rows, slot after slot, go through the adapter of their slot, while ``beside`` lasts."""
        from students.causal_lm.adapters import SlotAdapters

        assert self.lora is not None, "only adapters stand side by side"
        return SlotAdapters(self._pairs, parameters, self.lora.alpha / self.lora.rank, rows)

    @cached_property
    def _pairs(self) -> dict[int, tuple[str, str]]:
        """The names of the factors A and B of each weight with an adapter, by the weight's ``id``."""
        from torch.nn import Linear

        layers = _adapters(self._loaded[0])
        names = {name: tuple(f"{name}.lora_{factor}.{ADAPTER}.weight" for factor in "AB") for name in layers}
        whole = {name for pair in names.values() for name in pair} == self.trainable.keys()
        if not whole or not all(isinstance(layer.get_base_layer(), Linear) for layer in layers.values()):
            raise CheckpointError(
                f"path {str(self.folder)!r} gets adapters on other than linear layers, which go through one at a time; "
                "give slots=1"
            )
        return {id(layers[name].get_base_layer().weight): (pair[0], pair[1]) for name, pair in names.items()}

    def _repeatable(self) -> AbstractContextManager[None]:
        return repeatable(self.device, self._threads)

    @cached_property
    def _merging(self) -> Merging:
        """What merges the adapter while the model answers.

        Not in bfloat16, whose weights would round it away, and not in a model that is too large to be held twice.
        """
        import torch

        layers = list(_adapters(self._loaded[0]).values()) if self.lora and self.dtype == torch.float32 else []
        size = sum(layer.get_base_layer().weight.nbytes for layer in layers)
        return Merging(layers if size <= TWICE else [])

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
            whole.peft_config[ADAPTER].base_model_name_or_path = name
            whole.save_pretrained(folder / "adapter", save_embedding_layers=False)  # else peft asks the hub
            whole = whole.merge_and_unload()
        whole.save_pretrained(folder)

    @cached_property
    def _loaded(self) -> tuple[Any, Ways]:
        """The model, admitted; and in which ways rows may go through it."""
        whole = self._load(self.dtype if self.lora else "float32").to(self.device)
        model = whole.get_base_model() if self.lora else whole
        _feed_head(model)
        ways = self._known()
        if ways is None:
            parameters, kind = list(_trainable(whole).values()), str(self.dtype).removeprefix("torch.")
            shown = f"path {str(self.folder)!r} (model_type {model.config.model_type!r})"
            reach, context = self._near, self._use.context
            with self._repeatable():
                ways = admit(Candidate(shown, model, parameters, self.autocast, kind, self.device, context, reach))
            self._keep(ways)
        return whole, ways

    def _known(self) -> Ways | None:
        """What this machine found when it tried the same model before, with the same releases."""
        try:
            found = json.loads(self._kept.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        fits = isinstance(found, dict) and found.keys() == set(Ways._fields) and {*map(type, found.values())} == {bool}
        return Ways(**found) if fits else None

    def _keep(self, ways: Ways) -> None:
        try:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            self._kept.write_text(json.dumps(ways._asdict()), encoding="ascii")
        except OSError:
            pass  # a cache that cannot be written costs time and nothing else

    @property
    def _kept(self) -> Path:
        return cache() / "admitted" / self._use.name()

    def _load(self, dtype: Any) -> Any:
        """Read the model from disk, and add an adapter if there is one."""
        import torch
        from transformers import AutoModelForCausalLM

        shown = f"path {str(self.folder)!r}"
        with quiet(), torch.random.fork_rng(devices=[]):
            with guarded(f"{shown} cannot be loaded", "fetch the model again, or give another"):
                model, report = AutoModelForCausalLM.from_pretrained(
                    self.folder,
                    dtype=dtype,
                    use_safetensors=True,
                    local_files_only=True,
                    trust_remote_code=False,
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,
                )
            _check_report(shown, report)
            if self.lora:
                with guarded(f"{shown} takes no adapter with targets {self.lora.targets!r}", "give adapter='none'"):
                    model = _adapted(model, self.lora)
        return model.eval()


def _feed_head(model: Any) -> None:
    """Give the head its input in one piece.

    It is given the last columns of a batch, which lie apart in memory. There torch repeats the head's weights for each
    row of the batch and multiplies row by row.
    """
    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(lambda module, given: tuple(part.contiguous() for part in given))


def _adapted(model: Any, lora: Lora) -> Any:
    """The model with an adapter, which is held in float32 whatever the model is in."""
    from peft import LoraConfig, get_peft_model

    targets = lora.targets if lora.targets == "all-linear" else list(_names(lora.targets))
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=targets, task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    shared = shared_weights(adapted)
    for name, module in _adapters(adapted).items():
        layer = module.get_base_layer()
        if not takes_adapter(layer) or id(layer.weight) in shared:
            raise CheckpointError(
                f"targets {lora.targets!r} put an adapter on {name}, which is a {type(layer).__name__} or shares "
                "its weight with another; name linear layers with weights of their own, or give adapter='none'"
            )
    return adapted


def _adapters(adapted: Any) -> dict[str, Any]:
    """Adapters on layers by name, without those on single parameters, which add to the weight in every pass."""
    from peft.tuners.lora import LoraLayer
    from peft.tuners.lora.layer import ParamWrapper

    modules = adapted.named_modules()
    return {name: m for name, m in modules if isinstance(m, LoraLayer) and not isinstance(m, ParamWrapper)}


def _check_report(shown: str, report: dict[str, Any]) -> None:
    """Refuse a model that is not wholly in its files, and files that are not wholly in the model.

    What is missing would be drawn anew, in each process another. What has no place belongs to another model than the
    config describes: a head of another kind, layers or biases that would be left out.
    """
    missing = sorted(map(str, report["missing_keys"]))
    misfits = sorted(str(key[0] if isinstance(key, tuple | list) else key) for key in report["mismatched_keys"])
    spare = sorted(key for key in map(str, report["unexpected_keys"]) if not key.endswith(COMPUTED))
    for names, what in (
        (missing, "lacks weights that its config asks for"),
        (misfits, "holds weights of another shape than its config asks for"),
        (spare, "holds weights that its config has no place for"),
    ):
        if names:
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            raise CheckpointError(
                f"{shown} {what} ({', '.join(names[:2])}{more}); give the folder of a whole causal language model, as "
                "AutoModelForCausalLM saves it"
            )
    if report.get("error_msgs"):
        raise CheckpointError(f"{shown} cannot be loaded ({str(report['error_msgs'])[:200]}); fetch the model again")


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


def _dtype(asked: str, device: str) -> torch.dtype:
    """``auto`` is bfloat16 on CUDA alone: on processors, with instructions for it too, float32 is faster (docs)."""
    import torch

    short = asked == "bfloat16" or (asked == "auto" and device == "cuda")
    return torch.bfloat16 if short else torch.float32
