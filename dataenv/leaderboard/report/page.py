"""The board as one HTML page: what the template shows, worked out here; the template only lays it out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dataenv.errors import SettingError
from dataenv.leaderboard import config
from dataenv.leaderboard.accuracy import Accuracy, mean
from dataenv.leaderboard.config import BASELINE, Board
from dataenv.leaderboard.format import (
    counts,
    money,
    origin,
    p_value,
    percent,
    portion,
    quantity,
    signed,
    tokens,
    visible,
)
from dataenv.leaderboard.pictures import data_uris
from dataenv.leaderboard.report import charts, profiles
from dataenv.leaderboard.report.again import to_make_again
from dataenv.leaderboard.rows import Row, TestExam
from dataenv.leaderboard.statistics import formulas as st
from dataenv.leaderboard.statistics import standings as standings_module
from dataenv.leaderboard.statistics.conducted import how_sentences
from dataenv.leaderboard.statistics.outcomes import OUTCOMES, outcome
from dataenv.leaderboard.statistics.standings import Standing, Summary

if TYPE_CHECKING:
    from jinja2 import Template

LONGEST = 400
"""Characters of a prompt or a response that the page shows; the rest is in the row."""
LESSONS, EXAMPLES, MISTAKES, LEAKS, ASKED = 200, 12, 48, 240, 400
"""How many the page shows of a teacher's lessons, of a lesson's examples, and so on; it says how many it leaves out."""
CELLS, NAMES, SETTING = 4000, 60, 40_000
"""Cells of a strip of mixtures, names in a list, and characters of a Setting that are shown."""
LARGEST = 64 << 20
"""Characters of a page; rows that ask for more are refused."""


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "percent": percent, "signed": signed, "counts": counts, "origin": origin, "portion": portion,
        "tokens": tokens, "money": money, "p": p_value, "visible": visible, "quantity": quantity,
    }  # fmt: skip
    source = resources.files("dataenv.leaderboard.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)


def render(board: Sequence[Row], summary: Summary, played: Board | None = None, added: Sequence[str] = ()) -> str:
    """The page as HTML.

    Args:
        board: From ``rows.read``.
        summary: From ``summarise`` of the same rows.
        played: The board that was played, if it is known; its file is shown, if it is none of ours.
        added: Labels of its teachers that were added to it on the command line.

    Raises:
        SettingError: If the page would be larger than any browser shows.
    """
    everyone = (*summary.teachers, *summary.references)
    page = _template().render(
        summary=summary,
        how=how_sentences(summary),
        outcome=OUTCOMES[summary.primary],
        heading="Ranking" if len(summary.seeds) >= st.FEWEST else "Teachers",
        facts=_facts(board, summary),
        sensitivity=_forests([(c, c) for c in summary.sensitivity]),
        teachers=_table(summary.teachers),
        references=_table(summary.references),
        suites=_suites(everyone),
        curves=_curves(board, summary),
        heat=_heat(everyone, summary),
        mixtures=_mixtures(board, everyone),
        missing=profiles.for_page(summary.profiles),
        budgets=_budgets(board, everyone),
        taught=_taught(board, everyone),
        by_seed=_by_seed(board, everyone),
        reading=[_to_read(_first_run(board, s.teacher)) | _leaked(board, s.teacher) for s in everyone],
        made=_made(board) | to_make_again(board, played, added),
    )
    if len(page) > LARGEST:
        raise SettingError(
            f"rows of board {summary.board} hold too much for one page ({len(page) >> 20} MiB, at most "
            f"{LARGEST >> 20}); look for rows that no board wrote, or that have thousands of skills"
        )
    return page


def _facts(board: Sequence[Row], summary: Summary) -> list[str]:
    named = [str(board[0].setting[name]) for name in ("task", "student") if isinstance(board[0].setting.get(name), str)]
    counted = {"teacher": summary.teachers, "seed": summary.seeds, "skill": board[0].skills}
    return [
        *([" × ".join(named)] if named else []),
        *(f"{len(of)} {noun}{'s' * (len(of) != 1)}" for noun, of in counted.items()),
        *([] if summary.skills == board[0].skills else [f"targets: {', '.join(summary.skills)}"]),
        f"{summary.test_items:,} test items a seed",
        f"primary outcome: {OUTCOMES[summary.primary]}",
        *([f"exams: {summary.exam}"] if summary.exam else []),
        f"{tokens(summary.purse)} student tokens a run",
    ]


def _forests(pairs: Sequence[tuple[Any, standings_module.Comparison | None]]) -> dict[str, Any]:
    """Things with their gains drawn on one scale."""
    domain = charts.gain_domain([c for _, c in pairs if c is not None])
    rows = [{"of": of, "c": c, "forest": charts.forest(c, domain, _side(of, c))} for of, c in pairs]
    return {"axis": charts.forest_axis(domain), "rows": rows}


def _side(of: Any, comparison: standings_module.Comparison | None) -> str:
    """``better``, ``worse`` or ``even``, for the colour of a gain."""
    if isinstance(of, Standing) and of.role == "teacher":
        return of.verdict if of.verdict in ("better", "worse") else "even"
    return "even"


def _table(standings: Sequence[Standing]) -> dict[str, Any]:
    return _forests([(s, s.comparison) for s in standings])


def _suites(everyone: Sequence[Standing]) -> list[tuple[str, str]]:
    """The named parts of exams and the split of each, the first of them."""
    found: dict[str, str] = {name: share.split for s in everyone for name, share in s.suites.items()}
    return [*found.items()][:NAMES]


# --- charts ----------------------------------------------------------------------------------------------------------


def _curves(board: Sequence[Row], summary: Summary) -> list[dict[str, Any]]:
    """One panel a teacher, the baseline in each; ``nothing`` is a level line and has none."""
    scored = st.scored_rows(board)
    grids = {
        name: charts.on_grid([st.curve(row.steps, summary.purse) for _, row in sorted(rows.items())])
        for name, rows in scored.items()
        if rows
    }
    domain = charts.accuracy_domain(list(grids.values())) if grids else (0.0, 1.0)
    panels = []
    for s in (*summary.teachers, *summary.references):
        if s.teacher in grids and s.teacher != config.UNTAUGHT:
            other = grids.get(BASELINE) if s.teacher != BASELINE else None
            pairs = [st.ends_of_curve(row.steps, summary.purse) for row in scored[s.teacher].values()]
            ends = (mean([first for first, _ in pairs]), mean([last for _, last in pairs]))
            chart = charts.learning_curve(s.teacher, grids[s.teacher], ends, other, summary.purse, domain)
            panels.append({"of": s, "chart": chart})
    return panels


def _heat(everyone: Sequence[Standing], summary: Summary) -> list[dict[str, Any]]:
    """Test accuracy by teacher and skill; the untaught student first."""

    def cells(shares: Sequence[Accuracy], name: str) -> list[dict[str, Any]]:
        return [
            {"v": f"{s.value:.2f}", "share": s, "title": f"{name}, {skill}: {s.k:,} of {s.n:,} test items"}
            for skill, s in zip(summary.skills, shares, strict=True)
        ]

    rows = [{"name": s.teacher, "role": s.role, "score": s.score, "cells": cells(s.by_skill, s.teacher)}
            for s in everyone if s.by_skill and s.teacher != config.UNTAUGHT]  # fmt: skip
    if summary.untaught:
        untaught = cells(summary.untaught, "untaught student")
        score = mean(summary.untaught)
        rows.insert(0, {"name": "untaught student", "role": "untaught", "score": score, "cells": untaught})
    return rows


def _mixtures(board: Sequence[Row], everyone: Sequence[Standing]) -> dict[str, Any]:
    """What each teacher taught, by step: means over the runs that reached the step and kept something."""
    taught: dict[str, tuple[Any, list[int]]] = {}
    longest = (0, 0)
    for s in everyone:
        runs = [row.steps[1:] for row in board if row.teacher == s.teacher]
        means, reached = [], []
        steps_taken = max(map(len, runs), default=0)
        shown = min(steps_taken, max(1, CELLS // len(board[0].skills)))
        longest = max(longest, (steps_taken, shown))
        for t in range(shown):
            kept = [mixture for steps in runs if t < len(steps) and (mixture := steps[t].mixture) is not None]
            means.append(np.mean(kept, axis=0) if kept else np.full(len(board[0].skills), np.nan))
            reached.append(len(kept))
        if any(reached):
            taught[s.teacher] = (np.stack(means), reached)
    finite = [float(np.nanmax(shares)) for shares, _ in taught.values() if not np.isnan(shares).all()]
    most = max(finite, default=1.0) or 1.0
    panels = [
        {"of": s, "chart": charts.mixture_strip(board[0].skills, *_insert(taught[s.teacher], most))}
        for s in everyone
        if s.teacher in taught
    ]
    return {"panels": panels, "most": most, "steps": longest[0], "shown": longest[1]}


def _insert(taught: tuple[Any, list[int]], most: float) -> tuple[Any, float, list[int]]:
    return taught[0], most, taught[1]


def _budgets(board: Sequence[Row], everyone: Sequence[Standing]) -> dict[str, Any]:
    """Tokens as means over seeds; examples offered, kept and dropped as sums."""
    rows, reasons = [], sorted({reason for row in board for step in row.steps for reason in step.rejected})[:NAMES]
    for s in everyone:
        steps = [step for row in board if row.teacher == s.teacher for step in row.steps]
        dropped: Counter[str] = Counter()
        for step in steps:
            dropped.update(step.rejected)
        bar = charts.budget_bar(s.budget["training"], s.budget["probes"], s.budget["total"])
        offered, kept = sum(step.offered for step in steps), sum(step.kept for step in steps)
        rows.append({"of": s, "bar": bar, "offered": offered, "kept": kept, "dropped": dropped})
    costs = [s.cost for s in everyone if s.cost is not None]
    return {"rows": rows, "reasons": reasons, "asked": bool(costs), "paid": any(cost.money for cost in costs)}


def _taught(board: Sequence[Row], everyone: Sequence[Standing]) -> dict[str, Any]:
    """Sums over a teacher's runs: the judge's verdicts, model replies, yields, groups of practice."""
    # Verdicts are listed only if the teacher used a model, or if not all that it taught is right.
    rows: list[dict[str, Any]] = []
    for s in everyone:
        runs = [row for row in board if row.teacher == s.teacher]
        judged, practice = Counter[str](), Counter[str]()
        asked, yields = Counter[str](), Counter[str]()
        for row in runs:
            asked.update(row.asked)
            yields.update(row.yields)
            for step in row.steps:
                judged.update(step.judged)
                practice.update(step.practice.model_dump(exclude={"reward"}) if step.practice else {})
        rows.append({"of": s, "judged": judged, "n": judged.total(), "asked": dict(asked.most_common(NAMES)),
                     "yields": dict(yields.most_common(NAMES)), "practice": practice})  # fmt: skip
    models = any(row["asked"] for row in rows)
    doubtful = models or any(row["judged"]["right"] < row["n"] for row in rows)
    return {
        "judged": [row for row in rows if doubtful and (row["n"] or row["asked"])],
        "models": models,
        "practised": [row for row in rows if row["practice"]["groups"]],
    }


# --- to read ---------------------------------------------------------------------------------------------------------


def _by_seed(board: Sequence[Row], everyone: Sequence[Standing]) -> list[dict[str, Any]]:
    """Every run's primary outcome, its difference to the baseline and how it ended."""
    seeds = sorted({row.seed for row in board})
    scored, ended = st.scored_rows(board), {(row.teacher, row.seed): row for row in board}
    table = []
    for s in everyone:
        gains = dict(zip(s.comparison.seeds, s.comparison.differences, strict=True)) if s.comparison else {}
        cells = []
        for seed in seeds:
            run, row = scored[s.teacher].get(seed), ended.get((s.teacher, seed))
            exam = run.test if run is not None else None
            share = _total(exam) if exam is not None else None
            score = outcome(run) if exam is not None and run is not None else None
            cells.append({"score": score, "share": share, "gain": gains.get(seed), "row": row})
        table.append({"of": s, "cells": cells})
    return table


