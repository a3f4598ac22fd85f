"""Tiny checkpoints of the architectures of ``AutoModelForCausalLM``, and what becomes of each as a student.

``python -m tests.architectures [KIND ...]`` plays them and prints what became of each; with ``--write``, it puts that
into docs/causal-lm.md. All of them take about three minutes of one core.
"""

from __future__ import annotations

import re
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from students.base import Data, Decoding, Recipe, asked
from students.causal_lm.checkpoint import CheckpointError
from students.causal_lm.student import CausalLM
from tasks.records import Example
from tests.tiny_lm import ALPHABET, MARKS, save_tokenizer

WINDOW = 24
"""Tokens that a layer with a window sees; the long rows below are longer."""
BASE: dict[str, Any] = {
    "vocab_size": len(MARKS) + len(ALPHABET),
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.3,
    # What only some have: windows,
    "sliding_window": WINDOW,
    "use_sliding_window": True,
    "max_window_layers": 0,
    "attention_chunk_size": WINDOW,
    "head_dim": 16,
    # experts,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    # keys and values in few dimensions,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    # and linear attention.
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
"""Sizes; a config takes the names that it knows."""
TWO = {"num_key_value_heads": 2}
HYBRID = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8}
ENCODER = {"is_decoder": True}
FULL = {"layer_types": ["linear_attention", "full_attention"]}
OWN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("axk2", "deepseek_v2", "deepseek_v32", "glm_moe_dsa", "longcat_flash"), TWO),
    **dict.fromkeys(("qwen3_5_text", "qwen3_5_moe_text", "qwen3_next", "qwen4_exp_text"), FULL),
    "axk1": TWO | {"head_dim": 8},
    "deepseek_v3": TWO | {"head_dim": 8},
    "codegen": {"num_attention_heads": 4, "rotary_dim": 4},
    "gptj": {"rotary_dim": 4},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "mamba_d_state": 8},
    "falcon_h1": HYBRID | {"mamba_d_ssm": 64, "mamba_chunk_size": 8},
    "bamba": HYBRID | {"attn_layer_indices": [1]},
    "diffllama": TWO,
    "dots1": {"n_shared_experts": 1},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": WINDOW},
    "granitemoehybrid": HYBRID | {"layer_types": ["mamba", "attention"]},
    "lfm2": {"layer_types": ["conv", "full_attention"], "conv_L_cache": 3, "block_auto_adjust_ff_dim": False},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "conv_L_cache": 3, "num_dense_layers": 1},
    "mamba2": {"num_heads": 4, "state_size": 8, "n_groups": 1},
    "modernbert-decoder": {"local_attention": WINDOW, "global_attn_every_n_layers": 2},
    "plbart": {"encoder_attention_heads": 2, "decoder_attention_heads": 2},
    "reformer": ENCODER,
    "rembert": ENCODER,
    "roformer": ENCODER,
    "megatron-bert": ENCODER,
    "big_bird": ENCODER,
    "t5": {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2},
    "zaya": {"num_experts_per_tok": 1},
    "gemma3n_text": {"num_kv_shared_layers": 0, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 98},
    "gemma4_text": {"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 98},
}
NEEDED: dict[str, dict[str, Any]] = {"reformer": ENCODER}
"""Without what a config cannot be made at all."""
LEFT_OUT = ("head_dim", "v_head_dim")
"""What some configs work out by themselves and let nobody say."""


NAMES = """
afmoe apertus arcee aria_text bamba bart bert big_bird biogpt bitnet bloom camembert codegen cohere cohere2 cpmant
ctrl deepseek_v2 deepseek_v3 diffllama doge dots1 electra ernie4_5 ernie4_5_moe exaone4 falcon flex_olmo gemma gemma2
gemma3_text gemma3n_text glm glm4 glm4_moe gpt2 gpt_bigcode gpt_neo gpt_neox gpt_oss gptj granite granitemoe
granitemoehybrid helium hunyuan_v1_dense jamba lfm2 lfm2_moe llama llama4_text mamba mamba2 megatron-bert minimax
ministral mistral mixtral modernbert-decoder mpt nemotron olmo olmo2 olmo3 olmoe openai-gpt opt persimmon phi phi3
phimoe qwen2 qwen2_moe qwen3 qwen3_5_text qwen3_moe qwen3_next recurrent_gemma rembert roberta roformer rwkv seed_oss
smollm3 stablelm starcoder2 t5 xglm xlm-roberta
"""
KINDS = tuple(NAMES.split())
"""What the sweep plays: the architectures of most models on the hub, and those that were trouble."""
PAGE = Path(__file__).resolve().parents[1] / "docs" / "causal-lm.md"
BEGIN, END = "<!-- architectures -->", "<!-- end -->"
"""Between these the page holds the table."""


