"""What the commands share: the app, consoles, and how a store and an executor become a runner."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from dataenv import registry
from dataenv.cli.help import PlainCommand, PlainGroup
from dataenv.cli.options import Deadline, ExecutorKind, NumCpus, NumGpus, PoolWidth, RayAddress, Threads, Workers
from dataenv.cli.terminal import InertConsole, escaped
from dataenv.errors import SettingError, did_you_mean
from dataenv.waiting import telling
from students import keys

if TYPE_CHECKING:
    from dataenv.execution.executors import Executor
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import Store as Opened

app = typer.Typer(
    cls=PlainGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# What is printed came from files, teachers and models too: it is text, no markup, and ":x:" is no picture.
console, errors = (InertConsole(stderr=stderr, markup=False, emoji=False, highlight=False) for stderr in (False, True))
BOARDS, EPISODES, SKILLS, HERE = "Boards", "Episodes", "Skills and teachers", "What is here"
"""Under which headings the commands are listed."""


def command(name: str | None = None, panel: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command of ``dataenv``, listed under a heading."""
    return app.command(name, cls=PlainCommand, rich_help_panel=panel)


@dataclass(frozen=True)
class Voice:
    """Where a command's words go, as ``--json`` and ``--quiet`` ask."""

    as_json: bool
    quiet: bool

    def __post_init__(self) -> None:
        """What goes on meanwhile is told on stderr, unless nothing but the result is wanted."""
        telling.to = "never" if self.quiet else "always"

    def say(self, *shown: Any) -> None:
        """Progress, and what is said besides the result: nothing if quiet, and on stderr beside JSON."""
        if not self.quiet:
            self._print(errors if self.as_json else console, shown)

    def result(self, value: Any, *shown: Any) -> None:
        """What came out: ``value`` as JSON, or what is shown of it."""
        if self.as_json:
            print_json(value)
        else:
            self._print(console, shown)

    def _print(self, to: Console, shown: Iterable[Any]) -> None:
        for part in shown:
            to.print(part, soft_wrap=isinstance(part, str))


def executor_spec(
    executor: ExecutorKind = None,
    workers: Workers = 0,
    ray_address: RayAddress = None,
    num_cpus: NumCpus = 1.0,
    num_gpus: NumGpus = 0.0,
    threads: Threads = 1,
    deadline: Deadline = 1800.0,
    pool_width: PoolWidth = None,
) -> dict[str, Any]:
    """The executor that the options ask for, as the fields of ``dataenv.executors.ExecutorSpec``."""
    wanted = executor
    for option, kind, given in (
        ("--ray-address", "ray", ray_address),
        ("--num-gpus", "ray", num_gpus),
        ("--pool-width", "pool", pool_width),
    ):
        if given and wanted not in (None, kind):
            raise SettingError(f"{option} goes with --executor {kind}, and --executor is {wanted!r}; leave one out")
        wanted = kind if given else wanted
    known = registry.names("executor")
    if executor is not None and executor not in known and ":" not in executor:
        raise SettingError(f"--executor is {executor!r}; {did_you_mean(executor, known)}")
    return {
        "kind": wanted or ("inline" if workers == 1 else "processes"),
        "workers": workers,
        "address": ray_address,
        "num_cpus": num_cpus,
        "num_gpus": num_gpus,
        "threads": threads,
        "deadline": deadline,
        **({"pool_width": pool_width} if pool_width else {}),
    }


def takes_executor(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of ``executor_spec``; it is handed what they ask for as ``spec``."""
    options = inspect.signature(executor_spec, eval_str=True).parameters
    own = inspect.signature(command, eval_str=True)
    parameters = [parameter for name, parameter in own.parameters.items() if name != "spec"]

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        spec = executor_spec(**{name: given.pop(name) for name in options})
        command(spec=spec, **given)

    every = [*parameters, *options.values()]
    with_options.__signature__ = own.replace(parameters=every)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
    return with_options


def make_runner(store: str, spec: dict[str, Any]) -> Runner:
    """A runner over a store."""
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import open_store

    return Runner(open_store(store), open_executor(store, spec))


def open_executor(store: str, spec: dict[str, Any]) -> Executor:
    """The executor of a spec; with the store off it is this process, for nothing on disk could be shared."""
    from dataenv.execution.executors import make_executor

    return make_executor("inline" if store == "off" and spec["kind"] == "processes" else spec)


def existing_store(where: str) -> Opened:
    """The store of a folder for reading; an empty one in memory where there is none, for nothing is to be written."""
    from dataenv.execution.store import Store, open_store

    return open_store(where) if where != "off" and (Path(where) / "store.sqlite").exists() else Store(None)


def print_json(value: Any) -> None:
    """One line of canonical JSON on stdout."""
    from tasks.records import canonical_json

    typer.echo(escaped(canonical_json(value)))


def with_chat(args: dict[str, Any], chat: str | None, model: str | None, key_env: str | None) -> dict[str, Any]:
    """Arguments with the options of a chat in them; the chat of ``--args`` may be a ``base_url`` alone.

    Who names a key on the command line allows it to be sent to that server.
    """
    options = {"base_url": chat, "model": model, "key_env": key_env}
    if not any(options.values()):
        return args
    given = args.get("chat", {})
    fields = {"base_url": given} if isinstance(given, str) else dict(given)
    fields |= {name: value for name, value in options.items() if value}
    if key_env:
        keys.allow_for(key_env, str(fields.get("base_url", "")))
    return args | {"chat": fields}
