"""A board for people and for programs: a table in the terminal, CSV, JSON and one HTML page.

All four are functions of the rows, without clock, host or path: the same rows give the same bytes. Terminal and page
also say what a board cost and which rows changed, where its folder tells. Names and texts come from outside and are
data; each writer makes them inert in its own way.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dataenv.environment.render import SIMULATED
from dataenv.leaderboard.files import write_whole
from dataenv.leaderboard.format import NONE, counts, measured, money, p_value, percent, signed, tokens, visible
from dataenv.leaderboard.report.profiles import csv_cells
from dataenv.leaderboard.report.records import csv_safe, record
from dataenv.leaderboard.rows import Row, read
from dataenv.leaderboard.sequential.judging import Monitored, monitored
from dataenv.leaderboard.statistics.conducted import how_sentences
from dataenv.leaderboard.statistics.standings import Axis, PerPoint, Standing, Summary
from dataenv.leaderboard.statistics.summary import summarise
from tasks.records import canonical_json

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from dataenv.leaderboard.conduct import Conduct
    from dataenv.leaderboard.config import Board

Rows = Iterable[Row | Mapping[str, Any]]
WIDE = 181
"""Columns of terminal that the one-table form needs; below that the table is told in two."""
BROKEN = {"spent of purse": "spent of\npurse", "transfer %": "transfer\n%", "worst skill": "worst\nskill"}
"""Headings over two lines where there is little room, which then goes to the names of teachers."""
NAME = 17
"""Columns of terminal that a teacher's name keeps, if it is so long: other columns are left out before."""
LEAST = ("adj. p", "k/n", "verdict")
"""Columns that are left out first, in this order; then the last one, and so on."""
STYLES = {"better": "green", "worse": "red", "baseline": "bold"}

SCORES = ("#", "teacher", "test %", "k/n", "gain [95 %]", "adj. p", "verdict")
AREA = ("#", "teacher", "area %", "test %", "k/n", "gain [95 %]", "adj. p", "verdict")
"""In place of ``SCORES`` where the primary outcome is the area under the learning curve."""
TO_TARGET = ("to target (reached)",)
DETAILS = ("level", "seeds", "AUC", "worst skill", "transfer %", "spent of purse", "prior")
EXAMS = ("test %", "transfer %")
"""Columns that say how often a problem was answered, where that is more than once."""
COSTS = ("teacher tokens", "tokens a point [95 %]", "money", "money a point [95 %]")


def terminal_table(
    rows: Rows, metrics: Sequence[str] = (), conduct: Conduct | None = None, how: Monitored | None = None
) -> TerminalBoard:
    """The board for a terminal, as a ``rich`` renderable: ``Console().print(terminal_table(rows))``.

    Args:
        rows: Of one board.
        metrics: Registered metrics, each a further column.
        conduct: How the board was conducted, where its folder tells.
        how: See ``summarised``.

    Raises:
        ValueError: If the rows cannot stand on one board.
    """
    return TerminalBoard(summarised(rows, metrics, conduct, how))


def summarised(
    rows: Rows, metrics: Sequence[str] = (), conduct: Conduct | None = None, how: Monitored | None = None
) -> Summary:
    """``summarise``, with the verdicts of its looks where seeds were added until teachers were decided.

    Args:
        rows: Of one board.
        metrics: Registered metrics, each a further column.
        conduct: How the board was conducted, where its folder tells.
        how: From ``looks.monitored_of``; ``None`` for a board of fixed seeds.
    """
    board = read(rows)
    return monitored(summarise(board, metrics, conduct), board, how)


