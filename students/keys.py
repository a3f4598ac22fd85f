"""Keys of servers: which of them may be sent where, and that none is printed, logged or stored.

A board's file is somebody's. It may name an environment variable, but which host that variable's value is sent to is
for the person alone to say: by the pairs that are known (``KNOWN``), by ``$DATAENV_KEYS`` or by the command line.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from tasks.errors import SettingError

ALLOWED = "DATAENV_KEYS"
"""The environment variable that pairs names of keys with hosts: ``NAME=host,NAME=host:port``."""
HIDDEN = "[key]"
"""Stands in the place of a key."""
KNOWN: Mapping[str, tuple[str, ...]] = {
    "OPENAI_API_KEY": ("api.openai.com",),
    "ANTHROPIC_API_KEY": ("api.anthropic.com",),
    "OPENROUTER_API_KEY": ("openrouter.ai",),
    "GEMINI_API_KEY": ("generativelanguage.googleapis.com",),
    "GOOGLE_API_KEY": ("generativelanguage.googleapis.com",),
    "MISTRAL_API_KEY": ("api.mistral.ai",),
    "DEEPSEEK_API_KEY": ("api.deepseek.com",),
    "GROQ_API_KEY": ("api.groq.com",),
    "TOGETHER_API_KEY": ("api.together.xyz", "api.together.ai"),
    "FIREWORKS_API_KEY": ("api.fireworks.ai",),
    "XAI_API_KEY": ("api.x.ai",),
    "CEREBRAS_API_KEY": ("api.cerebras.ai",),
    "HF_TOKEN": ("router.huggingface.co",),
    "TINKER_API_KEY": ("tinker.thinkingmachines.dev",),
}
"""Where a key belongs whose name says it: nobody but its own maker gets it."""

_NAME = re.compile(r"[A-Z_][A-Z0-9_]*(?:KEY|TOKEN)")
_HOST = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_SECRET_NAME = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:sk|pk|rk|sess)[-_](?=[A-Za-z0-9_-]*[A-Z0-9])[A-Za-z0-9_-]{12,}|(?:gsk|hf|r8)_[A-Za-z0-9]{16,}|"
    r"(?:xai|nvapi|pplx|glpat|tml)-[A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{30,}|(?:AKIA|ASIA)[A-Z0-9]{16}|"
    r"gh[a-z]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[a-z]-[A-Za-z0-9-]{10,}|"
    r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}[A-Za-z0-9_.-]*|Bearer\s+[A-Za-z0-9_.~+/=-]{12,})"
)
"""How the keys of the big servers begin."""
SHORTEST = 8
"""Characters of a key below which it is no secret, and hiding it would spoil ordinary words."""
_SURE = 12
"""Characters of a variable's value from which it is looked for in arguments."""

_said: set[tuple[str, str]] = set()


# --- where a key may go ----------------------------------------------------------------------------------------------


def is_name(text: str) -> bool:
    """Whether a text can be the name of a key's variable: capitals, and KEY or TOKEN at its end."""
    return _NAME.fullmatch(text) is not None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold().rstrip(".") == "localhost"


def allow(pair: str) -> None:
    """Let a key be sent to a host, in this process and those that it starts: the person's word, never a file's.

    Args:
        pair: ``NAME=host`` or ``NAME=host:port``.

    Raises:
        SettingError: If it is no such pair. The sentence does not repeat it, for it may hold a key.
    """
    _split(pair, "the pair to be allowed")
    os.environ[ALLOWED] = ",".join(filter(None, (os.environ.get(ALLOWED), pair.strip())))


def allow_for(name: str, url: str) -> None:
    """The same for the host of an address. What cannot be used is left alone: the settings are refused for it."""
    place = _place(url)
    if is_name(name) and place is not None:
        allow(f"{name}={place}")


