"""Commands of single runs: ``run | export | record``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dataenv.cli.common import EPISODES, Voice, command, with_chat
from dataenv.cli.given import arguments, setting_fields
from dataenv.cli.options import (
    DEFAULT_STORE,
    OUTPUT,
    WITHIN,
    ActDeadline,
    AllowKey,
    ChatAt,
    ChatKeyEnv,
    ChatModel,
    Force,
    Isolated,
    Json,
    Quiet,
    SetField,
    SettingFields,
    Store,
    StudentName,
    TaskName,
    TeacherArg,
    TeacherArgs,
    TeacherName,
    out_folder,
)
from dataenv.errors import DataenvError, SettingError, TeacherFailedError
from dataenv.waiting import waiting

if TYPE_CHECKING:
    from dataenv.environment.env import TeachingEnv
    from dataenv.episode.loop import Episode
    from dataenv.episode.teacher import AdaptedTeacher


@command(panel=EPISODES)
def run(
    teacher: TeacherName = "stratified",
    arg: TeacherArg = None,
    args: TeacherArgs = "{}",
    seed: Annotated[int, typer.Option(min=0, metavar="N", rich_help_panel=WITHIN, help="Of the episode.")] = 0,
    task: TaskName = "arithmetic",
    student: StudentName = "pocket",
    set_: SetField = None,
    setting: SettingFields = "{}",
    chat: ChatAt = None,
    chat_model: ChatModel = None,
    chat_key_env: ChatKeyEnv = None,
    allow_key: AllowKey = None,
    force: Force = False,
    act_deadline: ActDeadline = 600.0,
    isolated: Isolated = "outside",
    store: Store = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let one teacher teach one episode, and show the student step by step."""
    from dataenv.environment.env import TeachingEnv
    from dataenv.episode.profiles import profiles_of
    from dataenv.episode.teacher import build_teacher, yields_of
    from dataenv.leaderboard.planning.preflight import check_setting
    from dataenv.setting import make_setting

    given, voice = with_chat(arguments(args, arg), chat, chat_model, chat_key_env), Voice(as_json, quiet)
    who = build_teacher(teacher, given)
    within = make_setting(setting_fields(setting, set_, task=task, student=student))
    check_setting(within, who, force)
    env = TeachingEnv(who.level, store=store or DEFAULT_STORE, render_mode="ansi", setting=within)
    episode = _played(env, teacher, who, seed, act_deadline, lambda: voice.say(env.render() or "", "\n"))
    value = {
        "teacher": teacher,
        "teacher_args": given,
        "seed": seed,
        "level": who.level,
        "simulated": env.student.simulated,
        "setting": env.setting.model_dump(mode="json"),
        "total_reward": episode.total_reward,
        "steps": [step.model_dump(mode="json") for step in episode.steps],
        "yields": yields_of(who),
        "replies": dict(env.teacher_purse.replies),
        "profiles": [one.model_dump(mode="json") for one in profiles_of(who)],
    }
    first, *more = _told(teacher, who, seed, env, episode)
    voice.result(value, first)
    if not as_json:
        voice.say(*more)


def _played(
    env: TeachingEnv, named: str, who: AdaptedTeacher, seed: int, act_deadline: float, on_step: Callable[[], None]
) -> Episode:
    """One episode; what somebody else's code raises in it is one sentence, as in a row of a board."""
    from dataenv.episode.calls import described, raised_here
    from dataenv.episode.loop import run as play

    try:
        return play(env, who, seed, lambda record: on_step(), act_deadline)
    except Exception as error:
        if isinstance(error, DataenvError) or raised_here(error):
            raise
        raise TeacherFailedError(f"the run of {named} has failed: {described(error)}") from error


def _told(teacher: str, who: AdaptedTeacher, seed: int, env: TeachingEnv, episode: Episode) -> list[str]:
    """What came of an episode, in sentences, the most important first."""
    from dataenv.environment.render import SIMULATED
    from dataenv.episode.profiles import profiles_of
    from dataenv.episode.teacher import yields_of

    label = f" ({SIMULATED})" if env.student.simulated else ""
    told = [f"{teacher}, seed {seed}{label}: total reward {episode.total_reward:+.3f}"]
    if who.trained_on:  # a policy: it plays any skills, and says which it has learnt from
        here = f"{env.setting.task} ({len(env.task.skills)} skills)"
        told.append(f"{teacher}: trained on {who.trained_on}, plays {here}")
    if stages := yields_of(who):  # a teacher that writes: what came of each stage, and was it right
        verdicts = Counter[str]()
        for step in episode.steps:
            verdicts.update(step.judged)
        for what, counts in (("yields", stages), ("taught, by the task's judge", verdicts)):
            said = ", ".join(f"{name} {n}" for name, n in counts.items())
            told.append(f"{what}: {said or 'nothing'}")
    if replies := env.teacher_purse.replies:
        said = ", ".join(f"{outcome} {n}" for outcome, n in replies.items())
        told.append(f"replies of its language model: {said}")
    used = [one for one in profiles_of(who) if one.used]
    for one in used if len(used) < 3 else (used[0], used[-1]):
        shares = ", ".join(f"{skill} {100 * share:.1f} %" for skill, share in [*one.shares.items()][:5])
        told.append(f"missing skills after {one.step} lessons, as {one.diagnoser} says: {shares or 'none'}")
    return told


