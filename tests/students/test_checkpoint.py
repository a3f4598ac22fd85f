"""Where a pre-trained model comes from, and in what it is loaded: no code of its own, no pickles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from students.causal_lm import CausalLM
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
