"""What the environment says of proxies and certificates, and what a wire does with it."""

from __future__ import annotations

import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from teachers.chat import Ask, Chat, ChatError, ChatSpec, Reply
from teachers.chat.records import Memory
from teachers.chat.scripted import Handler, Server, completion, serving
from teachers.chat.wire import proxy_of

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
DEAD = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def ask(url: str, **fields: Any) -> Reply:
    return Chat(ChatSpec(base_url=url, model="scripted", retries=0, deadline=5.0, **fields), Memory()).ask(Ask("two?"))


@pytest.mark.parametrize("proxy", [DEAD, "socks5://127.0.0.1:9", "nonsense://x", "http://[broken"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_none_is_used_for_this_machine(monkeypatch: pytest.MonkeyPatch, name: str, proxy: str) -> None:
    monkeypatch.setenv(name, proxy)
    with serving(Server()) as server:
        assert ask(server.base_url).ok
        assert ask(server.base_url.replace("127.0.0.1", "localhost")).ok


class Proxy(Handler):
    """Answers for the host that is asked for, as a proxy does; ``https`` it refuses."""

    def do_POST(self) -> None:
        assert self.path.startswith("http://models.invalid/v1/")
        body = self.read()
        assert body is not None
        self.server.heard.append(body)
        if body["model"] == "scripted":
            return self.send(200, completion("four", [], 9))
        self.send(407 if body["model"] == "407" else 502, {"error": "no"})

    def do_CONNECT(self) -> None:
        self.send_error(407)


@pytest.fixture
def proxy() -> Iterator[Server]:
    with serving(Server()) as running:
        running.RequestHandlerClass = Proxy  # type: ignore[assignment]
        yield running


def test_another_host_is_asked_through_it_and_failures_name_it(proxy: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    at = f"127.0.0.1:{proxy.server_address[1]}"
    monkeypatch.setenv("HTTP_PROXY", f"http://me:Pass-word-1234@{at}")
    monkeypatch.setenv("HTTPS_PROXY", at)  # without a scheme
    plain = "http://models.invalid/v1"
    reply = ask(plain)
    assert (reply.text, reply.detail, len(proxy.heard)) == ("four", "", 1)
    for model, outcome in (("502", "server-error"), ("407", "no-server")):
        chat = Chat(ChatSpec(base_url=plain, model=model, retries=0), Memory())
        reply = chat.ask(Ask("two?"))
        assert reply.outcome == outcome
        assert reply.detail.endswith(f"(through the proxy http://{at})")
        assert "Pass-word" not in repr(chat.used)
    for url in ("https://models.invalid/v1", "https://10.1.2.3/v1"):
        reply = ask(url)
        assert reply.outcome == "no-server", "refused by the proxy"
        assert reply.detail.endswith(f"(through the proxy http://{at})")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:Pass-word-1234@127.0.0.1:9")
    reply = ask("https://models.invalid/v1")
    assert reply.outcome == "no-server"
    assert reply.detail.endswith(f"(through the proxy {DEAD})")


@pytest.mark.parametrize(
    ("url", "without", "used"),
    [
        ("https://a.example.org/v1", "", DEAD),
        ("https://a.example.org/v1", "example.org", None),
        ("https://a.example.org/v1", ".example.org", None),
        ("https://a.example.org/v1", "other.org,b", DEAD),
        ("https://a.example.org:8443/v1", "a.example.org:8443", None),
        ("https://a.example.org/v1", "*", None),
        ("https://10.1.2.3/v1", "10.0.0.0/8", None),
        ("https://10.1.2.3/v1", "192.168.0.0/16, nonsense/x", DEAD),
        ("https://[::1]:8080/v1", "", None),
        ("http://a.example.org/v1", "", DEAD),
    ],
)
def test_where_none_is_used(monkeypatch: pytest.MonkeyPatch, url: str, without: str, used: str | None) -> None:
    monkeypatch.setenv("ALL_PROXY", DEAD)
    monkeypatch.setenv("NO_PROXY", without)
    assert proxy_of(url) == used


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("nonsense://127.0.0.1:9", "which is no address of one"),
        ("http://[broken", "which is no address of one"),
        ("http://127.0.0.1:99999999", "which is no address of one"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_one_sentence(monkeypatch: pytest.MonkeyPatch, named: str, says: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", named)
    with pytest.raises(ChatError, match=says) as caught:
        ask("https://models.invalid/v1")
    assert "unset it" in str(caught.value)


def test_a_socks_proxy_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://me:Pass-word-1234@127.0.0.1:9")
    with pytest.raises(ChatError, match=r"socks5://127\.0\.0\.1:9, which needs the package socksio") as caught:
        ask("https://models.invalid/v1")
    assert "Pass-word" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "certificates.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(ChatError, match=r"SSL_CERT_FILE is .*certificates\.pem.*mend or unset"):
        ask("https://127.0.0.1:9/v1")
    with serving(Server()) as server:
        assert ask(server.base_url).ok, "plain http needs none"


class _Mute(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(100)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@contextmanager
def no_tls() -> Iterator[str]:
    with socketserver.TCPServer(("127.0.0.1", 0), _Mute) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{running.server_address[1]}/v1"
        running.shutdown()


def test_a_server_without_tls_is_no_server() -> None:
    with no_tls() as url:
        assert ask(url).outcome == "no-server"


FIRST = """
import io, logging, threading, http.server
from teachers.chat import Ask, Chat, ChatSpec
from teachers.chat.records import Memory

class Echo(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(500)
        self.send_header("X-Echo", self.headers["authorization"])
        self.end_headers()

server = http.server.HTTPServer(("127.0.0.1", 0), Echo)
threading.Thread(target=server.serve_forever, daemon=True).start()
said = io.StringIO()
logging.basicConfig(level="DEBUG", stream=said)
url = f"http://127.0.0.1:{server.server_port}/v1"
Chat(ChatSpec(base_url=url, model="m", key_env="TEST_KEY", retries=0), Memory()).ask(Ask("x"))
print("X-Echo" in said.getvalue(), "Very-Secret" in said.getvalue())
"""


def test_no_log_holds_the_key_after_the_very_first_request() -> None:
    """Loggers of the packages are made when something is first sent, so this takes a process of its own."""
    environment = os.environ | {"TEST_KEY": "tok.Very-Secret-0123456789", "DATAENV_KEYS": "TEST_KEY=127.0.0.1"}
    done = subprocess.run([sys.executable, "-c", FIRST], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
