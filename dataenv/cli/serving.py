"""The command ``serve``: an environment for agents in other processes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataenv.cli.common import EPISODES, Voice, command, make_runner, takes_executor
from dataenv.cli.episodes import whole_numbers
from dataenv.cli.given import pairs
from dataenv.cli.options import DEFAULT_STORE, OUTPUT, WITHIN, BoardFields, Json, Quiet, Store
from dataenv.errors import SettingError

if TYPE_CHECKING:
    from dataenv.setting import Setting

HERE = "Server"


@command(panel=EPISODES)
@takes_executor
def serve(
    spec: dict[str, Any],
    board: Annotated[
        str,
        typer.Argument(
            metavar="BOARD_OR_SETTING", help="A board (smoke, quick …) or its .toml file, or a Setting's .json file."
        ),
    ] = "smoke",
    set_: BoardFields = None,
    level: Annotated[
        str,
        typer.Option(metavar="NAME", rich_help_panel=WITHIN, help="skill-list, skill-tree, open-ended …"),
    ] = "skill-list",
    seeds: Annotated[
        str, typer.Option(metavar="N,N…", rich_help_panel=WITHIN, help="Of the sessions, one each, in this order.")
    ] = "0",
    stdio: Annotated[
        bool, typer.Option("--stdio", rich_help_panel=HERE, help="Speak MCP over stdin and stdout; no port is opened.")
    ] = False,
    host: Annotated[str, typer.Option(metavar="ADDRESS", rich_help_panel=HERE, help="To listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, metavar="N", rich_help_panel=HERE, help="0 for any that is free.")] = 8931,
    anywhere: Annotated[
        bool, typer.Option("--anywhere", rich_help_panel=HERE, help="Allow an address that other machines can reach.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", rich_help_panel=OUTPUT, help="Keep sessions here, and go on with those that are there."
        ),
    ] = None,
    store: Store = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let agents in other processes teach: HTTP with JSON, and MCP. The token is in $DATAENV_TOKEN, or printed once."""
    from dataenv.serve.hub import Hub
    from dataenv.serve.run import TOKEN, require_loopback, require_mcp, serve_http, token_from

    voice, setting = Voice(stdio or as_json, quiet), _setting(board, pairs("-s", set_, "budget.student_tokens=100000"))
    require_mcp()
    require_loopback(host, anywhere)
    token, fresh = token_from()
    runner = make_runner(store or DEFAULT_STORE, spec)
    hub = Hub(setting, level, whole_numbers("--seeds", seeds), runner, out)
    try:
        if stdio:
            from dataenv.serve.mcp import run_stdio

            run_stdio(hub)
            return

        def ready(address: str) -> None:
            value = {"address": address, "mcp": f"{address}/mcp", "token": token if fresh else None}
            said = [f"serving {board} at {address}, MCP at {address}/mcp; Ctrl-C ends it"]
            voice.result(value, *said, *([f"{TOKEN}={token}"] if fresh else []))
            sys.stdout.flush()

        serve_http(hub, token, host, port, ready)
    finally:
        runner.executor.close()


def _setting(which: str, changes: dict[str, Any]) -> Setting:
    """The Setting of a board, or of a JSON file; with changes as ``-s`` gives them."""
    from dataenv.leaderboard.config import load
    from dataenv.setting import Setting, make_setting
    from dataenv.validation import assigned

    if not which.endswith(".json"):
        return load(which, changes).setting
    try:
        fields = json.loads(Path(which).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{which} cannot be read ({error.strerror}); give the path of a Setting's JSON") from None
    except ValueError as error:
        raise SettingError(f"{which} is no JSON ({error}); give a Setting's JSON") from None
    if not isinstance(fields, dict):
        raise SettingError(f"{which} holds a {type(fields).__name__}; give a JSON object of a Setting's fields")
    for path, value in changes.items():
        fields = assigned(fields, path, value, Setting, "-s")
    return make_setting(fields)
