"""Sentences on how a board was conducted: runs that are missing, rows that changed, and the price of its resolution."""

from __future__ import annotations

from collections.abc import Sequence

from dataenv.leaderboard.conduct import Conduct
from dataenv.leaderboard.format import percent
from dataenv.leaderboard.statistics.standings import Standing, Summary


def conduct_sentences(standings: Sequence[Standing], conduct: Conduct) -> list[str]:
    """What weakens a board: runs without a row, and rows that changed when their runs were played again."""
    said = []
    there = {s.teacher: len(s.seeds) for s in standings}
    absent = {name: n - there.get(name, 0) for name, n in conduct.runs.items() if there.get(name, 0) < n}
    if absent:
        each = ", ".join(f"{name} {n}" for name, n in absent.items())
        said.append(f"{sum(absent.values())} of {sum(conduct.runs.values())} runs have no row here: {each}.")
    for name, n in conduct.replayed.items():
        failed = conduct.failed.get(name, 0)
        if n > failed:
            said.append(
                f"{name}: {n - failed} {'row' if n - failed == 1 else 'rows'} changed when the run was played again, "
                "so its teacher, student or checker does not repeat itself. The rows before are gone, and the p-values "
                "of this board take no account of them."
            )
        if failed:
            said.append(f"{name}: {failed} {'run' if failed == 1 else 'runs'} failed first and was played again.")
    return said


def price_sentence(summary: Summary) -> str:
    """What the board's resolution cost, as one sentence; empty where no gain could have been seen."""
    if summary.typical is None:
        return ""
    if summary.price_of_resolution is None or summary.core_minutes is None:
        return "Price of resolution: unknown, for nobody measured what a part of these runs cost."
    return (
        f"Price of resolution: {percent(summary.typical)} points × √{summary.core_minutes:.1f} core-minutes = "
        f"{summary.price_of_resolution:.1f} (smallest visible gain times the root of the cost; lower is better)."
    )


def rates_sentence(summary: Summary) -> str:
    """The learning rates that were chosen, as one sentence; empty where the board chooses none."""
    if not summary.rates:
        return ""
    teachers = ", ".join(
        f"{s.teacher} {summary.rates[s.teacher]:g}" for s in summary.teachers if s.teacher in summary.rates
    )
    return f"Learning rates, chosen on other seeds and the selection split: {teachers}. References have stratified's."


def how_sentences(summary: Summary) -> list[str]:
    """How the board was held: the learning rates that were chosen, and what its resolution cost."""
    return [sentence for sentence in (rates_sentence(summary), price_sentence(summary)) if sentence]
