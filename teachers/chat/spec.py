"""What is said to a chat server and what comes of it: the settings, one request, one attempt, one reply."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dataenv.budget.teacher import Cost
from dataenv.errors import DataenvError
from dataenv.validation import validated
from students import keys
from tasks.records import Record, digest

Outcome = Literal[
    "ok", "invalid", "truncated", "refused", "empty",
    "oversized", "garbage", "dropped", "deadline", "redirect",
    "no-server", "wrong-key", "wrong-model", "context", "bad-request", "rate-limited", "quota", "server-error",
    "budget", "unrecorded",
]  # fmt: skip
"""What the world did. Each is explained in ``docs/chat.md``."""

ANSWERED: frozenset[Outcome] = frozenset({"ok", "truncated", "refused", "empty"})
"""The model has spoken. These attempts are never made again: a stored one is the reply."""
RETRIED: frozenset[Outcome] = frozenset({"rate-limited", "server-error", "no-server", "dropped", "garbage"})
"""Another attempt may go better."""
NOBODY: frozenset[Outcome] = frozenset(get_args(Outcome)) - ANSWERED - {"invalid"}
"""No model had a part in the reply."""
UNCLEAR: frozenset[Outcome] = frozenset({"oversized", "garbage", "dropped", "deadline"})
"""The server may have worked, and may send a bill: these are charged the most that the request can have cost."""

DENSEST = 32
"""Bytes of text in one token, more than which no count of a server is believed; tokenizers come to about four."""
MESSAGE_TOKENS = 16
"""Allowed for each message on top of its bytes, for the tokens that a chat template puts around it."""


class ChatError(DataenvError, ValueError):
    """The chat settings cannot be used; one sentence that names the field and the mend."""


class ChatSpec(Record):
    """A server, a model, and how far to go with them. Plain JSON; unknown fields are refused.

    Attributes:
        base_url: Up to and including ``/v1``, as in ``http://127.0.0.1:8080/v1``; ``local`` for the small model of
            ``teachers.chat.local``, whose server is started by the first request.
        model: As the server names it.
        key_env: The environment variable that holds the key, in capitals and with KEY or TOKEN at its end; empty where
            the server asks for none. The key itself is read when a request is sent, and is never stored, logged or
            hashed. It is sent to hosts that the person allows (``students.keys``), and to none in clear.
        temperature: In [0, 2]; ``None`` leaves it to the server (some models refuse it).
        max_tokens: The longest reply.
        limit_name: What the server calls that; newer models of OpenAI want ``max_completion_tokens``.
        seed: The seed of sample 0; sample ``i`` is sent ``seed + i``. ``None`` sends none.
        json_mode: How a schema is asked for: as ``json_schema``, as ``json_object``, or not at all.
        extra: Further fields of the request, as the server documents them (``{"reasoning_effort": "low"}``).
        retries: Further attempts after the first, at the most.
        deadline: Seconds for one request, with all its attempts and waits.
        longest_wait: Seconds between two attempts at the most, whatever the server asks for.
        max_bytes: Largest reply that is read.
        concurrency: Requests in flight at a time.
        price_in: Money for 1M prompt tokens; the currency is yours.
        price_out: Money for 1M tokens of replies.
        tokens: The most tokens that may be spent, prompts and replies together; ``None`` for no cap.
        money: The most money that may be spent; ``None`` for no cap.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # it may hold a key

    base_url: str
    model: Annotated[str, Field(min_length=1)]
    key_env: str = ""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.7
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    seed: Annotated[int, Field(ge=0)] | None = 0
    json_mode: Literal["schema", "object", "text"] = "schema"
    extra: dict[str, Any] = {}
    retries: Annotated[int, Field(ge=0, le=10)] = 3
    deadline: Annotated[float, Field(gt=0, le=3600)] = 120.0
    longest_wait: Annotated[float, Field(ge=0, le=600)] = 30.0
    max_bytes: Annotated[int, Field(ge=1)] = 2_000_000
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    price_in: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    price_out: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    tokens: Annotated[int, Field(ge=0)] | None = None
    money: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _usable(self) -> ChatSpec:
        """Refuse an address that is no URL, and what would put a key where it is seen."""
        if self.base_url == LOCAL and self.model != LOCAL_CHAT["model"]:
            raise ValueError(f"model is {self.model!r}, and the local one is {LOCAL_CHAT['model']!r}; leave it out")
        if self.base_url != LOCAL:
            keys.require_address(self.base_url, example=f"http://127.0.0.1:8080/v1, or {LOCAL!r}")
        if self.key_env and not keys.is_name(self.key_env):
            raise ValueError(
                "key_env is no name of a variable in capitals that ends in KEY or TOKEN; "
                "put the key into such a variable, and give its name"
            )
        if self.key_env and urlsplit(self.base_url).scheme == "http" and (clear := keys.in_clear(self.base_url)):
            raise ValueError(clear)
        taken = sorted(self.extra.keys() & {"model", "messages", "stream", "n", "seed", self.limit_name})
        if taken:
            raise ValueError(f"extra holds {taken[0]!r}, which is not for it to set; remove it")
        shown = {"model": self.model, "base_url": self.base_url, "extra": self.extra}
        found = keys.held(shown) or keys.named(shown)
        if found:
            raise ValueError(f"{found} holds a key, which would be stored; name its environment variable in key_env")
        return self

    def key(self) -> str:
        """The key, from its environment variable; a placeholder where the server asks for none.

        Raises:
            ChatError: If the variable is not set, holds what cannot be a key, or is not for this host.
        """
        if not self.key_env:
            return NO_KEY
        return keys.secret(self.key_env, self.base_url, refused=ChatError)


