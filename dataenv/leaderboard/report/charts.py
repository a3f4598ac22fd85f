"""Small charts as inline SVG: functions from numbers to markup, with every text escaped and every size in user units.

Colours come from classes that the page's style sheet defines for light and dark; charts carry no colour of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from dataenv.leaderboard.accuracy import Derived, Floats
from dataenv.leaderboard.format import MINUS, origin, percent, portion, signed, tokens, visible
from dataenv.leaderboard.statistics.standings import Comparison

GRID = 64
"""Points at which curves of several seeds are averaged."""


def svg(width: float, height: float, label: str, *parts: Markup, css: str = "") -> Markup:
    """An SVG element that scales with its box; ``label`` is what a screen reader says of it."""
    return Markup('<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        css, _n(width), _n(height), label, Markup("").join(parts)
    )


def text(x: float, y: float, content: str, css: str = "", anchor: str = "start") -> Markup:
    """A text element; ``anchor`` is ``start``, ``middle`` or ``end``."""
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        css, _n(x), _n(y), anchor, visible(content)
    )


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> Markup:
    """A straight line."""
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(css, *map(_n, (x1, y1, x2, y2)))


def rect(x: float, y: float, width: float, height: float, css: str, title: str = "", style: str = "") -> Markup:
    """A rectangle, with a title that shows on hover."""
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}" style="{}"><title>{}</title></rect>').format(
        css, *map(_n, (x, y, width, height)), style, title
    )


def dot(x: float, y: float, radius: float, css: str, title: str = "") -> Markup:
    """A filled circle, with a title that shows on hover."""
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
        css, *map(_n, (x, y, radius)), title
    )


def path(xs: Sequence[float] | Floats, ys: Sequence[float] | Floats, css: str, close: bool = False) -> Markup:
    """A line through points, closed into an area if asked."""
    points = "L".join(f"{_n(x)} {_n(y)}" for x, y in zip(xs, ys, strict=True))
    return Markup('<path class="{}" d="M{}"/>').format(css, points + ("Z" if close else ""))


def _n(value: float) -> str:
    """One decimal at most, so that the same numbers give the same bytes everywhere."""
    shown = f"{value:.1f}"
    return shown[:-2] if shown.endswith(".0") else shown


# --- gains -----------------------------------------------------------------------------------------------------------


def gain_domain(comparisons: Sequence[Comparison]) -> tuple[float, float]:
    """A range for ``forest`` that holds zero and all intervals and seeds, with a margin; parts of 1."""
    values = [0.0]
    for c in comparisons:
        values += [figure.value for figure in (c.low, c.high, c.gain, *c.differences) if figure is not None]
    low, high = min(values), max(values)
    margin = 0.04 * (high - low) or 0.01
    return low - margin, high + margin


def forest(comparison: Comparison | None, domain: tuple[float, float], css: str = "", width: float = 150) -> Markup:
    """A gain with its 95 % interval, every seed as a dot, and the line of no difference."""
    height, middle = 26.0, 10.0

    def place(value: float) -> float:
        return 3 + (width - 6) * (value - domain[0]) / (domain[1] - domain[0])

    parts = [line(place(0), 0, place(0), height, "zero")]
    if comparison is None or comparison.gain is None:
        return svg(width, height, "no gain measured", *parts, css="forest")
    said = f"gain {signed(comparison.gain)} points, 95 % interval {signed(comparison.low)} to {signed(comparison.high)}"
    for seed, difference in zip(comparison.seeds, comparison.differences, strict=True):
        parts.append(dot(place(difference.value), height - 5, 1.8, "seed", f"seed {seed}: {signed(difference)} points"))
    if comparison.low is not None and comparison.high is not None:
        parts.append(line(place(comparison.low.value), middle, place(comparison.high.value), middle, f"whisker {css}"))
    parts.append(dot(place(comparison.gain.value), middle, 4, f"gain {css}", said))
    return svg(width, height, said, *parts, css="forest")


def forest_axis(domain: tuple[float, float], width: float = 150) -> Markup:
    """The scale above a column of ``forest``: the round numbers that fit."""
    step = next(s for s in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if (domain[1] - domain[0]) / s <= 6.5)
    parts = []
    for i in range(int(np.ceil(domain[0] / step)), int(np.floor(domain[1] / step)) + 1):
        x = 3 + (width - 6) * (i * step - domain[0]) / (domain[1] - domain[0])
        label = "0" if i == 0 else f"{100 * i * step:+.1f}".removesuffix(".0").replace("-", MINUS)
        if 8 < x < width - 8:
            parts.append(text(x, 9, label, "tick", "middle"))
    return svg(width, 12, "scale in points", *parts, css="forest")


# --- curves ----------------------------------------------------------------------------------------------------------


def on_grid(curves: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Curves of several seeds at common places of [0, 1]: ``(seeds, GRID + 1)``, linear in between."""
    places = np.linspace(0, 1, GRID + 1)
    return np.stack([np.interp(places, x, y) for x, y in curves])


