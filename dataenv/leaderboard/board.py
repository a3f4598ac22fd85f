"""A board: every teacher on every seed, the references beside them, one row a run.

Episodes live here, in threads of the driver; their jobs run on the executor. Resuming is running again: what the store
knows is not computed, and equal rows have equal bytes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dataenv import registry
from dataenv.budget import price_per_update
from dataenv.environment import TeachingEnv
from dataenv.episode import Episode, prior_compute, run
from dataenv.errors import ActionError, JobFailed
from dataenv.exams import Standing, exam_of, grade
from dataenv.jobs import Answers, Job, student_of
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.references import FormatOnly, Joint, Nothing
from dataenv.leaderboard.rows import Row
from dataenv.runner import Runner, side_by_side
from dataenv.setting import Setting
from dataenv.snapshot import StepRecord

SHOWN_LESSON, SHOWN_MISTAKES = 6, 24
PACKAGES = ("tasks", "students", "dataenv", "teachers")
VERSIONS = ("dataenv", "torch", "transformers", "gymnasium", "numpy")


@dataclass(frozen=True)
class Cell:
    """One run of a board: who teaches, with which arguments, at which level, on which seed, within what.

    ``registered`` is the name that the teacher is registered by, empty for what the board computes itself.
    """

    label: str
    registered: str
    role: str
    make: Callable[[], Any]
    args: dict[str, Any]
    level: str
    seed: int
    setting: Setting


@dataclass
class Watch:
    """Who is told of progress. The defaults tell nobody.

    Attributes:
        begin: Called once with the student tokens that the runs may spend, those of one warm start, and the number
            of seeds.
        step: Called with label, seed and record after each step, from any thread.
        done: Called with label, seed and the student tokens the cell was given, when a run has ended.
    """

    begin: Callable[[int, int, int], None] = field(default=lambda tokens, warm, seeds: None)
    step: Callable[[str, int, StepRecord], None] = field(default=lambda label, seed, record: None)
    done: Callable[[str, int, int], None] = field(default=lambda label, seed, tokens: None)


def play(board: Board, runner: Runner, folder: Path, watch: Watch | None = None) -> list[Row]:
    """Play a board and write one row a run under ``folder/rows``.

    Args:
        board: What is compared.
        runner: Store and executor.
        folder: Of this board's results; made if need be.
        watch: Told of progress.

    Raises:
        DataenvError: If a setting, a name or the store is at fault. A run whose training diverged is a row, no error.
    """
    watch = watch or Watch()
    (folder / "rows").mkdir(parents=True, exist_ok=True)  # a folder that cannot be written is said before, not after
    cells = [cell for entry in board.teachers for cell in _teacher_cells(board, entry.shown, entry.name, entry.args)]
    cells += [cell for name in board.references if name != "static-best" for cell in _reference_cells(board, name)]
    search = _search_cells(board) if "static-best" in board.references else []
    purses = [c.setting.budget.student_tokens for c in (*cells, *search)]
    extra = len(board.seeds) * board.setting.budget.student_tokens if search else 0
    watch.begin(sum(purses) + extra, _warm_tokens(board.setting), len({c.seed for c in (*cells, *search)}))
    scores = side_by_side(runner, search, lambda cell: _selection(cell, runner, watch))
    if search:
        best = _best_mixture(board, search, scores)
        cells += _teacher_cells(board, "static-best", "static", _fixed(board.mixtures.weights[best]), "reference")
    source = _source()
    rows = side_by_side(runner, cells, lambda cell: _row(board, cell, runner, watch, source))
    for row in rows:
        (folder / "rows" / f"{row.teacher}--{row.seed}.json").write_text(row.model_dump_json() + "\n", encoding="utf-8")
    return rows


def _teacher_cells(board: Board, label: str, name: str, args: dict[str, Any], role: str = "teacher") -> list[Cell]:
    return _cells(label, name, args, role, board.seeds, board.setting)


def _cells(
    label: str, name: str, args: dict[str, Any], role: str, seeds: Sequence[int], setting: Setting
) -> list[Cell]:
    """A registered teacher on every one of some seeds."""
    make: Callable[[], Any] = partial(registry.build, "teacher", name, args)
    level = getattr(make(), "level", "skill-list")
    return [Cell(label, name, role, make, args, level, seed, setting) for seed in seeds]


def _warm_tokens(setting: Setting) -> int:
    """About what making one untaught student takes, in student tokens; no purse pays it, but time passes."""
    training = setting.warm_training(0)
    if training is None:
        return 0
    student = student_of(setting.student_spec)
    tokens = [student.tokens(example) for example in training.lesson]
    return training.recipe.updates * price_per_update(training.recipe, tokens, ())


def _search_cells(board: Board) -> list[Cell]:
    """Every mixture on every seed on which the best is chosen. None looks at feedback, so little of it is asked."""
    setting = board.setting.changed(items=board.setting.items.model_copy(update={"feedback": 1}))
    return [
        cell
        for name, weights in board.mixtures.weights.items()
        for cell in _cells(name, "static", _fixed(weights), "reference", board.mixtures.seeds, setting)
    ]


def _fixed(weights: dict[str, float]) -> dict[str, Any]:
    """Arguments of ``static`` for a mixture: a skill that it does not name weighs 1."""
    return {"weights": weights, "other": 1.0}


def _reference_cells(board: Board, name: str) -> list[Cell]:
    kind: type[Any] = {"nothing": Nothing, "format-only": FormatOnly, "joint": Joint, "joint-x4": Joint}[name]
    setting = _joint_setting(board.setting, 4 if name == "joint-x4" else 1) if kind is Joint else board.setting
    return [Cell(name, "", "reference", kind, {}, kind.level, seed, setting) for seed in board.seeds]


def _joint_setting(setting: Setting, times: int) -> Setting:
    """One lesson of the whole pool, for all that the purse (or ``times`` the purse) pays."""
    tokens = times * setting.budget.student_tokens
    recipe = setting.recipe.model_copy(update={"updates": max(1, tokens // (3 * setting.recipe.batch)), "replay": 0.0})
    budget = setting.budget.model_copy(update={"student_tokens": tokens, "examples": None})
    size = len(setting.built_task.pool())
    return setting.changed(recipe=recipe, budget=budget, lesson_size=size)


def _play(cell: Cell, env: TeachingEnv, teacher: Any, watch: Watch) -> Episode:
    try:
        return run(env, teacher, cell.seed, lambda record: watch.step(cell.label, cell.seed, record))
    finally:
        watch.done(cell.label, cell.seed, cell.setting.budget.student_tokens)


def _selection(cell: Cell, runner: Runner, watch: Watch) -> float:
    """Best selection score along a run: what a mixture is chosen by. The test split stays closed."""
    env = TeachingEnv(cell.level, runner=runner, setting=cell.setting)
    try:
        episode = _play(cell, env, cell.make(), watch)
    except JobFailed:  # what diverges is no best mixture; the untaught student is what it is worth
        return _score(env.history[0])
    _forget(env, episode, keep=())
    return max(_score(step) for step in episode.steps)


def _best_mixture(board: Board, search: list[Cell], scores: list[float]) -> str:
    totals = dict.fromkeys(board.mixtures.weights, 0.0)
    for cell, score in zip(search, scores, strict=True):
        totals[cell.label] += score
    return max(totals, key=lambda name: totals[name])


def _score(step: StepRecord) -> float:
    """Mean over skills of the selection accuracy."""
    asked = [k / n for k, n in zip(step.selection.correct, step.selection.n, strict=True) if n]
    return sum(asked) / len(asked)


def _forget(env: TeachingEnv, episode: Episode, keep: Iterable[str]) -> None:
    """Drop the weights that nobody will ask for; the untaught student stays, for every teacher starts from it."""
    kept = {*keep, episode.snapshot.base}
    for step in episode.steps:
        if step.state not in kept:
            env.runner.evict(step.state)


def _row(board: Board, cell: Cell, runner: Runner, watch: Watch, source: dict[str, Any]) -> Row:
    """Play one cell, open the test exam for the state with the best selection score, and write it all down.

    A run that came to nothing stays on the board, with what it spent, and is scored as the untaught student.
    """
    env = TeachingEnv(cell.level, runner=runner, setting=cell.setting)
    teacher = cell.make()
    try:
        episode = _play(cell, env, teacher, watch)
    except (JobFailed, ActionError) as error:
        rest: dict[str, Any] = {"ended": "failed", "error": str(error), "selected": 0, "test": None}
    else:
        rest = _outcome(cell.setting, env, episode)
    steps = tuple(env.history)
    purse = env.purse
    return Row.model_validate(
        {
            "schema": 1,
            "board": board.name,
            "teacher": cell.label,
            "registered": cell.registered,
            "teacher_args": cell.args,
            "role": cell.role,
            "level": cell.level,
            "seed": cell.seed,
            "simulated": env.student.simulated,
            "setting": cell.setting.model_dump(mode="json"),
            "setting_digest": cell.setting.digest,
            "hashes": {"task": env.task.fingerprint, "student": env.student.fingerprint},
            "skills": env.task.skills,
            "budget": {
                "total": purse.total,
                "spent": purse.spent,
                **purse.uses,
                "examples": sum(step.kept for step in steps if step.lesson),
                "prior": prior_compute(teacher),
            },
            "steps": [step.model_dump(mode="json", exclude={"ended"}) for step in steps],
            "leaks": env.leaks.model_dump(mode="json"),
            **source,
            **rest,
        }
    )


def _outcome(setting: Setting, env: TeachingEnv, episode: Episode) -> dict[str, Any]:
    """What only a run that ended has: the selected state and its exams, lessons and mistakes to read."""
    steps = episode.steps
    selected = max(range(len(steps)), key=lambda i: (_score(steps[i]), -i))
    answers = _exam(env, steps[selected].state)
    test = grade(setting, "test", answers["test"])
    transfer = grade(setting, "transfer", answers["transfer"])
    _forget(env, episode, keep=(steps[selected].state,))
    return {
        "ended": steps[-1].ended,
        "selected": selected,
        "test": {
            "correct": "".join("01"[flag] for flag in test.flags),
            "n": test.n.tolist(),
            "by_skill": test.correct.tolist(),
            "grader_errors": test.grader_errors,
        },
        "transfer": {"correct": "".join("01"[flag] for flag in transfer.flags), "n": len(transfer.flags)},
        "lessons": _lessons(env, steps),
        "mistakes": _mistakes(env, steps[selected]),
    }


def _exam(env: TeachingEnv, state: str) -> dict[str, Answers]:
    """Open the test and transfer exams for one state: once a run."""
    exams = (exam_of(env.setting, "test"), exam_of(env.setting, "transfer"))
    job = env.anchor(Job(student=env.setting.student_spec, parent=state, exams=exams))
    return env.runner.run(job).answers


def _lessons(env: TeachingEnv, steps: tuple[StepRecord, ...]) -> list[dict[str, Any]]:
    out = []
    for step in steps:
        if step.lesson is not None:
            examples = env.runner.store.lesson(step.lesson)[:SHOWN_LESSON]
            shown = [e.model_dump(mode="json", include={"prompt", "response", "skills"}) for e in examples]
            out.append({"step": step.step, "examples": shown})
    return out


def _mistakes(env: TeachingEnv, step: StepRecord) -> list[dict[str, Any]]:
    """Feedback mistakes of the selected state, the first of every skill before the second of any."""
    exams = (exam_of(env.setting, "feedback"), exam_of(env.setting, "selection"))
    job = env.anchor(Job(student=env.setting.student_spec, parent=step.state, exams=exams))
    standing = Standing.of(env.setting, env.runner.run(job))
    rank: dict[str, int] = {}
    keyed: list[tuple[int, int, dict[str, str]]] = []
    for error in standing.errors:
        rank[error["skill"]] = rank.get(error["skill"], 0) + 1
        keyed.append((rank[error["skill"]], len(keyed), error))
    return [{"step": step.step, **error} for _, _, error in sorted(keyed, key=lambda x: x[:2])[:SHOWN_MISTAKES]]


def _source() -> dict[str, Any]:
    """Which code this is: commit, whether it was changed since, and the versions of what it stands on."""
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        try:
            done = subprocess.run(
                ["git", "-C", str(here), *words], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        return done.stdout.strip()

    ours = git(
        "ls-files", "--error-unmatch", Path(__file__).name
    )  # else this is an installation in somebody's repository
    return {
        "commit": (git("rev-parse", "HEAD") if ours else "") or "unknown",
        "dirty": bool(ours and git("status", "--porcelain", *(f":/{name}" for name in PACKAGES))),
        "versions": {name: version(name) for name in VERSIONS},
    }
