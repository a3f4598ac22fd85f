"""What a model is asked before it is taught: batches as rows alone, no look at later tokens, gradients that arrive."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from students.base import Decoding, asked
from students.causal_lm import admission, network, ragged
from students.causal_lm.checkpoint import CheckpointError
from students.causal_lm.student import CausalLM
from tasks.records import stream
from tests.architectures import BASE, KINDS, LONG, OWN, PAGE, SHORT, WINDOW, play, save_kind, table
from tests.students.causal_lm.test_student import changed
from tests.tiny_lm import save_tiny

LETTERS = "abcdefgh"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test believes what an earlier one found."""
    monkeypatch.setenv("DATAENV_CACHE", str(tmp_path / "cache"))


def student_of(folder: Path, **args: Any) -> CausalLM:
    return CausalLM(path=str(folder), **{"template": "plain", "context": 96, "rank": 4, "dtype": "float32", **args})


@pytest.mark.parametrize(("kind", "packs"), [("mistral", True), ("gpt_neo", False), ("modernbert-decoder", True)])
def test_where_windows_slide_batches_are_as_rows_alone(kind: str, packs: bool, tmp_path: Path) -> None:
    """Losses, answers and gradients, with rows that are shorter than the window and rows that are longer.

    The windows of gpt_neo count places in a sequence, whatever mask it is given.
    """
    assert play(kind, tmp_path / "model") == (kind, "equal", "", True, packs, "lora")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_architecture_is_as_rows_alone_or_refused(tmp_path: Path) -> None:
    """In one sentence, before anything is trained; and the page says which."""
    played = [play(kind, tmp_path / kind) for kind in KINDS]
    print(table(played))
    assert not [each for each in played if each.outcome not in ("equal", "refused")]
    assert not [each for each in played if "\n" in each.why or len(each.why) > 400]
    assert table(played) in PAGE.read_text(encoding="utf-8")


def test_a_cache_that_cannot_be_repeated_is_done_without(tmp_path: Path) -> None:
    """Rows go through whole."""
    assert play("mpt", tmp_path / "model") == ("mpt", "equal", "", False, False, "lora")


def test_no_pack_is_longer_than_the_window_or_than_the_rows_it_was_made_for(tmp_path: Path) -> None:
    assert student_of(save_kind("mistral", tmp_path / "mistral"))._network.pack_most == WINDOW
    assert student_of(save_tiny(tmp_path / "tiny", positions=100))._network.pack_most == 100


def test_a_model_that_ignores_which_logits_to_keep_is_not_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaForCausalLM

    plain = LlamaForCausalLM.forward

    def ignores(self: Any, *given: Any, logits_to_keep: Any = 0, **more: Any) -> Any:
        keep = logits_to_keep if isinstance(logits_to_keep, int) else 0
        return plain(self, *given, logits_to_keep=keep, **more)

    monkeypatch.setattr(LlamaForCausalLM, "forward", ignores)
    assert play("llama", tmp_path / "model") == ("llama", "equal", "", True, False, "lora")


def test_a_shared_beginning_is_used_within_the_window_and_not_beyond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network.Network, "pack_most", 0)
    student, laid = student_of(save_kind("mistral", tmp_path / "model")), []
    weights, lay = student.initial(0), ragged.lay
    student.losses(weights, SHORT)

    def spy(*given: Any) -> ragged.Rows:
        laid.append(lay(*given))
        return laid[-1]

    monkeypatch.setattr(ragged, "lay", spy)
    student.losses(weights, SHORT)
    student.losses(weights, LONG)
    widths = [rows.prefix.shape[1] for rows in laid]
    assert widths[0] > 0 == widths[1]
    assert laid[0].mask.shape[1] <= WINDOW < laid[1].mask.shape[1]
    laid.clear()
    student.answer(weights, asked([e.prompt for e in SHORT]), Decoding(max_tokens=WINDOW), 0)  # beyond, once written
    assert [rows.prefix.shape[1] for rows in laid] == [0]


def test_no_answer_depends_on_who_is_asked_beside_it(tmp_path: Path) -> None:
    student, draw = student_of(save_kind("mistral", tmp_path / "model")), stream(0, "beside")
    weights = student.initial(0)
    prompts = ["sum of " + "".join(draw.choice(list(LETTERS), size=n)) for n in (1, 2, 5, 9, 14, 22, 30, 41)]
    alone = {prompt: student.answer(weights, asked([prompt]), Decoding(max_tokens=8), 0)[0] for prompt in prompts}
    assert len(set(alone.values())) > 4
    for _ in range(6):
        some = [prompts[i] for i in draw.permutation(len(prompts))[: draw.integers(2, len(prompts) + 1)].tolist()]
        assert student.answer(weights, asked(some), Decoding(max_tokens=8), 0) == [alone[prompt] for prompt in some]


