"""The record of a teacher in a board's CSV file."""

from __future__ import annotations

from dataenv.leaderboard.accuracy import Accuracy, Derived, mean, number
from dataenv.leaderboard.format import visible
from dataenv.leaderboard.statistics.standings import AxisMean, Standing

Cell = str | int | float | None


def record(standing: Standing, rank: int | None, primary: str = "final") -> dict[str, Cell]:
    """A standing as one flat CSV record; shares are in [0, 1], tokens are means over seeds unless said otherwise.

    What is not itself k of n is followed, at the end, by the split it comes from and the answers behind it.
    """
    worst, computed = standing.worst, _computed(standing)
    return {
        "rank": rank,
        "teacher": standing.teacher,
        "role": standing.role,
        "level": standing.level,
        "seeds": len(standing.seeds),
        "failed": len(standing.failed),
        "score": _value(standing.score),
        **_pair("test", standing.test),
        "score_iqm": _value(standing.iqm),
        **_comparison_cells(standing),
        "verdict": standing.verdict,
        "auc": _value(standing.auc),
        "worst_skill": worst[0] if worst else None,
        **_pair("worst_skill", worst[1] if worst else None),
        **_pair("transfer", standing.transfer),
        "forgetting": _value(standing.forgetting),
        **{f"tokens_{name}": standing.budget[name] for name in ("total", "spent", "training", "probes", "prior")},
        "examples": standing.budget["examples"],
        "target": _value(computed["target"]),
        **_target_cells(standing),
        **_pair("lenient", standing.lenient),
        "teacher_tokens": standing.budget["teacher_tokens"],
        "money": standing.budget["money"],
        "learnt": _value(computed["learnt"]),
        **_cost_cells(standing),
        **{f"{name}_split": figure.split if figure else None for name, figure in computed.items()},
        **{f"{name}_answers": figure.n if figure else None for name, figure in computed.items()},
        "primary_outcome": primary,
        "outcome": _value(standing.outcome),
        **_further_cells(standing),
        **{f"metric_{one.name}{end}": value for one in standing.metrics for end, value in _ends(one)},
        **({"decision": standing.decision} if standing.decision else {}),
        **{
            key: v
            for name, share in standing.suites.items()
            for key, v in _pair(f"{share.split}_{name}", share).items()
        },
    }


def _suite_cells(standing: Standing) -> dict[str, Cell]:
    """The counts of each named part of an exam: ``test_math-hard_k`` and so on."""
    pairs = [_pair(f"{share.split}_{name}", share) for name, share in standing.suites.items()]
    return {name: count for pair in pairs for name, count in pair.items()}


def _computed(standing: Standing) -> dict[str, Derived | None]:
    """The figures of a teacher that are not k of n themselves."""
    c, target, cost = standing.comparison, standing.target, standing.cost
    return {
        "outcome": standing.outcome,
        "score": standing.score,
        "gain": c.gain if c else None,
        "auc": standing.auc,
        "forgetting": standing.forgetting,
        "target": mean([run.target for run in target.runs]) if target else None,
        "learnt": cost.learnt if cost else None,
    }


def _comparison_cells(standing: Standing) -> dict[str, Cell]:
    """The comparison with the teacher that the others are measured against."""
    c = standing.comparison
    return {
        "gain": _value(c.gain if c else None),
        "gain_low": _value(c.low if c else None),
        "gain_high": _value(c.high if c else None),
        "pairs": len(c.seeds) if c else None,
        "items_won": c.won if c else None,
        "items_lost": c.lost if c else None,
        "p": c.p if c else None,
        "p_holm": c.p_holm if c else None,
        "smallest_visible_gain": _value(c.visible if c else None),
    }


def _further_cells(standing: Standing) -> dict[str, Cell]:
    """Both intervals and every p of the comparison, and how its runs were conducted."""
    c = standing.comparison
    return {
        "gain_low_seeds": _value(c.seeds_low if c else None),
        "gain_high_seeds": _value(c.seeds_high if c else None),
        "gain_low_items": _value(c.items_low if c else None),
        "gain_high_items": _value(c.items_high if c else None),
        "p_seeds": c.p_seeds if c else None,
        "p_items": c.p_items if c else None,
        "p_flips": c.p_flips if c else None,
        "p_adjusted": c.p_adjusted if c else None,
        "runs_expected": standing.expected,
        "runs_completed": standing.completed,
        "replayed": standing.replayed,
    }


def _target_cells(standing: Standing) -> dict[str, Cell]:
    """How many seeds reached the target, and what it took them."""
    target = standing.target
    return {
        "target_reached": target.reached if target else None,
        "target_seeds": len(target.runs) if target else None,
        "tokens_to_target_median": target.tokens if target else None,
        "examples_to_target_median": target.examples if target else None,
    }


def _cost_cells(standing: Standing) -> dict[str, Cell]:
    """What the language models of a teacher cost per point that its students learnt."""
    cost = standing.cost
    return {
        "learnt_low": _value(cost.low if cost else None),
        "learnt_high": _value(cost.high if cost else None),
        "teacher_tokens_per_point": cost.tokens_per_point.estimate if cost and cost.tokens_per_point else None,
        "money_per_point": cost.money_per_point.estimate if cost and cost.money_per_point else None,
    }


def _ends(one: AxisMean) -> tuple[tuple[str, float | None], ...]:
    return ("", one.mean), ("_low", one.low), ("_high", one.high)


def _pair(name: str, share: Accuracy | None) -> dict[str, Cell]:
    return {f"{name}_k": share.k if share else None, f"{name}_n": share.n if share else None}


def _value(figure: Derived | None) -> float | None:
    return None if figure is None else number(figure)


def csv_safe(value: str | int | float | None) -> str | int | float:
    """A cell that no spreadsheet runs: text that starts like a formula gets a quote, numbers stay numbers."""
    if not isinstance(value, str):
        return "" if value is None else value
    shown = visible(value)
    return f"'{shown}" if shown.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")) else shown
