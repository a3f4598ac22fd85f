"""Running a server: where it may be bound, the token, and the two ways in (HTTP with MCP beside it, or MCP over pipes).

The package ``mcp`` brings the server (Starlette, Uvicorn); it is in the extra ``serve``.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import secrets
import socket
from collections.abc import Callable

from dataenv.errors import SettingError
from dataenv.serve.hub import Hub

TOKEN = "DATAENV_TOKEN"
SHORTEST = 16
"""Characters of a token."""


def require_mcp() -> None:
    """Refuse to go on without the package of the extra.

    Raises:
        SettingError: If it is not installed.
    """
    if importlib.util.find_spec("mcp") is None:
        raise SettingError("the server needs the package mcp, which is not installed; pip install 'mcp>=2.3'")


def token_from(variable: str = TOKEN) -> tuple[str, bool]:
    """The token of an environment variable, else a fresh one; and whether it is fresh.

    Raises:
        SettingError: If the variable holds too short a one, or what cannot stand in a header.
    """
    given = os.environ.get(variable, "")
    if not given:
        return secrets.token_urlsafe(24), True
    if len(given) < SHORTEST or not given.isascii() or not given.isprintable() or " " in given:
        raise SettingError(f"{variable} is no token; give at least {SHORTEST} ASCII letters and digits, without spaces")
    return given, False


def require_loopback(host: str, anywhere: bool) -> None:
    """Refuse an address that others can reach, unless that is what was asked for.

    Raises:
        SettingError: If it is one.
    """
    try:
        alone = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        alone = False
    if not alone and not anywhere:
        raise SettingError(
            f"--host is {host!r}, which other machines can reach, and the traffic is not encrypted; give 127.0.0.1, or "
            "--anywhere behind a proxy that speaks TLS"
        )


def serve_http(hub: Hub, token: str, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C.

    Args:
        hub: The sessions.
        token: That every request brings.
        host: Address to bind.
        port: 0 for any that is free.
        ready: Told the server's address, once it is bound.

    Raises:
        SettingError: If the address cannot be bound.
    """
    import uvicorn

    from dataenv.serve.http import MOST_BYTES, app_of
    from dataenv.serve.mcp import mcp_server

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise SettingError(f"--port {port} cannot be bound ({error.strerror}); give another") from error
    mcp = mcp_server(hub).streamable_http_app(max_request_body_size=MOST_BYTES, host=host)
    config = uvicorn.Config(app_of(hub, token, mcp), log_level="warning", access_log=False, server_header=False)
    with bound:
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{bound.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[bound])
