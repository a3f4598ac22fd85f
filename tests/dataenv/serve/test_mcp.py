"""The MCP face, with the client of the package ``mcp``: in this process, over pipes, and over HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.serve.hub import Hub
from dataenv.serve.tools import ARGUMENTS
from dataenv.setting import make_setting
from tests.served import needed
from tests.tiny import TINY
from tests.toys import TOYS

needed("mcp")

from mcp import Client  # noqa: E402

from dataenv.serve import mcp as face  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
FIELDS: dict[str, Any] = TOYS | {"budget": {"student_tokens": 3_000}}


@pytest.mark.usefixtures("toys")
def test_an_agent_that_knows_only_the_tools_teaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face, "TOLD", 0.001)
    hub, heard = Hub(make_setting(FIELDS), "skill-list", [0], Runner(Store())), list[str | None]()

    async def progress(done: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    async def teach() -> dict[str, Any]:
        async with Client(face.mcp_server(hub)) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == list(ARGUMENTS)
            wrong = await client.call_tool("teach", {"mixture": {"shrt": 1.0}})
            assert wrong.is_error
            assert "did you mean 'short'" in wrong.content[0].text
            assert (await client.call_tool("cheat", {})).is_error
            seen: dict[str, Any] = (await client.call_tool("look", {})).structured_content
            while not seen["ended"]:
                given = {"mixture": dict.fromkeys(seen.get("skills", ["short", "long"]), 1.0)}
                seen = (await client.call_tool("teach", given, progress_callback=progress)).structured_content
            return seen

    ended = asyncio.run(teach())
    assert ended["ended"] == "spent"
    assert hub.session(hub.latest).call("look", {})["purse"] == ended["purse"]
    assert any(message and message.startswith("at work for") for message in heard)


def script() -> str:
    """The agent of the page."""
    page = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(import asyncio.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return str(block)


def test_the_agent_of_the_page_is_about_twenty_lines_and_imports_nothing_of_ours() -> None:
    lines = [line for line in script().splitlines() if line.strip()]
    assert len(lines) <= 22
    imported = re.findall(r"^(?:import|from) (\w+)", script(), re.MULTILINE)
    assert set(imported) <= {"asyncio", "sys", "mcp"}


def taught(tmp_path: Path, *words: str) -> str:
    """What the agent of the page prints, over pipes."""
    (tmp_path / "agent.py").write_text(script(), encoding="utf-8")
    for package in ("dataenv", "students", "tasks", "teachers"):  # the client hands on neither PYTHONPATH nor the rest
        (tmp_path / package).symlink_to(ROOT / package)
    done = subprocess.run(
        [sys.executable, "agent.py", *words], cwd=tmp_path, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_agent_of_the_page_spends_a_purse(tmp_path: Path) -> None:
    import json

    (tmp_path / "tiny.json").write_text(json.dumps(TINY), encoding="utf-8")
    said = taught(tmp_path, "tiny.json").splitlines()
    assert len(said) > 3
    assert said[-1].startswith("spent")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_agent_of_the_page_teaches_a_real_student_on_smoke(tmp_path: Path) -> None:
    """The student is the pocket transformer, and it learns: the agent's gain is far from nothing."""
    said = taught(tmp_path, "smoke").splitlines()
    assert said[-1].startswith("spent")
    assert float(said[-1].split()[-1]) > 0.1


def test_over_http_with_a_token_that_is_printed_once(tmp_path: Path) -> None:
    import json

    (tmp_path / "tiny.json").write_text(json.dumps(TINY), encoding="utf-8")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("DATAENV_")} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "dataenv", "serve", "tiny.json", "--port", "0", "--out", "kept"]
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            first, token = server.stdout.readline(), server.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+", first)
            assert address is not None, first
            secret = token.removeprefix("DATAENV_TOKEN=").strip()
            assert asyncio.run(_looked(address.group(), secret))["level"] == "skill-list"
            with pytest.raises(Exception, match=r"\w"):
                asyncio.run(_looked(address.group(), "wrong-token-entirely"))
        finally:
            server.terminate()
            server.wait(60)
    assert list((tmp_path / "kept").glob("*.json"))


async def _looked(address: str, token: str) -> dict[str, Any]:
    """What look says over HTTP, once the server is up."""
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(timeout=60) as plain:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if (await plain.get(f"{address}/health")).status_code == 200:
                    break
            except httpx2.HTTPError:
                await asyncio.sleep(0.2)
    async with (
        httpx2.AsyncClient(headers=headers, timeout=120) as http,
        Client(streamable_http_client(f"{address}/mcp", http_client=http)) as client,
    ):
        found: dict[str, Any] = (await client.call_tool("look", {})).structured_content
        return found
