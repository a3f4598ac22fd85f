"""The HTTP face: JSON in, JSON out, a token in every request, and MCP at ``/mcp`` beside it."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dataenv.errors import BudgetSpentError, DataenvError, SettingError, StoreError
from dataenv.serve.hub import Hub, NoSeedLeftError, UnknownSessionError
from dataenv.serve.openapi import openapi
from dataenv.serve.session import BusyError
from dataenv.serve.tools import ARGUMENTS
from tasks.errors import UnsupportedError

log = logging.getLogger(__name__)
MOST_BYTES = 16 << 20
"""Of a request's body."""
OPEN = ("/openapi.json", "/health")
"""Paths that say nothing of anybody's session, and need no token."""


class TooLargeError(DataenvError):
    """A request's body is over the limit."""


class NoJSONError(DataenvError):
    """A request's body is no JSON object."""


STATUS: tuple[tuple[type[BaseException], int], ...] = (
    (TooLargeError, 413),
    (NoJSONError, 400),
    (UnknownSessionError, 404),
    (BusyError, 409),
    (NoSeedLeftError, 409),
    (BudgetSpentError, 402),
    (StoreError, 503),
    (SettingError, 422),
    (UnsupportedError, 422),
    (ValueError, 422),
    (DataenvError, 409),
)
"""What went wrong, and the status that says so; the first that fits."""


def status_of(error: BaseException) -> int:
    """The status of an error; 500 for one that is ours."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


class TokenGuard:
    """Lets through what brings the token; refuses the rest before any of it is read.

    Args:
        app: Behind it.
        token: Compared in constant time.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] == "http" and scope["path"] not in OPEN and not self._knows(scope):
            said = "the token is missing or wrong; send the header 'Authorization: Bearer TOKEN'"
            await JSONResponse({"error": said}, 401, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
            return
        await self._app(scope, _limited(scope, receive), send)

    def _knows(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        kind, _, token = given.partition(b" ")
        return kind.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)


def _limited(scope: Scope, receive: Receive) -> Receive:
    """The body, as far as it may go."""
    if scope["type"] != "http":
        return receive
    read = 0

    async def part() -> MutableMapping[str, Any]:
        nonlocal read
        message: MutableMapping[str, Any] = await receive()
        read += len(message.get("body", b""))
        if read > MOST_BYTES:
            raise TooLargeError(f"the body is over {MOST_BYTES >> 20} MiB; teach in smaller lessons")
        return message

    return part


def app_of(hub: Hub, token: str, mcp: Any = None) -> ASGIApp:
    """The server's application.

    Args:
        hub: Its sessions.
        token: That every request brings.
        mcp: The application of the MCP face, whose lifespan is this one's too; ``None`` for none.
    """

    async def opened(request: Request) -> Response:
        name = await run_in_threadpool(hub.open)
        shown = await run_in_threadpool(hub.call, name, "look", {})
        return JSONResponse({"session": name} | shown, 201)

    async def doing(request: Request) -> Response:
        session = await run_in_threadpool(hub.session, request.path_params["session"])
        tool, seconds = session.busy
        return JSONResponse({"busy": tool, "seconds": round(seconds, 1), "ended": session.ended})

    async def used(request: Request) -> Response:
        given = _object(await request.body())
        name, tool = request.path_params["session"], request.path_params["tool"]
        if tool not in ARGUMENTS:
            return JSONResponse({"error": f"there is no tool {tool[:60]!r}; tools: {', '.join(ARGUMENTS)}"}, 404)
        return JSONResponse(await run_in_threadpool(hub.call, name, tool, given))

    async def described(request: Request) -> Response:
        return JSONResponse(openapi())

    async def healthy(request: Request) -> Response:
        return JSONResponse({"ok": True})

    routes: list[Any] = [
        Route("/openapi.json", described),
        Route("/health", healthy),
        Route("/sessions", opened, methods=["POST"]),
        Route("/sessions/{session}", doing),
        Route("/sessions/{session}/{tool}", used, methods=["POST"]),
    ]
    lifespan = None
    if mcp is not None:
        routes += mcp.routes
        lifespan = mcp.router.lifespan_context
    handlers: dict[Any, Any] = {DataenvError: _refused, 404: _not_found, 405: _not_found, Exception: _failed}
    return TokenGuard(Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan), token)


Handler = Callable[[Request, Exception], Awaitable[Response]]


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_of(error))


async def _not_found(request: Request, error: Exception) -> Response:
    said = f"{request.method} {request.url.path[:80]} is nothing here; GET /openapi.json lists what there is"
    return JSONResponse({"error": said}, getattr(error, "status_code", 404))


async def _failed(request: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return JSONResponse({"error": "the server failed; its log says how"}, 500)


def _object(body: bytes) -> dict[str, Any]:
    """A JSON object; an empty body is an empty one.

    Raises:
        NoJSONError: If it is none.
    """
    try:
        value = json.loads(body or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise NoJSONError("the body is no JSON; send an object such as {}") from None
    if not isinstance(value, dict):
        raise NoJSONError(f"the body is a JSON {type(value).__name__}; send an object such as {{}}")
    return value


def _no_constant(text: str) -> Any:
    raise ValueError(text)