def _total(exam: TestExam) -> Accuracy:
    return Accuracy(k=sum(k for k, _ in exam.counts), n=sum(n for _, n in exam.counts), split="test")


def _first_run(board: Sequence[Row], teacher: str) -> Row:
    """The run whose lessons are shown: the lowest seed that did not fail, or the lowest."""
    runs = sorted((row for row in board if row.teacher == teacher), key=lambda row: (row.failed, row.seed))
    return runs[0]


def _to_read(row: Row) -> dict[str, Any]:
    def shown(text: str) -> str:
        return visible(text, LONGEST)

    lessons = [
        {"step": lesson.step, "examples": [
            (shown(e.prompt), shown(e.response), shown(", ".join(e.skills)), data_uris(e.pictures))
            for e in lesson.examples[:EXAMPLES]
        ]}
        for lesson in row.lessons[:LESSONS]
    ]  # fmt: skip
    mistakes = [
        (m.step, *map(shown, (m.skill, m.prompt, m.response, m.answer, m.failing)), data_uris(m.pictures))
        for m in row.mistakes[:MISTAKES]
    ]
    asked = [
        (after.step, after.teacher_tokens - before.teacher_tokens, after.money - before.money)
        for before, after in pairwise(row.steps[: ASKED + 1])
    ]
    left = {
        "lessons": len(row.lessons) - len(lessons),
        "examples": sum(max(0, len(lesson.examples) - EXAMPLES) for lesson in row.lessons[:LESSONS]),
        "mistakes": len(row.mistakes) - len(mistakes),
        "steps": max(0, len(row.steps) - 1 - ASKED) if row.budget.teacher_tokens else 0,
    }
    args = (
        visible(json.dumps(row.teacher_args, sort_keys=True, ensure_ascii=False), SETTING) if row.teacher_args else ""
    )
    return {
        "row": row, "args": args, "asked": asked, "lessons": lessons, "mistakes": mistakes,
        "error": shown(row.error or ""), "left": {what: n for what, n in left.items() if n},
    }  # fmt: skip


