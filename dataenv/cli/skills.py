"""Commands about skills: ``discover | transfer-matrix | profiles``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from dataenv.cli.common import SKILLS, Voice, command, make_runner, takes_executor, with_chat
from dataenv.cli.given import arguments, setting_fields
from dataenv.cli.options import (
    DEFAULT_STORE,
    OUTPUT,
    WITHIN,
    AllowKey,
    BoardFolder,
    ChatAt,
    ChatKeyEnv,
    ChatModel,
    Json,
    Quiet,
    SetField,
    SettingFields,
    Store,
    StudentName,
    TaskName,
)
from dataenv.waiting import waiting

if TYPE_CHECKING:
    from tasks.discovered import Discovery
    from tasks.proposed import Proposal


HOW = "Discovery"
"""The heading of the options of how skills are found."""
MATRIX = "Measurement"


@command(panel=SKILLS)
def discover(
    task: Annotated[str, typer.Argument(metavar="TASK", help="A registered task, or module:Name.")] = "arithmetic",
    by: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            rich_help_panel=HOW,
            help="chat (a language model), loss (how a student learns), or text (how items are written).",
        ),
    ] = "loss",
    arg: Annotated[
        list[str] | None,
        typer.Option(
            "-a",
            "--arg",
            metavar="KEY=VALUE",
            rich_help_panel=HOW,
            help="An argument of the discoverer, such as skills=8. Repeatable.",
        ),
    ] = None,
    args: Annotated[str, typer.Option(metavar="JSON", rich_help_panel=HOW, help="The same, all at once.")] = "{}",
    items: Annotated[
        int, typer.Option(min=2, metavar="N", rich_help_panel=HOW, help="Items of the task's pool that are looked at.")
    ] = 400,
    least: Annotated[
        int, typer.Option(min=2, metavar="N", rich_help_panel=HOW, help="Problems that a skill needs in every split.")
    ] = 10,
    subskills: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            rich_help_panel=HOW,
            help="In place of skills: divide the task's own into at most so many (--by chat).",
        ),
    ] = 0,
    examples: Annotated[
        int, typer.Option(min=1, metavar="N", rich_help_panel=HOW, help="Examples that are written of each subskill.")
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, metavar="N", rich_help_panel=HOW, help="Of every draw.")] = 0,
    student: Annotated[
        str, typer.Option(metavar="NAME", rich_help_panel=WITHIN, help="A registered student, for 'loss'.")
    ] = "pocket",
    set_: SetField = None,
    setting: SettingFields = "{}",
    chat: ChatAt = None,
    chat_model: ChatModel = None,
    chat_key_env: ChatKeyEnv = None,
    allow_key: AllowKey = None,
    out: Annotated[Path, typer.Option(metavar="FILE", rich_help_panel=OUTPUT, help="For what is found.")] = Path(
        "skills.json"
    ),
    store: Store = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the skills of a task's items; the file goes into a Setting as skills, in place of the task's own."""
    from dataenv.discovery.discover import discover as find
    from dataenv.discovery.discover import propose
    from dataenv.setting import make_setting

    fields = setting_fields(setting, set_, task=task, student=student)
    given = with_chat(arguments(args, arg, "-a"), chat, chat_model, chat_key_env)
    runner = make_runner(store or DEFAULT_STORE, {"kind": "inline"})
    voice = Voice(as_json, quiet)
    out.parent.mkdir(parents=True, exist_ok=True)
    found: Discovery | Proposal
    with waiting("looking at the items and finding their skills …"):
        if subskills:
            found = proposal = propose(make_setting(fields), by, given, runner, subskills, examples, seed)
        else:
            found = discovery = find(make_setting(fields), by, given, runner, items, least, seed)
    if subskills:
        shown, result = _proposed(proposal), f'use them by subskills="{out}" in a Setting'
    else:
        shown = _discovered(discovery)
        result = f'{len(discovery.skills)} skills in {out}; use them by skills="{out}" in a Setting'
    out.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if not as_json:
        voice.say(*shown, *_counts(found))
    voice.result({"file": str(out), **found.model_dump(mode="json")}, result)


