"""Whatever a server does is an outcome: the right one, by its deadline, after a bounded number of requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teachers.chat import Ask, Chat, ChatSpec
from teachers.chat.records import Memory
from teachers.chat.scripted import completion, serving
from tests.teachers.chat.misbehaving import CASES, Misbehaving, Misbehaviour

DEADLINE, RETRIES = 0.4, 2
EXPECTED: dict[str, tuple[str, int]] = {
    "429 then good": ("ok", 2),
    "429 for ever": ("rate-limited", 3),
    "429 for two minutes": ("rate-limited", 1),
    "429 nonsense": ("rate-limited", 3),
    "429 no quota": ("quota", 1),
    "500 then good": ("ok", 3),
    "500 for ever": ("server-error", 3),
    "503 html": ("server-error", 3),
    "409": ("server-error", 3),
    "500 huge": ("server-error", 3),
    "400": ("bad-request", 1),
    "400 context": ("context", 1),
    "400 llama.cpp": ("context", 1),
    "401": ("wrong-key", 1),
    "403 html": ("wrong-key", 1),
    "404": ("wrong-model", 1),
    "404 ollama": ("wrong-model", 1),
    "hang": ("deadline", 1),
    "slow head": ("deadline", 1),
    "slow body": ("deadline", 1),
    "60 MB": ("oversized", 1),
    "gzip": ("garbage", 3),
    "redirect": ("redirect", 1),
    "redirect loop": ("redirect", 1),
    "html": ("garbage", 3),
    "text": ("garbage", 3),
    "nothing": ("garbage", 3),
    "cut JSON": ("garbage", 3),
    "deep JSON": ("garbage", 3),
    "deep choice": ("garbage", 3),
    "large number": ("garbage", 3),
    "not UTF-8": ("garbage", 3),
    "null": ("garbage", 3),
    "an error with 200": ("server-error", 3),
    "no choices": ("garbage", 3),
    "wrong types": ("garbage", 3),
    "204": ("garbage", 3),
    "reset at once": ("dropped", 3),
    "reset within": ("dropped", 3),
    "too short": ("dropped", 3),
    "no HTTP": ("dropped", 3),
    "good after resets": ("ok", 3),
    "wrong content type": ("ok", 1),
    "surrogate": ("ok", 1),
    "length": ("truncated", 1),
    "refusal": ("refused", 1),
    "content filter": ("refused", 1),
    "null content": ("empty", 1),
    "empty": ("empty", 1),
    "tool calls": ("empty", 1),
    "no usage": ("ok", 1),
    "good": ("ok", 1),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Misbehaving]:
    with serving(Misbehaving()) as running:
        assert isinstance(running, Misbehaving)
        yield running
        running.over.set()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teachers.chat.client.BACKOFF", 0.005)


def spec(server: Misbehaving, model: str, **fields: object) -> ChatSpec:
    given = {"deadline": 5.0, "retries": RETRIES, "max_bytes": 100_000, "price_in": 2.0, "price_out": 8.0} | fields
    return ChatSpec.model_validate({"base_url": server.base_url, "model": model} | given)


@pytest.mark.parametrize("case", sorted(CASES))
def test_case(server: Misbehaving, case: str) -> None:
    outcome, requests = EXPECTED[case]
    # What hangs is cut at its deadline; the rest gets time enough for a busy machine.
    settings = spec(server, case, deadline=DEADLINE if outcome == "deadline" else 5.0)
    records = Memory()
    before, start = server.asked[case], time.monotonic()
    reply = Chat(settings, records).ask(Ask("What is two and two?"))
    took = time.monotonic() - start
    assert (reply.outcome, server.asked[case] - before, reply.attempts) == (outcome, requests, requests)
    assert took < settings.deadline + 2
    assert reply.detail or outcome == "ok"
    assert len(records.rows) == requests
    assert [row["number"] for row in records.rows.values()] == list(range(requests))
    reply.text.encode()
    again = Chat(settings, records, offline=True).ask(Ask("What is two and two?"))
    assert again == reply
    assert server.asked[case] - before == requests


def test_a_flood_is_not_read(server: Misbehaving) -> None:
    before = server.sent
    Chat(spec(server, "60 MB"), Memory()).ask(Ask("x"))
    assert server.sent - before < 20_000_000  # what the sockets' buffers hold, and no more


def test_a_lone_surrogate_is_replaced(server: Misbehaving) -> None:
    assert Chat(spec(server, "surrogate"), Memory()).ask(Ask("x\ud800")).text == "a\ufffdb"


def test_what_cannot_be_known_is_charged_at_the_most(server: Misbehaving) -> None:
    """A connection that drops may have been billed each time; a refusal before any work is not."""
    most_in = len("two?") + 16
    reply = Chat(spec(server, "reset within", max_tokens=10), Memory()).ask(Ask("two?"))
    assert (reply.tokens_in, reply.tokens_out) == (3 * most_in, 30)
    assert reply.micros == 3 * (2 * most_in + 8 * 10)
    reply = Chat(spec(server, "no usage", max_tokens=10), Memory()).ask(Ask("two?"))
    assert (reply.tokens_in, reply.tokens_out) == (most_in, len("four"))
    reply = Chat(spec(server, "401"), Memory()).ask(Ask("two?"))
    assert (reply.tokens_in, reply.tokens_out, reply.micros) == (0, 0, 0)


@pytest.mark.parametrize("case", ["reset within", "no usage", "good"])
def test_a_cap_holds_with_many_at_once(server: Misbehaving, case: str) -> None:
    """No usage, dropped connections, and 20 at once: never more than the cap, and all of it where it is needed."""
    chat = Chat(spec(server, case, max_tokens=10, tokens=200, retries=5), Memory())
    replies = chat.ask_many([Ask("two?", sample=i) for i in range(20)])
    assert chat.purse.spent.tokens <= 200
    assert sum(r.tokens_in + r.tokens_out for r in replies) == chat.purse.spent.tokens
    assert 0 < chat.counts["budget"] < 20 if case != "good" else chat.counts["ok"] == 20


def test_a_dead_server_is_not_asked_five_hundred_times(server: Misbehaving) -> None:
    before = server.asked["500 for ever"]
    chat = Chat(spec(server, "500 for ever", retries=0, concurrency=4), Memory())
    replies = chat.ask_many([Ask("x", sample=i) for i in range(500)])
    assert {r.outcome for r in replies} == {"server-error"}
    assert server.asked["500 for ever"] - before <= 8 + 4
    assert sum(r.attempts == 0 for r in replies) >= 488
    assert "not sent" in replies[-1].detail


def test_the_key_is_in_nothing_that_is_kept(
    server: Misbehaving, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Not even where the server says it back, whole, in parts or in capitals, and in no log."""
    caplog.set_level("DEBUG")
    key = "tok.Very-Secret-0123456789-abcdefghijklmnop"  # no form that is known, so that it is hidden as itself
    monkeypatch.setenv("TEST_KEY", key)
    monkeypatch.setenv("DATAENV_KEYS", "TEST_KEY=127.0.0.1")
    served = completion("x", [], 9) | {"model": f"m-{key}"}
    finish = completion("x", [], 9)
    finish["choices"][0]["finish_reason"] = f"error {key}"
    saying: dict[str, Callable[[Misbehaviour], None]] = {
        "401": lambda it: it.refuse(401, f"bad key {it.headers['authorization']}"),
        "good": lambda it: it.say(it.headers["authorization"]),
        "400": lambda it: it.refuse(400, "x " * 130 + key + " y " * 200),  # a cut would leave a part of it
        "403 html": lambda it: it.send_bytes(403, (f"{key.upper()} " * 40).encode(), {}),
        "500 for ever": lambda it: it.send(500, {"error": {"message": key.swapcase(), "code": key}}, {"X-Echo": key}),
        "html": lambda it: it.send_bytes(200, (f"{key}" * 300).encode(), {"X-Echo": f"Bearer {key}"}),
        "null": lambda it: it.send(200, {key: [key]}),
        "length": lambda it: it.send(200, served),
        "empty": lambda it: it.send(200, finish),
        "text": lambda it: it.send_bytes(200, b'{"error": {"message": "' + escapes(key) + b'"}}', {}),
    }
    for case, say in saying.items():
        monkeypatch.setitem(CASES, case, say)
        records = Memory()
        chat = Chat(spec(server, case, key_env="TEST_KEY", retries=0), records)
        reply = chat.ask(Ask("x"))
        chat.save(tmp_path / "cassette.jsonl")
        kept = repr((reply, records.rows)) + (tmp_path / "cassette.jsonl").read_text()
        assert "[key]" in kept, case
        assert not parts(key) & parts(kept), case
    assert "X-Echo" in caplog.text
    assert not parts(key) & parts(caplog.text)


def parts(text: str) -> set[str]:
    """All pieces of six characters, in one case."""
    return {text.casefold()[i : i + 6] for i in range(len(text) - 5)}


def escapes(text: str) -> bytes:
    return "".join(f"\\u{ord(c):04x}" for c in text).encode()
