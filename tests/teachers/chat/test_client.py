"""The chat client over a scripted server: what is stored, what is asked again, in what order, and at what price."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import Field

from dataenv.budget.teacher import TeacherPurse
from dataenv.execution.store import Store
from tasks.records import Record
from teachers.chat import Ask, Chat, ChatError, ChatSpec, Message, Outcome, load, make_spec
from teachers.chat.heard import understand
from teachers.chat.records import Memory, save
from teachers.chat.scripted import Handler, ScriptedTurn, Server, completion, least, serving
from teachers.chat.spec import make_request

ROOT = Path(__file__).resolve().parents[3]
SECRET = "sk-proj-0aZ9bY8cX7dW6eV5"


class Skills(Record):
    """Missing skills, from a closed list."""

    skills: Annotated[tuple[Literal["add", "sort"], ...], Field(min_length=1, max_length=3)]
    sure: bool


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        yield running


def spec(server: Server, **fields: Any) -> ChatSpec:
    return ChatSpec(base_url=server.base_url, model="scripted", **fields)


def asks(n: int) -> list[Ask]:
    return [Ask(f"question {i}") for i in range(n)]


def test_replies_come_in_the_order_of_the_asks_whoever_is_first(server: Server) -> None:
    arrived: list[str] = []

    def last_first(turn: ScriptedTurn) -> str:
        number = int(turn.messages[-1]["content"].split()[-1])
        time.sleep(0.02 * (8 - number))
        arrived.append(str(number))
        return str(number)

    server.script = last_first
    replies = Chat(spec(server, concurrency=8), Memory()).ask_many(asks(8))
    assert [r.text for r in replies] == list("01234567")
    assert arrived != sorted(arrived)


def test_no_more_in_flight_than_said(server: Server) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def count(turn: ScriptedTurn) -> str:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return "x"

    server.script = count
    Chat(spec(server, concurrency=3), Memory()).ask_many(asks(12))
    assert most == 3


def test_a_hit_is_charged_and_not_sent(server: Server, tmp_path: Path) -> None:
    settings = spec(server, price_in=1.0, price_out=2.0)
    first = Chat(settings, Store(tmp_path).table("chats"))
    replies = first.ask_many(asks(5))
    sent = len(server.heard)
    second = Chat(settings, Store(tmp_path).table("chats"))
    assert second.ask_many(asks(5)) == replies
    assert len(server.heard) == sent == 5
    assert second.purse.spent == first.purse.spent
    assert first.purse.spent.micros == sum(r.tokens_in + 2 * r.tokens_out for r in replies) > 0


def test_a_store_that_is_switched_off_answers_nothing(server: Server) -> None:
    store = Store(None, reuse=False)
    for _ in range(2):
        Chat(spec(server), store.table("chats")).ask(Ask("x"))
    assert len(server.heard) == 2


def test_samples_differ_and_equal_asks_are_sent_once_and_paid_twice(server: Server) -> None:
    chat = Chat(spec(server), Memory())
    one, two, same = chat.ask_many([Ask("x", sample=0), Ask("x", sample=1), Ask("x", sample=0)])
    assert one.text != two.text
    assert one == same
    assert [body["seed"] for body in server.heard] in ([0, 1], [1, 0])
    assert chat.purse.spent.tokens == 3 * (one.tokens_in + one.tokens_out)


def test_what_failed_is_asked_again_and_what_was_answered_is_not(server: Server) -> None:
    records = Memory()
    down = ChatSpec(base_url="http://127.0.0.1:9/v1", model="scripted", retries=0)
    assert Chat(down, records).ask(Ask("x")).outcome == "no-server"
    offline = Chat(down, records, offline=True)
    assert [r.outcome for r in offline.ask_many([Ask("x"), Ask("y")])] == ["no-server", "unrecorded"]
    reply = Chat(spec(server, retries=0), records).ask(Ask("x"))
    assert (reply.outcome, reply.attempts, len(server.heard)) == ("ok", 2, 1)
    assert Chat(down, records).ask(Ask("x")) == reply


def test_a_twin_who_was_faster_is_believed(server: Server) -> None:
    """The first commit of a key wins: whoever asked the same meanwhile reads the same."""
    records = Memory()

    def overtaken(turn: ScriptedTurn) -> str:
        server.script = lambda turn: "fast"
        Chat(spec(server), records).ask(Ask("x"))
        return "slow"

    server.script = overtaken
    assert Chat(spec(server), records).ask(Ask("x")).text == "fast"


def test_a_killed_run_comes_back_to_the_same_replies(server: Server, tmp_path: Path) -> None:
    """SIGKILL within; what was committed is not asked again, and the replies are those of a run that nobody killed."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from dataenv.execution.store import Store\n"
        "from teachers.chat import *\n"
        "spec = ChatSpec(base_url=sys.argv[1], model='scripted', concurrency=2)\n"
        "records = Store(Path(sys.argv[2])).table('chats')\n"
        "Chat(spec, records).ask_many([Ask(f'question {i}') for i in range(40)])\n"
    )
    seen: set[str] = set()

    def noisy(turn: ScriptedTurn) -> str:
        """Never says the same twice: what comes back the same comes from the store."""
        seen.add(turn.messages[-1]["content"])
        time.sleep(0.02)
        return f"{turn.messages[-1]['content']} at {time.monotonic_ns()}"

    server.script = noisy
    child = subprocess.Popen([sys.executable, "-c", code, server.base_url, str(tmp_path)], cwd=ROOT)
    while len(server.heard) < 10:
        assert child.poll() is None
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    time.sleep(0.1)
    kept = Store(tmp_path).count("chats")
    assert 0 < kept < 40
    sent = len(server.heard)
    first = Chat(spec(server, concurrency=2), Store(tmp_path).table("chats")).ask_many(asks(40))
    assert len(server.heard) - sent == 40 - kept
    assert Chat(spec(server), Store(tmp_path).table("chats"), offline=True).ask_many(asks(40)) == first
    assert {r.text.split(" at ")[0] for r in first} == {a.messages for a in asks(40)}


