"""Learning rates chosen for each teacher of a board: by its primary outcome, on other seeds and the selection split.

A comparison at one rate favours the teachers whose lessons suit that rate. STAT chooses the peak rate of each method
apart (arXiv 2510.10023, appendix), and so does a board with a ``[tune]`` table. References have the rate of the
baseline: ``static-best`` is searched and played at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dataenv.leaderboard.config import BASELINE, Tuning
from dataenv.leaderboard.rows import Tuned
from dataenv.leaderboard.runs import Run, at_rate

Chosen = dict[str, float | str]
"""By label: the rate, or why none was found."""


def chosen_rates(runs: Sequence[Run], scores: Sequence[float | str]) -> Chosen:
    """The rate of each teacher that did best over all seeds; the lower one of two that are equal.

    Args:
        runs: From ``tuning_runs``.
        scores: What each run was worth, or why there is none.
    """
    totals: dict[str, dict[float, float]] = {}
    out: Chosen = {}
    for planned, score in zip(runs, scores, strict=True):
        if isinstance(score, str):
            out[planned.label] = f"no learning rate was found: {score}"
            continue
        rates = totals.setdefault(planned.label, {})
        rate = planned.setting.recipe.rate
        rates[rate] = rates.get(rate, 0.0) + score
    best = {label: max(sorted(rates), key=lambda rate: rates[rate]) for label, rates in totals.items()}
    return best | out


def tuned(planned: Run, tune: Tuning | None, chosen: Chosen) -> Run:
    """A run at the rate that was chosen for its teacher; references have that of the baseline.

    Args:
        planned: As it stands in the board.
        tune: The board's; without it the run is left as it is.
        chosen: From ``chosen_rates``.
    """
    if tune is None:
        return planned
    rate = chosen[planned.label if planned.role == "teacher" else BASELINE]
    if isinstance(rate, str):
        return replace(planned, refused=rate)
    before = Tuned(rate=rate, setting_digest=planned.setting.digest)
    return replace(planned, setting=at_rate(planned.setting, rate), tuned=before)