NO_KEY = "none"
LOCAL = "local"
LOCAL_CHAT: dict[str, Any] = {
    "base_url": LOCAL,
    "model": "smollm2-135m-instruct-q4_1",
    "max_tokens": 256,
    "concurrency": 8,
    "deadline": 600.0,
}
"""What is meant where no more is said than ``local``: a slow model, eight requests at a time."""


def make_spec(fields: Mapping[str, Any] | str, where: str = "chat") -> ChatSpec:
    """Chat settings from plain values, or from a ``base_url`` alone; for ``local``, ``LOCAL_CHAT`` fills in the rest.

    Raises:
        ChatError: With every wrong field by name and what it should be.
    """
    given = {"base_url": fields} if isinstance(fields, str) else dict(fields)
    if given.get("base_url") == LOCAL:
        given = LOCAL_CHAT | given
    return validated(ChatSpec, given, where, ChatError)


class Message(Record):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        messages: The conversation so far; a text is one message of the user.
        schema: What the reply must be, as a pydantic model; ``None`` takes any text.
        sample: Which of several replies to the same messages this is.
        max_tokens: The longest reply; ``None`` for the settings'.
        temperature: ``None`` for the settings'.
    """

    messages: tuple[Message, ...] | str
    schema: type[BaseModel] | None = None
    sample: int = 0
    max_tokens: int | None = None
    temperature: float | None = None

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages."""
        if isinstance(self.messages, str):
            return (Message(role="user", content=self.messages),)
        return self.messages


def sent(ask: Ask) -> dict[str, Any]:
    """An ask as plain JSON, its schema with its name: what crosses the pipe of a teacher in a process of its own."""
    schema = ask.schema and {"name": ask.schema.__name__, "schema": ask.schema.model_json_schema()}
    return {
        "messages": [message.model_dump() for message in ask.turns],
        "schema": schema,
        "sample": ask.sample,
        "max_tokens": ask.max_tokens,
        "temperature": ask.temperature,
    }


