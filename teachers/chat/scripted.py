"""A scripted chat server: a real OpenAI-compatible HTTP server on loopback whose replies come from a function.

It is for tests and for trying out commands without a model. It thinks nothing, and says so: its one model is called
``scripted``, which stands in every record of what it said.

    python -m teachers.chat.scripted --port 8765
"""

from __future__ import annotations

import argparse
import importlib
import json
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "scripted"
LARGEST = 8_000_000
"""Bytes of a request that are read."""


@dataclass(frozen=True)
class ScriptedTurn:
    """What a script is given.

    Attributes:
        messages: The conversation; each has ``role`` and ``content``.
        seed: As sent; 0 where none was.
        schema: The JSON schema that the reply is to fit, or ``None``.
    """

    messages: Sequence[Mapping[str, str]]
    seed: int
    schema: Mapping[str, Any] | None


Script = Callable[[ScriptedTurn], str]


def echo(turn: ScriptedTurn) -> str:
    """The script where none is given: the least that fits the schema, or the last message, numbered by its seed."""
    if turn.schema is not None:
        return json.dumps(least(turn.schema, turn.schema.get("$defs", {})))
    said = turn.messages[-1]["content"] if turn.messages else ""
    return f"[{zlib.crc32(f'{turn.seed} {said}'.encode()):08x}] {said}"


def least(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Any:
    """The least value that fits a JSON schema, as far as pydantic's plain models need it."""
    if "$ref" in schema:
        return least(defs[schema["$ref"].rsplit("/", 1)[-1]], defs)
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return least(schema["anyOf"][0], defs)
    kind = schema.get("type")
    if kind == "object":
        return {name: least(schema["properties"][name], defs) for name in schema.get("required", [])}
    if kind == "array":
        items = schema.get("prefixItems") or [schema.get("items", {})] * schema.get("minItems", 0)
        return [least(item, defs) for item in items]
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    return {"string": "x" * schema.get("minLength", 0), "boolean": False}.get(str(kind))


class Server(ThreadingHTTPServer):
    """The server; it listens on loopback alone.

    Args:
        script: Makes the replies. It is called from many threads.
        port: 0 for any that is free.

    Attributes:
        heard: Every chat request so far, in the order of arrival.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, script: Script = echo, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.script = script
        self.heard: list[dict[str, Any]] = []

    @property
    def base_url(self) -> str:
        """What ``ChatSpec.base_url`` is set to."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    """``GET /v1/models`` and ``POST /v1/chat/completions``."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """The models."""
        if self.path.rstrip("/") != "/v1/models":
            return self.refuse(404, "no such page; there are /v1/models and /v1/chat/completions")
        self.send(200, {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "dataenv"}]})

    def do_POST(self) -> None:
        """A chat completion."""
        body = self.read()
        if body is None:
            return self.refuse(400, "the request is no JSON object, or too large")
        if self.path.rstrip("/") != "/v1/chat/completions":
            return self.refuse(404, "no such page; there are /v1/models and /v1/chat/completions")
        self.server.heard.append(body)
        self.answer(body)

    def answer(self, body: dict[str, Any]) -> None:
        """Answer a request that was read."""
        if body.get("model") != MODEL:
            return self.refuse(
                404, f"model {body.get('model')!r} does not exist; there is {MODEL!r}", "model_not_found"
            )
        form = body.get("response_format") or {}
        schema = form.get("json_schema", {}).get("schema") if form.get("type") == "json_schema" else None
        try:
            text = self.server.script(ScriptedTurn(body["messages"], int(body.get("seed") or 0), schema))
        except Exception as error:  # a script is somebody's code, and a server says so with a 500
            return self.refuse(500, f"the script failed: {error!r}")
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 1 << 30
        self.send(200, completion(text, body["messages"], limit))

    def read(self) -> dict[str, Any] | None:
        """The JSON object that was sent, or ``None``."""
        try:
            length = int(self.headers.get("content-length", ""))
            if length > LARGEST:
                self.close_connection = True
                return None
            body = json.loads(self.rfile.read(length))
        except (ValueError, RecursionError):
            return None
        return body if isinstance(body, dict) else None

    def refuse(self, status: int, message: str, code: str | None = None) -> None:
        """An error as OpenAI writes it."""
        self.send(status, {"error": {"message": message, "type": "invalid_request_error", "code": code}})

    def send(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        """A JSON reply."""
        self.send_bytes(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def send_bytes(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        """Any reply."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def tokens(text: str) -> int:
    """Four bytes a token, rounded up: near enough to what tokenizers make of English."""
    return -(-len(text.encode()) // 4)


def completion(text: str, messages: Sequence[Mapping[str, str]], limit: int) -> dict[str, Any]:
    """A text as a chat completion, cut at ``limit`` tokens. It holds no clock: equal asks, equal bytes."""
    cut = tokens(text) > limit
    shown = text.encode()[: 4 * limit].decode("utf-8", "ignore") if cut else text
    prompt, reply = sum(tokens(str(m.get("content", ""))) for m in messages), tokens(shown)
    return {
        "id": f"scripted-{zlib.crc32(shown.encode()):08x}",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": shown},
                "finish_reason": "length" if cut else "stop",
            }
        ],
        "usage": {"prompt_tokens": prompt, "completion_tokens": reply, "total_tokens": prompt + reply},
    }


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Run a server in a thread for a while."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m teachers.chat.scripted", description="A scripted chat server.")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument(
        "--script", default="teachers.chat.scripted:echo", help="module:function, from a Turn to a text"
    )
    given = parser.parse_args(arguments)
    module, _, name = given.script.partition(":")
    try:
        script = getattr(importlib.import_module(module), name)
        server = Server(script, given.port)
    except (ImportError, AttributeError, ValueError, OSError, OverflowError) as error:
        parser.error(f"cannot start ({error}); check --script module:function and --port")
    print(f"scripted chat server at {server.base_url}, model {MODEL!r}; stop it with Ctrl-C", flush=True)
    with server, suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
