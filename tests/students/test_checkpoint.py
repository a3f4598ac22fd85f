"""Where a pre-trained model comes from, and in what it is loaded: no code of its own, no pickles."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from students import ragged
from students.causal_lm import CausalLM
from students.network import _dtype
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