@command(panel=EPISODES)
def export(
    run: Annotated[Path, typer.Argument(metavar="ROW", help="Of a board: runs/BOARD/rows/TEACHER--SEED.json.")],
    out: Annotated[Path | None, out_folder("beside the row", "For both.")] = None,
    store: Store = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a run's kept data as JSONL and its selected student as a from_pretrained folder."""
    from dataenv.analysis.export import export_run
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import open_store
    from dataenv.leaderboard.folder import read_row

    runner = Runner(open_store(store or DEFAULT_STORE))
    folder = out or run.with_suffix("")
    voice = Voice(as_json, quiet)
    with waiting("making the selected student again and writing it …"):
        n = export_run(run, folder, runner)
    data, student = folder / "data.jsonl", folder / "student"
    row = read_row(run)
    untaught, lessons = row.selected == 0, any(step.lesson for step in row.steps)
    voice.result(
        {"examples": n, "data": str(data), "student": str(student), "untaught": untaught},
        f"{n} examples in {data}, the student in {student}",
    )
    if untaught and not as_json:
        why = ": no lesson of the run made it better on the selection exam" if lessons else ""
        voice.say(f"this is the untaught student{why}")


@command(panel=EPISODES)
def record(
    rows: Annotated[
        list[Path] | None,
        typer.Argument(metavar="ROW", help="Of a board, in place of --teacher: runs/quick/rows/frontier--*.json"),
    ] = None,
    teacher: TeacherName = "stratified",
    arg: TeacherArg = None,
    args: TeacherArgs = "{}",
    seeds: Annotated[
        str, typer.Option(metavar="N,N…", rich_help_panel=WITHIN, help="Of the episodes, with commas.")
    ] = "0",
    task: TaskName = "arithmetic",
    student: StudentName = "pocket",
    set_: SetField = None,
    setting: SettingFields = "{}",
    id_: Annotated[
        str,
        typer.Option(
            "--id", metavar="NAME", show_default="TASK/TEACHER-v0", rich_help_panel=OUTPUT, help="Of the dataset."
        ),
    ] = "",
    out: Annotated[Path, typer.Option(metavar="FOLDER", rich_help_panel=OUTPUT, help="Of datasets.")] = Path(
        "runs/datasets"
    ),
    store: Store = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the steps of runs as a dataset that Minari loads: numeric observation, action and reward."""
    from dataenv.analysis.record import Recording, runs_of_rows
    from dataenv.analysis.record import record as write
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import open_store
    from dataenv.leaderboard.config import Entry
    from dataenv.setting import make_setting

    if rows:
        runs = runs_of_rows(rows)
    else:
        fields = make_setting(setting_fields(setting, set_, task=task, student=student))
        given = arguments(args, arg)
        runs = [Recording(fields, teacher, given, seed) for seed in whole_numbers("--seeds", seeds)]
    called = Entry(name=runs[0].teacher).shown
    dataset = id_ or f"{runs[0].setting.task.partition(':')[0]}/{called}-v0"
    voice = Voice(as_json, quiet)
    with waiting("playing the runs and writing their steps …"):
        episodes, steps = write(runs, Runner(open_store(store or DEFAULT_STORE)), out, dataset)
    voice.result(
        {"dataset": dataset, "folder": str(out / dataset), "episodes": episodes, "steps": steps},
        f"{steps} steps in {episodes} episodes: {out / dataset}",
    )
    if not as_json:
        voice.say(f'MINARI_DATASETS_PATH={out} and minari.load_dataset("{dataset}")')


def whole_numbers(option: str, text: str) -> list[int]:
    """Whole numbers with commas between them, as an option gives them."""
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise SettingError(f"{option} is {text!r}; give whole numbers with commas, such as 0,1,2")
    return [int(part) for part in text.split(",")]
