"""What a config says is judged before any weight is read, in one sentence and in a moment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from students.causal_lm.architecture import reach, skeleton
from students.causal_lm.checkpoint import CheckpointError
from students.causal_lm.student import CausalLM
from tests.architectures import save_kind
from tests.students.causal_lm.test_student import changed
from tests.tiny_lm import save_tiny


def written(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")


def other_tokens(folder: Path) -> None:
    """A tokenizer of more words than the model has."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary |= {f"word{i}": len(vocabulary) + i for i in range(5)}
    written(folder, "tokenizer.json", json.dumps(tokenizer))


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "generation config is a list": (
        lambda f: written(f, "generation_config.json", "[]"),
        "generation_config.json is no JSON object; fetch the model again",
    ),
    "special tokens are a list": (
        lambda f: written(f, "special_tokens_map.json", "[1]"),
        "special_tokens_map.json is no JSON object",
    ),
    "text config is a list": (lambda f: changed(f, text_config=[1]), "has a config.json that describes no model"),
    "config is deep": (
        lambda f: written(f, "config.json", '{"a":' * 100_000 + "1" + "}" * 100_000),
        r"config.json is no JSON \(",
    ),
    "config is cut off": (lambda f: written(f, "config.json", '{"a": 1'), r"config.json is no JSON \("),
    "config is no text": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe{}"), r"config.json is no JSON \("),
    "negative size": (lambda f: changed(f, hidden_size=-32), "has a config.json that describes no model"),
    "size is a word": (lambda f: changed(f, hidden_size="wide"), "has a config.json that describes no model"),
    "no heads": (lambda f: changed(f, num_attention_heads=0), "has a config.json that describes no model"),
    "no end of layers": (
        lambda f: changed(f, num_hidden_layers=10**9),
        r"has num_hidden_layers = 1000000000 in config.json, and its files hold 21 tensors in all",
    ),
    "vast vocabulary": (
        lambda f: changed(f, vocab_size=10**12),
        r"has a config.json that describes [\d,]+ weights, and its files hold [\d,]+",
    ),
    "unknown type": (
        lambda f: changed(f, model_type="qwen9"),
        r"is of model_type 'qwen9', which transformers [\d.]+ does not know; give another model",
    ),
    "no type": (lambda f: changed(f, model_type=None), "is of model_type 'None'"),
    "quantised": (
        lambda f: changed(f, quantization_config={"quant_method": "gptq", "bits": 4}),
        r"holds quantised weights \(quantization_config in config.json\), which cannot be trained; give the model in",
    ),
    "attention by a package": (
        lambda f: changed(f, attn_implementation="flash_attention_2"),
        "asks for the attention 'flash_attention_2' .*; take that line out, or say 'sdpa'",
    ),
    "attention from the hub": (
        lambda f: changed(f, _attn_implementation={"": "somebody/kernels"}),
        "asks for the attention 'somebody/kernels'",
    ),
    "code in an inner config": (
        lambda f: changed(f, vision_config={"auto_map": {"AutoConfig": "m.M"}}),
        r"brings code of its own \(auto_map in config.json\)",
    ),
    "an adapter": (
        lambda f: written(f, "adapter_config.json", '{"base_model_name_or_path": "/somewhere/else"}'),
        r"holds an adapter \(adapter_config.json\), which belongs to a model elsewhere; merge it",
    ),
    "weights by another name": (
        lambda f: changed(f, transformers_weights="other.safetensors"),
        r"names its weights in config.json \(transformers_weights\)",
    ),
    "tokenizer of another model": (other_tokens, "has a tokenizer of 103 tokens and a model of 98; give the tokenizer"),
    "tokenizer is a list": (lambda f: written(f, "tokenizer.json", "[]"), "tokenizer"),
    "tokenizer is cut off": (lambda f: written(f, "tokenizer.json", '{"model": {"type": "BPE"'), "tokenizer"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_folder_that_cannot_be_used_is_refused_in_one_sentence(what: str, tmp_path: Path) -> None:
    harm, sentence = HOSTILE[what]
    harm(save_tiny(tmp_path))
    began = time.process_time()
    with pytest.raises(ValueError, match=sentence) as caught:
        CausalLM(path=str(tmp_path), context=96)
    assert time.process_time() - began < 20
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("kind", "what"),
    [("bert", "an encoder, whose words see those that come later"), ("t5", "an encoder-decoder")],
)
def test_what_does_not_only_write_on_is_refused(kind: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"is {what} \\(model_type '{kind}'\\); give a causal language model"):
        skeleton(save_kind(kind, tmp_path))


def test_a_skeleton_takes_no_memory(tmp_path: Path) -> None:
    model = skeleton(save_tiny(tmp_path))
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("llama", {}, None),
        ("mistral", {"sliding_window": 24}, 24),
        ("mistral", {"sliding_window": None}, None),
        ("gpt_neo", {"window_size": 32, "attention_types": [[["global", "local"], 12]]}, 32),
        ("llama4_text", {"attention_chunk_size": 64}, 64),
        ("modernbert-decoder", {"local_attention": 48}, 24),  # half of it on either side
        ("gemma3_text", {"sliding_window": 512}, 512),  # and sliding_window_pattern, 6, is no window
        ("gemma3", {"text_config": {"sliding_window": 40}}, 40),
    ],
)
def test_reach_is_the_nearest_window(kind: str, fields: dict[str, Any], expected: int | None) -> None:
    from transformers import CONFIG_MAPPING

    assert reach(CONFIG_MAPPING[kind](**fields)) == expected
