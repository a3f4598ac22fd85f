"""Where a pre-trained model comes from, and in what it is loaded: no code of its own, no pickles."""

from __future__ import annotations

import json
import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from students.causal_lm import ragged
from students.causal_lm.checkpoint import CheckpointError, names_of, shapes, weight_files
from students.causal_lm.network import _dtype
from students.causal_lm.student import CausalLM
from tests.tiny_lm import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def test_every_load_forbids_code_and_pickles(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``transformers`` does by itself is another release's business."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    asked: list[tuple[str, dict[str, Any]]] = []
    for loader in (AutoModelForCausalLM, AutoTokenizer):
        plain = loader.from_pretrained

        def spy(*args: Any, plain: Any = plain, name: str = loader.__name__, **given: Any) -> Any:
            asked.append((name, given))
            return plain(*args, **given)

        monkeypatch.setattr(loader, "from_pretrained", spy)
    student = CausalLM(path=str(tiny), context=96, rank=4)
    student.export(student.initial(0), tmp_path)
    assert {name for name, _ in asked} == {"AutoModelForCausalLM", "AutoTokenizer"}
    for name, given in asked:
        assert given["trust_remote_code"] is False
        assert given["local_files_only"] is True
        assert name == "AutoTokenizer" or given["use_safetensors"] is True


@pytest.mark.parametrize(
    ("asked", "device", "dtype"),
    [
        ("auto", "cpu", "float32"),
        ("auto", "cuda", "bfloat16"),
        ("float32", "cuda", "float32"),
        ("bfloat16", "cpu", "bfloat16"),
    ],
)
def test_auto_is_bfloat16_on_cuda_alone(asked: str, device: str, dtype: str) -> None:
    import torch

    assert _dtype(asked, device) == getattr(torch, dtype)


def test_a_name_is_fetched_from_the_hub_without_pickles_or_code(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[tuple[str, dict[str, Any]]] = []

    def download(name: str, **given: Any) -> str:
        asked.append((name, given))
        return str(tiny)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    student = CausalLM(path="somebody/model", revision="v1.2", context=96)
    assert student.fingerprint == CausalLM(path=str(tiny), context=96).fingerprint
    ((name, given),) = asked
    assert (name, given["revision"]) == ("somebody/model", "v1.2")

    def fetched(file: str) -> bool:
        return any(fnmatch(file, pattern) for pattern in given["allow_patterns"])

    harmful = "pytorch_model.bin", "model.pt", "model.pth", "a.pkl", "a.ckpt", "modeling_a.py", "training_args.bin"
    assert not any(map(fetched, harmful))
    assert all(map(fetched, ["model-00001-of-00002.safetensors", *(file.name for file in tiny.iterdir())]))


def test_answers_that_have_ended_leave_the_batch(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once they are half of it; and the others go on as if they had been alone."""
    student = CausalLM(path=str(tiny), context=96, rank=4, dtype="float32")
    rows, rooms, sizes = [student._format.prompt(text) for text in ("a", "bc", "def", "cab")], [1, 1, 2, 8], []
    step = ragged.step

    def spy(model: Any, ids: Any, *rest: Any) -> Any:
        sizes.append(len(ids))
        return step(model, ids, *rest)

    def written(which: list[int], rooms: list[int]) -> list[list[int]]:
        laid = ragged.lay([rows[i] for i in which], [1] * len(which), "cpu")
        return ragged.generate(student._network.model, laid, rooms, frozenset(), 0.0, None)  # type: ignore[arg-type]

    with student._network.ready(student.initial(0)):
        alone = [written([i], [room])[0] for i, room in enumerate(rooms)]
        monkeypatch.setattr(ragged, "step", spy)
        assert written([0, 1, 2, 3], rooms) == alone
        assert sizes == [4, 2, 1, 1, 1, 1, 1, 1]
        sizes.clear()
        written([0, 1, 2, 3], [1, 3, 3, 3])
        assert sizes == [4, 4, 4]


# What is hashed is what is loaded


def sharded(folder: Path, seed: int = 0) -> Path:
    """A tiny model in several files, and a list of them."""
    import torch
    from transformers import AutoModelForCausalLM

    save_tiny(folder, seed=seed)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    assert len(weight_files(folder)) > 1
    return folder


def listed(folder: Path, name: str) -> None:
    """Let the list name another file for the first of its tensors."""
    file = folder / "model.safetensors.index.json"
    index = json.loads(file.read_text(encoding="utf-8"))
    index["weight_map"] |= {next(iter(index["weight_map"])): name}
    file.write_text(json.dumps(index), encoding="utf-8")


def test_the_weights_are_those_that_loading_follows(tmp_path: Path) -> None:
    folder = sharded(tmp_path / "model")
    named, held = names_of(folder), shapes(folder)
    assert len(held) == 21
    for stray in ("consolidated.safetensors", "pytorch_model.bin", "README.md", ".gitattributes"):
        (folder / stray).write_bytes(b"something else")
    assert (names_of(folder), shapes(folder)) == (named, held)
    shard = folder / weight_files(folder)[1]
    kept = shard.read_bytes()
    shard.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    assert names_of(folder)["weights"] != named["weights"]
    shard.write_bytes(kept)
    shutil.copy(save_tiny(tmp_path / "whole", seed=1) / "model.safetensors", folder)  # it comes before the list
    assert names_of(folder)["weights"] == names_of(tmp_path / "whole")["weights"]
    assert CausalLM(path=str(folder), context=96).base["weights"] == names_of(tmp_path / "whole")["weights"]


def test_a_model_in_several_files_is_taught(tmp_path: Path) -> None:
    student = CausalLM(path=str(sharded(tmp_path / "shards")), context=96, rank=4, adapter="none")
    whole = CausalLM(path=str(save_tiny(tmp_path / "whole")), context=96, rank=4, adapter="none")
    assert student.initial(0) == whole.initial(0)


@pytest.mark.parametrize(
    "name",
    [
        "w.bin",
        "../whole/model.safetensors",
        "/etc/w.safetensors",
        "sub/w.safetensors",
        ".w.safetensors",
        "",
        "w\\..\\a",
    ],
)
def test_a_list_names_plain_safetensors_of_the_folder_alone(name: str, tmp_path: Path) -> None:
    folder = sharded(tmp_path / "model")
    save_tiny(tmp_path / "whole")
    (folder / "sub").mkdir()
    for place in (folder / "w.bin", folder / "sub" / "w.safetensors", folder / ".w.safetensors"):
        shutil.copy(tmp_path / "whole" / "model.safetensors", place)
    listed(folder, name)
    with pytest.raises(CheckpointError, match=r"lists .*, which is no safetensors file of this folder; save the model"):
        CausalLM(path=str(folder), context=96)


def test_a_list_without_its_files_is_said(tmp_path: Path) -> None:
    folder = sharded(tmp_path)
    (folder / weight_files(folder)[0]).unlink()
    with pytest.raises(CheckpointError, match=r"lists 'model-00001-of-\S+.safetensors', which is not there; fetch"):
        CausalLM(path=str(folder), context=96)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(CheckpointError, match="lists no files of weights; fetch the model again"):
        CausalLM(path=str(folder), context=96)


@pytest.mark.parametrize(
    "name",
    ["tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json", "tekken.json",
     "added_tokens.json", "vocab.txt", "spiece.model", "chat_template.jinja",
     "additional_chat_templates/tool_use.jinja"],
)  # fmt: skip
def test_whatever_loading_may_open_is_in_the_name(name: str, tmp_path: Path) -> None:
    before, file = names_of(save_tiny(tmp_path)), tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes((file.read_bytes() if file.exists() else b"{}") + b" ")
    assert names_of(tmp_path) != before


def test_a_snapshot_of_links_has_the_name_of_a_copy(tmp_path: Path) -> None:
    """As the hub's cache keeps them: links to blobs that are named by what they hold."""
    folder, snapshot, blobs = sharded(tmp_path / "copy"), tmp_path / "snapshots" / "abc", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for i, file in enumerate(sorted(folder.iterdir())):
        shutil.copy(file, blobs / f"{i:064x}")
        (snapshot / file.name).symlink_to(Path("../../blobs") / f"{i:064x}")
    assert names_of(snapshot) == names_of(folder)
    linked, copied = (CausalLM(path=str(path), context=96, rank=4, dtype="float32") for path in (snapshot, folder))
    assert linked.fingerprint == copied.fingerprint
    linked.admit()


@pytest.mark.parametrize(
    "heads",
    [b"", b"abc", b"\xff" * 40, (2**40).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"[]",
     (6).to_bytes(8, "little") + b'{"a":1', (7).to_bytes(8, "little") + b'{"a":1}',
     (200_000).to_bytes(8, "little") + b"[" * 200_000],
    ids=range(8),
)  # fmt: skip
def test_damaged_weights_are_said_before_anything_is_built(heads: bytes, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(heads)
    with pytest.raises(CheckpointError, match=r"model.safetensors is damaged \(.*\); fetch the model again"):
        CausalLM(path=str(tmp_path / "model"), context=96)
