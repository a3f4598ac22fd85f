"""How a pre-trained model is spoken to: its chat template as tokens, and where its answers end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from itertools import takewhile
from pathlib import Path
from typing import Any

from students.causal_lm.chat_template import ANSWER, PROMPT, RESERVED, SYSTEM, Frame, exchange, frame_of, render
from students.causal_lm.checkpoint import read_config
from tasks.columns import columns
from tasks.errors import DataenvError
from tasks.records import Example

THOUGHT = "</think>"
"""Ends a thought, in all the templates that know of thoughts."""
NOBODY = "\U0010fffd"
"""A character that stands in no text."""
REMEMBERED = 16_384
"""Texts whose tokens are kept."""


class UnreadableTextError(DataenvError, ValueError):
    """A tokenizer fails on a file or a text."""


@contextmanager
def _asked_of_the_tokenizer(sentence: str) -> Iterator[None]:
    """Say in one sentence whatever a tokenizer raises; those in Rust raise bare exceptions, and panic."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        why = " ".join(str(error).split())[:200]
        raise UnreadableTextError(f"{sentence} ({type(error).__name__}: {why})") from error


class Format:
    """How a model is spoken to: the same when it is taught and when it is examined.

    A prompt and its response become tokens apart from each other, so that the prompt's are the same whatever follows.

    Args:
        folder: With a tokenizer.
        template: ``chat``, the tokenizer's chat template; ``plain``, the prompt and a line break.
        system: What the system says before; empty for what the template says by itself.
        template_args: Further arguments of the chat template, as JSON; see ``causal_lm.chat_template.frame_of``.

    Raises:
        ValueError: If there is no tokenizer, no chat template, or one that cannot be used with these.

    Attributes:
        tokenizer: The tokenizer.
        stops: Tokens that end an answer.
    """

    def __init__(
        self, folder: Path, template: str, system: str = "", template_args: Mapping[str, Any] | None = None
    ) -> None:
        from transformers import AutoTokenizer

        with _asked_of_the_tokenizer(f"path {str(folder)!r} holds no tokenizer that transformers reads"):
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        self.template, self._system, self._args = template, system, _arguments(template_args, template)
        if template == "plain" and system:
            raise ValueError("system is given and template 'plain' has no system; put it into the task's prompts")
        self.text = "plain" if template == "plain" else _default(self.tokenizer.chat_template, folder)
        self._frame = self._framed(system)
        self._end, self._gap = self._end_of_turn()
        self.stops = frozenset({self._end} | ends_of(folder))
        self._marks = self._control()
        self._known: dict[tuple[str, bool], tuple[int, ...]] = {}
        self._asked = self._marks_in(self.prompt(PROMPT))
        if system and self._asked != self._marks_in(self._encoded(self._framed(SYSTEM).prompt(PROMPT), True)):
            raise ValueError("student_args.system holds the tokenizer's own marks, which end turns; leave them out")

    @property
    def base(self) -> dict[str, Any]:
        """All that a fingerprint must name: the template, what it writes, and the tokens that end an answer."""
        return {"template": self.text, "frame": list(self._frame), "end": self._end, "stops": sorted(self.stops)}

    @property
    def as_template(self) -> bool:
        """Whether what is taught is the template's own text of an exchange."""
        return self._frame.own.startswith(self._frame.prompt(PROMPT) + ANSWER) or self.template == "plain"

    def prompt(self, text: str) -> tuple[int, ...]:
        """Tokens up to where the answer begins."""
        return self._encoded(self._frame.prompt(text), True)

    def response(self, text: str) -> tuple[int, ...]:
        """Tokens of an answer and the one that ends it."""
        return (*self._encoded(text + self._gap, False), self._end)

    def row(self, example: Example) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The tokens of an example's prompt, and of its response."""
        return self.prompt(example.prompt), self.response(example.response)

    def count(self, example: Example) -> int:
        """The tokens of an example: its formatted prompt, the response and its end."""
        return sum(map(len, self.row(example)))

    def refuse(self, example: Example, context: int) -> str | None:
        """``alphabet`` for text with the tokenizer's own marks (they end turns), ``length`` over the context."""
        if self.forges(example.prompt, example.response):
            return "alphabet"
        return "length" if self.count(example) > context else None

    def prepare(self, examples: Sequence[Example]) -> Sequence[Example]:
        """Ask the tokenizer for all texts of a lesson at once, which is faster than one by one; gives the examples."""
        prompts, responses = columns(examples, "prompt", "response")
        asked = dict.fromkeys((self._frame.prompt(text), True) for text in prompts)
        asked |= dict.fromkeys((text + self._gap, False) for text in responses)
        new = [key for key in asked if key not in self._known]
        with suppress(UnreadableTextError):  # each is then asked alone, and the one that cannot be read is refused
            self._remember(new, self._all_tokens([text for text, _ in new]))
        return examples

    def read(self, tokens: Sequence[int]) -> str:
        """The text of an answer's tokens, up to the first that ends it.

        Any other mark stays visible, for what stands on both sides of it was not written as one. Where the template
        knows of thoughts, the answer is what stands behind the last of them.
        """
        said = list(takewhile(lambda token: token not in self.stops, tokens))
        text: str = self.tokenizer.decode(said, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if THOUGHT in self.text and THOUGHT in text:
            text = text.rpartition(THOUGHT)[2].lstrip("\n")
        return text.removesuffix(self._gap)

    def forges(self, prompt: str = PROMPT, response: str = "") -> bool:
        """Whether a text becomes tokens with which it could end its turn and begin another, or no tokens at all.

        The tokens are asked and not the letters: a tokenizer may make a mark of what looks like none, by its
        normalisation or together with what the template puts beside it.
        """
        try:
            asked, said = self.prompt(prompt), self.response(response)[:-1]
        except UnreadableTextError:
            return True
        return self._marks_in(asked) != self._asked or bool(self._marks_in(said))

    def save(self, folder: Path) -> None:
        """Write the tokenizer beside a model, and where answers end, so that others who load it end them there too."""
        tokenizer = deepcopy(self.tokenizer)
        if "eos_token" not in self.text:  # else the template would write another text
            tokenizer.eos_token = tokenizer.convert_ids_to_tokens(self._end)
        tokenizer.save_pretrained(folder)
        file = folder / "generation_config.json"
        ends = [self._end, *sorted(self.stops - {self._end})]
        said = read_config(folder, file.name) | {"eos_token_id": ends if len(ends) > 1 else ends[0]}
        file.write_text(json.dumps(said, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def _framed(self, system: str) -> Frame:
        if self.template == "plain":
            return Frame("", "\n", "")
        return frame_of(self.text, system, self.tokenizer.special_tokens_map, self._args)

    def _encoded(self, text: str, prompt: bool) -> tuple[int, ...]:
        key = text, prompt
        found = self._known.get(key)
        return found if found is not None else self._remember([key], [self._tokens(text)])[0]

    def _remember(self, keys: Sequence[tuple[str, bool]], tokens: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
        """Keep the tokens of some texts; of a prompt that has no template, with the one that begins a text."""
        first = self.tokenizer.bos_token_id if self.template == "plain" else None
        found = [
            tuple(t for t in ((first, *row) if prompt else row) if t is not None)
            for (_, prompt), row in zip(keys, tokens, strict=True)
        ]
        if len(self._known) > REMEMBERED:
            self._known.clear()
        self._known.update(zip(keys, found, strict=True))
        return found

    def _tokens(self, text: str) -> list[int]:
        return self._all_tokens([text])[0]

    def _all_tokens(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        with _asked_of_the_tokenizer("the tokenizer cannot read a text; give a text or a tokenizer without such signs"):
            tokens: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return tokens

    def _render(self, prompt: str, answer: str) -> str:
        """One exchange by the template itself, as the tokenizer writes it."""
        given = {**self.tokenizer.special_tokens_map, **self._args}
        (said,) = render(self.text, [exchange(self._system, prompt, answer)], given)
        text: str = self.tokenizer.decode(self._tokens(said["text"]))
        return text

    def _end_of_turn(self) -> tuple[int, str]:
        """The token that the template puts behind an answer and the spaces before it; else the tokenizer's end."""
        behind = self._frame.behind
        bare = behind.lstrip()
        first = self._tokens(bare)[:1]
        if first and first[0] in self.tokenizer.added_tokens_decoder:
            return int(first[0]), behind[: len(behind) - len(bare)]
        if self.tokenizer.eos_token_id is None:
            raise ValueError("the tokenizer has no end-of-text token, so no answer would end; set its eos_token")
        return int(self.tokenizer.eos_token_id), ""

    def _control(self) -> frozenset[int]:
        """Tokens that no text may become: special ones, those that end answers, and those of the template's turns."""
        added = self.tokenizer.added_tokens_decoder
        turns = {t for t in self._tokens(self._frame.turns) if t in added}
        marks = {t for t, token in added.items() if token.special} | set(self.tokenizer.all_special_ids)
        marks |= {t for t in turns | self.stops if t in added and added[t].content.strip()}
        # What a tokenizer makes of characters that it does not know is no mark, though it is a special token.
        unknown = {self.tokenizer.unk_token_id}
        with suppress(UnreadableTextError):  # where it makes nothing of them, there is no such token
            unknown |= set(self._tokens(NOBODY))
        return frozenset(marks - (unknown - self.stops))

    def _marks_in(self, tokens: Sequence[int]) -> list[int]:
        return [token for token in tokens if token in self._marks]


def _arguments(given: Mapping[str, Any] | None, template: str) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"student_args.template_args is {given!r}; give a table, such as {{enable_thinking = false}}")
    if given and template == "plain":
        raise ValueError("template_args is given and template 'plain' has no arguments; leave it out")
    for name in RESERVED & set(given or {}):
        raise ValueError(f"student_args.template_args.{name} is not yours to give; leave it out")
    return dict(given or {})


def _default(template: str | Mapping[str, str] | None, folder: Path) -> str:
    """The chat template, of several named ones ``default``."""
    if isinstance(template, Mapping):
        if "default" not in template:
            raise ValueError(
                f"path {str(folder)!r} has chat templates {', '.join(sorted(template))}, and none named default; "
                "give template='plain', or name one of them default in its tokenizer_config.json"
            )
        template = template["default"]
    if not template:
        raise ValueError(
            f"path {str(folder)!r} has no chat template; give template='plain' (prompt and a line break), or a "
            "chat model"
        )
    return template


def ends_of(folder: Path) -> set[int]:
    """Tokens that end a text by the model's own word: ``generation_config.json``, else ``config.json``.

    Raises:
        ValueError: If it names what is no token.
    """
    name = "generation_config.json"
    if not (folder / name).is_file():
        name = "config.json"
    said = read_config(folder, name)
    if name == "config.json" and isinstance(said.get("text_config"), dict):
        said = said["text_config"] | said
    ends = said.get("eos_token_id")
    ends = ends if isinstance(ends, list) else [] if ends is None else [ends]
    for token in ends:
        if not isinstance(token, int) or isinstance(token, bool) or token < 0:
            raise ValueError(f"{folder / name}: eos_token_id holds {token!r}, which is no token; fetch the model again")
    return set(ends)
