"""A pre-trained model on disk: where it is, whether it may be loaded, and its name.

Only safetensors are loaded and no code that comes with a model is ever run.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from students.smollm2 import cache, smollm2
from tasks.records import digest

PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
FETCHED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""What ``transformers`` looks for: the weights, or a list of the files that they are in."""
TEXTS = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "tokenizer.model")
"""Files of a tokenizer that decide what its tokens are."""


def located(path: str, revision: str | None = None) -> Path:
    """The folder of a model: ``smollm2``, a folder, or a name on the hub (fetched once into the hub's own cache).

    Raises:
        ValueError: If there is no such model, or it is one that must not be loaded.
    """
    if path == "smollm2":
        return smollm2()
    folder = Path(path).expanduser()
    if not folder.is_dir():
        folder = _fetched(path, revision)
    _check(folder, path)
    return folder


def _fetched(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name):
            raise FileNotFoundError
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(FETCHED)))
    except (OSError, ValueError) as error:  # what huggingface_hub raises is one of the two
        raise ValueError(
            f"path {name!r} is no folder on this machine and no model that the hub gives ({type(error).__name__}); "
            "give a folder that save_pretrained wrote, 'smollm2', or go online"
        ) from error


def _check(folder: Path, shown: str) -> None:
    """Refuse what cannot or must not be loaded."""
    if not (folder / "config.json").is_file():
        raise ValueError(f"path {shown!r} holds no config.json; give a folder that save_pretrained wrote")
    for name in ("config.json", "tokenizer_config.json"):
        if "auto_map" in read_config(folder, name):
            raise ValueError(
                f"path {shown!r} brings code of its own (auto_map in {name}), which is never run; "
                "give a model whose architecture and tokenizer transformers knows"
            )
    if not any((folder / name).is_file() for name in WEIGHTS):
        pickled = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLED)
        held = f"only pickled weights ({pickled[0]}), which can run code" if pickled else "no weights"
        raise ValueError(
            f"path {shown!r} holds {held}, and no {WEIGHTS[0]}; save it with save_pretrained, which writes safetensors"
        )


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """A JSON file of the model; nothing of a file that is not there.

    Raises:
        ValueError: If it is no JSON object.
    """
    file = folder / name
    try:
        config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise ValueError(f"{file} is no JSON ({error}); fetch the model again") from error
    if not isinstance(config, dict):
        raise ValueError(f"{file} is no JSON object; fetch the model again")
    return config


def longest_context(folder: Path) -> int | None:
    """Tokens the model was made for, where its config says so."""
    config = read_config(folder)
    config = config.get("text_config", config)
    found = (config.get(name) for name in ("max_position_embeddings", "n_positions", "n_ctx", "seq_length"))
    return next((int(n) for n in found if n), None)


def tensor_names(folder: Path) -> set[str]:
    """Names of all the tensors, from the heads of the safetensors files; no weight is read.

    Raises:
        ValueError: If a file is damaged.
    """
    names: set[str] = set()
    for file in folder.glob("*.safetensors"):
        with file.open("rb") as opened:
            try:
                (length,) = struct.unpack("<Q", opened.read(8))
                if length > file.stat().st_size:
                    raise ValueError("cut off")
                names.update(json.loads(opened.read(length)))
            except (struct.error, ValueError) as error:
                raise ValueError(f"{file} is damaged ({error}); fetch the model again") from error
    return names - {"__metadata__"}


def names_of(folder: Path) -> dict[str, str]:
    """Digests of a model's weights, config and tokenizer: what they hold, not where they are."""
    config = {k: v for k, v in read_config(folder).items() if k not in ("_name_or_path", "transformers_version")}
    weights = {file.name: _sha256(file) for file in sorted(folder.glob("*.safetensors"))}
    texts = {name: _sha256(folder / name) for name in TEXTS if (folder / name).is_file()}
    return {"weights": digest(weights), "config": digest(config), "tokenizer": digest(texts)}


def _sha256(file: Path) -> str:
    """Of a file's content; kept in the cache under the file's place, size and time, for weights take seconds."""
    file = file.resolve()
    stat = file.stat()
    kept = cache() / "sha256" / digest([str(file), stat.st_size, stat.st_mtime_ns, stat.st_ino])
    if stat.st_size < 1 << 24:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    if kept.is_file() and re.fullmatch("[0-9a-f]{64}", known := kept.read_text(encoding="ascii")):
        return known
    with file.open("rb") as opened:
        name = hashlib.file_digest(opened, "sha256").hexdigest()
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(name, encoding="ascii")
    except OSError:
        pass  # a cache that cannot be written costs time and nothing else
    return name


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars from ``transformers`` while this lasts, and no word on what ``peft`` calls by its old name."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            yield
    finally:
        if shown:
            logging.enable_progress_bar()