def require_address(url: str, field: str = "base_url", example: str = "https://api.openai.com/v1") -> None:
    """Refuse what is no address of a server, or an address that holds a key, which would be in every log.

    Args:
        url: The address.
        field: What the sentence calls it.
        example: What the sentence says may be given.

    Raises:
        ValueError: If it is none.
    """
    try:
        parts = urlsplit(url)
        plain = url.isascii() and url.isprintable() and " " not in url
        usable = plain and parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if usable and (parts.username is not None or parts.password is not None or parts.query or parts.fragment):
        raise ValueError(f"{field} holds a key or a query; name the key's environment variable in key_env instead")
    if not usable or not is_place(parts.netloc):
        raise ValueError(f"{field} is no address; give one like {example}")


def secret(name: str, url: str, field: str = "base_url", refused: type[Exception] = SettingError) -> str:
    """The key that a variable holds, for an address to which it may be sent.

    Args:
        name: The variable.
        url: Of the server.
        field: What the sentence calls the address.
        refused: What is raised.

    Raises:
        SettingError: If ``$DATAENV_KEYS`` is not what it should be.
    """
    if why := refusal(name, url, field):
        raise refused(why)
    key = os.environ.get(name, "").strip()
    if not key:
        raise refused(f"key_env names {name}, which is not set; set it to the key, or leave key_env empty")
    if not (key.isascii() and key.isprintable()):
        raise refused(f"key_env names {name}, which holds more than a key; set it to the key alone")
    return key


def refusal(name: str, url: str, field: str = "base_url") -> str | None:
    """Why a key may not be sent to an address, as one sentence; ``None`` where it may.

    Args:
        name: The key's variable.
        url: Of the server.
        field: What the sentence calls the address.

    Raises:
        SettingError: If ``$DATAENV_KEYS`` is not what it should be.
    """
    if not urlsplit(url).netloc:
        return None  # the local server, which asks for no key
    place = _place(url)
    if place is None:
        return f"{field} is no address; give one like https://api.openai.com/v1"
    if clear := in_clear(url, field):
        return clear
    host = _without_port(place)
    pairs = [_split(pair, f"${ALLOWED}") for pair in os.environ.get(ALLOWED, "").split(",") if pair.strip()]
    mine = {*KNOWN.get(name, ()), *(where for key, where in pairs if key == name)}
    if mine & {host, place}:
        return None
    return (
        f"key_env names ${name}, which is not to be sent to {host} unless you say so: "
        f"give --allow-key {name}={host}, or set {ALLOWED}={name}={host}"
    )


def in_clear(url: str, field: str = "base_url") -> str | None:
    """Why no key may be sent to an address: everybody on the way could read it. ``None`` for TLS and this machine."""
    if urlsplit(url).scheme == "https" or is_loopback(_without_port(_place(url) or "").strip("[]")):
        return None
    return f"{field} is http, and a key would be sent in clear; give an address that begins with https://"


def announce(name: str, url: str) -> None:
    """Say on stderr, once a process, that a key is sent to a host."""
    place = _place(url) or ""
    if (name, place) not in _said:
        _said.add((name, place))
        print(f"dataenv: {sends(name, url)}", file=sys.stderr)


def sends(name: str, url: str) -> str:
    """What is told of a key before it is sent: ``sends $NAME to host``."""
    return f"sends ${name} to {_place(url)}"


def _place(url: str) -> str | None:
    """``host`` or ``host:port`` of an address, in lower case; ``None`` if it says more than that."""
    try:
        place = urlsplit(url).netloc.casefold()
    except ValueError:
        return None
    return place if place and _HOST.fullmatch(place) else None


def is_place(text: str) -> bool:
    """Whether a text can be a host, with or without a port."""
    return _HOST.fullmatch(text) is not None


def _without_port(place: str) -> str:
    return re.sub(r":\d+$", "", place).rstrip(".")


def _split(pair: str, what: str) -> tuple[str, str]:
    """Name and host of ``NAME=host``."""
    name, _, where = (part.strip() for part in pair.partition("="))
    if not is_name(name) or not is_place(where) or looks_like_key(where):
        raise SettingError(f"{what} is not NAME=host; give it as OPENAI_API_KEY=api.openai.com, and never the key")
    return name, where.casefold()


