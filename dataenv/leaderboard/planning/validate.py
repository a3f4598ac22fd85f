"""``validate``: everything of a board that would fail later, found without training; one sentence each."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dataenv import registry
from dataenv.budget.price import price_of
from dataenv.environment.env import TeachingEnv
from dataenv.episode.calls import ACT_DEADLINE, Calls, described
from dataenv.episode.context import Context
from dataenv.episode.teacher import build_teacher
from dataenv.errors import DataenvError, SettingError, TeacherFailedError
from dataenv.execution.executors import Executor
from dataenv.execution.jobs import student_for
from dataenv.execution.readonly import reader
from dataenv.execution.store import Store, open_store
from dataenv.leaderboard.config import (
    BASELINE,
    STAND_IN,
    Board,
    Entry,
    changed,
    check_mask,
    joined,
    read,
    unknown_skills,
)
from dataenv.leaderboard.metric import metric_of
from dataenv.leaderboard.planning.data_checks import data_faults, remarks, ungraded
from dataenv.leaderboard.planning.measure import sample
from dataenv.leaderboard.planning.spending import refused_keys
from dataenv.leaderboard.planning.student_checks import SAMPLED, cautions
from dataenv.leaderboard.planning.student_checks import fits as _fits
from dataenv.leaderboard.planning.student_checks import golds as _gold
from dataenv.leaderboard.references import reference_class
from dataenv.leaderboard.runs import RATES, Run, all_runs, fixed
from dataenv.lessons.bill import sizes
from dataenv.lessons.engines import engine_of, require_problems
from dataenv.lessons.leaks import guard_of
from dataenv.lessons.tuition import complete, watched_of
from dataenv.setting import Setting
from dataenv.validation import all_faults
from students.base import Student
from tasks.base import Task
from tasks.errors import UnsupportedError
from tasks.records import SPLITS, stream

log = logging.getLogger(__name__)
SUSPECT = 0.1
"""Share of the engine's examples beyond which rejections as leaks are no accident."""


def examine(which: str, changes: Mapping[str, Any] | None = None, added: Sequence[Entry] = ()) -> list[str]:
    """What is wrong with a board, a sentence each; empty where it is sound.

    Args:
        which: A built-in board or the path of a TOML file.
        changes: Values by dotted path that take the place of those in the file.
        added: Teachers beside those of the board.

    Raises:
        SettingError: If there is no such board, it is no TOML, a change leads to no field, or a teacher cannot join.
    """
    path, fields = read(which)
    fields = changed(fields, changes or {})
    board, found = all_faults(Board, fields, STAND_IN)
    if board is None:  # its parts do not fit together, but each can be looked at
        board = _apart(fields)
    where = f"board {which} as changed" if changes else str(path)
    told = [f"{where}: {fault}" for fault in found]
    if board is None:
        return told
    board = joined(board, added) if added else board
    if not found:
        return faults_of(board)
    if not any(fault.startswith("setting") for fault in found):  # else it is not the file's Setting
        told += built(board.setting)
    return told + _teachers(board) + _named(board)


def _apart(fields: Mapping[str, Any]) -> Board | None:
    """The Setting and the teachers of a file whose parts do not fit together, as far as they can be read."""
    given, setting = fields.get("teachers"), fields.get("setting", {})
    others = [entry for entry in given if entry != BASELINE] if isinstance(given, list | tuple) else []
    for teachers in ([BASELINE, *others], [BASELINE]):
        board, _ = all_faults(Board, {**STAND_IN, "setting": setting, "teachers": teachers}, STAND_IN)
        if board is not None:
            return board
    return None


def faults_of(board: Board) -> list[str]:
    """What is wrong with a board that could be read, a sentence each."""
    found = [*built(board.setting), *_teachers(board), *_named(board)]
    if any(fault.startswith("setting.") for fault in found):
        return found  # the rest asks the task and the student
    if not found:
        found += _masks(board)
    found += (*unknown_skills(board), *data_faults(board))
    found += faults_of_setting(board.setting)
    return found or list(_beginnings(board))


def faults_of_setting(setting: Setting, with_engine: bool = True) -> list[str]:
    """What is wrong with a Setting by itself, whoever teaches in it, a sentence each.

    Args:
        setting: The Setting.
        with_engine: Whether its engine makes the lessons; not so for a teacher that brings its own examples.
    """
    checks = (*SETTING_CHECKS, *ENGINE_CHECKS) if with_engine else SETTING_CHECKS
    found = built(setting) or [fault for check in checks for fault in check(setting)]
    for caution in cautions(setting) if not found else ():
        log.warning(caution)
    return found


