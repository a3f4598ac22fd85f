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
from functools import partial
from pathlib import Path
from typing import Any

from students.causal_lm.smollm2 import cache, smollm2
from tasks.errors import DataenvError
from tasks.records import digest

PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
FETCHED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""What ``transformers`` looks for: the weights, or a list of the files that they are in."""
SHARD = re.compile(r"\w[\w.+-]*\.safetensors", re.ASCII)
"""Name of a file of weights that an index may list: plain, so that it is in the folder itself."""
UNREAD = (*PICKLED, ".safetensors", ".h5", ".msgpack", ".onnx", ".gguf", ".ot", ".py", ".md", ".png", ".pdf", "")
"""Endings of files that loading never opens: other forms of the weights, code, and what is for readers."""
OBJECTS = ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json")
"""What must be a JSON object where it is there."""
LARGEST = 1 << 26
"""Bytes that a JSON file may have; the largest tokenizers take half of it."""


class CheckpointError(DataenvError, ValueError):
    """A model on disk that cannot be loaded, or that cannot be taught. Its message is one sentence."""


def located(path: str, revision: str | None = None) -> Path:
    """The folder of a model: ``smollm2``, a folder, or a name on the hub (fetched once into the hub's own cache).

    Raises:
        CheckpointError: If there is no such model, or it is one that must not be loaded.
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
        raise CheckpointError(
            f"path {name!r} is no folder on this machine and no model that the hub gives ({type(error).__name__}); "
            "give a folder that save_pretrained wrote, 'smollm2', or go online"
        ) from error


def _check(folder: Path, shown: str) -> None:
    """Refuse what cannot or must not be loaded."""
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"path {shown!r} holds no config.json; give a folder that save_pretrained wrote")
    if (folder / "adapter_config.json").exists():  # transformers would load the model that this file names
        raise CheckpointError(
            f"path {shown!r} holds an adapter (adapter_config.json), which belongs to a model elsewhere; merge it into "
            "its model, and give the folder that save_pretrained then writes"
        )
    for name in OBJECTS:
        said = read_config(folder, name)
        if any(key == "auto_map" for key, _ in fields_of(said)):
            raise CheckpointError(
                f"path {shown!r} brings code of its own (auto_map in {name}), which is never run; "
                "give a model whose architecture and tokenizer transformers knows"
            )
    if "transformers_weights" in read_config(folder):
        raise CheckpointError(
            f"path {shown!r} names its weights in config.json (transformers_weights); save it with save_pretrained, "
            f"which names them {WEIGHTS[0]}"
        )
    if not any((folder / name).is_file() for name in WEIGHTS):
        pickled = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLED)
        held = f"only pickled weights ({pickled[0]}), which can run code" if pickled else "no weights"
        raise CheckpointError(
            f"path {shown!r} holds {held}, and no {WEIGHTS[0]}; save it with save_pretrained, which writes safetensors"
        )
    weight_files(folder)


