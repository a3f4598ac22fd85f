"""What the commands share: options, consoles, and how a store and an executor become a runner."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from dataenv import registry
from dataenv.errors import SettingError, did_you_mean

if TYPE_CHECKING:
    from dataenv.execution.executors import Executor
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import Store as Opened

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
console, errors = Console(), Console(stderr=True)
DEFAULT_STORE = "runs/.store"

Store = Annotated[
    str | None,
    typer.Option(envvar="DATAENV_STORE", help="Folder of the store; 'off' computes everything anew."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but what came out.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout; everything else goes to stderr.")]
Out = Annotated[Path, typer.Option(help="Folder for results; a folder of the board's name is made in it.")]
BoardName = Annotated[str, typer.Argument(help="A built-in board (quick, smoke) or the path of a .toml file.")]
BoardFolder = Annotated[Path, typer.Argument(help="The folder of a board that was played, such as runs/quick.")]

TaskName = Annotated[str, typer.Option("--task", help="A registered task.")]
StudentName = Annotated[str, typer.Option("--student", help="A registered student.")]
TeacherArgs = Annotated[str, typer.Option("--args", help="The teacher's arguments, as JSON.")]
SettingFields = Annotated[str, typer.Option("--setting", help="Further fields of the Setting, as JSON.")]
ChatAt = Annotated[str | None, typer.Option("--chat", help="A language model: 'local', or the base_url of a server.")]
ChatModel = Annotated[str | None, typer.Option("--chat-model", help="The model, as that server names it.")]
ChatKeyEnv = Annotated[
    str | None,
    typer.Option("--chat-key-env", help="The environment variable that holds the key, where the server asks for one."),
]

ExecutorKind = Annotated[
    str | None,
    typer.Option(help="inline (this process), processes, ray, or another. [default: processes]", show_default=False),
]
Workers = Annotated[
    int, typer.Option(min=0, help="Workers; 0 for as many as fit, 1 without --executor for this process alone.")
]
RayAddress = Annotated[str | None, typer.Option(help="A Ray cluster to join; implies --executor ray.")]
NumCpus = Annotated[float, typer.Option(min=0, help="Processors of one worker (ray).")]
NumGpus = Annotated[
    float, typer.Option(min=0, help="GPUs of one worker, a share if several share one; implies --executor ray.")
]
Threads = Annotated[int, typer.Option(min=1, help="Torch threads of one worker.")]
Deadline = Annotated[float, typer.Option(min=0, help="Seconds after which a job is given up and tried again.")]


def executor_spec(
    executor: ExecutorKind = None,
    workers: Workers = 0,
    ray_address: RayAddress = None,
    num_cpus: NumCpus = 1.0,
    num_gpus: NumGpus = 0.0,
    threads: Threads = 1,
    deadline: Deadline = 1800.0,
) -> dict[str, Any]:
    """The executor that the options ask for, as the fields of ``dataenv.executors.ExecutorSpec``."""
    implies = "--ray-address" if ray_address else "--num-gpus" if num_gpus else ""
    if implies and executor not in (None, "ray"):
        raise SettingError(f"{implies} goes with --executor ray, and --executor is {executor!r}; leave one of them out")
    known = registry.names("executor")
    if executor is not None and executor not in known and ":" not in executor:
        raise SettingError(f"--executor is {executor!r}; {did_you_mean(executor, known)}")
    return {
        "kind": executor or ("ray" if implies else "inline" if workers == 1 else "processes"),
        "workers": workers,
        "address": ray_address,
        "num_cpus": num_cpus,
        "num_gpus": num_gpus,
        "threads": threads,
        "deadline": deadline,
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


def json_object(option: str, text: str) -> dict[str, Any]:
    """A JSON object given on the command line."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingError(f"{option} is no JSON ({error}); give an object such as '{{\"alpha\": 2}}'") from None
    if not isinstance(value, dict):
        raise SettingError(f"{option} is a {type(value).__name__}; give a JSON object")
    return value


def print_json(value: Any) -> None:
    """One line of canonical JSON on stdout."""
    from tasks.records import canonical_json

    typer.echo(canonical_json(value))


def with_chat(args: dict[str, Any], chat: str | None, model: str | None, key_env: str | None) -> dict[str, Any]:
    """Arguments with the options of a chat in them; the chat of ``--args`` may be a ``base_url`` alone."""
    options = {"base_url": chat, "model": model, "key_env": key_env}
    if not any(options.values()):
        return args
    given = args.get("chat", {})
    fields = {"base_url": given} if isinstance(given, str) else dict(given)
    return args | {"chat": fields | {name: value for name, value in options.items() if value}}