def built(setting: Setting) -> list[str]:
    """Task, student and engine can be made, and the student be trained by the recipes' methods."""
    found = []
    methods = [method for method in setting.methods if method in registry.names("method") or ":" in method]
    for method in setting.methods:
        found += _refused("setting.recipe", partial(registry.must_know, "method", method))
    for field, build in (
        ("setting.task", lambda: setting.built_task),
        ("setting.student", lambda: student_for(setting.student_spec, setting.task, methods)),
        ("setting.engine", lambda: engine_of(setting)),
    ):
        found += _refused(field, build)
    if not found:
        found += _refused("setting.student", lambda: setting.able_student)
    if not found:
        found += ungraded(setting)
    if not found:
        found += _refused("setting.student", partial(_admit, setting.built_student))
    if not found:
        found += _answers(setting)
    return found


def _answers(setting: Setting) -> list[str]:
    """The engine that answers exams, where there is one, is there and can answer for the student."""
    try:
        setting.engine_of_answers  # noqa: B018
    except SettingError as error:
        return [f"setting.{error}"]  # which begins with the field
    return []


def _named(board: Board) -> list[str]:
    """References and metrics can be made."""
    found = []
    for name in board.references:
        found += _refused("references", partial(reference_class, name))
    for name in board.metrics:
        found += _refused("metrics", partial(metric_of, name))
    return found


def noted(which: str, changes: Mapping[str, Any] | None = None) -> list[str]:
    """What a person should know of a board though it is no fault, a sentence each; empty where it cannot be built.

    Args:
        which: As for ``examine``.
        changes: As for ``examine``.
    """
    try:
        return remarks(Board.model_validate(changed(read(which)[1], changes or {})).setting)
    except (ValidationError, DataenvError):
        return []  # why it cannot be built is said by ``examine``


def _refused(field: str, act: Callable[[], Any]) -> list[str]:
    """The reason, as one sentence, why a thing cannot be built; nothing if it can."""
    try:
        act()
    except (DataenvError, UnsupportedError) as error:
        return [f"{field}: {error}"]
    return []


def _admit(student: Student) -> None:
    """A student that is read from somebody's files looks at them, and tries them, before it is used."""
    admit: Callable[[], None] | None = getattr(student, "admit", None)
    if admit is not None:
        admit()


def _teachers(board: Board) -> list[str]:
    """Teachers and mixtures are built, and their levels exist."""
    found = []
    for entry in board.teachers:
        found += _refused(f"teachers.{entry.shown}", partial(_built, entry, board.setting))
        found += _refused(f"teachers.{entry.shown}.finish", lambda e=entry: _finish(e, board.setting))  # type: ignore[misc]
    for name, weights in board.mixtures.weights.items():
        found += _refused(f"mixtures.weights.{name}", lambda w=weights: build_teacher("static", fixed(w)))  # type: ignore[misc]
    return found


def _built(entry: Entry, setting: Setting) -> None:
    """Build a teacher, and refuse a key that is named for a host to which the person did not allow it."""
    build_teacher(entry.name, entry.args)
    refused = refused_keys(entry.args, entry.within(setting).engine_args)
    if refused:
        raise SettingError("; ".join(refused))


def _masks(board: Board) -> Iterator[str]:
    """What is masked is shown at the teacher's level."""
    for entry in board.teachers:
        teacher = build_teacher(entry.name, entry.args)
        yield from _refused(f"teachers.{entry.shown}", partial(check_mask, entry, teacher, board.setting))


def _finish(entry: Entry, setting: Setting) -> None:
    if entry.finish:
        within = entry.within(setting)
        within.able_student  # noqa: B018 (refuses one that cannot)
        require_problems(within)


def _exams(setting: Setting) -> Iterator[str]:
    """Check that no exam size exceeds its split; without a size, an exam asks the whole split."""
    for split in (split for split in SPLITS if split in setting.items.model_fields_set):
        wanted, problems = getattr(setting.items, split), setting.built_task.split(split)
        if split == "transfer":
            for suite, held in Counter(problem.suite for problem in problems).items() or (("", 0),):
                if wanted > held:
                    where = f"suite {suite!r}" if suite else "the split"
                    yield f"setting.items.transfer asks {wanted} problems and {where} has {held}; ask for those"
            continue
        there = Counter(problem.skills[0] for problem in problems)
        asked = setting.targets if split != "feedback" else ()  # of every skill, for all of them may be taught
        skill = min(asked or setting.built_task.skills, key=lambda name: there[name])
        if wanted > there[skill]:
            yield (
                f"setting.items.{split} asks {wanted} problems of each skill and {skill!r} has {there[skill]}; "
                "ask for at most so many"
            )