@contextmanager
def guarded(what: str, mend: str, own: type[Exception] = CheckpointError) -> Iterator[None]:
    """Say in one sentence what the content of a model's folder makes a library raise.

    Args:
        what: The beginning of the sentence: what is amiss.
        mend: Its end: what helps.
        own: What is a sentence already, and goes through.

    Raises:
        CheckpointError: For everything that is raised, memory and interrupts apart.
    """
    try:
        yield
    except (CheckpointError, own, MemoryError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a panic in Rust, of tokenizers, is no Exception
        said = next(iter(str(error).strip().splitlines()), "")[:200]
        if "out of memory" in said:
            raise
        raise CheckpointError(f"{what} ({type(error).__name__}: {said}); {mend}") from error


def fields_of(config: Any) -> Iterator[tuple[str, Any]]:
    """Every field of a JSON value, those of objects within it too: its name and what it holds."""
    inner = [config]
    while inner:
        value = inner.pop()
        if isinstance(value, dict):
            yield from ((str(name), held) for name, held in value.items())
            inner += value.values()
        elif isinstance(value, list):
            inner += value


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """A JSON file of the model; nothing of a file that is not there.

    Raises:
        CheckpointError: If it is no JSON object, or one too large to be a description.
    """
    file = folder / name
    try:
        if file.is_file() and file.stat().st_size > LARGEST:
            raise CheckpointError(f"{file} has more than {LARGEST >> 20} MB; fetch the model again")
        config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except CheckpointError:
        raise
    except (ValueError, RecursionError, OSError) as error:
        raise CheckpointError(f"{file} is no JSON ({error}); fetch the model again") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{file} is no JSON object; fetch the model again")
    return config


def longest_context(folder: Path) -> int | None:
    """Tokens the model was made for, where its config says so."""
    config = read_config(folder)
    inner = config["text_config"] if isinstance(config.get("text_config"), dict) else config
    found = (inner.get(name) for name in ("max_position_embeddings", "n_positions", "n_ctx", "seq_length"))
    return next((n for n in found if type(n) is int and n > 0), None)


def weight_files(folder: Path) -> list[str]:
    """The files that the weights are read from: ``model.safetensors``, else those that its index lists.

    Raises:
        CheckpointError: If the index lists none, one outside of the folder, or one that is no safetensors file.
    """
    if (folder / WEIGHTS[0]).is_file():
        return [WEIGHTS[0]]
    index = read_config(folder, WEIGHTS[1]).get("weight_map")
    names = sorted(set(map(str, index.values()))) if isinstance(index, dict) else []
    if not names:
        raise CheckpointError(f"{folder / WEIGHTS[1]} lists no files of weights; fetch the model again")
    for name in names:
        if not SHARD.fullmatch(name):
            raise CheckpointError(
                f"{folder / WEIGHTS[1]} lists {name[:60]!r}, which is no safetensors file of this folder; "
                "save the model with save_pretrained"
            )
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder / WEIGHTS[1]} lists {name!r}, which is not there; fetch the model again")
    return names


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor, from the heads of the safetensors files; no weight is read.

    Raises:
        CheckpointError: If a file is damaged.
    """
    found: dict[str, tuple[int, ...]] = {}
    for file in (folder / name for name in weight_files(folder)):
        with file.open("rb") as opened:
            try:
                (length,) = struct.unpack("<Q", opened.read(8))
                if length > min(file.stat().st_size, 2 * LARGEST):
                    raise ValueError("cut off")
                heads = json.loads(opened.read(length))
                found |= {
                    name: tuple(map(int, head["shape"])) for name, head in heads.items() if name != "__metadata__"
                }
            except (struct.error, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                raise CheckpointError(f"{file} is damaged ({error}); fetch the model again") from error
    return found


def names_of(folder: Path) -> dict[str, str]:
    """Digests of a model's config, weights and of every other file that loading may open: what they hold, not where.

    Which files these are is decided by their names alone, so a snapshot of the hub's cache, whose files are links, has
    the name of a plain copy. A file that nothing opens may be among them; one that something opens is never left out.
    """
    config = {k: v for k, v in read_config(folder).items() if k not in ("_name_or_path", "transformers_version")}
    weights = {name: _sha256(folder / name) for name in weight_files(folder)}
    beside = [*folder.iterdir(), *folder.glob("additional_chat_templates/*.jinja")]
    read = [file for file in beside if file.is_file() and file.suffix not in UNREAD and file.name != "config.json"]
    texts = {file.relative_to(folder).as_posix(): _sha256(file) for file in read if not file.name.startswith(".")}
    said = json.dumps(config, sort_keys=True)  # configs hold Infinity, which plain JSON has not
    return {"weights": digest(weights), "config": digest(said), "tokenizer": digest(texts)}


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
    from transformers import modeling_gguf_pytorch_utils as gguf
    from transformers.utils import logging

    shown, bars = logging.is_progress_bar_enabled(), gguf.tqdm
    logging.disable_progress_bar()
    gguf.tqdm = partial(bars, disable=True)  # one that does not ask the logger
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            yield
    finally:
        gguf.tqdm = bars
        if shown:
            logging.enable_progress_bar()
