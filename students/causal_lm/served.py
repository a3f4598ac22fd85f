"""What a serving engine needs to know of a ``causal-lm`` student: prompts as tokens, and its adapter as a folder.

This module is no part of a State's name. It decides nothing that is trained, and an engine that answers is named in
the exam.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from students.base import Decoding, Student
from students.causal_lm.checkpoint import CheckpointError, located, names_of
from students.training.loop import unpack
from tasks.records import digest

if TYPE_CHECKING:
    from students.causal_lm.network import Lora


class ServedPrompt(NamedTuple):
    """One prompt for an engine.

    Attributes:
        ids: Tokens of the prompt.
        room: The most tokens that may follow.
        seed: Of what is drawn, in [0, 2**60).
    """

    ids: tuple[int, ...]
    room: int
    seed: int


class ServedStudent:
    """A ``causal-lm`` student with an adapter, as a serving engine sees it.

    Args:
        student: The student.

    Raises:
        ValueError: If it is another student, or one without an adapter.
    """

    def __init__(self, student: Student) -> None:
        from students.causal_lm.student import CausalLM

        if not isinstance(student, CausalLM):
            raise ValueError(f"student {student.name!r} cannot be served; give 'causal-lm', or leave answers out")
        lora = student._network.lora
        if lora is None:
            raise ValueError("student_args.adapter is 'none', and an engine is given adapters; give 'lora'")
        self._student, self.lora = student, lora

    @property
    def folder(self) -> Path:
        """Where the base model is."""
        return self._student._folder

    @property
    def context(self) -> int:
        """Tokens of its longest row."""
        return self._student.context

    @property
    def dtype(self) -> str:
        """Its arithmetic: ``float32`` or ``bfloat16``."""
        return str(self._student._network.dtype).removeprefix("torch.")

    @property
    def device(self) -> str:
        """Where it is trained: ``cpu`` or ``cuda``."""
        return self._student._network.device

    @property
    def stops(self) -> list[int]:
        """Tokens that end an answer."""
        return sorted(self._student._format.stops)

    def has_base(self, path: str) -> bool:
        """Whether a folder, or a name on the hub, holds the same base model."""
        try:
            return names_of(located(path)) == names_of(self.folder)
        except (CheckpointError, ValueError):
            return False

    def initial(self) -> bytes:
        """An adapter that changes nothing yet."""
        return self._student.initial(0)

    def requests(self, prompts: Sequence[str], decoding: Decoding, seed: int) -> list[ServedPrompt | None]:
        """Each prompt as it is asked; ``None`` for one that is answered with nothing (``CausalLM.answer``).

        A seed depends on the prompt's text and on how often it came before, and not on what else is asked.
        """
        before: Counter[str] = Counter()
        out: list[ServedPrompt | None] = []
        for prompt in prompts:
            named = digest([seed, prompt, before[prompt]])
            before[prompt] += 1
            ids = () if self._student._format.forges(prompt) else self._student._format.prompt(prompt)
            room = min(decoding.max_tokens, self.context - len(ids))
            out.append(ServedPrompt(ids, room, int(named[:15], 16)) if ids and room > 0 else None)
        return out

    def read(self, tokens: Sequence[int]) -> str:
        """The text of an answer.

        Raises:
            ValueError: If what an engine sent is no token of this model.
        """
        words = self._student._network.vocabulary
        for token in tokens:
            if type(token) is not int or not 0 <= token < words:
                raise ValueError(f"{str(token)[:40]!r} is no token of the model")
        return self._student._format.read(tokens) if tokens else ""

    def write_adapter(self, weights: bytes, folder: Path) -> None:
        """Write a State's adapter as ``peft`` does: ``adapter_model.safetensors`` and ``adapter_config.json``."""
        from safetensors.torch import save

        tensors, _ = unpack(weights)
        files = {
            "adapter_config.json": json.dumps(_config(self.lora, list(tensors)), indent=2).encode(),
            "adapter_model.safetensors": save({_plain(name): t.contiguous() for name, t in tensors.items()}),
        }
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)


def _plain(name: str) -> str:
    """A parameter's name without that of the adapter, as it stands in a file of ``peft``."""
    return name.replace(".default.", ".")


def _config(lora: Lora, names: Sequence[str]) -> dict[str, object]:
    """What ``peft`` writes beside an adapter, as far as engines read it."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
        "target_modules": sorted({name.split(".lora_")[0].rpartition(".")[2] for name in names}),
    }