def _discovered(found: Discovery) -> list[Any]:
    """A table of the skills, and their agreement with the task's own."""
    from dataenv.leaderboard.format import visible

    table = Table("skill", "items", "such as", box=None)
    for skill, n in Counter(found.items.values()).most_common():
        shown = "  ".join(prompt[:30] for prompt in found.examples[skill][:3])
        table.add_row(Text(visible(skill)), str(n), Text(visible(shown)))
    told: list[Any] = [table]
    for name, what in (("labelled", "labels"), ("rule", "feedback problems by the rule")):
        if name in found.quality:
            agreed = found.quality[name]
            told.append(f"{what}, beside the task's own skills: AMI {agreed.ami:.3f}, n = {agreed.n}")
    return told


def _proposed(found: Proposal) -> list[Any]:
    """A table of the subskills."""
    from dataenv.leaderboard.format import visible

    table = Table("skill", "subskill", "examples", "description", box=None)
    for skill, parts in found.subskills.items():
        for part in parts:
            table.add_row(skill, Text(visible(part.name)), str(len(part.examples)), Text(visible(part.description)))
    return [table]


def _counts(found: Discovery | Proposal) -> list[str]:
    """What was counted, and what it cost."""
    return [
        f"{what}: " + ", ".join(f"{name} {value:g}" for name, value in figures.items())
        for what, figures in (("counts", found.counts), ("cost", found.cost))
        if figures
    ]


@command("transfer-matrix", SKILLS)
@takes_executor
def transfer_matrix(
    spec: dict[str, Any],
    seeds: Annotated[
        int, typer.Option(min=2, metavar="N", rich_help_panel=MATRIX, help="Untaught students, one a seed.")
    ] = 6,
    updates: Annotated[
        int, typer.Option(min=1, metavar="N", rich_help_panel=MATRIX, help="Updates on each skill alone.")
    ] = 64,
    task: TaskName = "arithmetic",
    student: StudentName = "pocket",
    set_: SetField = None,
    setting: SettingFields = "{}",
    out: Annotated[
        Path,
        typer.Option(metavar="FOLDER", rich_help_panel=OUTPUT, help="For the matrix (JSON) and its picture (SVG)."),
    ] = Path("runs/transfer"),
    store: Store = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What training on one skill does to every other: gains with intervals, and a picture."""
    from dataenv.analysis.transfer import measure, picture, summary
    from dataenv.setting import make_setting

    fields = setting_fields(setting, set_, task=task, student=student)
    runner, voice = make_runner(store or DEFAULT_STORE, spec), Voice(as_json, quiet)
    try:
        matrix = measure(make_setting(fields), runner, range(seeds), updates, voice.say)
    finally:
        runner.executor.close()
    out.mkdir(parents=True, exist_ok=True)
    (out / "transfer.json").write_text(matrix.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (out / "transfer.svg").write_text(picture(matrix), encoding="utf-8")
    voice.result(matrix.model_dump(mode="json"), summary(matrix))
    if not as_json:
        voice.say(f"picture: {out / 'transfer.svg'}")


@command(panel=SKILLS)
def profiles(
    folder: BoardFolder,
    other: Annotated[
        Path | None, typer.Option("--with", metavar="FOLDER", help="Another board's, with the same skills.")
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Skills at the head of a profile that are compared.")
    ] = 5,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what the students of a board lacked, as its teachers found, and how far two diagnosers agree."""
    from dataenv.leaderboard.folder import read_rows
    from dataenv.leaderboard.report.profiles import sentences
    from dataenv.leaderboard.statistics.profiles import of_boards

    boards = {str(folder): read_rows(folder)} | ({str(other): read_rows(other)} if other else {})
    found = of_boards(boards, top)
    Voice(as_json, quiet).result(found.model_dump(mode="json"), *sentences(found))
