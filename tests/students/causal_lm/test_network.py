"""What is loaded is what the files hold, whole; and an adapter stands where it does what it is said to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from students.base import Data, Decoding, Recipe, asked
from students.causal_lm import network
from students.causal_lm.checkpoint import CheckpointError
from students.causal_lm.student import CausalLM
from tests.architectures import save_kind
from tests.students.causal_lm.test_student import (
    DATA,
    EXAMPLES,
    PROMPTS,
    RECIPE,
    changed,
    plain,
    plain_losses,
    student_of,
)
from tests.tiny_lm import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def saved_as(folder: Path, auto: str) -> None:
    """The same weights, saved by another class of ``transformers``: with another head, or none."""
    import transformers

    getattr(transformers, auto).from_pretrained(folder).save_pretrained(folder)


def edited(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def tied(folder: Path) -> None:
    """A tied model has its head in its embeddings, and one for classes has not been taught to write with it."""
    edited(folder, lambda tensors: tensors.pop("lm_head.weight"))
    changed(folder, tie_word_embeddings=True)
    saved_as(folder, "AutoModelForSequenceClassification")


PARTIAL: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no head": (
        lambda f: saved_as(f, "AutoModel"),
        r"lacks weights that its config asks for \(lm_head.weight\); give the folder of a whole causal language model",
    ),
    "head of classes": (
        lambda f: saved_as(f, "AutoModelForSequenceClassification"),
        r"lacks weights .* \(lm_head.weight\)",
    ),
    "head of classes, tied": (tied, r"holds weights that its config has no place for \(score.weight\)"),
    "a layer is missing": (
        lambda f: changed(f, num_hidden_layers=3),
        r"lacks weights .* \(model.layers.2.\S+, model.layers.2.\S+ and 7 more\)",
    ),
    "a layer too many": (
        lambda f: changed(f, num_hidden_layers=1),
        r"holds weights that its config has no place for \(model.layers.1.\S+, model.layers.1.\S+ and 7 more\)",
    ),
    "biases that are left out": (
        lambda f: edited(f, lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": t["model.norm.weight"] * 2})),
        r"holds weights that its config has no place for \(model.layers.0.self_attn.q_proj.bias\)",
    ),
    "another shape": (
        lambda f: changed(f, intermediate_size=48),
        r"holds weights of another shape than its config asks for \(model.layers.0.mlp.down_proj.weight, .* and 4 more",
    ),
    "a damaged file": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-100]),
        r"cannot be loaded \(SafetensorError: .*\); fetch the model again, or give another",
    ),
}


@pytest.mark.parametrize("what", PARTIAL)
def test_a_model_that_is_not_whole_is_refused(what: str, tmp_path: Path) -> None:
    harm, sentence = PARTIAL[what]
    harm(save_tiny(tmp_path))
    with pytest.raises(CheckpointError, match=sentence) as caught:
        student_of(tmp_path).admit()
    assert "\n" not in str(caught.value)


def test_tensors_that_a_model_computes_by_itself_may_lie_beside(tmp_path: Path) -> None:
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    save_tiny(tmp_path)
    edited(tmp_path, lambda tensors: tensors.update({name: tensors["model.norm.weight"] * 1}))
    student_of(tmp_path).admit()


# Adapters


def test_an_adapter_on_embeddings_begins_as_the_model_and_is_exported_as_it_was_examined(tmp_path: Path) -> None:
    student = student_of(save_tiny(tmp_path / "model"), targets=["embed_tokens", "q_proj"])
    expected = plain_losses(plain(tmp_path / "model"), student)
    for seed in (0, 1):
        assert student.losses(student.initial(seed), EXAMPLES) == pytest.approx(expected, abs=1e-4)
    assert student.initial(0) != student.initial(1)
    weights, _ = student.fit(student.initial(0), Data(EXAMPLES), Recipe(updates=16, batch=8, rate=1e-2), 0)
    losses = student.losses(weights, EXAMPLES)
    assert max(abs(a - b) for a, b in zip(losses, expected, strict=True)) > 0.1
    student.export(weights, tmp_path / "out")
    assert plain_losses(plain(tmp_path / "out"), student) == pytest.approx(losses, abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "fields", "target", "sentence"),
    [
        ("llama", {}, "input_layernorm", r"which is no linear layer and no embedding \(\S+ is a LlamaRMSNorm\)"),
        ("llama", {"tie_word_embeddings": True}, "lm_head", r"whose weight is another layer's too \(lm_head is tied\)"),
        ("llama", {"tie_word_embeddings": True}, "embed_tokens", r"whose weight is another layer's too \(model.embed"),
        ("lfm2", {}, "conv.conv", r"which is no linear layer and no embedding \(\S+ is a Conv1d\)"),
        ("gemma3_text", {}, "embed_tokens", r"which is no linear layer|whose weight is another"),
        ("mixtral", {}, "experts", r"which is no linear layer and no embedding \(\S+ is a MixtralExperts\)"),
        ("mixtral", {}, "gate_up_proj", "which the model has not; it has embed_tokens, k_proj, lm_head, o_proj"),
        ("llama", {}, "proj", "which the model has not; it has down_proj, embed_tokens, gate_proj"),
    ],
)
def test_what_takes_no_adapter_is_said_with_what_does(
    kind: str, fields: dict[str, Any], target: str, sentence: str, tmp_path: Path
) -> None:
    save_kind(kind, tmp_path)
    if fields.get("tie_word_embeddings"):
        edited(tmp_path, lambda tensors: tensors.pop("lm_head.weight"))
    changed(tmp_path, **fields)
    with pytest.raises(CheckpointError, match=f"targets names '{target}', {sentence}"):
        CausalLM(path=str(tmp_path), context=96, targets=[target])


def test_an_architecture_that_peft_refuses_is_said(tmp_path: Path) -> None:
    save_kind("mamba", tmp_path)
    with pytest.raises(CheckpointError, match=r"takes no adapter with targets .*; give adapter='none'"):
        CausalLM(path=str(tmp_path), context=96, targets=["out_proj"]).admit()


def test_a_mixture_of_experts_is_taught_and_exported(tmp_path: Path) -> None:
    """Its experts are matrices in one tensor, which all get an adapter too."""
    student = student_of(save_kind("mixtral", tmp_path / "model"))
    weights, _ = student.fit(student.initial(0), DATA, RECIPE, 0)
    assert any(".experts." in name for name in student._network.trainable)
    student.export(weights, tmp_path / "out")
    assert plain_losses(plain(tmp_path / "out"), student) == pytest.approx(student.losses(weights, EXAMPLES), abs=1e-3)


@pytest.mark.parametrize("tied", [False, True])
def test_the_head_is_given_its_input_in_one_piece(tied: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a head that is the embeddings, or that has an adapter of its own."""
    save_tiny(tmp_path)
    if tied:
        edited(tmp_path, lambda tensors: tensors.pop("lm_head.weight"))
        changed(tmp_path, tie_word_embeddings=True)
    student = student_of(tmp_path, targets=["q_proj"] if tied else ["q_proj", "lm_head"])
    monkeypatch.setattr(network.Network, "pack_most", 0)
    given: list[bool] = []
    head = student._network.model.get_output_embeddings()
    head = head if tied else head.get_base_layer()
    head.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0].is_contiguous()))
    student.losses(student.initial(0), EXAMPLES)
    student.answer(student.initial(0), asked(PROMPTS), Decoding(max_tokens=3), 0)
    assert given
    assert all(given)
