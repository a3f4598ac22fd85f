"""Commands of single runs: ``run | export | record``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from dataenv.cli.common import (
    DEFAULT_STORE,
    ChatAt,
    ChatKeyEnv,
    ChatModel,
    SettingFields,
    Store,
    StudentName,
    TaskName,
    TeacherArgs,
    app,
    console,
    json_object,
    with_chat,
)
from dataenv.errors import SettingError


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
    from dataenv.environment.env import TeachingEnv
    from dataenv.environment.render import SIMULATED
    from dataenv.episode.loop import run as play
    from dataenv.episode.teacher import build_teacher, yields_of

    given = with_chat(json_object("--args", args), chat, chat_model, chat_key_env)
    who = build_teacher(teacher, given)
    fields = {"task": task, "student": student} | json_object("--setting", setting)
    env = TeachingEnv(who.level, store=store or DEFAULT_STORE, render_mode="ansi", **fields)
    episode = play(
        env, who, seed, lambda record: console.print(env.render() or "", "\n", markup=False, highlight=False)
    )
    label = f" ({SIMULATED})" if env.student.simulated else ""
    console.print(f"{teacher}, seed {seed}{label}: total reward {episode.total_reward:+.3f}", highlight=False)
    if who.trained_on:  # a policy: it plays any skills, and says which it has learnt from
        here = f"{env.setting.task} ({len(env.task.skills)} skills)"
        console.print(f"{teacher}: trained on {who.trained_on}, plays {here}", markup=False, highlight=False)
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


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A row of a board: runs/BOARD/rows/TEACHER--SEED.json.")],
    out: Annotated[Path | None, typer.Option(help="Folder; default is beside the row.")] = None,
    store: Store = None,
) -> None:
    """Write a run's kept data as JSONL and its selected student as a from_pretrained folder."""
    from dataenv.analysis.export import export_run
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import open_store

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
    from dataenv.analysis.record import Recording, runs_of_rows
    from dataenv.analysis.record import record as write
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import open_store
    from dataenv.setting import make_setting

    if rows:
        runs = runs_of_rows(rows)
    else:
        fields = make_setting({"task": task, "student": student} | json_object("--setting", setting))
        runs = [
            Recording(fields, teacher, json_object("--args", args), seed) for seed in _whole_numbers("--seeds", seeds)
        ]
    dataset = id_ or f"{runs[0].setting.task.partition(':')[0]}/{runs[0].teacher}-v0"
    episodes, steps = write(runs, Runner(open_store(store or DEFAULT_STORE)), out, dataset)
    console.print(f"{steps} steps in {episodes} episodes: {out / dataset}", markup=False, highlight=False)
    console.print(f'MINARI_DATASETS_PATH={out} and minari.load_dataset("{dataset}")', markup=False, highlight=False)


def _whole_numbers(option: str, text: str) -> list[int]:
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise SettingError(f"{option} is {text!r}; give whole numbers with commas, such as 0,1,2")
    return [int(part) for part in text.split(",")]
