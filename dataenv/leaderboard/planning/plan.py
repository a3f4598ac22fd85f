"""``plan``: what a board will take before it is played: training runs, student tokens, time, disk; and what is known.

Tokens and runs follow from the purse and the price of a lesson; seconds from pieces that were measured on this machine.
What no one can know beforehand (mastery, failures, a teacher that probes) is left out, and ``ASSUMES`` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from dataenv.execution.executors import cores
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.format import visible
from dataenv.leaderboard.planning.expected import Expected, expected, told_of
from dataenv.leaderboard.planning.forecast import Oracle, RunForecast
from dataenv.leaderboard.planning.measure import Measured, measure
from dataenv.leaderboard.planning.spending import Asking, asking, told
from dataenv.leaderboard.runs import SEARCHES, Run, all_runs, by_group
from dataenv.lessons.tuition import warm_tokens
from dataenv.levels import make_level
from dataenv.setting import Setting
from tasks.records import Record, Split

if TYPE_CHECKING:
    from rich.table import Table

WARM = "warm starts"
NAME = 17
"""Columns of terminal that a teacher's name keeps, if it is so long."""
IDLE = 0.9
"""Share of a core below which a measurement is said to have been disturbed."""
ROW, ANSWER = 12_000, 10
"""Bytes, about: a row file without its lessons' texts, and one stored answer."""
ASSUMES = (
    "every run spends its whole purse on lessons (no mastery, failures or probes), adaptive teachers as if they taught "
    "every skill equally, the machine as busy with other work as while it was measured; a finish's answers as long as "
    "they may be"
)


class ForecastLine(Record):
    """One line of a plan: a teacher, a reference, the search for the best mixture, or the warm starts.

    Attributes:
        name: What it is called.
        runs: Episodes; 0 for warm starts.
        trainings: Training runs, ``known`` of them in the store already.
        exams: Jobs that only answer.
        tokens: Student tokens spent on training.
        answers: Problems answered.
        losses: Gold answers on which the loss is measured.
        rows: Runs of which there is a row already.
        seconds: Work that is left, of workers and of the driver together.
        longest: The longest chain of jobs in it that is left, in seconds.
        driver: Of ``seconds`` those of the driver.
    """

    name: str
    runs: int
    trainings: int
    known: int
    exams: int
    tokens: int
    answers: int
    losses: int
    rows: int
    seconds: float
    longest: float
    driver: float


class Forecast(Record):
    """What a board will take.

    Attributes:
        board: Its name.
        lines: By teacher, reference, search, warm starts.
        runs: Episodes in all; ``rows`` of them have a row.
        jobs: Training runs and jobs that only answer.
        trainings: Training runs in all; ``known`` of them are in the store.
        tokens: Student tokens spent on training in all, warm starts included.
        seconds: Estimated time to the end from here.
        width: Jobs at once.
        kept: Bytes that will be kept: weights (a warm start a seed, the selected state a run), records, rows.
        peak: Bytes at the most while it runs.
        measured: What the time and the weights come from.
        asking: The teachers that ask language models, and the most that this may cost.
        assumes: What the figures take for granted.
        expected: The part of it that is likely, where seeds are added until teachers are decided.
    """

    board: str
    lines: tuple[ForecastLine, ...]
    runs: int
    rows: int
    jobs: int
    trainings: int
    known: int
    tokens: int
    seconds: float
    width: int
    kept: int
    peak: int
    measured: Measured
    asking: tuple[Asking, ...] = ()
    assumes: str = ASSUMES
    expected: Expected | None = Field(default=None, exclude_if=lambda value: value is None)


def make_plan(board: Board, store: Store, folder: Path, width: int, local: bool = True) -> Forecast:
    """Plan a board. Nothing is written and nothing of the board is trained.

    Args:
        board: The board.
        store: Of which is asked what it knows.
        folder: Where rows may be already.
        width: Jobs at once.
        local: Whether the workers share this machine's cores with the driver.
    """
    measured = measure(board.setting)
    oracle, every = Oracle(board, store, folder), all_runs(board)
    forecasts = {id(planned): oracle.forecast(planned) for planned in every}
    search = [planned for planned in every if planned.role == "search"]
    rest = [planned for planned in every if planned.role != "search"]
    phases = [_phase(board, part, forecasts, oracle, measured) for part in (search, rest) if part]
    seconds = sum(_elapsed(phase, width, local) for phase in phases)
    if any(line.known < line.trainings for phase in phases for line in phase):
        seconds += measured.start if width == 1 else 2 * measured.start  # the driver's, then the workers' all at once
    lines = _in_order(line for phase in phases for line in phase)
    kept, peak = _disk(every, forecasts, lines, measured, width)
    return Forecast(
        board=board.name,
        lines=tuple(lines),
        runs=sum(line.runs for line in lines),
        rows=sum(line.rows for line in lines),
        jobs=sum(line.trainings + line.exams for line in lines),
        trainings=sum(line.trainings for line in lines),
        known=sum(line.known for line in lines),
        tokens=sum(line.tokens for line in lines),
        seconds=seconds,
        width=width,
        kept=kept,
        peak=peak,
        measured=measured,
        expected=expected(board),
        asking=asking(
            {
                name: [(c, len(forecasts[id(c)].updates)) for c in planned_runs]
                for name, planned_runs in by_group(every).items()
            }
        ),
    )