class Played(NamedTuple):
    """What became of an architecture.

    Attributes:
        kind: Its ``model_type``.
        outcome: ``equal``; ``refused`` before anything was trained; ``differs`` and ``fails``, which must not be.
        why: The sentence of a refusal, or what differs.
        prefix: Whether a shared beginning is computed once.
        packs: Whether rows are packed into one sequence.
        adapter: What is trained: ``lora``, or ``none`` where there is no adapter for it.
    """

    kind: str
    outcome: str
    why: str = ""
    prefix: bool = False
    packs: bool = False
    adapter: str = "lora"


def save_kind(kind: str, folder: Path) -> Path:
    """Write a tiny checkpoint of a kind, with a character tokenizer."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    known = CONFIG_MAPPING[kind](**NEEDED.get(kind, {}))
    fields = {name: value for name, value in BASE.items() if hasattr(known, name)} | OWN.get(kind, {})
    try:
        config = CONFIG_MAPPING[kind](**fields)
    except AttributeError:
        config = CONFIG_MAPPING[kind](**{name: value for name, value in fields.items() if name not in LEFT_OUT})
    auto = AutoModelForSeq2SeqLM if kind == "t5" else AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        auto.from_config(config).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


WORDS = ("a", "bc", "abc", "ca", "b", "cab")
SHORT = tuple(Example(prompt=f"add it all: {word}", response=word[::-1]) for word in WORDS)
LONG = tuple(
    Example(prompt=f"add it up, and then say what it is: {word}", response=word[-3:])
    for word in ("ab", "abcdefghijklmnop", "abcd", "a" * 24, "xyz")
)


def play(kind: str, folder: Path) -> Played:
    """Ask one architecture whether it can be taught, and compare batches with rows one by one where it says yes."""
    save_kind(kind, folder)
    adapter = "lora"
    try:
        try:
            student = _student(folder, adapter)
        except CheckpointError as error:
            if "takes no adapter" not in str(error) and "put an adapter" not in str(error):
                raise
            adapter = "none"
            student = _student(folder, adapter)
    except CheckpointError as error:
        return Played(kind, "refused", str(error).replace(f"path {str(folder)!r}", "path"))
    network = student._network
    amiss = next(_differences(student), None)
    return Played(
        kind, "differs" if amiss else "equal", amiss or "", network.reach != 0, network.pack_most > 0, adapter
    )


def _student(folder: Path, adapter: str) -> CausalLM:
    student = CausalLM(path=str(folder), template="plain", context=96, rank=4, dtype="float32", adapter=adapter)
    student.admit()
    return student


def _differences(student: CausalLM) -> Iterator[str]:
    """Where what a batch gives is not what plain ``transformers`` gives, row by row, without padding and cache."""
    import torch
    import torch.nn.functional as F

    weights, model = student.initial(0), student._network.model
    decoding = Decoding(max_tokens=5)
    for examples in (SHORT, LONG):
        rows = [student._format.row(example) for example in examples]
        with student._network.ready(weights), torch.no_grad():
            plain = [float(F.cross_entropy(_plain(model, (*p, *r))[len(p) - 1 : -1], torch.tensor(r))) for p, r in rows]
            said = [student._format.read(_greedy(model, p, 5, student._format.stops)) for p, _ in rows]
        found = student.losses(weights, examples)
        if max(abs(a - b) for a, b in zip(found, plain, strict=True)) > 1e-3:
            yield f"losses {_short(found)}, alone {_short(plain)}"
        answers = student.answer(weights, asked([example.prompt for example in examples]), decoding, 0)
        if answers != said:
            yield f"answers {answers}, alone {said}"
        with student._network.ready(weights, trunk=True):
            together, alone = _gradients(student, rows, True), _gradients(student, rows, False)
        if float((together - alone).norm()) > 1e-3 * float(alone.norm()):
            yield f"gradients of norm {float(together.norm()):.3g}, alone {float(alone.norm()):.3g}"
    _, trained = student.fit(weights, Data(LONG), Recipe(updates=1, batch=len(LONG), rate=1e-3), 0)
    if abs(trained.loss[0] - _pooled(student, weights)) > 1e-3:
        yield f"the first update's loss is {trained.loss[0]:.4f}, that of rows alone {_pooled(student, weights):.4f}"


def _plain(model: Any, ids: Sequence[int]) -> Any:
    import torch

    return model(input_ids=torch.tensor([list(ids)])).logits[0].float()


def _greedy(model: Any, prompt: Sequence[int], most: int, stops: frozenset[int]) -> list[int]:
    ids = list(prompt)
    for _ in range(most):
        token = int(_plain(model, ids)[-1].argmax())
        if token in stops:
            break
        ids.append(token)
    return ids[len(prompt) :]


def _gradients(student: CausalLM, rows: Any, together: bool) -> Any:
    """All gradients of the mean loss as one vector: of a batch, or of rows that go through one by one."""
    import torch
    import torch.nn.functional as F

    parameters, count = list(student._network.trainable.values()), sum(len(response) for _, response in rows)
    if together:
        logits, due = student._logits(rows)
        (F.cross_entropy(logits, due, reduction="sum") / count).backward()
    else:
        for prompt, response in rows:
            logits = _plain(student._network.model, (*prompt, *response))[len(prompt) - 1 : -1]
            (F.cross_entropy(logits, torch.tensor(response), reduction="sum") / count).backward()
    found = torch.cat([p.grad.flatten() if p.grad is not None else torch.zeros(p.numel()) for p in parameters])
    for parameter in parameters:
        parameter.grad = None
    return found


def _pooled(student: CausalLM, weights: bytes) -> float:
    """Mean loss of all response tokens of the long rows."""
    counts = [len(student._format.row(example)[1]) for example in LONG]
    each = [student.losses(weights, [example])[0] for example in LONG]
    return sum(loss * n for loss, n in zip(each, counts, strict=True)) / sum(counts)


def _short(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


NOT = {
    (True, True): "",
    (True, False): ", in exams what rows share is computed for each",
    (False, True): ", rows are padded and not packed",
    (False, False): ", what rows share is computed for each",
}
"""What the page says of an architecture that is not packed, or whose rows have no prefix."""


def table(played: Sequence[Played]) -> str:
    """What is supported and what is refused, as a list for docs/causal-lm.md."""
    groups: dict[str, list[str]] = {}
    for each in played:
        what = f"Refused, {_reason(each.why)}" if each.outcome == "refused" else "Supported"
        if each.outcome not in ("equal", "refused"):
            what = f"**{each.outcome}** ({each.why})"
        elif each.outcome == "equal" and each.adapter == "none":
            what += ' with `adapter="none"` alone'
        elif each.outcome == "equal":
            what += NOT[each.packs, each.prefix]
        groups.setdefault(what, []).append(f"`{each.kind}`")
    lines = [f"- **{what}:** {', '.join(kinds)}." for what, kinds in sorted(groups.items(), reverse=True)]
    return "\n".join(textwrap.fill(line, 118, subsequent_indent="  ", break_on_hyphens=False) for line in lines)


def _reason(why: str) -> str:
    found = re.search(r"(?:cannot be taught: |path is )([^;(]*)", why)
    return found[1].strip() if found else why


def main(kinds: Sequence[str], write: bool) -> None:
    """Play architectures, and print what became of each; with ``write``, into the page too."""
    from transformers.utils import logging

    warnings.filterwarnings("ignore")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    played = []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            played.append(play(kind, Path(folder)))
        print(*played[-1], sep=" | ", flush=True)
    if write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{table(played)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    asked_for = [argument for argument in sys.argv[1:] if argument != "--write"]
    main(asked_for or KINDS, "--write" in sys.argv)