def test_a_cassette_holds_a_run_to_the_byte(server: Server, tmp_path: Path) -> None:
    server.script = lambda turn: "line\u2028separated \x85 and plain"
    chat = Chat(spec(server, concurrency=4), Memory())
    replies = chat.ask_many([*asks(6), Ask("x", schema=Skills)])
    chat.save(tmp_path / "a.jsonl")
    again = Chat(spec(server), load(tmp_path / "a.jsonl"), offline=True)
    assert again.ask_many([*asks(6), Ask("x", schema=Skills)]) == replies
    again.save(tmp_path / "b.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().removesuffix("\n").split("\n")]
    assert len(rows) == 8  # the one that did not fit its schema was asked to mend it
    assert all(row["served"] == row["request"]["model"] == "scripted" for row in rows)
    assert "127.0.0.1" not in (tmp_path / "a.jsonl").read_text()


@pytest.mark.parametrize("line", ["{", "[]", '{"key": "a"}', '{"key": "a", "request": {}, "sample": "x"}', "[" * 9999])
def test_a_bad_cassette_says_where(tmp_path: Path, line: str) -> None:
    save(tmp_path / "c.jsonl", {})
    (tmp_path / "c.jsonl").write_text(line)
    with pytest.raises(ChatError, match=r"line 1, is no stored attempt"):
        load(tmp_path / "c.jsonl")
    with pytest.raises(ChatError, match="cannot be read"):
        load(tmp_path / "none.jsonl")


def test_json_is_strict_and_has_one_chance_to_be_mended(server: Server) -> None:
    good = '{"skills": ["sort"], "sure": true}'
    said: dict[str, list[str]] = {
        "at once": [good],
        "fenced": [f"```json\n{good}\n```"],
        "thought": [f"<think>\nskills? {{}}\n</think>\n\n{good}"],
        "second": ["The skills are:", good],
        "extra": ['{"skills": ["sort"], "sure": true, "more": 1}', good],
        "never": ["no", "no, <|im_end|> again", good],
        "unknown": ['{"skills": ["cook"], "sure": true}'] * 3,
        "loose": ['{"skills": ["sort"], "sure": "true"}'] * 3,
        "deep": ["[" * 5000] * 3,
    }

    def script(turn: ScriptedTurn) -> str:
        return said[turn.messages[0]["content"]][len(turn.messages) // 2]

    server.script = script
    chat = Chat(spec(server, max_tokens=4000), Memory())
    replies = dict(zip(said, chat.ask_many([Ask(name, Skills) for name in said]), strict=True))
    assert {name: (r.outcome, r.attempts) for name, r in replies.items()} == {
        "at once": ("ok", 1),
        "fenced": ("ok", 1),
        "thought": ("ok", 1),
        "second": ("ok", 2),
        "extra": ("ok", 2),
        "never": ("invalid", 2),
        "unknown": ("invalid", 2),
        "loose": ("invalid", 2),
        "deep": ("invalid", 2),
    }
    assert replies["second"].value == Skills(skills=("sort",), sure=True)
    assert replies["never"].value is None
    assert "skills.0" in replies["unknown"].detail
    assert replies["second"].tokens_in > replies["at once"].tokens_in
    assert chat.counts == {"ok": 5, "invalid": 4}
    mended = next(b for b in server.heard if len(b["messages"]) == 3)
    assert [m["role"] for m in mended["messages"]] == ["user", "assistant", "user"]
    assert mended["response_format"]["json_schema"]["schema"]["additionalProperties"] is False


def test_the_least_of_a_schema_fits_it() -> None:
    schema = Skills.model_json_schema()
    assert Skills.model_validate(least(schema, schema.get("$defs", {}))) == Skills(skills=("add",), sure=False)


def test_what_a_full_purse_leaves_out_does_not_depend_on_who_is_faster(server: Server) -> None:
    def run(slow: int) -> list[str]:
        def script(turn: ScriptedTurn) -> str:
            number = int(turn.messages[-1]["content"].split()[-1])
            time.sleep(0.03 if number % 2 == slow else 0)
            return "word " * (1 + number)

        server.script = script
        chat = Chat(spec(server, max_tokens=40, tokens=150, concurrency=4), Memory())
        replies = chat.ask_many(asks(16))
        assert chat.purse.spent.tokens <= 150
        return [f"{r.outcome} {r.tokens_out}" for r in replies]

    first = run(0)
    assert first == run(1)
    assert {"ok", "budget"} == {reply.split()[0] for reply in first}
    assert sum(reply.startswith("ok") for reply in first) > 150 // (40 + 26)  # what is settled is spent again


def test_money_has_a_cap_of_its_own_and_a_purse_may_be_shared(server: Server) -> None:
    purse = TeacherPurse(money=0.0001)
    chats = [Chat(spec(server, price_in=1.0, price_out=1.0, max_tokens=10), Memory(), purse) for _ in range(2)]
    replies = [chat.ask(Ask("two?", sample=i)) for i in range(10) for chat in chats]
    assert purse.spent.micros <= 100
    assert {r.outcome for r in replies} == {"ok", "budget"}
    assert purse.money_left == (100 - purse.spent.micros) / 1e6


def test_within_a_running_event_loop(server: Server) -> None:
    async def notebook() -> str:
        return Chat(spec(server), Memory()).ask(Ask("x")).outcome

    assert asyncio.run(notebook()) == "ok"


def test_the_address_and_the_key_are_not_in_the_name_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-1")
    here = ChatSpec(base_url="http://127.0.0.1:1/v1", model="m")
    there = ChatSpec(base_url="https://example.org/v1", model="m", key_env="SOME_KEY", retries=0, price_in=3.0)
    assert make_request(here, Ask("x")).key == make_request(there, Ask("x")).key
    others = [
        Ask("y"),
        Ask("x", sample=1),
        Ask("x", Skills),
        Ask("x", temperature=0.0),
        Ask("x", max_tokens=1),
        Ask((Message(role="system", content="x"),)),
    ]
    assert len({make_request(here, ask).key for ask in [Ask("x"), *others]}) == 7


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"model": "m"}, "base_url is missing"),
        ({"base_url": "localhost:8080", "model": "m"}, "base_url is no address"),
        ({"base_url": "http://a b/v1", "model": "m"}, "base_url is no address"),
        ({"base_url": "http://a:99999/v1", "model": "m"}, "base_url is no address"),
        ({"base_url": "http://me:sk-1@a/v1", "model": "m"}, "base_url holds a key"),
        ({"base_url": "http://a/v1", "model": "m", "retrys": 1}, "did you mean retries"),
        ({"base_url": "http://a/v1", "model": "m", "price_in": float("nan")}, "price_in"),
        ({"base_url": "http://a/v1", "model": "m", "extra": {"stream": True}}, "extra holds 'stream'"),
        ({"base_url": "http://a/v1#b", "model": "m"}, "base_url holds a key or a query"),
        ({"base_url": "https://api.openai.com\\.a.org/v1", "model": "m"}, "base_url is no address"),
        ({"base_url": "https://a/v1", "model": "m", "key_env": SECRET}, "key_env is no name of a variable"),
        ({"base_url": "https://a/v1", "model": "m", "key_env": "PATH"}, "key_env is no name of a variable"),
        ({"base_url": "https://a/v1", "model": "m", "key_env": "my_key"}, "key_env is no name of a variable"),
        ({"base_url": "https://a/v1", "model": "m", "key_env": [SECRET]}, r"key_env is \['\[key\]'\]"),
        (
            {"base_url": "http://a.org/v1", "model": "m", "key_env": "OPENAI_API_KEY"},
            "base_url is http, and a key",
        ),
        ({"base_url": "https://a/v1", "model": SECRET}, "model holds a key"),
        ({"base_url": f"https://a/{SECRET}/v1", "model": "m"}, "base_url holds a key"),
        (
            {"base_url": "https://a/v1", "model": "m", "extra": {"x": [{"y": f"Bearer {SECRET}"}]}},
            "extra.x.0.y holds",
        ),
        (
            {"base_url": "https://a/v1", "model": "m", "extra": {"x": {"Api-Key": "short"}}},
            "extra.x.Api-Key holds",
        ),
    ],
)
def test_a_mistake_in_the_settings_is_one_sentence(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ChatError, match=says) as caught:
        make_spec(fields)
    assert "sk-1" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_that_are_refused_are_not_repeated_in_python_either() -> None:
    with pytest.raises(ValueError, match="key_env is no name") as caught:
        ChatSpec(base_url="https://a/v1", model="m", key_env=SECRET)
    assert SECRET not in str(caught.value)


