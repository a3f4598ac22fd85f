"""The HTTP face: who is let in, what is refused, and with which status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.serve.hub import Hub
from dataenv.setting import make_setting
from tests.served import needed
from tests.toys import TOYS

needed("mcp")

from starlette.testclient import TestClient  # noqa: E402

from dataenv.serve import http  # noqa: E402
from dataenv.serve.mcp import mcp_server  # noqa: E402

pytestmark = pytest.mark.usefixtures("toys")
TOKEN = "a-token-for-tests"
ALLOWED = {"Authorization": f"Bearer {TOKEN}"}
FIELDS: dict[str, Any] = TOYS | {"budget": {"student_tokens": 3_000}}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    hub = Hub(make_setting(FIELDS), "skill-list", [0, 1, 2, 3, 4, 5, 6, 7], Runner(Store()))
    with TestClient(http.app_of(hub, TOKEN, mcp_server(hub).streamable_http_app()), "http://127.0.0.1") as one:
        yield one


def opened(client: TestClient) -> str:
    return str(client.post("/sessions", headers=ALLOWED).json()["session"])


def test_an_episode_is_taught(client: TestClient) -> None:
    made = client.post("/sessions", headers=ALLOWED)
    assert made.status_code == 201
    at = f"/sessions/{made.json()['session']}"
    told = made.json()
    while not told["ended"]:
        done = client.post(f"{at}/teach", headers=ALLOWED, json={"mixture": {"short": 1.0, "long": 1.0}})
        assert done.status_code == 200
        told = done.json()
    assert told["ended"] == "spent"
    assert client.get(at, headers=ALLOWED).json() == {"busy": "", "seconds": 0.0, "ended": "spent"}
    again = client.post(f"{at}/teach", headers=ALLOWED, json={"mixture": {"short": 1.0}})
    assert again.status_code == 409
    assert "ended (spent)" in again.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer " + "x" * 9999},
        {"Authorization": b"Bearer \xff"},
    ],
)
@pytest.mark.parametrize("path", ["/sessions", "/sessions/x/look", "/mcp", "/nothing"])
def test_without_the_token_nothing_is_said(client: TestClient, headers: Any, path: str) -> None:
    done = client.post(path, headers=headers, content=b"{")
    assert done.status_code == 401
    assert list(done.json()) == ["error"]


def test_what_is_open_says_nothing_of_anybody(client: TestClient) -> None:
    assert client.get("/health").json() == {"ok": True}
    assert "paths" in client.get("/openapi.json").json()


@pytest.mark.parametrize(
    ("tool", "body", "status", "said"),
    [
        ("teach", b"{", 400, "no JSON"),
        ("teach", b"[1]", 400, "JSON list"),
        ("teach", b"[" * 100_000, 400, "no JSON"),
        ("teach", b'{"mixture": {"short": NaN}}', 400, "no JSON"),
        ("teach", b'{"mixture": {"shrt": 1}}', 422, "did you mean 'short'"),
        ("teach", b'{"mixture": {"short": 1}, "more": 1}', 422, "more"),
        ("probe", json.dumps({"examples": [{"prompt": "x" * 5000, "response": "y"}]}).encode(), 422, "4096"),
        ("sample", json.dumps({"prompts": ["abc>"] * 4000, "n": 200}).encode(), 402, "the purse holds"),
        ("cheat", b"{}", 404, "there is no tool 'cheat'"),
    ],
)
def test_refusals(client: TestClient, tool: str, body: bytes, status: int, said: str) -> None:
    if not hasattr(client, "kept"):
        client.kept = opened(client)  # type: ignore[attr-defined]
    done = client.post(f"/sessions/{client.kept}/{tool}", headers=ALLOWED, content=body)  # type: ignore[attr-defined]
    assert (done.status_code, list(done.json())) == (status, ["error"])
    assert said in done.json()["error"]


def test_what_is_not_there(client: TestClient) -> None:
    assert client.post("/sessions/x/look", headers=ALLOWED).status_code == 404
    nothing = client.get("/nothing", headers=ALLOWED)
    assert nothing.status_code == 404
    assert "GET /nothing" in nothing.json()["error"]
    assert client.get("/sessions", headers=ALLOWED).status_code == 405


def test_a_body_is_read_no_further_than_it_may_go(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_BYTES", 1000)
    name = opened(client)
    done = client.post(f"/sessions/{name}/teach", headers=ALLOWED, content=b"x" * 2000)
    assert done.status_code == 413


def test_a_fault_of_ours_says_no_more_than_that(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    name = opened(client)
    monkeypatch.setattr(Hub, "call", lambda *_: 1 / 0)
    quiet = TestClient(client.app, "http://127.0.0.1", raise_server_exceptions=False)
    done = quiet.post(f"/sessions/{name}/look", headers=ALLOWED)
    assert (done.status_code, done.json()) == (500, {"error": "the server failed; its log says how"})
