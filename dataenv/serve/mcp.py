"""The MCP face: the six tools of a session for any agent that speaks the Model Context Protocol."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams, TextContent, Tool

from dataenv.errors import DataenvError
from dataenv.serve.hub import Hub
from dataenv.serve.tools import ARGUMENTS, about

TOLD = 2.0
"""Seconds between two reports of progress."""
INSTRUCTIONS = (
    "You are the teacher of a student model. Each lesson fine-tunes it and costs student tokens; the purse is fixed. "
    "look shows the student's accuracy and mistakes and how a lesson is written; teach until ended is not empty. The "
    "problems that look shows cannot be taught themselves: teach what is like them."
)


def mcp_server(hub: Hub) -> Server[Any]:
    """A server whose tools teach the session that was opened last; the first call opens one.

    Args:
        hub: Its sessions.
    """

    async def listed(context: ServerRequestContext[Any], given: PaginatedRequestParams | None) -> ListToolsResult:
        schemas = {name: model.model_json_schema() for name, model in ARGUMENTS.items()}
        return ListToolsResult(
            tools=[Tool(name=name, description=about(name), input_schema=schemas[name]) for name in ARGUMENTS]
        )

    async def called(context: ServerRequestContext[Any], given: CallToolRequestParams) -> CallToolResult:
        try:
            found = await _with_progress(context, lambda: hub.call(hub.latest, given.name, given.arguments or {}))
        except DataenvError as error:
            return CallToolResult(content=[TextContent(type="text", text=str(error))], is_error=True)
        text = TextContent(type="text", text=json.dumps(found))
        return CallToolResult(content=[text], structured_content=found)

    return Server("dataenv", instructions=INSTRUCTIONS, on_list_tools=listed, on_call_tool=called)


async def _with_progress(context: ServerRequestContext[Any], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Work in a thread; meanwhile the client is told how long it has taken."""
    found: list[dict[str, Any]] = []
    failed: list[DataenvError] = []

    async def run() -> None:
        try:
            found.append(await anyio.to_thread.run_sync(work))
        except DataenvError as error:  # a task group would wrap it
            failed.append(error)
        done.set()

    done, waited = anyio.Event(), 0.0
    async with anyio.create_task_group() as group:
        group.start_soon(run)
        while not done.is_set():
            with anyio.move_on_after(TOLD):
                await done.wait()
            if not done.is_set():
                waited += TOLD
                await context.session.report_progress(waited, None, f"at work for {waited:.0f} s")
    if failed:
        raise failed[0]
    return found[0]


def run_stdio(hub: Hub) -> None:
    """Serve one agent over this process's stdin and stdout, until it leaves."""
    server = mcp_server(hub)

    async def serve() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(serve)
