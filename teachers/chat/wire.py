"""One attempt over the wire, with the ``openai`` package: everything that a server can do is a typed outcome.

What the package lacks is added around it (measured with openai 3.54): its retries are off, a reply is read in pieces up
to a cap and a deadline, redirects are not followed, and what comes back is checked for being a reply at all.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError

from dataenv.errors import DataenvError
from teachers.chat.spec import LOCAL, NO_KEY, ChatError, ChatRequest, ChatSpec, Outcome, whole

PIECE = 1 << 16
DETAIL = 300
"""Characters of a server's complaint that are kept."""


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


class _StopError(DataenvError):
    """Ends an attempt, and holds its outcome."""

    def __init__(self, heard: Heard) -> None:
        super().__init__(heard.outcome)
        self.heard = heard


class Wire:
    """A pool of connections to one server. It belongs to one event loop and is opened by the first attempt.

    Args:
        spec: Address, model, key and limits.
    """

    def __init__(self, spec: ChatSpec) -> None:
        self._spec, self._key = spec, NO_KEY
        self._client: Any = None

    def open(self) -> None:
        """Make the client.

        Raises:
            ChatError: If the key's environment variable is not set, ``openai`` is not installed, or the local server
                does not start.
        """
        if self._client is not None:
            return
        self._key = self._spec.key()
        try:
            import openai
        except ImportError as error:
            raise ChatError(f"openai cannot be imported ({error}); pip install openai") from None
        url = self._spec.base_url
        if url == LOCAL:
            from teachers.chat.local import local_url

            url = local_url()
        # Reading the certificates takes longer than a local model's first word, and plain HTTP needs none: then TLS has
        # a context that trusts nobody.
        plain = urlsplit(url).scheme == "http"
        trust: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else True
        self._client = openai.AsyncOpenAI(
            api_key=self._key,
            base_url=url,
            max_retries=0,
            timeout=self._spec.deadline,
            default_headers={"Accept-Encoding": "identity"},  # a small compressed reply may be a large one
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False,
                event_hooks={"response": [self._look]},
                timeout=self._spec.deadline,
                verify=trust,
            ),
        )
        # The package takes these from the environment, and they are nothing to tell a server that is not OpenAI's.
        self._client.organization = self._client.project = None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def attempt(self, request: ChatRequest, ends: float) -> Heard:
        """Send a request once.

        Args:
            request: What is sent.
            ends: When to give up, on the loop's clock.
        """
        import openai

        self.open()
        try:
            async with asyncio.timeout_at(ends):
                heard = await self._exchange(request)
        except TimeoutError:
            heard = Heard("deadline", detail=f"no whole reply within {self._spec.deadline:g} s")
        except openai.APITimeoutError:
            heard = Heard("deadline", detail=f"no answer within {self._spec.deadline:g} s")
        except Exception as error:
            heard = _failure(error)
        return self._without_key(heard)

    async def _exchange(self, request: ChatRequest) -> Heard:
        body = {name: value for name, value in request.body.items() if name not in ("model", "messages")}
        create = self._client.chat.completions.with_streaming_response.create
        # openai reads its own fields from the keywords and would check them; all else goes along as it is.
        opened = create(model=request.body["model"], messages=request.body["messages"], extra_body=body)
        async with opened as response:
            whole_body, complete = await _read(response.iter_bytes(PIECE), self._spec.max_bytes)
        if not complete:
            return Heard("oversized", detail=f"more than {self._spec.max_bytes} bytes (max_bytes)")
        return understand(whole_body)

    async def _look(self, response: Any) -> None:
        """Check the headers of a response before its body is read or a redirect is followed."""
        packed = response.headers.get("content-encoding", "identity").lower() not in ("", "identity")
        if response.status_code == 200 and not packed:
            return
        if packed:
            raise _StopError(Heard("garbage", detail="the reply is compressed, which was not asked for"))
        if 300 <= response.status_code < 400:
            raise _StopError(Heard("redirect", detail=f"HTTP {response.status_code}; redirects are not followed"))
        body, _ = await _read(response.aiter_bytes(PIECE), PIECE)
        raise _StopError(complaint(response.status_code, body, _wait(response.headers)))

    def _without_key(self, heard: Heard) -> Heard:
        """The text without the API key, which a server may repeat."""
        if self._key == NO_KEY:
            return heard
        texts = ("text", "detail", "finish", "served")
        return replace(heard, **{name: getattr(heard, name).replace(self._key, "[key]") for name in texts})


async def _read(pieces: AsyncIterator[bytes], most: int) -> tuple[bytes, bool]:
    """A body up to ``most`` bytes, and whether that was all of it."""
    read = bytearray()
    async for piece in pieces:
        read += piece
        if len(read) > most:
            return bytes(read[:most]), False
    return bytes(read), True


