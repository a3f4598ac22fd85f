"""What a server's reply means, as a typed outcome: a chat completion, an error inside one, or a complaint.

Servers say the same thing in many ways. What is known of OpenAI, Azure, OpenRouter, vLLM, llama.cpp, Ollama, Mistral,
Gemini, Anthropic and DeepSeek is in the tables below; what is not known is never taken for what a model said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from teachers.chat.spec import Outcome, whole

DETAIL = 300
"""Characters of a server's complaint that are kept."""
LOOKED_AT = 1 << 16
"""Bytes of a reply that is no JSON, and of a complaint, that are looked at."""

Clean = Callable[[str], str]
"""Takes secrets out of a text. It comes before every cut: of a key that was cut first, a part would be left."""


def as_it_is(text: str) -> str:
    """The text, where there is no secret to be taken out."""
    return text


@dataclass(frozen=True)
class Heard:
    """What came back of one attempt; see ``Attempt``.

    Attributes:
        usage: Tokens of prompt and reply, where the server said so.
        wait: Seconds that the server asks to wait.
    """

    outcome: Outcome
    text: str = ""
    detail: str = ""
    finish: str = ""
    served: str = ""
    usage: tuple[int, int] | None = None
    wait: float | None = None


# --- complaints ------------------------------------------------------------------------------------------------------

_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum (?:context|model) length|"
    r"context (?:size|length|window|limit)|prompt is too long|input is too long|input token count|"
    r"string_above_max_length|reduce the length"
)
_NO_MODEL = re.compile(
    r"model_not_found|model_decommissioned|model.{0,200}(?:not found|does not exist|not loaded)|"
    r"not a valid model|model identifier is invalid"
)
_NO_MONEY = re.compile(
    r"insufficient_quota|billing|credit balance|insufficient (?:balance|credits?|funds)|key limit exceeded"
)
_BAD_KEY = re.compile(
    r"invalid_api_key|api_key_invalid|(?:incorrect|invalid|missing|expired) api[ _-]?key|"
    r"api[ _-]?key (?:is |has )?(?:not valid|invalid|expired|missing)"
)
_FILTERED = re.compile(
    r"content[_ ]?filter|content[_ ]?polic(?:y|ies)|content management policy|content exists risk|"
    r"responsible_?ai_?policy|data_?inspection_?failed|invalid_prompt|prohibited_content|moderation_blocked|"
    r"requires moderation|usage (?:policy|policies|guidelines)|safety (?:system|check|filter|polic)|guardrail|"
    r"(?:input|output|prompt|request|content|message)\b[^.]{0,80}\b(?:flagged|inappropriate|unsafe|sensitive|high risk)"
)
"""Said of a prompt or a reply that a filter stopped: what the server has to say to it, and will say again."""
_TRANSIENT = (408, 409, 425, 498, 499)


def complaint(status: int, body: bytes, wait: float | None = None, clean: Clean = as_it_is) -> Heard:
    """What an HTTP status that is not 200 means; servers say it in many ways, so the text is looked at too.

    Args:
        status: Of the reply.
        body: Its first bytes.
        wait: See Heard.
        clean: Takes secrets out.
    """
    text = clean(whole(body.decode("utf-8", "replace")))
    try:
        read = _tidied(json.loads(text), clean)
    except (ValueError, RecursionError):
        read = None
    read = read[0] if isinstance(read, list) and read else read  # Gemini
    error = (read.get("error") or read) if isinstance(read, dict) else None
    outcome = _complained(status, text.lower() if error is None else _words(error), error is not None)
    said = cut(text if error is None else _sentence(error), clean)
    return Heard(outcome, detail=f"HTTP {status}: {said}", wait=wait if outcome in _WAITED else None)


_WAITED: tuple[Outcome, ...] = ("rate-limited", "server-error", "no-server")


def _complained(status: int, words: str, is_json: bool) -> Outcome:
    """The outcome of a status, and of what is said with it in lower case.

    Whether a filter stopped it is believed in JSON alone: the page of a company's web filter is no word of a model's.
    """
    if status == 401:
        return "wrong-key"
    if status == 407:
        return "no-server"
    if status == 402 or (status in (400, 403, 429) and _NO_MONEY.search(words)):
        return "quota"
    if status == 429:
        return "rate-limited"
    if status == 413 or (status != 403 and _TOO_LONG.search(words)):
        return "context"
    if status == 404 or (is_json and status in (400, 403, 422) and _NO_MODEL.search(words)):
        return "wrong-model"
    if is_json and status < 500 and _FILTERED.search(words):
        return "refused"
    if status == 403 or (status == 400 and _BAD_KEY.search(words)):
        return "wrong-key"
    if status >= 500 or status in _TRANSIENT:
        return "server-error"
    return "garbage" if status < 400 else "bad-request"


_FIELDS = ("code", "type", "status", "message", "msg", "detail", "innererror", "metadata")


def _words(error: Any) -> str:
    """What an error object says of itself, in lower case. Not all of it: some servers repeat the prompt in there."""
    if not isinstance(error, dict):
        return str(error)[:1000].lower()
    return " ".join(str(error[name])[:1000] for name in _FIELDS if error.get(name)).lower()


def _sentence(error: Any) -> str:
    """The sentence of an error; all of it if its form is unknown. A router's own says less than what it passes on."""
    if not isinstance(error, dict):
        return str(error)
    said = error.get("message") or error.get("detail") or error
    beside = error.get("metadata")
    raw = beside.get("raw") if isinstance(beside, dict) else None
    return f"{said} ({raw})" if raw else str(said)


# --- replies with HTTP 200 -------------------------------------------------------------------------------------------

