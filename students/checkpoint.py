"""A pre-trained model on disk: where it is, whether it may be loaded, its name, and how it is spoken to.

Only safetensors are loaded and no code that comes with a model is ever run.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
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
SAME_DAY = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro -%}"
"""Put before a template, for some print today's date, and what is trained must not depend on a clock."""
ANSWER = "answer"


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


class Format:
    """How a model is spoken to: the same when it is taught and when it is examined.

    A prompt and its response become tokens apart from each other, so that the prompt's are the same whatever follows.

    Args:
        folder: With a tokenizer.
        template: ``chat``, the tokenizer's chat template; ``plain``, the prompt and a line break.
        system: What the system says before; empty for what the template says by itself.

    Raises:
        ValueError: If there is no tokenizer, no chat template, or one that takes no system.

    Attributes:
        tokenizer: The tokenizer.
        stops: Tokens that end an answer.
    """

    def __init__(self, folder: Path, template: str, system: str) -> None:
        from transformers import AutoTokenizer

        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"path {str(folder)!r} holds no tokenizer that transformers reads ({error})") from error
        self.template, self._system = template, system
        if template == "chat" and not self.tokenizer.chat_template:
            raise ValueError(
                f"path {str(folder)!r} has no chat template; give template='plain' (prompt and a line break), or a "
                "chat model"
            )
        if template == "plain" and system:
            raise ValueError("system is given and template 'plain' has no system; put it into the task's prompts")
        self._end = self._end_of_turn()
        self.stops = frozenset({self._end} | _ends(folder))
        self._control = [t.content for t in self.tokenizer.added_tokens_decoder.values() if t.special]
        self._encoded = lru_cache(maxsize=16_384)(self._encode)

    @property
    def text(self) -> str:
        """The template itself, to be named in a fingerprint."""
        return self.tokenizer.chat_template if self.template == "chat" else "plain"

    def prompt(self, text: str) -> tuple[int, ...]:
        """Tokens up to where the answer begins."""
        return self._encoded(text, True)

    def response(self, text: str) -> tuple[int, ...]:
        """Tokens of an answer and the one that ends it."""
        return (*self._encoded(text, False), self._end)

    def read(self, tokens: Sequence[int]) -> str:
        """The text of an answer's tokens."""
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def forges(self, text: str) -> bool:
        """Whether a text holds one of the tokenizer's own marks, with which it could end its turn and begin another."""
        return any(mark in text for mark in self._control)

    def _encode(self, text: str, prompt: bool) -> tuple[int, ...]:
        if prompt and self.template == "chat":
            text = self._render(text)
        elif prompt:
            text += "\n"
        start = [self.tokenizer.bos_token_id] if prompt and self.template == "plain" else []
        return tuple(t for t in (*start, *self.tokenizer.encode(text, add_special_tokens=False)) if t is not None)

    def _render(self, prompt: str, answer: str | None = None) -> str:
        """One exchange by the chat template."""
        said = [("system", self._system)] * bool(self._system) + [("user", prompt)]
        said += [("assistant", answer)] if answer is not None else []
        try:
            text: str = self.tokenizer.apply_chat_template(
                [{"role": role, "content": content} for role, content in said],
                tokenize=False,
                add_generation_prompt=answer is None,
                chat_template=SAME_DAY + self.tokenizer.chat_template,
            )
        except Exception as error:  # whatever a template, which is a program, raises
            raise ValueError(
                f"the chat template cannot be used ({error}); leave system empty, or template='plain'"
            ) from error
        return text

    def _end_of_turn(self) -> int:
        """The token that the template puts behind an answer, else the tokenizer's end of text."""
        if self.template == "chat":
            behind = self._render("prompt", ANSWER).rpartition(ANSWER)[2]
            first = self.tokenizer.encode(behind.lstrip(), add_special_tokens=False)[:1]
            if first and first[0] in self.tokenizer.added_tokens_decoder:
                return int(first[0])
        if self.tokenizer.eos_token_id is None:
            raise ValueError("the tokenizer has no end-of-text token, so no answer would end; set its eos_token")
        return int(self.tokenizer.eos_token_id)


def _ends(folder: Path) -> set[int]:
    """Tokens that end a text by the model's own word."""
    file = folder / "generation_config.json"
    said = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else read_config(folder)
    ends = said.get("eos_token_id")
    return {int(token) for token in (ends if isinstance(ends, list) else [ends]) if token is not None}