# --- lines, time, disk -----------------------------------------------------------------------------------------------


def _phase(
    board: Board, planned_runs: Sequence[Run], forecasts: dict[int, RunForecast], oracle: Oracle, measured: Measured
) -> list[ForecastLine]:
    """The lines of what goes on side by side: warm starts of its seeds, then its runs by teacher."""
    lines = [_warm_line(board.setting, planned_runs, oracle, measured)]
    for name, members in by_group(planned_runs).items():
        lines.append(_line(name, members, [forecasts[id(planned)] for planned in members], board, measured))
    return lines


def _warm_line(setting: Setting, planned_runs: Sequence[Run], oracle: Oracle, measured: Measured) -> ForecastLine:
    """Untaught students, one a seed, and their first exam, which all runs of the seed share."""
    seeds = sorted({planned.seed for planned in planned_runs})
    trained, tokens = setting.warm_training(seeds[0]) is not None, warm_tokens(setting)
    owed = sum(not oracle.warm(seed) for seed in seeds)
    answers, losses = _standing(planned_runs[0].setting)
    each = tokens * measured.token + answers * measured.answer + losses * measured.loss
    return ForecastLine(
        name=WARM,
        runs=0,
        rows=0,
        trainings=len(seeds) if trained else 0,
        known=len(seeds) - owed if trained else 0,
        exams=0 if trained else len(seeds),
        tokens=len(seeds) * tokens,
        answers=len(seeds) * answers,
        losses=len(seeds) * losses,
        seconds=owed * each,
        longest=each if owed else 0.0,
        driver=0.0,
    )


def _standing(setting: Setting, level: str = "skill-list") -> tuple[int, int]:
    """Answers, and losses, of the exams that are held after every lesson."""
    feedback, selection = (_answers(setting, split) for split in ("feedback", "selection"))
    own = make_level(level, setting).exam
    return feedback + selection + (len(own.prompts) if own else 0), feedback


def _answers(setting: Setting, split: Split) -> int:
    """Answers to the exam of a split."""
    return len(setting.exam_items(split)) * setting.attempts(split).samples


def _line(
    name: str, planned_runs: Sequence[Run], forecasts: Sequence[RunForecast], board: Board, measured: Measured
) -> ForecastLine:
    answers, losses = _standing(planned_runs[0].setting, planned_runs[0].level)
    setting, searched = board.setting, planned_runs[0].role == "search"
    closing = 0 if searched else sum(_answers(setting, s) for s in ("test", "transfer"))
    if board.primary == "area" and not searched:  # at most: the selected student may be one, the untaught is shared
        lessons = max((len(forecast.updates) for forecast in forecasts), default=0)
        closing += min(board.curve_points, lessons) * _answers(setting, "test")
    longer = planned_runs[0].setting.lesson_size / setting.lesson_size
    chains, driver = [], 0.0
    for forecast in forecasts:
        lessons = len(forecast.updates)
        left = (lessons - forecast.known) / lessons if lessons else 0.0
        work = left * (
            forecast.tokens * measured.token + lessons * (answers * measured.answer + losses * measured.loss)
        )
        work += 0.0 if forecast.row else closing * measured.answer
        making = lessons * measured.lesson * longer
        chains.append(work + making)
        driver += making
    lessons = sum(len(forecast.updates) for forecast in forecasts)
    return ForecastLine(
        name=name,
        runs=len(planned_runs),
        rows=sum(forecast.row for forecast in forecasts),
        trainings=lessons,
        known=sum(forecast.known for forecast in forecasts),
        exams=len(planned_runs) if closing else 0,
        tokens=sum(forecast.tokens for forecast in forecasts),
        answers=lessons * answers + len(planned_runs) * closing,
        losses=lessons * losses,
        seconds=sum(chains),
        longest=max(chains),
        driver=driver,
    )