def _data(setting: Setting) -> Iterator[str]:
    """Check that the engine has its source of data."""
    task = setting.built_task
    yield from _refused("setting.engine", lambda: engine_of(setting).check(task))


def _generate(task: Task) -> None:
    task.generate(task.skills[0], 1, stream(0, "validate"))


def _copies(setting: Setting) -> Iterator[str]:
    """Check that the screen does not reject much of the engine's data as copies of sealed problems."""
    if any(_data(setting)):
        return  # there is no such engine, which is said already
    offered = sample(setting, None, SAMPLED * len(setting.built_task.skills))
    guard, natural = guard_of(setting.built_task), setting.built_task.natural
    hits = [hit for example in offered if (hit := guard.find(example)) is not None]
    if len(hits) > SUSPECT * len(offered):
        held, holds = hits[0].problem.prompt[:40], hits[0].example.prompt[:40]
        mend = (
            "where questions are made from templates, give setting.task_args.natural = false, and else drop the copies"
            if natural
            else f"{held!r} stands in {holds!r}, so write questions of which none holds another (numbers in one width, "
            "or a word before them), and drop the copies"
        )
        yield (
            f"setting.engine: the screen takes {len(hits)} of {len(offered)} examples for copies of sealed problems; "
            f"{mend}"
        )


def _purse(setting: Setting) -> Iterator[str]:
    """The purse, and the cap on examples, pay at least one whole lesson."""
    student, recipe, budget = setting.built_student, setting.recipe, setting.budget
    made, recipe = sample(setting, None, min(512, setting.lesson_size)), complete(recipe, setting)
    tokens = sizes(student, recipe, made)
    watched = [student.tokens(example) for example in watched_of(setting, recipe)]
    price = price_of(recipe, tokens, tokens, watched).most(recipe.updates)
    if budget.student_tokens - setting.aside < price:
        apart = f", {setting.aside} of them for the finish," if setting.aside else ""
        yield (
            f"setting.budget.student_tokens is {budget.student_tokens}{apart} and a lesson of {recipe.updates} updates "
            f"costs about {price}; give at least that"
        )
    if budget.examples is not None and budget.examples < setting.lesson_size:
        yield (
            f"setting.budget.examples is {budget.examples} and a lesson holds {setting.lesson_size}; give at least that"
        )


SETTING_CHECKS: tuple[Callable[[Setting], Iterable[str]], ...] = (_exams, _gold)
ENGINE_CHECKS: tuple[Callable[[Setting], Iterable[str]], ...] = (_data, _copies, _fits, _purse)
"""What is looked at once task, student and engine can be made; the latter where the engine makes the lessons."""


def _beginnings(board: Board) -> Iterator[str]:
    """Check that every teacher and reference can begin; one that probes at once needs a student and is skipped."""
    made: dict[str, Run] = {}
    try:
        made = {f"{planned.role}/{planned.label}": planned for planned in all_runs(board) if planned.group != RATES}
    except UnsupportedError as error:
        yield f"references: {error}"
    for name in board.references:
        yield from _refused(f"references.{name}", partial(reference_class(name).check, board.setting))
    for planned in made.values():
        env = TeachingEnv(planned.level, runner=reader(Store(None)), setting=planned.setting)
        env.begin_reset(seed=planned.seed)
        field = {"teacher": "teachers", "reference": "references", "search": "mixtures.weights"}[planned.role]
        calls = Calls(env, ACT_DEADLINE)
        try:
            calls("begin", planned.teacher().begin, Context(env))
        except (ValueError, UnsupportedError, TeacherFailedError) as error:
            yield f"{field}.{planned.label} cannot begin: {error}"
        except DataenvError:
            continue  # it asked for the student, and there is none here
        except Exception as error:  # somebody else's code
            yield f"{field}.{planned.label} cannot begin: {described(error)}"
        finally:
            calls.close()


def usable(where: str, open_executor: Callable[[], Executor]) -> list[str]:
    """Whether the store can be written and the executor be had, a sentence for each that is not; nothing stays behind.

    Args:
        where: Folder of the store, or ``off``.
        open_executor: Makes the executor.
    """
    found = [] if where == "off" else _refused("store", lambda: _writable(Path(where).resolve()))
    return found + _refused("executor", lambda: open_executor().close())


def _writable(store: Path) -> None:
    if (store / "store.sqlite").exists():
        open_store(store)
    try:
        with tempfile.TemporaryFile(dir=next(folder for folder in (store, *store.parents) if folder.exists())) as file:
            file.write(b"x")
    except OSError as error:
        raise SettingError(f"{store} cannot be written ({error.strerror}); give another --store") from None