@dataclass(frozen=True)
class ChatRequest:
    """An ask as it is sent. Its name holds neither the server's address nor the key.

    Attributes:
        body: The JSON that is sent.
        sample: See Ask.
        limit: The longest reply, in tokens.
    """

    body: dict[str, Any]
    sample: int
    limit: int

    @cached_property
    def key(self) -> str:
        """Names the request: SHA-256 of the body and the sample index."""
        return digest([self.body, self.sample])

    @cached_property
    def most_in(self) -> int:
        """At least as many tokens as the prompt can have: no tokenizer makes more tokens than there are bytes."""
        schema = len(str(self.body["response_format"]).encode()) if "response_format" in self.body else 0
        texts = sum(len(message["content"].encode()) + MESSAGE_TOKENS for message in self.body["messages"])
        return texts + schema

    @property
    def most(self) -> int:
        """At least as many tokens as the request can cost."""
        return self.most_in + self.limit

    def least(self, said: str) -> tuple[int, int]:
        """Tokens that the prompt and a reply have at the least, whatever a server says: one for ``DENSEST`` bytes.

        Never more than what was set aside, so that caps hold.
        """
        texts = sum(len(message["content"].encode()) for message in self.body["messages"])
        return texts // DENSEST, min(self.limit, len(said.encode()) // DENSEST)


def make_request(spec: ChatSpec, ask: Ask) -> ChatRequest:
    """The request of an ask under some settings."""
    limit = spec.max_tokens if ask.max_tokens is None else ask.max_tokens
    temperature = spec.temperature if ask.temperature is None else ask.temperature
    body: dict[str, Any] = {
        **spec.extra,
        "model": spec.model,
        "messages": [{"role": m.role, "content": whole(m.content)} for m in ask.turns],
        spec.limit_name: limit,
    }
    if temperature is not None:
        body["temperature"] = temperature
    if spec.seed is not None:
        body["seed"] = spec.seed + ask.sample
    if ask.schema is not None and spec.json_mode == "object":
        body["response_format"] = {"type": "json_object"}
    elif ask.schema is not None and spec.json_mode == "schema":
        form = {"name": ask.schema.__name__, "schema": ask.schema.model_json_schema(), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return ChatRequest(body, ask.sample, limit)


def price(spec: ChatSpec, tokens_in: int, tokens_out: int) -> Cost:
    """What some tokens cost: money for a million tokens is millionths for one. Parts of a millionth are rounded up."""
    exact = tokens_in * spec.price_in + tokens_out * spec.price_out
    return Cost(tokens_in, tokens_out, math.ceil(exact - 1e-6))


def most(spec: ChatSpec, request: ChatRequest) -> Cost:
    """The most that a request can cost."""
    return price(spec, request.most_in, request.limit)


def whole(text: str) -> str:
    """The text with every lone half of a surrogate pair replaced, so that UTF-8 can hold it."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Attempt(Record):
    """One attempt, as it is stored: what was sent, what came back, what it cost.

    Attributes:
        request: The JSON that was sent; no address, no key.
        sample: See Ask.
        number: Which attempt at this request, from 0.
        outcome: What came of it.
        text: The reply.
        detail: Why it is not ``ok``.
        finish: The server's finish reason.
        served: The model that answered, as the server names it; ``scripted`` for a script of ours.
        tokens_in: Of the prompt.
        tokens_out: Of the reply.
        estimated: Whether the tokens are not the server's: the most that it can have cost where it did not count, the
            least where it counted fewer than its texts can have.
        micros: What that cost, in millionths of the currency.
    """

    request: dict[str, Any]
    sample: int
    number: int
    outcome: Outcome
    text: str = ""
    detail: str = ""
    finish: str = ""
    served: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    estimated: bool = False
    micros: int = 0


@dataclass(frozen=True)
class Reply:
    """What came of an ask.

    Attributes:
        outcome: ``ok``, or why there is nothing.
        text: What the model said, whatever the outcome.
        value: The parsed reply where the ask had a schema and the outcome is ``ok``; else ``None``.
        detail: Why the outcome is not ``ok``.
        attempts: How often the server was asked.
        tokens_in: Of all prompts that were sent for it.
        tokens_out: Of all replies.
        micros: What that cost, in millionths of the currency.
    """

    outcome: Outcome
    text: str = ""
    value: Any = None
    detail: str = ""
    attempts: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    micros: int = 0

    @property
    def ok(self) -> bool:
        """Whether there is something to use."""
        return self.outcome == "ok"
