"""The options that commands share, by what they are about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from dataenv import registry
from students import keys

DEFAULT_STORE = "runs/.store"
WHO, WITHIN, CHAT, OUTPUT, EXECUTOR = "Teacher", "Setting", "Language model", "Output", "Executor"
"""Under which headings a command's options are."""

Store = Annotated[
    str | None,
    typer.Option(
        envvar="DATAENV_STORE",
        metavar="FOLDER",
        show_default=DEFAULT_STORE,
        rich_help_panel=OUTPUT,
        help="Of the store; 'off' computes everything anew.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", rich_help_panel=OUTPUT, help="Say nothing but what came out.")]
Json = Annotated[
    bool, typer.Option("--json", rich_help_panel=OUTPUT, help="JSON on stdout; everything else goes to stderr.")
]
Force = Annotated[
    bool,
    typer.Option("--force", rich_help_panel=OUTPUT, help="Go on, whatever `dataenv validate` would find."),
]
Out = Annotated[
    Path,
    typer.Option(
        metavar="FOLDER", rich_help_panel=OUTPUT, help="For results; a folder of the board's name is made in it."
    ),
]


def out_folder(default: str, what: str) -> Any:
    """The option ``--out`` of a command whose results have a place already.

    Args:
        default: Where they go else, as the help says it.
        what: Goes there.
    """
    return typer.Option(metavar="FOLDER", show_default=default, rich_help_panel=OUTPUT, help=what)


def _boards() -> list[str]:
    from dataenv.leaderboard.config import built_in

    return list(built_in())


BoardName = Annotated[
    str,
    typer.Argument(
        metavar="BOARD",
        autocompletion=_boards,
        help="One that comes along (quick, smoke …), or the path of a .toml file.",
    ),
]
BoardFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Of a board that was played, such as runs/quick.")]
Adds = Annotated[
    list[str] | None,
    typer.Option(
        "--add",
        metavar="TEACHER",
        rich_help_panel="Board",
        autocompletion=lambda: list(registry.names("teacher")),
        help="Another teacher beside those of the board: a name, module:Name, LABEL=either, or an entry as JSON. The "
        "folder remembers it. Repeatable.",
    ),
]
BoardFields = Annotated[
    list[str] | None,
    typer.Option(
        "-s",
        "--set",
        metavar="PATH=VALUE",
        rich_help_panel="Board",
        help="A field of the board or of its Setting, such as seeds=[0,1] or recipe.rate=1e-3. Repeatable.",
    ),
]

TaskName = Annotated[
    str,
    typer.Option(
        "--task",
        metavar="NAME",
        rich_help_panel=WITHIN,
        autocompletion=lambda: list(registry.names("task")),
        help="A registered task, or module:Name.",
    ),
]
StudentName = Annotated[
    str,
    typer.Option(
        "--student",
        metavar="NAME",
        rich_help_panel=WITHIN,
        autocompletion=lambda: list(registry.names("student")),
        help="A registered student, or module:Name.",
    ),
]
TeacherName = Annotated[
    str,
    typer.Option(
        "--teacher",
        metavar="NAME",
        rich_help_panel=WHO,
        autocompletion=lambda: list(registry.names("teacher")),
        help="A registered teacher, or module:Name; modules of this folder are found.",
    ),
]
TeacherArg = Annotated[
    list[str] | None,
    typer.Option(
        "-t",
        "--teacher-arg",
        metavar="KEY=VALUE",
        rich_help_panel=WHO,
        help="An argument of the teacher, such as alpha=2. Repeatable.",
    ),
]
TeacherArgs = Annotated[str, typer.Option("--args", metavar="JSON", rich_help_panel=WHO, help="The same, all at once.")]
SetField = Annotated[
    list[str] | None,
    typer.Option(
        "-s",
        "--set",
        metavar="PATH=VALUE",
        rich_help_panel=WITHIN,
        help="A field of the Setting, such as recipe.rate=1e-3. Repeatable.",
    ),
]
SettingFields = Annotated[
    str, typer.Option("--setting", metavar="JSON", rich_help_panel=WITHIN, help="The same, all at once.")
]
ChatAt = Annotated[
    str | None,
    typer.Option("--chat", metavar="URL", rich_help_panel=CHAT, help="'local', or the base_url of a server."),
]
ChatModel = Annotated[
    str | None,
    typer.Option("--chat-model", metavar="NAME", rich_help_panel=CHAT, help="The model, as that server names it."),
]
ChatKeyEnv = Annotated[
    str | None,
    typer.Option(
        "--chat-key-env",
        metavar="VARIABLE",
        rich_help_panel=CHAT,
        help="The environment variable that holds the key, where the server asks for one.",
    ),
]


def _allowed(pairs: list[str] | None) -> list[str] | None:
    """Take the person's word on where keys may go, before anything else is done."""
    for pair in pairs or ():
        keys.allow(pair)
    return pairs


AllowKey = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-key",
        metavar="NAME=HOST",
        rich_help_panel=CHAT,
        callback=_allowed,
        help="A key's environment variable, and a host that it may be sent to. Repeatable.",
    ),
]

ExecutorKind = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        show_default="processes",
        rich_help_panel=EXECUTOR,
        help="inline (this process), processes, pool (several jobs a worker at once), ray, or another.",
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        rich_help_panel=EXECUTOR,
        help="Workers; 0 for as many as fit, 1 without --executor for this process alone.",
    ),
]
PoolWidth = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        metavar="K",
        show_default="16",
        rich_help_panel=EXECUTOR,
        help="Jobs that a worker runs at once, where the student has slots; implies --executor pool.",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", rich_help_panel=EXECUTOR, help="A Ray cluster to join; implies --executor ray."),
]
NumCpus = Annotated[
    float, typer.Option(min=0, metavar="N", rich_help_panel=EXECUTOR, help="Processors of one worker (ray).")
]
NumGpus = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="N",
        rich_help_panel=EXECUTOR,
        help="GPUs of one worker, a share if several share one; implies --executor ray.",
    ),
]
Threads = Annotated[
    int, typer.Option(min=1, metavar="N", rich_help_panel=EXECUTOR, help="Torch threads of one worker.")
]
Deadline = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="SECONDS",
        rich_help_panel=EXECUTOR,
        help="After which a job is given up and tried again.",
    ),
]
ActDeadline = Annotated[
    float,
    typer.Option(
        min=1,
        metavar="SECONDS",
        rich_help_panel=EXECUTOR,
        help="After which a teacher's act, learn or begin is given up, and its run has failed; what waits for training "
        "or a language model is not counted.",
    ),
]


def _isolate(context: typer.Context, who: str) -> str:
    """Say who is isolated, to workers too, until the command has ended."""
    from dataenv.isolation.choice import VARIABLE, said_by

    before = os.environ.get(VARIABLE)

    def restore() -> None:
        os.environ.pop(VARIABLE, None)
        if before is not None:
            os.environ[VARIABLE] = before

    os.environ[VARIABLE] = said_by(who, "--isolated")
    context.call_on_close(restore)
    return who


Isolated = Annotated[
    str,
    typer.Option(
        envvar="DATAENV_ISOLATED",
        metavar="WHO",
        rich_help_panel=EXECUTOR,
        callback=_isolate,
        help="Which teachers are run in a process of their own, without files and network: those from outside "
        "(outside), all, or none.",
    ),
]