def _leaked(board: Sequence[Row], teacher: str) -> dict[str, Any]:
    """Examples of any run that leaked sealed problems: how many, and those that the rows list."""
    runs = [row for row in board if row.teacher == teacher]
    hits = [
        (row.seed, x.step, x.where, visible(x.problem), x.how, visible(x.prompt, LONGEST), visible(x.response, LONGEST))
        for row in runs
        for x in row.leaks.first
    ][:LEAKS]
    return {"leaks": hits, "leaked": sum(row.leaks.count for row in runs)}


def _made(board: Sequence[Row]) -> dict[str, Any]:
    """Settings, digests, versions and commits, each once; and how to make the board again."""

    def each(values: Sequence[str]) -> str:
        return visible(", ".join(sorted(set(values))), SETTING)

    versions = {name: each([row.versions[name] for row in board if name in row.versions])
                for name in sorted({name for row in board for name in row.versions})[:NAMES]}  # fmt: skip
    hashes = {name: each([row.hashes[name] for row in board if name in row.hashes])
              for name in sorted({name for row in board for name in row.hashes})[:NAMES]}  # fmt: skip
    commits = each([row.commit + (" + uncommitted changes" if row.dirty else "") for row in board])
    settings: dict[str, dict[str, Any]] = {}
    for row in board:
        text = json.dumps(row.setting, indent=2, sort_keys=True, ensure_ascii=False)
        one = settings.setdefault(row.setting_digest, {"text": _lines(text[:SETTING]), "teachers": set()})
        one["teachers"].add(row.teacher)
    several = [{"digest": name, "text": one["text"], "teachers": sorted(one["teachers"])}
               for name, one in settings.items()]  # fmt: skip
    several = sorted(several, key=lambda one: (-len(one["teachers"]), one["digest"]))[:NAMES]
    by_service = any(row.rebuilt is not None for row in board)
    return {
        "versions": versions,
        "hashes": hashes,
        "commits": commits,
        "settings": several,
        "by_service": by_service,
    }


def _lines(text: str) -> str:
    """``visible`` that keeps the line breaks of our own formatting."""
    return "\n".join(visible(line) for line in text.split("\n"))
