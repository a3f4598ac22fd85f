"""A session with a server that speaks Tinker's API, through the package ``tinker``.

Every wait has an end, and every failure is one sentence without a key. What is asked of the server stands in
``students.remote.tinker``: nothing here decides what is computed.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from students import keys
from tasks.errors import DataenvError, SettingError, UnansweredError

NO_KEY = "tml-none"
"""Stands where a server asks for no key: without any, the package would look for one in the environment."""
BESIDE = ("TINKER_CREDENTIAL_CMD", "CLOUDFLARE_ACCESS_CLIENT_ID", "CLOUDFLARE_ACCESS_CLIENT_SECRET")
"""What the package sends besides, by itself, from the environment."""
CLOSING = 10.0
"""Seconds for the last word to a server; its own watch ends a session that says none."""
SAID = 200
"""Characters of a server's words that a sentence shows."""
MENDS = {
    401: "put this server's key into the variable that student_args.key_env names",
    402: "fill up the account",
    403: "put this server's key into the variable that student_args.key_env names",
    429: "run it again later, with fewer workers",
}
"""What helps, by HTTP status."""


class LostCheckpointError(DataenvError):
    """A server no longer has the weights of a State, and only it ever had them."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server is.

    Attributes:
        url: Its address.
        key_env: The environment variable that holds its key; empty where it asks for none.
        deadline: Seconds for each answer.
    """

    url: str
    key_env: str
    deadline: float

    @property
    def host(self) -> str:
        """Of the address, with its port."""
        return urlsplit(self.url).netloc

    def key(self) -> str:
        """The key, if it may be sent there.

        Raises:
            SettingError: If not, or if the package would send something else besides.
        """
        others = [name for name in BESIDE if os.environ.get(name)]
        if others and keys.refusal("TINKER_API_KEY", self.url, "student_args.url"):
            raise SettingError(f"the package tinker would use ${others[0]} at {self.host}; unset it for this server")
        if not self.key_env:
            return NO_KEY
        key = keys.secret(self.key_env, self.url, "student_args.url")
        keys.hide_in_logs([key])
        keys.announce(self.key_env, self.url)
        return key


@dataclass
class Session:
    """An open session.

    Attributes:
        client: The package's ``ServiceClient``.
        place: Where.
    """

    client: Any
    place: Endpoint
    _clean: Callable[[str], str] = field(default=str, repr=False)

    def wait(self, promised: Any, what: str) -> Any:
        """What a promise of the package comes to.

        Args:
            promised: Has ``result(timeout)``.
            what: The server is to do, after *does not* in a sentence.

        Raises:
            UnansweredError: If the server is away, takes too long, or refuses.
        """
        with told(self.place, what, self._clean):
            return promised.result(self.place.deadline)

    def load(self, path: str, make: Callable[[], Any]) -> Any:
        """What is made from a checkpoint.

        Raises:
            LostCheckpointError: If the server has it no more.
        """
        try:
            return self.wait(make(), "load a checkpoint")
        except RefusedByServerError as error:
            raise LostCheckpointError(
                f"{self.place.host} no longer has checkpoint {path} ({error.said}), and nobody else ever had it; "
                "start a new --store, and give a longer student_args.keep_days"
            ) from error


class RefusedByServerError(UnansweredError):
    """A server does not do what it was asked, and says why.

    Attributes:
        said: Its words.
    """

    def __init__(self, sentence: str, said: str = "") -> None:
        super().__init__(sentence)
        self.said = said


@contextmanager
def session(place: Endpoint) -> Iterator[Session]:
    """Open a session, and end it.

    Raises:
        SettingError: If the key may not be sent there.
        UnansweredError: If the server is away.
    """
    import tinker

    key = _prepared(place)
    clean = keys.hiding([key])
    client = tinker.ServiceClient(base_url=place.url, api_key=key)
    with _drawing_nothing():
        with told(place, "open a session", clean):
            _within(place.deadline, lambda: client.holder)
        status = "errored"
        try:
            yield Session(client, place, clean)
            status = "success"
        finally:
            with suppress(Exception):  # the server ends a session that it hears nothing of by itself
                client.close(status).result(CLOSING)


def models(place: Endpoint) -> list[Any]:
    """What a server says of the models it has: ``model_name``, ``max_context_length`` and ``trainable`` of each.

    Raises:
        SettingError: If the key may not be sent there.
        UnansweredError: If the server is away.
    """
    import tinker

    key = _prepared(place)

    def ask() -> Any:
        return tinker.RestClient(base_url=place.url, api_key=key).get_server_capabilities().result()

    with _drawing_nothing(), told(place, "say which models it has", keys.hiding([key])):
        return list(_within(place.deadline, ask).supported_models)


def _prepared(place: Endpoint) -> str:
    """The key; and the package told to report nothing of this process to the server, where nobody said otherwise."""
    os.environ.setdefault("TINKER_TELEMETRY", "0")
    return place.key()


@contextmanager
def _drawing_nothing() -> Iterator[None]:
    """Give Python's global generator back as it was: the package draws its waits between two tries from it."""
    before = random.getstate()
    try:
        yield
    finally:
        random.setstate(before)


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """What a call gives. One that takes longer is left behind: the package tries for minutes, and knows no end."""
    done: Future[Any] = Future()

    def work() -> None:
        try:
            done.set_result(call())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return done.result(seconds)


@contextmanager
def told(place: Endpoint, what: str, clean: Callable[[str], str]) -> Iterator[None]:
    """Say in one sentence what the package raises.

    Raises:
        UnansweredError: In its place. What is no failure of a server goes through.
    """
    import tinker

    try:
        yield
    except (TimeoutError, tinker.TinkerError, ValueError, RuntimeError) as error:
        raise _failure(error, place, what, clean) from None


def _failure(error: BaseException, place: Endpoint, what: str, clean: Callable[[str], str]) -> BaseException:
    """The sentence for what the package raised, by its chain of causes."""
    import tinker

    if isinstance(error, DataenvError):
        return error
    chain = _causes(error)
    said = keys.masked(clean(" ".join(str(error).split())))[:SAID]
    if any(isinstance(link, tinker.APIConnectionError) for link in chain):
        return UnansweredError(
            f"{place.host} cannot be reached ({said}); start the server, or mend student_args.url, and run it again"
        )
    status = next((link.status_code for link in chain if isinstance(link, tinker.APIStatusError)), None)
    if status is not None and (status >= 500 or status in MENDS):
        mend = MENDS.get(status, "look into the server's log, and run it again")
        return UnansweredError(f"{place.host} does not {what} (HTTP {status}: {said}); {mend}")
    if isinstance(error, TimeoutError):
        return UnansweredError(
            f"{place.host} does not {what} within {place.deadline:g} s; raise student_args.deadline, or run it again "
            "later: what was trained is stored"
        )
    if isinstance(error, tinker.RequestFailedError) and error.category != "user":
        return UnansweredError(f"{place.host} fails to {what} ({said}); look into the server's log, and run it again")
    if status is not None or isinstance(error, tinker.TinkerError):
        known = f"HTTP {status}: {said}" if status is not None else said
        sentence = f"{place.host} does not {what} ({known}); mend student_args, or look into the server's log"
        return RefusedByServerError(sentence, known)
    return error


def _causes(error: BaseException) -> list[BaseException]:
    """An exception and what it was raised from."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None and cause not in chain:
        chain.append(cause)
    return chain
