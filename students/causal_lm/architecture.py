"""What a model's config describes, asked before any weight is read: whether it can be taught, and its layers.

The model is built without numbers (torch's device ``meta``), which takes no memory, whatever sizes a config says.
"""

from __future__ import annotations

import re
from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

from students.causal_lm.checkpoint import CheckpointError, fields_of, guarded, read_config, shapes

KERNELS = ("eager", "sdpa", None)
"""Attention that runs everywhere; the others need packages, or code from the hub."""
QUANTISED = ("quantization_config", "compression_config")
PARTS = re.compile(r"^(num|n)_\w*(layer|expert|block|stage)|(^|_)layers$|depth")
"""Names of config fields that say how many modules are built."""
NEAR, FAR = re.compile("window|chunk|local_att"), re.compile("pattern|layers")
"""Names of config fields that say how near a token must be to be seen, and those that only sound so."""
MANY = 1024
"""Modules of a kind that are built in any case; it takes seconds."""
ROOM = 2
"""A config may describe so many times the numbers that the files hold; what is missing is then said by name."""


def skeleton(folder: Path) -> Any:
    """The model of a folder without its weights, as ``transformers`` builds it.

    Raises:
        CheckpointError: If the config describes no causal language model that could be taught, or none that the files
            could fill.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    said, tensors = read_config(folder), shapes(folder)
    _refuse_unknown(folder, said)
    _refuse_endless(folder, said, len(tensors))
    with guarded(f"path {str(folder)!r} has a config.json that describes no model", "fetch the model again"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _refuse_foreign(folder, config)
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False).eval()
    needed = sum(parameter.numel() for parameter in model.parameters())
    there = sum(map(prod, tensors.values()))
    if needed > ROOM * there:
        raise CheckpointError(
            f"path {str(folder)!r} has a config.json that describes {needed:,} weights, and its files hold {there:,}; "
            "fetch the model again"
        )
    return model


def _refuse_unknown(folder: Path, said: dict[str, Any]) -> None:
    """By what the file says alone: types, quantisation and kernels that there are no means for here."""
    from transformers import CONFIG_MAPPING, __version__

    kind = said.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise CheckpointError(
            f"path {str(folder)!r} is of model_type {str(kind)[:60]!r}, which transformers {__version__} does not "
            "know; give another model, or a newer transformers"
        )
    for name, value in fields_of(said):
        if name in QUANTISED and value:
            raise CheckpointError(
                f"path {str(folder)!r} holds quantised weights ({name} in config.json), which cannot be trained; give "
                "the model in float32, bfloat16 or float16"
            )
        if name.endswith("attn_implementation"):
            for asked in value.values() if isinstance(value, dict) else [value]:
                if asked not in KERNELS:
                    raise CheckpointError(
                        f"path {str(folder)!r} asks for the attention {str(asked)[:60]!r} ({name} in config.json); "
                        "take that line out, or say 'sdpa'"
                    )


def _refuse_endless(folder: Path, said: dict[str, Any], tensors: int) -> None:
    """More parts than there are tensors: that model is not in these files, and building it would not end."""
    for name, value in fields_of(said):
        if PARTS.search(name) and type(value) is int and value > max(tensors, MANY):
            raise CheckpointError(
                f"path {str(folder)!r} has {name} = {value} in config.json, and its files hold {tensors} tensors in "
                "all; fetch the model again"
            )


def _refuse_foreign(folder: Path, config: Any) -> None:
    """What ``AutoModelForCausalLM`` has no class for, and what does not only write on."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    what = ""
    if getattr(config, "is_encoder_decoder", False):
        what = "an encoder-decoder"
    elif type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        what = "no causal language model"
    elif getattr(config, "is_decoder", None) is False and hasattr(config, "add_cross_attention"):
        what = "an encoder, whose words see those that come later"
    if what:
        raise CheckpointError(
            f"path {str(folder)!r} is {what} (model_type {config.model_type!r}); give a causal language model, which "
            "AutoModelForCausalLM loads"
        )


def reach(config: Any) -> int | None:
    """The most tokens a row may have so that each sees all before it in every layer; ``None`` where no layer forgets.

    Any whole number whose name speaks of a window, a chunk or local attention counts, whether it is in use or not. If
    one counts that means something else, longer rows are computed without a shared beginning, which costs only time.
    """
    text = config.get_text_config(decoder=True)
    found = []
    for name, value in fields_of(text.to_dict()):
        if NEAR.search(name) and not FAR.search(name):
            found += [n for n in (value if isinstance(value, list) else [value]) if type(n) is int and n > 0]
    return min(found, default=None)


def check_targets(model: Any, targets: tuple[str, ...]) -> None:
    """Refuse names of layers that an adapter cannot be put on, or whose weights are another layer's too.

    Args:
        model: Without an adapter; weights are not looked at.
        targets: Names, or the ends of names from a dot on.

    Raises:
        CheckpointError: For the first of such names.
    """
    layers = {name: module for name, module in model.named_modules() if name}
    shared = shared_weights(model)
    own = [name for name, module in layers.items() if takes_adapter(module) and id(module.weight) not in shared]
    for target in targets:
        hit = [name for name in layers if name == target or name.endswith(f".{target}")]
        other = next((name for name in hit if name not in own), None)
        if hit and other is None:
            continue
        what = "which the model has not"
        if other is not None and takes_adapter(layers[other]):
            what = f"whose weight is another layer's too ({other} is tied), and merging would change both"
        elif other is not None:
            what = f"which is no linear layer and no embedding ({other} is a {type(layers[other]).__name__})"
        leaves = sorted({name.rpartition(".")[2] for name in own})
        raise CheckpointError(
            f"targets names {target!r}, {what}; it has {', '.join(leaf for leaf in leaves if not leaf.isdigit())}"
        )


def takes_adapter(module: Any) -> bool:
    """Whether an adapter on a layer does what it is said to: its output is linear in its weight, and in nothing else.

    A class that derives from these may compute otherwise, or be read by another layer without being called.
    """
    import torch
    from transformers.pytorch_utils import Conv1D  # GPT-2's linear layer, despite its name

    kind = type(module)
    if kind is torch.nn.modules.linear.NonDynamicallyQuantizableLinear:  # MultiheadAttention reads its weight alone
        return False
    plain = issubclass(kind, torch.nn.Linear) and kind.forward is torch.nn.Linear.forward
    return plain or kind in (torch.nn.Embedding, Conv1D) or kind.__name__ == "FalconLinear"


def shared_weights(model: Any) -> set[int]:
    """The ``id`` of each parameter that more than one layer of the model has."""
    held = Counter(id(p) for module in model.modules() for p in module._parameters.values() if p is not None)
    return {key for key, layers in held.items() if layers > 1}
