"""How a pre-trained model is spoken to: its chat template, its tokens, and where its answers end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from students.checkpoint import read_config

SAME_DAY = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro -%}"
"""Put before a template, for some print today's date, and what is trained must not depend on a clock."""
ANSWER = "answer"


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
