"""What ``validate`` says of the data: can it be graded, can lessons be filled, what do the answers look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from dataenv.episode.teacher import build_teacher
from dataenv.errors import DataenvError
from dataenv.leaderboard.config import BASELINE, Board
from dataenv.setting import Setting
from tasks.errors import UnsupportedError
from tasks.jsonl.formats import BOX, last_box
from tasks.records import Problem

NEARLY_ALL = 0.9
"""Share of the answers that hold a mark, beyond which the mark is no accident."""
LONG = 20
"""Words of an answer that nobody writes the same twice."""
LOOKED_AT = 50
"""Answers that are looked at."""
MIXING = ("skill-list", "skill-tree")
"""Levels at which a teacher says how much of each skill comes next."""


def ungraded(setting: Setting) -> Iterator[str]:
    """One sentence, where the checker fails on every gold answer that it is asked about, and for one reason."""
    task = setting.built_task
    try:
        errors = {task.grade(p, p.answer).error for p in _few(setting) if p.answer}
    except Exception:  # the task's own code; which answer it fails on is said by the check of the gold answers
        return
    if len(errors) == 1 and None not in errors:
        yield f"setting.task: no answer can be graded: {errors.pop()}"


def data_faults(board: Board) -> Iterator[str]:
    """What makes the data of a board unfit, a sentence each, with the mend."""
    yield from _pool(board)
    yield from _one_skill(board)
    yield from _marks(board.setting)


def remarks(setting: Setting) -> list[str]:
    """What a person should know of how the data was read, and which is no fault; a sentence each."""
    task = setting.built_task
    while (inner := getattr(task, "task", None)) is not None and not hasattr(task, "told"):
        task = inner
    said = [f"setting.task: {sentence}" for sentence in getattr(task, "told", ())]
    asked, there = setting.exam_items("test"), setting.built_task.split("test")
    if getattr(task, "published", False) and len(asked) < len(there):
        most = max(Counter(problem.skills[0] for problem in there).values())
        said.append(
            f"setting.items.test: the test exam asks {len(asked)} of the {len(there)} published problems; "
            f"give test = {most} to ask all"
        )
    return [*said, *_to_the_letter(setting)]


def _to_the_letter(setting: Setting) -> Iterator[str]:
    """Say that long answers are compared as a whole, where a word more makes each of them wrong."""
    problems = [problem for problem in _few(setting) if problem.check is None]
    words = sorted(len(problem.answer.split()) for problem in problems)
    if not words or words[len(words) // 2] < LONG:
        return
    if not any(_right(setting, p, f"In other words: {p.answer}") for p in problems):
        yield (
            f"setting.task: the answers have about {words[len(words) // 2]} words, and a student must repeat them to "
            "the letter; name the column of the final answer (answer) and that of the worked one (solution), or marker"
        )


def _mixers(board: Board) -> list[str]:
    """The teachers that choose how much of each skill comes next. The baseline never does."""
    shown = []
    for entry in board.teachers:
        try:
            level = build_teacher(entry.name, entry.args).level
        except (DataenvError, UnsupportedError):  # said already
            continue
        if level in MIXING and entry.name != BASELINE:
            shown.append(entry.shown)
    return shown


def _pool(board: Board) -> Iterator[str]:
    """Check that the pool fills the lessons that may be asked of it."""
    setting = board.setting
    if setting.engine != "pool":
        return
    try:
        there = Counter(example.skills[0] for example in setting.built_task.pool())
    except UnsupportedError:
        return  # said already
    skills = setting.built_task.skills
    aimed = bool(_mixers(board) or board.mixtures.weights)
    asked = setting.lesson_size if aimed else -(-setting.lesson_size // len(skills))
    skill = min(skills, key=lambda name: (there[name], name))
    if there[skill] < asked:
        whose = "a lesson may be all of one skill" if aimed else f"a lesson asks {asked} of each skill"
        size = there[skill] if aimed else there[skill] * len(skills)
        smaller = f"a lesson_size of at most {size}, or " if size else ""
        yield (
            f"setting.lesson_size is {setting.lesson_size} and the pool has {there[skill]} rows of skill {skill!r}; "
            f"{whose}, so the rest of it would be copies: give {smaller}more rows to teach"
        )


def _one_skill(board: Board) -> Iterator[str]:
    """Check that teachers which choose between skills have a choice."""
    skills, mixers = board.setting.built_task.skills, _mixers(board)
    if len(skills) == 1 and mixers:
        verb = "chooses" if len(mixers) == 1 else "choose"
        yield (
            f"teachers: {', '.join(mixers)} {verb} between skills, and the task has one, {skills[0]!r}; name a column "
            "by setting.task_args.skill, find skills by dataenv discover (setting.skills), or give open-ended teachers"
        )


def _marks(setting: Setting) -> Iterator[str]:
    """Check that a marked final answer is looked for, where nearly all gold answers have one."""
    forms: dict[str, tuple[str, Callable[[str], str]]] = {
        "####": ("gsm8k", lambda answer: f"#### {answer.rpartition('####')[2].strip()}"),
        BOX: ("math", lambda answer: f"{BOX}{{{last_box(answer)}}}"),
    }
    problems = _few(setting)
    for mark, (form, final) in forms.items():
        holding = [p for p in problems if mark in p.answer]
        if not holding or len(holding) < NEARLY_ALL * len(problems):
            continue
        if not any(_right(setting, p, f"In other words: {final(p.answer)}") for p in holding):
            yield (
                f"setting.task: nearly all answers hold {mark!r}, and the checker compares the whole text, so a right "
                f"answer in other words is wrong; give setting.task_args.format = {form!r}"
            )


def _right(setting: Setting, problem: Problem, response: str) -> bool:
    try:
        grade = setting.built_task.grade(problem, response)
    except Exception:  # said by the check of the gold answers
        return True
    return grade.correct or grade.error is not None


def _few(setting: Setting) -> list[Problem]:
    """Problems of the test exam, evenly from the first to the last."""
    items = setting.exam_items("test")
    return list(items[:: max(1, len(items) // LOOKED_AT)])
