"""Which engine answers in a student's place: what it says of itself, and what is tried before it is believed."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from dataenv.errors import SettingError
from dataenv.execution.serving.server import ServingClient, ServingError
from students.base import Decoding
from students.causal_lm.served import ServedPrompt, ServedStudent
from students.keys import is_place
from tasks.records import Record, absent, digest

ENGINE = "vllm"
PROMPTS = ("Say hello.", "What is 12 + 30?", "abc", "Name three colours.")
"""What an engine is asked twice before it is believed."""
TOKENS = 16
"""Longest answer to one of them."""
log = logging.getLogger(__name__)


class ServingEngine(Record):
    """A serving engine that answers exams, as it names itself. ``None`` is for what it does not tell.

    Attributes:
        engine: What it is: ``vllm``.
        version: Its release.
        dtype: Its arithmetic.
        device: The type of device that it computes on.
        batch_invariant: Whether it promises that an answer does not depend on what is asked beside it.
        address: Where it is. This is no part of any name.
    """

    engine: str = ENGINE
    version: str
    dtype: str | None = Field(default=None, exclude_if=absent)
    device: str | None = Field(default=None, exclude_if=absent)
    batch_invariant: bool | None = Field(default=None, exclude_if=absent)
    address: str

    @property
    def identity(self) -> dict[str, Any]:
        """All that names it: everything but the place."""
        return self.model_dump(mode="json", exclude={"address"})


def checked(answers: str) -> str:
    """The value of a Setting's ``answers``, if it can be one: empty, ``vllm``, or ``vllm:http://host:port``."""
    engine, _, address = answers.partition(":")
    if answers in ("", ENGINE):
        return answers
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and is_place(parts.netloc) and parts.path in ("", "/")
    except ValueError:
        sound = False
    if engine != ENGINE or not sound or parts.query or parts.fragment:
        raise ValueError(f"answers is {answers[:80]!r}; give 'vllm' or 'vllm:http://host:port', or leave it out")
    return answers.rstrip("/")


def without_address(answers: str) -> str:
    """The value of ``answers`` as it is written down: where a server is decides nothing, and is left out."""
    return answers.partition(":")[0]


def probe(address: str, student: ServedStudent) -> ServingEngine:
    """Ask a server what it is, and try that it can answer in a student's place.

    Raises:
        SettingError: If there is none, it has another base model, too short a context or too small a rank, or it does
            not repeat its own answers.
    """
    server = ServingClient(address)
    try:
        engine = _named(server)
        model = _base(server, student)
        _fits(server, model, student)
        _try(server, engine, student)
    except ServingError as error:
        raise SettingError(f"answers: {error}") from None
    return engine


def _named(server: ServingClient) -> ServingEngine:
    version, told = server.version(), server.info()
    if not version:
        raise ServingError(f"the server at {server.address} names no version; is it vLLM?")
    dtype = _within(told, "vllm_config", "model_config", "dtype")
    device = _within(told, "vllm_config", "device_config", "device")
    invariant = _within(told, "vllm_env", "VLLM_BATCH_INVARIANT")
    return ServingEngine(
        version=version,
        dtype=dtype.removeprefix("torch.")[:32] if isinstance(dtype, str) else None,
        device=device[:32] if isinstance(device, str) else None,
        batch_invariant=bool(invariant) if isinstance(invariant, bool | int) else None,
        address=server.address,
    )


def _within(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _base(server: ServingClient, student: ServedStudent) -> dict[str, Any]:
    """The base model that is served, if it is the student's."""
    bases = [model for model in server.models() if not model.get("parent")]
    for model in bases:
        if student.has_base(str(model.get("root"))):
            return model
    shown = ", ".join(str(model.get("root"))[:120] for model in bases) or "nothing"
    raise ServingError(
        f"the server at {server.address} serves {shown}, which is not the base model of the student; "
        f"serve {student.folder}"
    )


def _fits(server: ServingClient, model: dict[str, Any], student: ServedStudent) -> None:
    """Refuse a context that is shorter than the student's."""
    longest = model.get("max_model_len")
    if isinstance(longest, int) and longest < student.context:
        raise ServingError(
            f"the server at {server.address} reads {longest} tokens and student_args.context is {student.context}; "
            f"serve with --max-model-len {student.context}, or give a shorter context"
        )


def _try(server: ServingClient, engine: ServingEngine, student: ServedStudent) -> None:
    """Load an adapter that changes nothing, and ask some prompts: alone, alone again, and side by side."""
    weights = student.initial()
    name = "dataenv-probe-" + digest([student.lora.rank, student.dtype])[:16]
    found = student.requests(PROMPTS, Decoding(max_tokens=TOKENS), 0)
    requests = [request for request in found if request is not None]
    with tempfile.TemporaryDirectory(prefix="dataenv-probe-") as scratch:
        folder = Path(scratch) / name
        student.write_adapter(weights, folder)
        folder.parent.chmod(0o755)  # the server may be somebody else's process
        _load(server, name, folder, student)
        try:
            once, twice = (_alone(server, name, requests, student) for _ in range(2))
            beside = server.complete(name, requests * 2, 0.0, student.stops)
        finally:
            server.unload(name)
    for request, first, second in zip(requests, once, twice, strict=True):
        if first != second:
            raise ServingError(
                f"the server at {server.address} answers the same prompt of {len(request.ids)} tokens differently "
                "twice; serve with greedy decoding that repeats itself, for vLLM with VLLM_BATCH_INVARIANT=1"
            )
    if beside != once * 2:
        _vary(server, engine)


def _load(server: ServingClient, name: str, folder: Path, student: ServedStudent) -> None:
    try:
        server.load(name, str(folder))
    except ServingError as error:
        raise ServingError(
            f"{error}; serve with --enable-lora, a --max-lora-rank of at least {student.lora.rank} and "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, where it can read this machine's folders"
        ) from None


def _alone(server: ServingClient, name: str, requests: list[ServedPrompt], student: ServedStudent) -> list[list[int]]:
    """The answers to prompts that are asked one after the other."""
    return [server.complete(name, [request], 0.0, student.stops)[0] for request in requests]


def _vary(server: ServingClient, engine: ServingEngine) -> None:
    """What is said where an answer depends on what is asked beside it."""
    if engine.batch_invariant:
        raise ServingError(
            f"the server at {server.address} promises that answers do not depend on what is asked beside them, and "
            "they do; report it to its makers, or serve without VLLM_BATCH_INVARIANT"
        )
    log.warning(
        "answers: at %s an answer depends on what is asked beside it, so rows are not repeated bit by bit; "
        "serve with VLLM_BATCH_INVARIANT=1 where the card can",
        server.address,
    )