class TerminalBoard:
    """Ranked teachers, references apart and unranked, and the sentences under them; as wide as the console is."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What ``rich`` calls to draw it."""
        from rich.text import Text

        standings = self._standings
        details: tuple[str, ...] = DETAILS
        if any(s.lenient is not None for s in standings):
            details = ("lenient %", *details)
        if all(s.transfer is None for s in standings):  # a board without a transfer split: the room goes to the names
            details = tuple(name for name in details if name != "transfer %")
        scores = AREA if self.summary.primary == "area" else SCORES
        width = options.max_width
        if width >= WIDE:
            yield from self._table((*scores, *details, *TO_TARGET), width)
        else:
            yield from self._table(scores, width, gap=0)
            yield from self._table(("teacher", *details), width, gap=0)
        costs = [s.cost for s in standings if s.cost]
        if costs:
            yield from self._table(("teacher", *(COSTS if any(cost.money for cost in costs) else COSTS[:2])), width)
        if suites := suites_of(self.summary):
            yield from self._table(("teacher", *map(suite_heading, suites)), width)
        if self.summary.metrics:
            yield from self._table(("teacher", *map(metric_heading, self.summary.metrics)), width)
        for sentence in (*self.summary.reading, *self.summary.seen):
            yield Text(visible(sentence))
        for sentence in how_sentences(self.summary):
            yield Text(visible(sentence))
        yield Text(visible(" ".join(self.summary.sources)), style="dim")
        for axis in self.summary.metrics:
            yield Text(visible(axis.reading), style="dim")
        for sentence in self.summary.warnings:
            yield Text(visible(sentence), style="yellow")

    def _table(self, columns: tuple[str, ...], width: int, gap: int = 1) -> RenderResult:
        """A table of these columns, without those for which there is no room beside the names; and which those are."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        lines = [(standing, self._line(standing, columns)) for standing in self._standings]
        heads = {name: self._head(name, narrow=not gap) for name in columns}
        natural = {
            name: max(
                len(part) for text in (heads[name], *(line[name] for _, line in lines)) for part in text.split("\n")
            )
            for name in columns
        }
        kept, name_width = fitting(natural, width, gap=max(gap, 1))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0))
        for name in kept:
            left = name in ("teacher", "verdict", "level", "worst skill", *TO_TARGET)
            table.add_column(
                Text(heads[name]),
                justify="left" if left else "right",
                no_wrap=name not in ("teacher", "level"),
                # A name goes on in a second line: cut short, it may be that of its neighbour.
                overflow="fold" if name == "teacher" else "ellipsis",
                width=name_width if name == "teacher" else None,
            )
        for standing, line in lines:
            if standing.role == "reference" and standing is self.summary.references[0]:
                table.add_section()
                table.add_row(*(Text("references" if name == "teacher" else "", style="dim") for name in kept))
            style = STYLES.get(standing.verdict, "dim" if standing.role == "reference" else "")
            table.add_row(*(Text(line[name], style=style) for name in kept))
        yield table
        if len(kept) < len(columns):
            left_out = ", ".join(name for name in columns if name not in kept)
            yield Text(f"No room here for {left_out}: they are in leaderboard.csv and on the page.", style="dim")

    @property
    def _standings(self) -> tuple[Standing, ...]:
        return (*self.summary.teachers, *self.summary.references)

    def _head(self, name: str, narrow: bool) -> str:
        simulated = f" ({SIMULATED})" if self.summary.simulated and name == "teacher" else ""
        if name in EXAMS and self.summary.exam:
            return f"{name}\n{self.summary.exam.split()[0]}"
        return (BROKEN.get(name, name) if narrow else name) + simulated

    def _line(self, standing: Standing, columns: Sequence[str]) -> dict[str, str]:
        """The texts of one standing by column."""
        values = cells(standing) | metric_cells(standing, self.summary.metrics)
        values |= suite_cells(standing, suites_of(self.summary))
        ranked = standing.role == "teacher"
        values["#"] = str(self.summary.teachers.index(standing) + 1) if ranked else ""
        return {name: visible(values[name]) for name in columns}


def fitting(natural: Mapping[str, int], width: int, gap: int = 1) -> tuple[list[str], int]:
    """Which columns of a table fit beside the names of teachers, and how wide the column of names is.

    Args:
        natural: Widths that the columns would like, in order; ``teacher`` among them.
        width: Of the terminal.
        gap: Between two columns.

    Returns:
        The columns that stay, in order, and the width of ``teacher``. ``teacher`` and the one after it always stay.
    """
    kept, name = list(natural), natural["teacher"]
    at_most = {column: min(size, NAME) if column == "level" else size for column, size in natural.items()}
    while True:
        room = width - 2 - sum(at_most[column] + gap for column in kept if column != "teacher")
        after = kept[kept.index("teacher") + 1 :]
        if room >= min(name, NAME) or len(after) < 2:
            return kept, min(name, room if room > 0 else NAME)
        kept.remove(next((column for column in LEAST if column in after), after[-1]))


def cells(standing: Standing) -> dict[str, str]:
    """A standing as the texts of its columns."""
    c = standing.comparison
    span = f"{signed(c.gain)} [{signed(c.low)}, {signed(c.high)}]" if c and c.gain is not None else NONE
    worst = f"{standing.worst[0]} {percent(standing.worst[1])}" if standing.worst else NONE
    failed = f" ({len(standing.failed)} ✗)" if standing.failed else ""
    failed += f" of {standing.expected}" if standing.expected not in (None, len(standing.seeds)) else ""
    failed += f" ({standing.replayed} ↻)" if standing.replayed else ""
    budget, target = standing.budget, standing.target
    needed = f"{tokens(target.tokens)}, {tokens(target.examples)} examples" if target else NONE
    return {
        "teacher": standing.teacher,
        "area %": percent(standing.outcome),
        "test %": percent(standing.score),
        "k/n": counts(standing.test),
        "lenient %": percent(standing.lenient),
        "gain [95 %]": span,
        "adj. p": p_value(c.p_adjusted if c else None),
        "verdict": standing.verdict if standing.role == "teacher" else "",
        "level": standing.level,
        "seeds": f"{len(standing.seeds)}{failed}",
        "AUC": percent(standing.auc),
        "worst skill": worst,
        "transfer %": percent(standing.transfer),
        "spent of purse": f"{tokens(budget['spent'])}/{tokens(budget['total'])}",
        "prior": tokens(budget["prior"]),
        "teacher tokens": tokens(budget["teacher_tokens"]),
        "tokens a point [95 %]": _per_point(standing.cost.tokens_per_point if standing.cost else None, tokens),
        "money": money(budget["money"]),
        "money a point [95 %]": _per_point(standing.cost.money_per_point if standing.cost else None, money),
        "to target (reached)": f"{needed} ({target.reached}/{len(target.runs)})" if target else NONE,
    }


def suites_of(summary: Summary) -> list[str]:
    """The transfer suites that a board names."""
    standings = (*summary.teachers, *summary.references)
    return list(dict.fromkeys(name for standing in standings for name in standing.suites))


def suite_heading(name: str) -> str:
    """The head of a suite's column."""
    return f"{name} % (k/n)"


