"""Prompts: jinja2 templates beside their teacher, into which everything from outside goes as data.

What a student wrote may hold instructions. It is therefore never part of a template's text: every value that is given
to ``render`` and is no number becomes a *block*, JSON between two marks that hold its name and a nonce. Texts inside
are cut and stripped of what is invisible, and what a tokenizer could take for one of its marks is escaped, as JSON may
be. No text in a block holds the nonce, so none can close its block.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.records import Record

if TYPE_CHECKING:
    from jinja2 import Template

LONGEST = 16_384
"""Characters of one text in a block."""

_CHAT_TOKEN = re.compile(
    r"<[|｜][^<>\s]{0,64}?[|｜]>"  # ChatML, Llama 3, Phi, DeepSeek
    r"|</?(?:s|bos|eos|pad|unk|mask|think|tool_call|tool_response|start_of_turn|end_of_turn)>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|IMG)\]"
    r"|<{1,2}/?SYS>{1,2}",
    re.IGNORECASE,
)


def render(template: str, rng: np.random.Generator, *, longest: int = LONGEST, **data: Any) -> str:
    """A prompt.

    Args:
        template: ``"package:file.j2"``, a file that ships with its package. ``{{ name }}`` is the block of that value,
            ``{{ nonce }}`` what its marks hold.
        rng: Where the nonce is drawn from. The nonce is part of the request, so a run that is to come back to the same
            replies gives an equal one (``tasks.records.stream``).
        longest: Characters of one text; what is longer is cut and ends in ``…``.
        **data: Numbers stand as they are. Everything else (texts, records, lists and dicts of them) is data.

    Raises:
        jinja2.UndefinedError: If the template asks for a value that was not given.
    """
    plain = {name: value for name, value in data.items() if isinstance(value, bool | int | float)}
    texts = {name: as_json(value, longest) for name, value in data.items() if name not in plain}
    nonce = _nonce(rng, "\n".join([_source(template), *texts.values()]))
    blocks = {name: f"<{name} {nonce}>\n{text}\n</{name} {nonce}>" for name, text in texts.items()}
    return _template(template).render(nonce=nonce, **plain, **blocks)


def _nonce(rng: np.random.Generator, text: str) -> str:
    """Sixteen hex digits that the text does not hold."""
    while (nonce := rng.bytes(8).hex()) in text:
        pass
    return nonce


def as_json(value: Any, longest: int = LONGEST) -> str:
    """A value as JSON, one item of a list a line. Texts are cut, without what is invisible, and with escaped marks."""
    safe = _safe(value, longest)
    if isinstance(safe, list):
        text = "[" + ",\n ".join(json.dumps(item, ensure_ascii=False) for item in safe) + "]"
    else:
        text = json.dumps(safe, ensure_ascii=False)
    return text.translate(_ESCAPES)


def _safe(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return _MARK.sub(lambda mark: _STAND_INS[mark[0]], _fitting(_visible(value, longest), longest))
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Record):
        return _safe(value.model_dump(mode="json"), longest)
    if isinstance(value, Mapping):
        return {_safe(str(name), longest): _safe(item, longest) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [_safe(item, longest) for item in value]
    raise TypeError(f"data holds a {type(value).__name__}; give texts, numbers, records, lists and dicts of them")


def escaped(text: str) -> str:
    """A text that is JSON, or should be, with the first character of each mark as JSON escapes it."""
    return _MARK.sub(lambda mark: _ESCAPES[ord(_STAND_INS[mark[0]])], text)


def cleaned(text: str, longest: int = LONGEST) -> str:
    """A text without control characters, invisible characters and chat-template tokens, and not too long.

    Tabs and newlines stay. A token leaves a space behind: else ``<|im_<s>start|>`` would leave a token.
    """
    return _fitting(_CHAT_TOKEN.sub(" ", _visible(text, longest)), longest)


def _visible(text: str, longest: int) -> str:
    """The beginning of a text, without what cannot be seen."""
    text = text[: 64 * longest + 64]  # a text of megabytes is not worth reading to its end
    if text.isascii() and text.isprintable():
        return text
    text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in _INVISIBLE)
    return _UNSEEN.sub("", text)


def _fitting(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: max(0, longest - 1)] + "…"


_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
"""Unicode's general categories: control, format (hides text, turns it round), half a pair, private, line separators."""
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0d\uffa0\U000e0000-\U000e0fff]"
    "|(?<=[\ufe0e\ufe0f])[\ufe0e\ufe0f]"
)
"""Letters and selectors that show nothing, of other categories. One selector of an emoji's style may stay."""
_MARK = re.compile(
    r"[<＜﹤◁](?=[^<＜﹤\n]{1,80}?[>＞﹥▷])"  # <|im_start|>, <unused0>, <|a b|>, and what a tokenizer may fold to them
    r"|[\[［](?=[/|｜]?[A-Za-z][\w-]{1,40}[|｜]?[\]］])"  # [INST], [gMASK], [|user|]
)
"""Where something begins that a tokenizer may know as one of its marks. Which marks there are is for it to know."""
_STAND_INS = {c: chr(0xE000 + i) for i, c in enumerate("<＜﹤◁[［")}
"""Private characters, which no visible text holds, until the JSON is written."""
_ESCAPES = {ord(stand_in): f"\\u{ord(c):04x}" for c, stand_in in _STAND_INS.items()}


@lru_cache(maxsize=64)
def _source(template: str) -> str:
    package, _, file = template.partition(":")
    return resources.files(package).joinpath(file).read_text(encoding="utf-8")


@lru_cache(maxsize=64)
def _template(template: str) -> Template:
    from jinja2 import Environment, StrictUndefined

    # No autoescape: a prompt is no HTML, and what is data went through as_json.
    environment = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_source(template))