def test_what_a_server_counts_is_not_believed_below_a_token_for_32_bytes() -> None:
    """And never beyond what was set aside, so that caps hold."""
    said = {"text": "x" * 64_000, "usage": (0, 0)}

    class Liar(Handler):
        def do_POST(self) -> None:
            self.read()
            prompt, reply = said["usage"]
            usage = {"prompt_tokens": prompt, "completion_tokens": reply}
            self.send(200, completion(str(said["text"]), [], 10**9) | {"usage": usage})

    with serving(Server()) as liar:
        liar.RequestHandlerClass = Liar  # type: ignore[assignment]
        for sample, (limit, usage, cost) in enumerate(
            [
                (4096, (0, 0), (3200 // 32, 2000)),
                (1000, (0, 0), (3200 // 32, 1000)),
                (4096, (700, 2500), (700, 2500)),
                (4096, (700, 0), (700, 2000)),
            ]
        ):
            said["usage"] = usage
            chat = Chat(spec(liar, max_tokens=limit, tokens=3200 + 16 + limit), Memory())
            reply = chat.ask(Ask("a" * 3200, sample=sample))
            assert (reply.tokens_in, reply.tokens_out) == cost
            assert [row["estimated"] for row in chat.used.values()] == [cost != usage]
            assert chat.purse.spent.tokens == sum(cost)


def test_what_is_stored_and_is_no_attempt_is_asked_again(server: Server) -> None:
    """It stays where it is, for the first commit of a key wins; the next number is asked."""
    records = Memory()
    key = make_request(spec(server), Ask("x")).key
    records.put(f"{key}/0", {"outcome": "ok", "text": 3})
    reply = Chat(spec(server), records).ask(Ask("x"))
    assert (reply.outcome, reply.attempts, len(server.heard)) == ("ok", 2, 1)
    assert Chat(spec(server), records, offline=True).ask(Ask("x")) == reply


def test_a_key_is_asked_for_when_it_is_needed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Memory()
    Chat(spec(server), records).ask(Ask("x"))
    chat = Chat(spec(server, key_env="NO_SUCH_KEY"), records)
    assert chat.ask(Ask("x")).ok
    with pytest.raises(ChatError, match=r"not to be sent to 127.* give --allow-key NO_SUCH_KEY=127"):
        chat.ask(Ask("y"))
    monkeypatch.setenv("DATAENV_KEYS", "NO_SUCH_KEY=127.0.0.1")
    with pytest.raises(ChatError, match="NO_SUCH_KEY, which is not set"):
        chat.ask(Ask("y"))
    monkeypatch.setenv("NO_SUCH_KEY", "sk-1\nX-Header: 1")
    with pytest.raises(ChatError, match="holds more than a key") as caught:
        chat.ask(Ask("y"))
    assert "sk-1" not in str(caught.value)


def test_every_outcome_is_explained() -> None:
    page = (ROOT / "docs" / "chat.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, flags=re.MULTILINE)) == set(get_args(Outcome))


@pytest.mark.parametrize(
    ("said", "kept"),
    [("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"), ("/home/me/a.gguf", "a.gguf"), ("C:\\me\\a.gguf", "a.gguf"), ("", "")],
)
def test_no_path_is_kept(said: str, kept: str) -> None:
    """llama.cpp names a model by the file on its machine."""
    body = completion("x", [], 9) | {"model": said}
    assert understand(json.dumps(body).encode()).served == kept


def test_the_import_is_light() -> None:
    code = (
        "import sys, teachers.chat as c; c.Chat(c.ChatSpec(base_url='http://a/v1', model='m'));"
        "print(sorted({'openai', 'httpx', 'httpx2', 'jinja2', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_scripted_server_as_a_command() -> None:
    command = [sys.executable, "-m", "teachers.chat.scripted", "--port", "0"]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        settings = ChatSpec(base_url=line.split()[4].rstrip(","), model="scripted")
        reply = Chat(settings, Memory()).ask(Ask("hello", Skills))
        assert reply.value == Skills(skills=("add",), sure=False)
        assert Chat(settings.model_copy(update={"model": "gpt"}), Memory()).ask(Ask("x")).outcome == "wrong-model"
    finally:
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == 0
    done = subprocess.run([*command, "--script", "no.such:thing"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "check --script" in done.stderr
