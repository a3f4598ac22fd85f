"""Commands around boards: ``run | discover | list | doctor | transfer-matrix | export | record``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from dataenv import registry
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
    TeacherArgs,
    app,
    console,
    json_object,
    make_runner,
    takes_executor,
)
from dataenv.errors import SettingError

if TYPE_CHECKING:
    from tasks.discovered import Discovery
    from tasks.proposed import Proposal


@app.command()
def run(
    teacher: Annotated[str, typer.Option(help="A registered teacher.")] = "stratified",
    task: TaskName = "arithmetic",
    student: StudentName = "pocket",
    seed: Annotated[int, typer.Option(min=0, help="Of the episode.")] = 0,
    args: TeacherArgs = "{}",
    setting: SettingFields = "{}",
    chat: ChatAt = None,
    chat_model: ChatModel = None,
    chat_key_env: ChatKeyEnv = None,
    store: Store = None,
) -> None:
    """Let one teacher teach one episode, and show the student step by step."""
    from dataenv.environment import TeachingEnv
    from dataenv.episode import run as play
    from dataenv.leaderboard.board import yields_of
    from dataenv.render import SIMULATED

    given = _with_chat(json_object("--args", args), chat, chat_model, chat_key_env)
    who = registry.build("teacher", teacher, given)
    fields = {"task": task, "student": student} | json_object("--setting", setting)
    level = getattr(who, "level", "skill-list")
    env = TeachingEnv(level, store=store or DEFAULT_STORE, render_mode="ansi", **fields)
    episode = play(
        env, who, seed, lambda record: console.print(env.render() or "", "\n", markup=False, highlight=False)
    )
    label = f" ({SIMULATED})" if env.student.simulated else ""
    console.print(f"{teacher}, seed {seed}{label}: total reward {episode.total_reward:+.3f}", highlight=False)
    if trained_on := getattr(who, "trained_on", ""):  # a policy: it plays any skills, and says which it has learnt from
        here = f"{env.setting.task} ({len(env.task.skills)} skills)"
        console.print(f"{teacher}: trained on {trained_on}, plays {here}", markup=False, highlight=False)
    if stages := yields_of(who):  # a teacher that writes: what came of each stage, and was it right
        verdicts = Counter[str]()
        for step in episode.steps:
            verdicts.update(step.judged)
        for what, counts in (("yields", stages), ("taught, by the task's judge", verdicts)):
            said = ", ".join(f"{name} {n}" for name, n in counts.items())
            console.print(f"{what}: {said or 'nothing'}", markup=False, highlight=False)
    if replies := env.teacher_purse.replies:
        said = ", ".join(f"{outcome} {n}" for outcome, n in replies.items())
        console.print(f"replies of its language model: {said}", markup=False, highlight=False)


def _with_chat(args: dict[str, Any], chat: str | None, model: str | None, key_env: str | None) -> dict[str, Any]:
    """Arguments with the options of a chat in them; the chat of ``--args`` may be a ``base_url`` alone."""
    options = {"base_url": chat, "model": model, "key_env": key_env}
    if not any(options.values()):
        return args
    given = args.get("chat", {})
    fields = {"base_url": given} if isinstance(given, str) else dict(given)
    return args | {"chat": fields | {name: value for name, value in options.items() if value}}


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
    from dataenv.discovery import discover as find
    from dataenv.discovery import propose
    from dataenv.setting import make_setting

    fields = {"task": task, "student": student} | json_object("--setting", setting)
    given = _with_chat(json_object("--args", args), chat, chat_model, chat_key_env)
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
    from dataenv.leaderboard.text import visible

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
    from dataenv.leaderboard.text import visible

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


@app.command("list")
def list_() -> None:
    """Tasks, students, teachers, discoverers, levels and boards by name."""
    from dataenv.leaderboard.config import built_in
    from dataenv.levels import LEVELS

    table = Table("kind", "name", "where", box=None)
    for kind in ("task", "student", "teacher", "discoverer"):
        for name, where in registry.names(kind).items():
            table.add_row(kind, name, where)
    for name, level in LEVELS.items():
        table.add_row("level", name, f"{level.__module__}:{level.__qualname__}")
    for name in built_in():
        table.add_row("board", name, f"dataenv leaderboard {name}")
    console.print(table)


@app.command()
def doctor(store: Store = None) -> None:
    """What this machine gives: versions, threads, device, models found, and whether the store can be written."""
    from dataenv.doctor import examine

    sound = True
    for name, finding, good in examine(store or DEFAULT_STORE):
        sound &= good
        console.print(f"{'ok ' if good else 'BAD'}  {name:<12} {finding}", markup=False, highlight=False)
    if not sound:
        raise typer.Exit(1)


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


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A row of a board: runs/BOARD/rows/TEACHER--SEED.json.")],
    out: Annotated[Path | None, typer.Option(help="Folder; default is beside the row.")] = None,
    store: Store = None,
) -> None:
    """Write a run's kept data as JSONL and its selected student as a from_pretrained folder."""
    from dataenv.analysis.export import export_run
    from dataenv.runner import Runner
    from dataenv.store import open_store

    runner = Runner(open_store(store or DEFAULT_STORE))
    folder = out or run.with_suffix("")
    n = export_run(run, folder, runner)
    console.print(f"{n} examples in {folder / 'data.jsonl'}, the student in {folder / 'student'}", highlight=False)


@app.command()
def record(
    rows: Annotated[
        list[Path] | None,
        typer.Argument(help="Rows of a board, in place of --teacher: runs/quick/rows/frontier--*.json"),
    ] = None,
    teacher: Annotated[str, typer.Option(help="A registered teacher of a structured level.")] = "stratified",
    task: TaskName = "arithmetic",
    student: StudentName = "pocket",
    seeds: Annotated[str, typer.Option(help="Of the episodes, with commas.")] = "0",
    args: TeacherArgs = "{}",
    setting: SettingFields = "{}",
    id_: Annotated[
        str, typer.Option("--id", help="Of the dataset. [default: TASK/TEACHER-v0]", show_default=False)
    ] = "",
    out: Annotated[Path, typer.Option(help="The folder of datasets.")] = Path("runs/datasets"),
    store: Store = None,
) -> None:
    """Write the steps of runs as a dataset that Minari loads: numeric observation, action and reward."""
    from dataenv.analysis.record import Run, runs_of_rows
    from dataenv.analysis.record import record as write
    from dataenv.runner import Runner
    from dataenv.setting import make_setting
    from dataenv.store import open_store

    if rows:
        runs = runs_of_rows(rows)
    else:
        fields = make_setting({"task": task, "student": student} | json_object("--setting", setting))
        runs = [Run(fields, teacher, json_object("--args", args), seed) for seed in _whole_numbers("--seeds", seeds)]
    dataset = id_ or f"{runs[0].setting.task.partition(':')[0]}/{runs[0].teacher}-v0"
    episodes, steps = write(runs, Runner(open_store(store or DEFAULT_STORE)), out, dataset)
    console.print(f"{steps} steps in {episodes} episodes: {out / dataset}", markup=False, highlight=False)
    console.print(f'MINARI_DATASETS_PATH={out} and minari.load_dataset("{dataset}")', markup=False, highlight=False)


def _whole_numbers(option: str, text: str) -> list[int]:
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise SettingError(f"{option} is {text!r}; give whole numbers with commas, such as 0,1,2")
    return [int(part) for part in text.split(",")]