def test_a_window_that_no_name_tells_of_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "reach", lambda config: None)
    assert play("mistral", tmp_path / "model") == ("mistral", "equal", "", False, False, "lora")


def bidirectional(folder: Path) -> None:
    save_kind("gemma3_text", folder)
    changed(folder, use_bidirectional_attention=True)


def forgetful(folder: Path) -> None:
    """A window that only the cache knows of: by itself a row sees all of its tokens."""
    save_kind("llama", folder)
    changed(folder, sliding_window=WINDOW)


def not_a_number(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_kind("llama", folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (bidirectional, "its logits change with tokens that come later"),
        (forgetful, "what a row of 32 tokens gives changes with a key-value cache"),
        (not_a_number, "its logits are not finite"),
        (lambda folder: save_kind("lfm2", folder), "it is a hybrid, which keeps states beside keys and values"),
        (lambda folder: save_kind("mamba", folder), "it keeps no key-value cache"),
        (lambda folder: save_kind("gemma3n_text", folder), "its gradients are not finite where rows are filled up"),
        (lambda folder: save_kind("bart", folder), r"its forward pass fails \(IndexError"),
    ],
    ids=["bidirectional", "forgetful", "nan", "hybrid", "no cache", "infinite gradients", "fails"],
)
@pytest.mark.parametrize("asks", ["admit", "losses"])
def test_what_cannot_be_taught_is_refused_by_whoever_uses_it_first(
    make: Callable[[Path], Any], sentence: str, asks: str, tmp_path: Path
) -> None:
    """Not only ``validate``: a worker that loads the model asks too."""
    make(tmp_path / "model")
    student = student_of(tmp_path / "model", adapter="none")
    with pytest.raises(CheckpointError, match=rf"cannot be taught: {sentence}.*; (give|fetch) ") as caught:
        student.admit() if asks == "admit" else student.losses(student.initial(0), SHORT)
    assert "\n" not in str(caught.value)


def test_gradients_must_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.models.llama.modeling_llama import LlamaMLP

    plain = LlamaMLP.forward
    monkeypatch.setattr(LlamaMLP, "forward", lambda self, x: plain(self, x).detach())
    student = student_of(save_tiny(tmp_path / "model"), targets=["gate_proj"])
    with pytest.raises(CheckpointError, match="no gradient comes to what is trained; give other targets"):
        student.admit()
    student_of(tmp_path / "model", targets=["q_proj"]).admit()


def test_a_model_is_tried_once_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, tried = save_tiny(tmp_path / "model"), []

    def spy(candidate: Any) -> admission.Ways:
        tried.append(candidate.dtype)
        return admission.admit(candidate)

    monkeypatch.setattr(network, "admit", spy)
    student = student_of(folder)
    student.admit()
    student.admit()
    again = student_of(folder)
    again.admit()
    assert again.losses(again.initial(0), SHORT) == student.losses(student.initial(0), SHORT)
    assert "_loaded" not in student_of(folder).__dict__
    assert tried == ["float32"]
    student_of(folder, context=95).admit()
    student_of(folder, dtype="bfloat16").admit()
    assert tried == ["float32", "float32", "bfloat16"]
    (kept,) = {path for path in (tmp_path / "cache" / "admitted").iterdir() if path.name == student.fingerprint}
    kept.write_text("perhaps")
    student_of(folder).admit()
    assert len(tried) == 4


def test_trying_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither gradients nor draws from torch's generator."""
    import torch

    folder = save_tiny(tmp_path / "model")
    torch.manual_seed(3)
    before = torch.get_rng_state()
    student = student_of(folder, adapter="none")
    student.admit()
    assert torch.equal(before, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in student._network.trainable.values())


def test_the_tables_of_architectures_name_no_field_twice() -> None:
    """A size that is given for one architecture differs from what all have."""
    same = {kind: [k for k, v in own.items() if BASE.get(k) == v] for kind, own in OWN.items()}
    assert not {kind: fields for kind, fields in same.items() if fields}, json.dumps(same)