def accuracy_domain(grids: Sequence[Floats]) -> tuple[float, float]:
    """Tenths around all accuracies, so that panels share an axis: within [0, 1], at least two tenths high."""
    low = int(np.floor(10 * min(float(grid.min()) for grid in grids) + 1e-9))
    high = int(np.ceil(10 * max(float(grid.max()) for grid in grids) - 1e-9))
    high = min(10, max(high, low + 2))
    return min(low, high - 2) / 10, high / 10


def learning_curve(
    name: str,
    ours: Floats,
    ends: tuple[Derived, Derived],
    baseline: Floats | None,
    purse: int,
    domain: tuple[float, float],
) -> Markup:
    """Selection accuracy against student tokens: the mean over seeds and the band from lowest to highest seed.

    Args:
        name: Whose curve.
        ours: From ``on_grid``.
        ends: Mean over seeds of its first and its last accuracy, to be said in words.
        baseline: The same of ``stratified``; drawn as its mean, dashed.
        purse: Student tokens at the right end.
        domain: Ends of the accuracy axis, tenths.
    """
    left, right, roof, floor, width, height = 30.0, 232.0, 8.0, 118.0, 244.0, 140.0
    xs = np.linspace(left, right, GRID + 1)

    def y(values: Floats | float) -> Floats:
        return np.asarray(floor - (floor - roof) * (np.asarray(values) - domain[0]) / (domain[1] - domain[0]))

    parts, tenths = [], (round(10 * domain[0]), round(10 * domain[1]))
    for tick in range(tenths[0], tenths[1] + 1, 1 if tenths[1] - tenths[0] <= 6 else 2):
        at = float(y(tick / 10))
        parts += [line(left, at, right, at, "rule"), text(left - 4, at + 3, str(10 * tick), "tick", "end")]
    for share in (0.0, 0.5, 1.0):
        where = ("start", "middle", "end")[int(2 * share)]
        parts.append(text(left + share * (right - left), floor + 13, tokens(share * purse), "tick", where))
    low, high, mean = ours.min(axis=0), ours.max(axis=0), ours.mean(axis=0)
    parts.append(path(np.concatenate([xs, xs[::-1]]), np.concatenate([y(high), y(low)[::-1]]), "band", close=True))
    if baseline is not None:
        parts.append(path(xs, y(baseline.mean(axis=0)), "baseline"))
    parts += [path(xs, y(mean), "mean"), dot(right, float(y(float(mean[-1]))), 2.6, "end")]
    reach = f"from {percent(ends[0])} to {percent(ends[1])} per cent ({origin(ends[1])})"
    said = f"{visible(name)}: selection accuracy {reach}"
    return svg(width, height, said, *parts, css="curve")


# --- mixtures and budgets --------------------------------------------------------------------------------------------


def mixture_strip(skills: Sequence[str], shares: Floats, most: float, runs: Sequence[int]) -> Markup:
    """What was taught: skills down, steps across, the darker the larger the share of the lesson.

    Args:
        skills: Names, k of them.
        shares: ``(steps, k)``, in [0, 1]; NaN where nothing was kept.
        most: Share of the darkest cell.
        runs: How many runs each step is a mean over, ``(steps,)``.
    """
    left, cell = 92.0, 13.0
    wide = min(24.0, 150.0 / max(len(shares), 1))
    parts = []
    for j, skill in enumerate(skills):
        name = visible(skill)
        short = name if len(name) <= 14 else name[:13] + "…"
        parts.append(text(left - 5, j * cell + 10, short, "tick", "end"))
        for i, row in enumerate(shares):
            missing = bool(np.isnan(row[j]))
            said = f"step {i + 1}, {name}: " + ("nothing kept" if missing else f"{portion(float(row[j]), 1)} %")
            shade = 0.0 if missing else min(1.0, float(row[j]) / most)
            css, style = ("cell none" if missing else "cell"), f"--v:{shade:.2f}"
            parts.append(rect(left + i * wide, j * cell, wide - 1, cell - 1, css, f"{said} (of {runs[i]} runs)", style))
    floor = len(skills) * cell + 10
    ends = sorted({0, len(shares) - 1}) if len(shares) else []
    parts += [text(left + (i + 0.5) * wide - 0.5, floor, str(i + 1), "tick", "middle") for i in ends]
    parts.append(text(left - 5, floor, "step", "tick", "end"))
    return svg(246, floor + 4, "share of each skill in the lesson of each step", *parts, css="strip")


def budget_bar(training: float, probes: float, total: float, width: float = 200) -> Markup:
    """How a purse was used: training, probes, and what was left."""
    height, unit = 12.0, width / max(total, 1.0)
    parts = [
        rect(0, 0, width, height, "left", f"left: {tokens(total - training - probes)} student tokens"),
        rect(0, 0, training * unit, height, "training", f"training: {tokens(training)} student tokens"),
        rect(training * unit, 0, probes * unit, height, "probes", f"probes: {tokens(probes)} student tokens"),
    ]
    said = f"training {tokens(training)}, probes {tokens(probes)} of {tokens(total)} student tokens"
    return svg(width, height, said, *parts, css="bar")