_STOPPED = (
    "content_filter", "content-filter", "refusal", "safety", "prohibited_content", "blocklist", "spii", "recitation",
    "sensitive", "guardrail", "error_toxic",
)  # fmt: skip
"""How finish reasons begin that say a filter stopped the reply."""
_AT_LONGEST = (
    "length", "max_tokens", "max_output_tokens", "max_length", "model_length", "model_context_window_exceeded", "limit",
)  # fmt: skip
_BROKEN = ("error", "abort", "cancel", "timeout", "network_error", "insufficient_system_resource", "overloaded")
"""How finish reasons begin that say the server failed on the way: no word of the model's."""


def _joined(content: Any) -> Any:
    """The text of a reply that comes in parts, without parts that are thoughts."""
    if not isinstance(content, list):
        return content
    parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(str(part.get("text") or "") for part in parts)


class _Said(BaseModel):
    content: Annotated[str | None, BeforeValidator(_joined)] = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None
    reasoning_content: Any = None
    reasoning: Any = None


class _Choice(BaseModel):
    message: _Said | None = None
    finish_reason: str | None = None
    error: Any = None


class _Body(BaseModel):
    """As much of a chat completion as is used."""

    choices: list[_Choice] | None = None
    model: str | None = None
    usage: Any = None
    error: Any = None
    object: Any = None


def understand(body: bytes, clean: Clean = as_it_is) -> Heard:
    """What a reply with HTTP 200 says: refusals and errors first, for both come with a text that looks whole.

    Args:
        body: All of it.
        clean: Takes secrets out.
    """
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        said = body[:LOOKED_AT].decode("utf-8", "replace")
        return Heard("garbage", detail=f"not JSON: {cut(said, clean)}")
    try:
        read = _tidied(read, clean)
        known = _Body.model_validate(read)
    except (ValidationError, RecursionError):
        return Heard("garbage", detail=f"no chat completion: {cut(str(read), clean)}")
    choice = known.choices[0] if known.choices else _Choice()
    error = known.error or choice.error or (read if known.object == "error" else None)
    usage, finish = _usage(known.usage), choice.finish_reason or ""
    heard = _declined(choice) or _failed(error, finish, clean)
    if heard is None and choice.message is None:
        return Heard("garbage", detail=f"no chat completion: {cut(str(read), clean)}", usage=usage)
    heard = heard or _answer(choice, usage)
    return replace(heard, finish=cut(finish, clean), served=_named(known.model or "", clean), usage=usage)


def _declined(choice: _Choice) -> Heard | None:
    """A reply that the model refused, or a filter stopped."""
    said, finish = choice.message or _Said(), choice.finish_reason or ""
    if not said.refusal and not finish.lower().startswith(_STOPPED):
        return None
    return Heard("refused", said.content or "", cut(said.refusal or finish))


def _failed(error: Any, finish: str, clean: Clean) -> Heard | None:
    """An error inside a reply. What was said until then is no reply, and is not kept as one."""
    if error:
        code = error.get("code") or error.get("status") if isinstance(error, dict) else None
        number = int(str(code)) if re.fullmatch(r"[45]\d\d", str(code), re.ASCII) else 0
        words = _words(error)
        status = number or (400 if _FILTERED.search(words) else 500)
        return Heard(_complained(status, words, True), detail=f"an error with HTTP 200: {cut(_sentence(error), clean)}")
    if finish.lower().startswith(_BROKEN):
        return Heard("server-error", detail=f"the reply broke off: finish reason {cut(finish)}")
    return None


def _answer(choice: _Choice, usage: tuple[int, int] | None) -> Heard:
    """What the model said. Nothing, without a reason or a token, is not what it said: the server has failed."""
    said, finish = choice.message or _Said(), choice.finish_reason or ""
    text = said.content or ""
    if finish.lower() in _AT_LONGEST:
        return Heard("truncated", text, "the reply was cut at its longest (max_tokens)")
    if text.strip():
        return Heard("ok", text)
    if said.tool_calls:
        return Heard("empty", text, "tools were called in place of a reply")
    if said.reasoning_content or said.reasoning:
        return Heard("empty", text, "a thought, and no reply")
    if not finish or (usage is not None and usage[1] == 0):
        return Heard("server-error", detail="no text, and no token or finish reason: the model was not asked")
    return Heard("empty", text, "no text")


def _named(model: str, clean: Clean) -> str:
    """The model's own name; of a path, which names a file on the server, the last part."""
    absolute = model.startswith("/") or model[1:3] == ":\\"
    return cut(model.replace("\\", "/").rsplit("/", 1)[-1] if absolute else model, clean)


class _Usage(BaseModel):
    prompt_tokens: int = Field(ge=0, le=10**9)
    completion_tokens: int = Field(ge=0, le=10**9)


def _usage(said: Any) -> tuple[int, int] | None:
    """The tokens that the server counted; ``None`` if it gives no count or an impossible one."""
    try:
        usage = _Usage.model_validate(said)
    except ValidationError:
        return None
    return usage.prompt_tokens, usage.completion_tokens


# --- texts -----------------------------------------------------------------------------------------------------------


def cut(text: str, clean: Clean = as_it_is) -> str:
    """The text as one short line, without secrets."""
    return clean(whole(" ".join(text.split())))[:DETAIL]


def _tidied(value: Any, clean: Clean) -> Any:
    """The same JSON without secrets, and without lone halves of surrogate pairs."""
    if isinstance(value, str):
        return clean(whole(value))
    if isinstance(value, list):
        return [_tidied(item, clean) for item in value]
    if isinstance(value, dict):
        return {clean(whole(name)): _tidied(item, clean) for name, item in value.items()}
    return value