def suite_cells(standing: Standing, names: Sequence[str]) -> dict[str, str]:
    """The transfer suites of a standing by the heads of their columns."""
    shares = {name: standing.suites.get(name) for name in names}
    return {
        suite_heading(name): f"{percent(share)} ({counts(share)})" if share else NONE for name, share in shares.items()
    }


def metric_heading(axis: Axis) -> str:
    """The head of a metric's column."""
    return f"{axis.name} {axis.unit} [95 %]"


def metric_cells(standing: Standing, axes: Sequence[Axis]) -> dict[str, str]:
    """The metrics of a standing by the heads of their columns."""
    return {
        metric_heading(axis): measured(one.mean, one.low, one.high, axis.unit)
        for axis, one in zip(axes, standing.metrics, strict=True)
    }


def _per_point(cost: PerPoint | None, shown: Callable[[float], str]) -> str:
    return NONE if cost is None else f"{shown(cost.estimate)} [{shown(cost.low)}, {shown(cost.high)}]"


# --- files -----------------------------------------------------------------------------------------------------------


def write_csv(
    rows: Rows,
    path: str | os.PathLike[str],
    metrics: Sequence[str] = (),
    conduct: Conduct | None = None,
    how: Monitored | None = None,
) -> None:
    """One record a teacher, ranked teachers first, then the references; UTF-8, lines end in a newline."""
    summary = summarised(rows, metrics, conduct, how)
    records = [record(s, i + 1, summary.primary) for i, s in enumerate(summary.teachers)]
    records += [record(s, None, summary.primary) for s in summary.references]
    if summary.attempts:
        records = [one | {"attempts": summary.attempts} for one in records]
    records = [one | csv_cells(summary.profiles, str(one["teacher"])) for one in records]
    text = io.StringIO()
    fields = list(dict.fromkeys(field for one in records for field in one))
    writer = csv.DictWriter(text, fieldnames=fields, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({name: csv_safe(value) for name, value in one.items()} for one in records)
    write_whole(path, text.getvalue())


def write_json(summary: Summary, path: str | os.PathLike[str]) -> None:
    """The whole summary as one line of canonical JSON (sorted keys, no NaN)."""
    write_whole(path, canonical_json(summary.model_dump(mode="json")) + "\n")


def write_page(
    rows: Rows,
    path: str | os.PathLike[str],
    metrics: Sequence[str] = (),
    played: Board | None = None,
    added: Sequence[str] = (),
    conduct: Conduct | None = None,
    how: Monitored | None = None,
) -> None:
    """The board as one self-contained HTML file: no script, nothing loaded from elsewhere.

    Args:
        rows: Of one board.
        path: Of the file.
        metrics: Registered metrics, each a further column.
        played: The board that was played; if it is none of ours the page shows its file.
        added: Labels of its teachers that were added to it on the command line.
        conduct: How the board was conducted, where its folder tells.
        how: See ``summarised``.
    """
    from dataenv.leaderboard.report.page import render

    board = read(rows)
    write_whole(path, render(board, summarised(board, metrics, conduct, how), played, added))