# --- that no key is shown --------------------------------------------------------------------------------------------


def looks_like_key(text: str) -> bool:
    """Whether a text holds what looks like a key of one of the big servers."""
    return _KEY.search(text) is not None


def held(value: Any, where: str = "") -> str | None:
    """The dotted path of the first text in some plain values that is or holds a key; ``None`` if there is none.

    A key is what looks like one, and what the environment holds under a name such as ``…_KEY``, ``…_TOKEN`` or
    ``…_SECRET``.

    Args:
        value: Texts, numbers, lists and mappings of them.
        where: Its path so far.
    """
    hide = hiding(_secrets())
    return _held(value, where, lambda text: looks_like_key(text) or hide(text) != text)


def _held(value: Any, where: str, secret: Callable[[str], bool]) -> str | None:
    if isinstance(value, str):
        return where if secret(value) else None
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        inner = enumerate(value)
    for name, item in inner:
        shown = "a name" if secret(str(name)) else str(name)
        found = _held(item, f"{where}.{shown}".lstrip("."), secret)
        if found is not None or shown == "a name":
            return found or f"{where}.{shown}".lstrip(".")
    return None


_NAMED = re.compile(r"(?:^|[_-])(?:api[_-]?key|authorization|password|passwd|secret|(?:access|auth)[_-]?token|bearer)$")


def named(fields: Mapping[Any, Any]) -> str | None:
    """The first field, at any depth, whose name says that it holds a key, and that holds a text; ``None`` without."""
    for name, value in fields.items():
        if isinstance(value, str) and value and _NAMED.search(str(name).casefold()):
            return str(name)
        inner = dict(enumerate(value)) if isinstance(value, list | tuple) else value
        if isinstance(inner, Mapping) and (found := named(inner)):
            return f"{name}.{found}"
    return None


def masked(text: str) -> str:
    """The text with every key in it hidden; see ``held``. It comes before any cut."""
    return _KEY.sub(HIDDEN, hiding(_secrets())(text))


def hiding(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that hides these secrets in a text, in capitals or not. Very short ones are none (``SHORTEST``)."""
    shown = sorted({s for s in secrets if len(s) >= SHORTEST}, key=lambda s: (-len(s), s))
    if not shown:
        return str
    return partial(re.compile("|".join(map(re.escape, shown)), re.IGNORECASE).sub, HIDDEN)


def _secrets() -> list[str]:
    """Values of the environment that are secret by their name; paths are none."""
    found = {value.strip() for name, value in os.environ.items() if _SECRET_NAME.search(name)}
    sure = (value for value in found if len(value) >= _SURE and not value.startswith(("/", "~", ".")))
    return sorted(sure, key=lambda value: (-len(value), value))


_LOGGERS = tuple(
    f"{package}.{part}"
    for package in ("httpcore", "httpcore2")
    for part in ("connection", "http11", "http2", "proxy", "socks")
)
"""Made by the first request, which is too late to be found; all that a server says in its headers is logged there."""


class _KeyFilter(logging.Filter):
    """Hides secrets in what the packages below log, where somebody has their debug logs on."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()
        self._clean: Callable[[str], str] = str

    def hide(self, secrets: Iterable[str]) -> None:
        """Hide these too, in every logger of the packages that there is by now, and in those of the first request."""
        self._secrets.update(secrets)
        self._clean = hiding(self._secrets)
        for name in (*logging.root.manager.loggerDict, *_LOGGERS):
            if name.partition(".")[0] in ("openai", "httpx", "httpx2", "httpcore", "httpcore2", "tinker"):
                logging.getLogger(name).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes, without secrets."""
        said = record.getMessage()
        if (clean := self._clean(said)) != said:
            record.msg, record.args = clean, ()
        return True


_KEY_FILTER = _KeyFilter()


def hide_in_logs(secrets: Iterable[str]) -> None:
    """Hide secrets in what the packages that speak to servers log."""
    _KEY_FILTER.hide(secrets)
