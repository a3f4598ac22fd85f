"""A chat server that does everything a chat server should not. The name of the model says what."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from teachers.chat.scripted import Handler, Server, completion

HUGE = 60_000_000


class Misbehaving(Server):
    """Counts what it is asked; ``over`` ends whatever still hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = Misbehaviour  # type: ignore[assignment]
        self.asked: Counter[str] = Counter()
        self.sent = 0
        self.over = threading.Event()
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what is tested."""


class Misbehaviour(Handler):
    server: Misbehaving

    def do_POST(self) -> None:
        body = self.read()
        assert body is not None
        with self.server.lock:
            self.server.heard.append(body)
            self.server.asked[body["model"]] += 1
            self.time = self.server.asked[body["model"]]
        with contextlib.suppress(OSError):
            CASES[body["model"]](self)

    def say(self, text: Any = "four", *, finish: str = "stop", drop: str = "", **message: Any) -> None:
        whole = completion("four", [], 100)
        whole["choices"][0] |= {"message": {"role": "assistant", "content": text} | message, "finish_reason": finish}
        whole.pop(drop, None)
        self.send(200, whole)

    def begin(self, length: int, kind: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def drip(self, data: bytes) -> None:
        for i in range(len(data)):
            if self.server.over.wait(0.02):
                return
            self.wfile.write(data[i : i + 1])

    def reset(self) -> None:
        """RST in place of an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def flood(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(HUGE))
        self.end_headers()
        for _ in range(HUGE // 100_000):
            self.wfile.write(b" " * 100_000)
            self.server.sent += 100_000

    def html(self, status: int = 200) -> None:
        self.send_bytes(status, b"<html>Bad gateway</html>", {"Content-Type": "text/html"})


def _half_then_reset(it: Misbehaviour) -> None:
    it.begin(1000)
    it.wfile.write(b'{"choices": [')
    it.wfile.flush()
    time.sleep(0.05)
    it.reset()


def _short(it: Misbehaviour) -> None:
    it.begin(1000)
    it.wfile.write(b'{"choices": [')
    it.close_connection = True


def _first(n: int, bad: Callable[[Misbehaviour], None]) -> Callable[[Misbehaviour], None]:
    """Bad ``n`` times, then good."""
    return lambda it: bad(it) if it.time <= n else it.say()


def _status(status: int, message: str = "no", code: str | None = None) -> Callable[[Misbehaviour], None]:
    return lambda it: it.refuse(status, message, code)


def _limited(**headers: str) -> Callable[[Misbehaviour], None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda it: it.send(429, {"error": {"message": "slow down"}}, named)


def _raw(data: bytes, **headers: str) -> Callable[[Misbehaviour], None]:
    return lambda it: it.send_bytes(200, data, {"Content-Type": "application/json"} | headers)


def _loop(it: Misbehaviour) -> None:
    it.send_bytes(307, b"", {"Location": f"{it.server.base_url}/chat/completions"})


def _slow_head(it: Misbehaviour) -> None:
    it.drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000 + b"\r\n\r\n")


def _slow_body(it: Misbehaviour) -> None:
    it.begin(10_000)
    it.drip(b" " * 10_000)


_BOMB = gzip.compress(b" " * 5_000_000)
_SURROGATE = json.dumps(completion("x", [], 9)).replace('"x"', '"a\\ud800b"').encode()

CASES: dict[str, Callable[[Misbehaviour], None]] = {
    "429 then good": _first(1, _limited(retry_after_ms="20")),
    "429 for ever": _limited(retry_after="0.01"),
    "429 for two minutes": _limited(retry_after="120"),
    "429 nonsense": _limited(retry_after="-3", retry_after_ms="nan"),
    "429 no quota": _status(429, "You exceeded your current quota", "insufficient_quota"),
    "500 then good": _first(2, _status(500)),
    "500 for ever": _status(500),
    "503 html": lambda it: it.html(503),
    "409": _status(409),
    "500 huge": lambda it: it.flood(500),
    "400": _status(400, "temperature is not for this model"),
    "400 context": _status(400, "This model's maximum context length is 4096 tokens", "context_length_exceeded"),
    "400 llama.cpp": _status(400, "the request exceeds the available context size", "exceed_context_size_error"),
    "401": _status(401),
    "403 html": lambda it: it.html(403),
    "404": _status(404),
    "404 ollama": lambda it: it.send(404, {"error": 'model "x" not found, try pulling it first'}),
    "hang": lambda it: it.server.over.wait(10),
    "slow head": _slow_head,
    "slow body": _slow_body,
    "60 MB": lambda it: it.flood(200),
    "gzip": lambda it: it.send_bytes(200, _BOMB, {"Content-Encoding": "gzip"}),
    "redirect": lambda it: it.send_bytes(302, b"", {"Location": "http://192.0.2.1/"}),
    "redirect loop": _loop,
    "html": lambda it: it.html(),
    "text": lambda it: it.send_bytes(200, b"four", {"Content-Type": "text/plain"}),
    "nothing": _raw(b""),
    "cut JSON": _raw(b'{"choices": ['),
    "deep JSON": _raw(b"[" * 90_000),
    "deep choice": _raw(b'{"choices": ' + b"[" * 500 + b"]" * 500 + b"}"),
    "large number": _raw(b'{"choices": ' + b"9" * 10_000 + b"}"),
    "not UTF-8": _raw(b'{"choices": "\xff\xfe"}'),
    "null": _raw(b"null"),
    "an error with 200": _raw(b'{"error": {"message": "overloaded"}}'),
    "no choices": _raw(b'{"choices": []}'),
    "wrong types": _raw(b'{"choices": [{"message": {"content": {"a": 1}}}]}'),
    "204": lambda it: it.send_bytes(204, b"", {}),
    "reset at once": lambda it: it.reset(),
    "reset within": _half_then_reset,
    "too short": _short,
    "no HTTP": lambda it: (it.wfile.write(b"hello\r\n\r\n"), it.reset())[0],
    "good after resets": _first(2, lambda it: it.reset()),
    "wrong content type": lambda it: it.send_bytes(
        200, json.dumps(completion("four", [], 9)).encode(), {"Content-Type": "text/html"}
    ),
    "surrogate": _raw(_SURROGATE),
    "length": lambda it: it.say('{"a": ', finish="length"),
    "refusal": lambda it: it.say(None, refusal="I cannot help with that."),
    "content filter": lambda it: it.say("", finish="content_filter"),
    "null content": lambda it: it.say(None),
    "empty": lambda it: it.say(" \n"),
    "tool calls": lambda it: it.say(None, finish="tool_calls", tool_calls=[{"id": "1", "type": "function"}]),
    "no usage": lambda it: it.say(drop="usage"),
    "good": lambda it: it.say(),
}
