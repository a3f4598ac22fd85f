"""A pre-trained language model as small as can be: a folder that ``save_pretrained`` wrote, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<s>system: you are a student<e>{% endif %}"
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}<e>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)
MARKS = ("<pad>", "<s>", "<e>")
ALPHABET = "".join(map(chr, range(32, 127)))
SIZES: dict[str, dict[str, Any]] = {
    "llama": {"hidden_size": 32, "intermediate_size": 64, "num_key_value_heads": 1, "num_hidden_layers": 2},
    "mistral": {"hidden_size": 32, "intermediate_size": 64, "num_key_value_heads": 1, "num_hidden_layers": 2},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2},
    "gpt_neox": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2},
    "gemma2": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_key_value_heads": 1,
        "num_hidden_layers": 2,
        "head_dim": 16,
    },
}


def save_tiny(
    folder: Path,
    kind: str = "llama",
    template: str | None = TEMPLATE,
    seed: int = 0,
    positions: int = 128,
    **sizes: int,
) -> Path:
    """Write a two-layer model and a character tokenizer with a chat template.

    Args:
        folder: Where to.
        kind: A model type that ``SIZES`` knows.
        template: Of the chat; ``None`` for a tokenizer without.
        seed: Of the weights.
        positions: Tokens that the model is made for.
        sizes: In place of those of its kind, such as ``hidden_size``.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        kind,
        vocab_size=len(MARKS) + len(ALPHABET),
        num_attention_heads=2,
        max_position_embeddings=positions,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.3,
        **(SIZES[kind] | sizes),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    save_tokenizer(folder, template)
    return folder


def save_tokenizer(folder: Path, template: str | None = TEMPLATE) -> None:
    """Write the character tokenizer beside a model of ``len(MARKS) + len(ALPHABET)`` words."""
    tokenizer = _characters()
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)


def _characters() -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {letter: i for i, letter in enumerate((*MARKS, *ALPHABET))}
    characters = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    characters.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    characters.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=characters,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="<e>",
        clean_up_tokenization_spaces=False,
    )