def _failure(error: BaseException) -> Heard:
    """The outcome that an exception means, by its chain of causes down to the socket or ``_look``."""
    chain, cause = [error], error.__cause__
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    for link in chain:
        if isinstance(link, _StopError):
            return link.heard
    kinds = " ".join(type(link).__name__ for link in chain)
    said = "; ".join(dict.fromkeys(_cut(str(link)) for link in chain if str(link))) or kinds
    if "ConnectError" in kinds or "ConnectionRefusedError" in kinds or "gaierror" in kinds:
        return Heard("no-server", detail=_cut(said))
    if "Timeout" in kinds:
        return Heard("deadline", detail=_cut(said))
    if any(name in kinds for name in ("ReadError", "WriteError", "CloseError", "ProtocolError", "ConnectionReset")):
        return Heard("dropped", detail=_cut(said))
    raise error


def _wait(headers: Any) -> float | None:
    """Seconds that the server asks to wait; ``None`` where it does not say, or not in seconds."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|context (?:size|length|window)|"
    r"prompt is too long"
)
_NO_MODEL = re.compile(r"model_not_found|model.{0,200}(?:not found|does not exist|not loaded)")
_NO_MONEY = re.compile(r"insufficient_quota|billing")


def complaint(status: int, body: bytes, wait: float | None = None) -> Heard:
    """What an HTTP status that is not 200 means; servers say it in many ways, so the text is looked at too.

    Args:
        status: Of the reply.
        body: Its first bytes.
        wait: See Heard.
    """
    text = whole(body.decode("utf-8", "replace"))
    low = text.lower()
    detail = f"HTTP {status}: {_cut(_message(text))}"
    if status in (401, 403):
        return Heard("wrong-key", detail=detail)
    if status == 402 or (status == 429 and _NO_MONEY.search(low)):
        return Heard("quota", detail=detail)
    if status == 429:
        return Heard("rate-limited", detail=detail, wait=wait)
    if status == 413 or _TOO_LONG.search(low):
        return Heard("context", detail=detail)
    if status == 404 or (status in (400, 422) and _NO_MODEL.search(low)):
        return Heard("wrong-model", detail=detail)
    if status >= 500 or status in (408, 409, 425):
        return Heard("server-error", detail=detail, wait=wait)
    return Heard("garbage" if status < 400 else "bad-request", detail=detail)


def _message(text: str) -> str:
    """The sentence of an error body; the whole body if its form is unknown."""
    try:
        error = json.loads(text)
        error = error.get("error", error)
        return str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError, RecursionError):
        return text


def _cut(text: str) -> str:
    """The text as one short line."""
    return whole(" ".join(text.split()))[:DETAIL]


class _Said(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None


class _Body(BaseModel):
    """As much of a chat completion as is used."""

    choices: list[_Choice] = Field(min_length=1)
    model: str | None = None
    usage: Any = None


def understand(body: bytes) -> Heard:
    """What a reply with HTTP 200 says: finish reason and refusal first, for both come with a text that looks whole."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return Heard("garbage", detail=f"not JSON: {_cut(body[:1000].decode('utf-8', 'replace'))}")
    try:
        said = _Body.model_validate(_whole_texts(read))
    except (ValidationError, RecursionError):
        return Heard("garbage", detail=f"no chat completion: {_cut(str(read)[:1000])}")
    choice = said.choices[0]
    text, finish = choice.message.content or "", choice.finish_reason or ""
    outcome: Outcome = "ok"
    detail = ""
    if choice.message.refusal or finish == "content_filter":
        outcome, detail = "refused", _cut(choice.message.refusal or "content_filter")
    elif finish == "length":
        outcome, detail = "truncated", "the reply was cut at its longest (max_tokens)"
    elif not text.strip():
        outcome, detail = "empty", "tools were called in place of a reply" if choice.message.tool_calls else "no text"
    return Heard(outcome, text, detail, _cut(finish), _named(said.model or ""), _usage(said.usage))


def _named(model: str) -> str:
    """The model's own name; of a path, which names a file on the server, the last part."""
    absolute = model.startswith("/") or model[1:3] == ":\\"
    return _cut(model.replace("\\", "/").rsplit("/", 1)[-1] if absolute else model)


def _whole_texts(value: Any) -> Any:
    """The same JSON without lone halves of surrogate pairs."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, list):
        return [_whole_texts(item) for item in value]
    if isinstance(value, dict):
        return {whole(name): _whole_texts(item) for name, item in value.items()}
    return value


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