def _elapsed(phase: Sequence[ForecastLine], width: int, local: bool) -> float:
    """Seconds of one phase: its work over the workers, or its longest chain, or the driver's part, if longer."""
    # Workers on this machine share its cores with the driver; a single worker takes turns with it.
    whole, driver = sum(line.seconds for line in phase), sum(line.driver for line in phase)
    if width == 1:
        return whole
    chain = phase[0].longest + max((line.longest for line in phase[1:]), default=0.0)
    return max((whole - driver) / width, chain, driver, whole / cores() if local else 0.0)


def _in_order(lines: Iterable[ForecastLine]) -> list[ForecastLine]:
    """The warm starts of both phases as one line, first; the search next."""
    lines = list(lines)
    warm = [line for line in lines if line.name == WARM]
    summed = {
        field: sum(getattr(line, field) for line in warm)
        for field in ForecastLine.model_fields
        if field not in ("name",)
    }
    return [ForecastLine(name=WARM, **summed), *(line for line in lines if line.name != WARM)]


def _disk(
    planned_runs: Sequence[Run],
    forecasts: dict[int, RunForecast],
    lines: Sequence[ForecastLine],
    measured: Measured,
    width: int,
) -> tuple[int, int]:
    """Bytes kept at the end, and the most at any time."""
    # Kept: the untaught students and the selected state of each run that taught. While playing: every state of the
    # runs under way. A lesson's examples are stored twice, in its derivation and as a lesson.
    taught = [planned for planned in planned_runs if forecasts[id(planned)].updates]
    weights = lines[0].trainings + sum(planned.role != "search" for planned in taught)
    examples = lines[0].trainings * planned_runs[0].setting.warm_start.examples
    examples += 2 * sum(len(forecasts[id(planned)].updates) * planned.setting.lesson_size for planned in taught)
    records = examples * measured.example + ANSWER * sum(line.answers for line in lines)
    rows = ROW * sum(line.runs for line in lines if line.name not in SEARCHES)
    kept = weights * measured.blob + records + rows
    at_once = min(width + (width > 1), len(planned_runs))
    most = max((len(forecast.updates) for forecast in forecasts.values()), default=0)
    return round(kept), round(kept + at_once * most * measured.blob)


# --- shown -----------------------------------------------------------------------------------------------------------


def table(plan: Forecast) -> Table:
    """The plan as a ``rich`` table; names are whole on a terminal of 60 columns."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("", overflow="fold", min_width=min(NAME, max(len(line.name) for line in plan.lines)))
    for name in ("runs", "training\nruns", "known", "other\njobs", "student\ntokens"):
        shown.add_column(name, justify="right", vertical="bottom")
    for line in plan.lines:
        runs = (str(line.runs) if line.runs else "", f"{line.trainings:,}", f"{line.known:,}", f"{line.exams:,}")
        shown.add_row(Text(visible(line.name)), *runs, f"{line.tokens:,}")
    total = (str(plan.runs), f"{plan.trainings:,}", f"{plan.known:,}", f"{plan.jobs - plan.trainings:,}")
    shown.add_row("in all", *total, f"{plan.tokens:,}", style="bold")
    return shown


def sentences(plan: Forecast) -> list[str]:
    """Time, disk, what they come from and what they take for granted."""
    m, workers = plan.measured, f"{plan.width} jobs at once" if plan.width > 1 else "one job at once"
    minutes = max(0, round(plan.seconds))
    busy = [f"This machine is busy: the measurement got {100 * m.share:.0f} % of a core."] if m.share < IDLE else []
    return [
        f"Time left: about {minutes // 60}:{minutes % 60:02d} (minutes:seconds), {workers}. "
        f"{plan.known:,} of {plan.trainings:,} training runs are in the store, {plan.rows} of "
        f"{sum(line.runs for line in plan.lines if line.name not in SEARCHES)} rows in the folder.",
        f"Disk: {_bytes(plan.kept)} kept at the end, {_bytes(plan.peak)} at the most.",
        f"Measured here, one thread: {1e6 * m.token:.2f} µs a student token ({m.updates} updates), "
        f"{1e3 * m.answer:.2f} ms an answer and {1e3 * m.loss:.2f} ms a loss ({m.answers} problems), {m.lesson:.2f} s "
        f"of the driver a lesson, {m.start:.1f} s to start, {_bytes(m.blob)} a student; medians of three.",
        *busy,
        *told_of(plan.expected, plan.seconds),
        *map(told, plan.asking),
        f"Assumes: {plan.assumes}.",
    ]


def _bytes(n: float) -> str:
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n:.0f} bytes"
