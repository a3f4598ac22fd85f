"""One attempt over the wire, with the ``openai`` package: everything that a server can do is a typed outcome.

What the package lacks is added around it (measured with openai 3.54): its retries are off, a reply is read in pieces up
to a cap and a deadline, redirects are not followed, and what comes back is checked for being a reply at all
(``teachers.chat.heard``). What the environment says of proxies and certificates is read here and nowhere else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import os
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from dataenv.errors import DataenvError
from students import keys
from teachers.chat.heard import LOOKED_AT, Heard, complaint, cut, understand
from teachers.chat.spec import ANSWERED, LOCAL, NO_KEY, ChatError, ChatRequest, ChatSpec, Outcome

PIECE = 1 << 16


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
        self._spec = spec
        self._proxy: str | None = None
        self._clean: Callable[[str], str] = str
        self._client: Any = None

    def open(self) -> None:
        """Make the client.

        Raises:
            ChatError: If the key's environment variable is not set or not for this host, ``openai`` is not installed,
                the local server does not start, or a proxy or certificates of the environment cannot be used.
        """
        if self._client is not None:
            return
        key, url = self._spec.key(), self._spec.base_url
        try:
            import openai
        except ImportError as error:
            raise ChatError(f"openai cannot be imported ({error}); pip install openai") from None
        if url == LOCAL:
            from teachers.chat.local import local_url

            url = local_url()
        self._proxy = proxy_of(url)
        secrets = [key if key != NO_KEY else "", *_passwords(self._proxy)]
        self._clean = keys.hiding(secrets)
        keys.hide_in_logs(secrets)
        self._client = openai.AsyncOpenAI(
            api_key=key,
            base_url=url,
            max_retries=0,
            timeout=self._spec.deadline,
            default_headers={"Accept-Encoding": "identity"},  # a small compressed reply may be a large one
            http_client=self._http(openai.DefaultAsyncHttpxClient, _trusted(url)),
        )
        # The package takes these from the environment, and they are nothing to tell a server that is not OpenAI's.
        self._client.organization = self._client.project = None
        if key != NO_KEY:
            keys.announce(self._spec.key_env, url)

    def _http(self, client: Callable[..., Any], trust: Any) -> Any:
        """The connections. Nothing is read from the environment but what was read here."""
        try:
            return client(
                follow_redirects=False,
                event_hooks={"response": [self._look]},
                timeout=self._spec.deadline,
                verify=trust,
                proxy=self._proxy,
                trust_env=False,
            )
        except ImportError:
            why = f"the environment names the proxy {_shown(self._proxy)}, which needs the package socksio"
            raise ChatError(f"{why}; pip install socksio, or unset it (ALL_PROXY, HTTPS_PROXY, HTTP_PROXY)") from None

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
            heard = _failure(error, self._clean)
        if self._proxy is not None and heard.outcome not in ANSWERED:
            heard = replace(heard, detail=f"{heard.detail} (through the proxy {_shown(self._proxy)})")
        return heard

    async def _exchange(self, request: ChatRequest) -> Heard:
        body = {name: value for name, value in request.body.items() if name not in ("model", "messages")}
        create = self._client.chat.completions.with_streaming_response.create
        # openai reads its own fields from the keywords and would check them; all else goes along as it is.
        opened = create(model=request.body["model"], messages=request.body["messages"], extra_body=body)
        async with opened as response:
            whole_body, complete = await _read(response.iter_bytes(PIECE), self._spec.max_bytes)
        if not complete:
            return Heard("oversized", detail=f"more than {self._spec.max_bytes} bytes (max_bytes)")
        return understand(whole_body, self._clean)

    async def _look(self, response: Any) -> None:
        """Check the headers of a response before its body is read or a redirect is followed."""
        packed = response.headers.get("content-encoding", "identity").lower() not in ("", "identity")
        if response.status_code == 200 and not packed:
            return
        if packed:
            raise _StopError(Heard("garbage", detail="the reply is compressed, which was not asked for"))
        if 300 <= response.status_code < 400:
            raise _StopError(Heard("redirect", detail=f"HTTP {response.status_code}; redirects are not followed"))
        body, _ = await _read(response.aiter_bytes(PIECE), LOOKED_AT)
        raise _StopError(complaint(response.status_code, body, _wait(response.headers), self._clean))


async def _read(pieces: AsyncIterator[bytes], most: int) -> tuple[bytes, bool]:
    """A body up to ``most`` bytes, and whether that was all of it."""
    read = bytearray()
    async for piece in pieces:
        read += piece
        if len(read) > most:
            return bytes(read[:most]), False
    return bytes(read), True


def _failure(error: BaseException, clean: Callable[[str], str]) -> Heard:
    """The outcome that an exception means, by its chain of causes down to the socket or ``_look``."""
    chain, cause = [error], error.__cause__
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    for link in chain:
        if isinstance(link, _StopError):
            return link.heard
    kinds = " ".join(type(link).__name__ for link in chain)
    said = cut("; ".join(dict.fromkeys(str(link) for link in chain if str(link))) or kinds, clean)
    for outcome, names in _BROKEN:
        if any(name in kinds for name in names):
            return Heard(outcome, detail=said)
    raise error


_BROKEN: tuple[tuple[Outcome, tuple[str, ...]], ...] = (
    ("no-server", ("ConnectError", "ConnectionRefusedError", "gaierror", "ProxyError")),
    ("deadline", ("Timeout",)),
    ("dropped", ("ReadError", "WriteError", "CloseError", "ProtocolError", "ConnectionReset")),
)
"""What happened, by the names of exceptions; the first that fits."""


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


# --- what the environment says ---------------------------------------------------------------------------------------


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for an address; none for this machine, nor where ``NO_PROXY`` says so.

    Args:
        url: Of the server.

    Raises:
        ChatError: If what it names is no address of a proxy.
    """
    parts = urlsplit(url)
    host, named = parts.hostname or "", getproxies()
    proxy = named.get(parts.scheme) or named.get("all")
    if not proxy or keys.is_loopback(host) or proxy_bypass(parts.netloc) or _within(host, named.get("no", "")):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        at = urlsplit(proxy)
        usable = at.scheme in ("http", "https", "socks5", "socks5h") and bool(at.hostname) and (at.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        why = f"the environment names the proxy {_shown(proxy)}, which is no address of one"
        raise ChatError(f"{why}; mend or unset it (ALL_PROXY, HTTPS_PROXY, HTTP_PROXY)")
    return proxy


def _within(host: str, networks: str) -> bool:
    """Whether an address is in one of the networks (``192.168.0.0/16``) of a list with commas."""
    for network in networks.split(","):
        try:
            if "/" in network and ipaddress.ip_address(host) in ipaddress.ip_network(network.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False


def _shown(proxy: str | None) -> str:
    """A proxy without its user and password."""
    scheme, _, rest = (proxy or "").partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _passwords(proxy: str | None) -> list[str]:
    """The password of a proxy, as it is written and as it is meant."""
    password = (proxy or "").partition("://")[2].rpartition("@")[0].partition(":")[2]
    return [password, unquote(password)]


def _trusted(url: str) -> Any:
    """Whose certificates hold: the package's own, or those of ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.

    Raises:
        ChatError: If there are none.
    """
    # Reading the certificates takes longer than a local model's first word, and plain HTTP needs none: then TLS has a
    # context that trusts nobody.
    if urlsplit(url).scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    file, folder = (os.environ.get(name) or None for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    if file is None and folder is None:
        return True
    try:
        return ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:
        why = f"SSL_CERT_FILE is {file!r}, SSL_CERT_DIR is {folder!r}, and no certificates can be read there"
        raise ChatError(f"{why} ({error.strerror or error}); mend or unset them") from None
