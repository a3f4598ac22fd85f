"""Commands about skills: ``discover | transfer-matrix``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from dataenv.cli.common import (
    DEFAULT_STORE,
    ChatAt,
    ChatKeyEnv,
    ChatModel,
    Quiet,
    SettingFields,
    Store,
    StudentName,
    TaskName,
    app,
    console,
    json_object,
    make_runner,
    takes_executor,
    with_chat,
)

if TYPE_CHECKING:
    from tasks.discovered import Discovery
    from tasks.proposed import Proposal


@app.command()
def discover(
    task: Annotated[str, typer.Argument(help="A registered task.")] = "arithmetic",
    by: Annotated[
        str, typer.Option(help="chat (a language model), loss (how a student learns), or text (how items are written).")
    ] = "loss",
    student: Annotated[str, typer.Option(help="A registered student, for 'loss'.")] = "pocket",
    items: Annotated[int, typer.Option(min=2, help="Items of the task's pool that are looked at.")] = 400,
    least: Annotated[int, typer.Option(min=2, help="Problems that a skill needs in every split.")] = 10,
    subskills: Annotated[
        int, typer.Option(min=0, help="In place of skills: divide the task's own into at most so many (--by chat).")
    ] = 0,
    examples: Annotated[int, typer.Option(min=1, help="Examples that are written of each subskill.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of every draw.")] = 0,
    args: Annotated[str, typer.Option(help="The discoverer's arguments, as JSON.")] = "{}",
    setting: SettingFields = "{}",
    chat: ChatAt = None,
    chat_model: ChatModel = None,
    chat_key_env: ChatKeyEnv = None,
    out: Annotated[Path, typer.Option(help="The file.")] = Path("skills.json"),
    store: Store = None,
) -> None:
    """Find the skills of a task's items; the file goes into a Setting as skills, in place of the task's own."""
    from dataenv.discovery.discover import discover as find
    from dataenv.discovery.discover import propose
    from dataenv.setting import make_setting

    fields = {"task": task, "student": student} | json_object("--setting", setting)
    given = with_chat(json_object("--args", args), chat, chat_model, chat_key_env)
    runner = make_runner(store or DEFAULT_STORE, {"kind": "inline"})
    out.parent.mkdir(parents=True, exist_ok=True)
    if subskills:
        proposal = propose(make_setting(fields), by, given, runner, subskills, examples, seed)
        out.write_text(proposal.model_dump_json(indent=1) + "\n", encoding="utf-8")
        _show_proposal(proposal)
        console.print(f'use them by subskills="{out}" in a Setting', markup=False, highlight=False)
        return
    found = find(make_setting(fields), by, given, runner, items, least, seed)
    out.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    _show_discovery(found)
    console.print(f'{len(found.skills)} skills in {out}; use them by skills="{out}" in a Setting', highlight=False)


def _show_discovery(found: Discovery) -> None:
    """A table of the skills, their agreement with the task's own, and what they cost."""
    from dataenv.leaderboard.format import visible

    table = Table("skill", "items", "such as", box=None)
    for skill, n in Counter(found.items.values()).most_common():
        shown = "  ".join(prompt[:30] for prompt in found.examples[skill][:3])
        table.add_row(Text(visible(skill)), str(n), Text(visible(shown)))
    console.print(table)
    for name, what in (("labelled", "labels"), ("rule", "feedback problems by the rule")):
        if name in found.quality:
            agreed = found.quality[name]
            console.print(
                f"{what}, beside the task's own skills: AMI {agreed.ami:.3f}, n = {agreed.n}", highlight=False
            )
    _show_counts(found)


def _show_proposal(found: Proposal) -> None:
    """A table of the subskills, and what they cost."""
    from dataenv.leaderboard.format import visible

    table = Table("skill", "subskill", "examples", "description", box=None)
    for skill, parts in found.subskills.items():
        for part in parts:
            table.add_row(skill, Text(visible(part.name)), str(len(part.examples)), Text(visible(part.description)))
    console.print(table)
    _show_counts(found)


def _show_counts(found: Discovery | Proposal) -> None:
    for what, figures in (("counts", found.counts), ("cost", found.cost)):
        if figures:
            said = ", ".join(f"{name} {value:g}" for name, value in figures.items())
            console.print(f"{what}: {said}", markup=False, highlight=False)


@app.command("transfer-matrix")
@takes_executor
def transfer_matrix(
    spec: dict[str, Any],
    task: TaskName = "arithmetic",
    student: StudentName = "pocket",
    seeds: Annotated[int, typer.Option(min=2, help="Untaught students, one a seed.")] = 6,
    updates: Annotated[int, typer.Option(min=1, help="Updates on each skill alone.")] = 64,
    out: Annotated[Path, typer.Option(help="Folder for the matrix (JSON) and its picture (SVG).")] = Path(
        "runs/transfer"
    ),
    setting: SettingFields = "{}",
    store: Store = None,
    quiet: Quiet = False,
) -> None:
    """What training on one skill does to every other: gains with intervals, and a picture."""
    from dataenv.analysis.transfer import measure, picture, summary
    from dataenv.setting import make_setting

    fields = {"task": task, "student": student} | json_object("--setting", setting)
    runner = make_runner(store or DEFAULT_STORE, spec)
    try:
        say = (lambda line: None) if quiet else (lambda line: console.print(line, markup=False, highlight=False))
        matrix = measure(make_setting(fields), runner, range(seeds), updates, say)
    finally:
        runner.executor.close()
    out.mkdir(parents=True, exist_ok=True)
    (out / "transfer.json").write_text(matrix.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (out / "transfer.svg").write_text(picture(matrix), encoding="utf-8")
    console.print(summary(matrix), markup=False, highlight=False)
    console.print(f"picture: {out / 'transfer.svg'}", highlight=False)
