"""A server that speaks vLLM's dialect of OpenAI's completions: what it is, its adapters, and what it writes.

What it sends is data: replies have a largest size, and tokens are checked before they are read as text.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from dataenv.errors import DataenvError
from students.causal_lm.served import ServedPrompt

LARGEST = 1 << 26
"""Bytes of the longest reply that is read."""
PATIENCE = 600.0
"""Seconds for one reply."""
TRIES, PAUSE = 3, 1.0
"""How often a server that is busy or away is asked, and the seconds before the second time; each time twice as long."""
BUSY = (429, 502, 503)
"""Replies of a server that may answer later."""
ROWS, AT_ONCE = 64, 8
"""Prompts in one request, and requests at once."""


class ServingError(DataenvError, RuntimeError):
    """A serving engine cannot be used, or answered what is no answer. Its message is one sentence."""


class UnknownModelError(ServingError):
    """The server has no model or adapter of that name."""


class ServingClient:
    """A serving engine at an address.

    Args:
        address: ``http://host:port``.
        tries: How often it is asked where it is busy or away.
    """

    def __init__(self, address: str, tries: int = TRIES) -> None:
        self.address, self._tries = address, tries
        self._at = urlsplit(address)

    def version(self) -> str:
        """Its release, from ``/version``."""
        return str(self._object("/version").get("version", ""))[:64]

    def models(self) -> list[dict[str, Any]]:
        """The models and adapters that it serves, from ``/v1/models``: ``id``, ``root``, ``parent`` and more."""
        found = self._object("/v1/models").get("data")
        return [model for model in found if isinstance(model, dict)] if isinstance(found, list) else []

    def info(self) -> dict[str, Any]:
        """What it tells of its configuration, from ``/server_info``; nothing where it does not (it is optional)."""
        try:
            return self._object("/server_info?config_format=json")
        except UnknownModelError:  # the route is not there
            return {}

    def load(self, name: str, folder: str) -> None:
        """Load an adapter from a folder that the server can read."""
        self._send("/v1/load_lora_adapter", {"lora_name": name, "lora_path": folder})

    def unload(self, name: str) -> None:
        """Forget an adapter."""
        self._send("/v1/unload_lora_adapter", {"lora_name": name})

    def complete(
        self, model: str, requests: Sequence[ServedPrompt], temperature: float, stops: Sequence[int]
    ) -> list[list[int]]:
        """What it writes behind each prompt, in tokens, in order.

        Prompts are sent some at a time. Where answers are drawn, each is a request by itself, for it has a seed.

        Args:
            model: A model, or an adapter that is loaded.
            requests: The prompts.
            temperature: 0 is greedy.
            stops: Tokens that end an answer. No others do.

        Raises:
            UnknownModelError: If it has no such model.
            ServingError: If it does not answer, or not with as many tokens as it may.
        """
        order = sorted(range(len(requests)), key=lambda i: (requests[i].room, requests[i].ids))
        chunks = []
        for _, same in groupby(order, key=lambda i: requests[i].room):
            places, most = list(same), 1 if temperature else ROWS
            chunks += [places[at : at + most] for at in range(0, len(places), most)]

        def ask(places: list[int]) -> list[list[int]]:
            return self._complete(model, [requests[i] for i in places], temperature, stops)

        out: list[list[int]] = [[] for _ in requests]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for places, found in zip(chunks, threads.map(ask, chunks), strict=True):
                for i, tokens in zip(places, found, strict=True):
                    out[i] = tokens
        return out

    def _complete(
        self, model: str, some: Sequence[ServedPrompt], temperature: float, stops: Sequence[int]
    ) -> list[list[int]]:
        """Ask for answers of equal room. How tokens are chosen is said in full, for a model may bring defaults."""
        body = {
            "model": model,
            "prompt": [list(each.ids) for each in some],
            "max_tokens": some[0].room,
            "temperature": temperature,
            "seed": some[0].seed,
            "stop_token_ids": list(stops),
            "ignore_eos": True,
            "return_token_ids": True,
            "top_p": 1.0,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
        }
        found = self._send("/v1/completions", body).get("choices")
        choices = {c.get("index"): c for c in found if isinstance(c, dict)} if isinstance(found, list) else {}
        out = []
        for i, each in enumerate(some):
            tokens = choices.get(i, {}).get("token_ids")
            if not isinstance(tokens, list) or len(tokens) > each.room:
                raise ServingError(
                    f"the server at {self.address} gives no token ids with its answers; vLLM does from 0.10.2"
                )
            out.append(tokens)
        return out

    def _object(self, path: str) -> dict[str, Any]:
        return self._asked("GET", path, None)

    def _send(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._asked("POST", path, json.dumps(body))

    def _asked(self, method: str, path: str, body: str | None) -> dict[str, Any]:
        """The JSON object of a reply; an empty one for a reply that is plain text."""
        for attempt in range(1, self._tries + 1):
            try:
                status, data = self._once(method, path, body)
            except OSError as error:
                if attempt == self._tries:
                    raise ServingError(f"no server answers at {self.address} ({error}); start it there") from None
            else:
                if status == 200:
                    return _parsed(data, self.address)
                if status not in BUSY or attempt == self._tries:
                    kind = UnknownModelError if status == 404 else ServingError
                    raise kind(f"the server at {self.address} says {status}: {_reason(data)}")
            time.sleep(PAUSE * 2 ** (attempt - 1))
        raise AssertionError("the last try returns or raises")

    def _once(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        """Status and body of one reply. No proxy is between, for the address is the person's own.

        Raises:
            OSError: If there is none.
        """
        from http.client import HTTPConnection, HTTPException, HTTPSConnection

        kind = HTTPSConnection if self._at.scheme == "https" else HTTPConnection
        connection = kind(self._at.netloc, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            return reply.status, reply.read(LARGEST + 1)
        except HTTPException as error:
            raise OSError(f"{type(error).__name__}: {error}") from None
        finally:
            connection.close()


def _parsed(data: bytes, address: str) -> dict[str, Any]:
    if len(data) > LARGEST:
        raise ServingError(f"the server at {address} sent more than {LARGEST >> 20} MB; is it a serving engine?")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _reason(data: bytes) -> str:
    """What a server says of an error, on one line."""
    try:
        found = json.loads(data)
        found = found.get("error", found)
        found = found.get("message", found)
    except (ValueError, RecursionError, AttributeError):
        found = data.decode("utf-8", "replace")
    return " ".join(str(found).split())[:300]
