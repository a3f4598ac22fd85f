"""Three ways to need fewer runs: a baseline that is played twice, covariates, and shared random numbers.

simulation  no teacher is better: does an interval made so keep its 5 %, and what is its price beside the shipped one?
rows        the same on the rows of boards: python tests/bench/fewer_runs.py FOLDER… [--again FOLDER]

A price is a half-width times the root of the runs that it took, over that of the shipped interval: below 1 it pays.
``--play FOLDER`` makes rows for ``--again``: runs of `quick` with the same untaught students and other data streams.
Read docs/fewer_runs.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from common import table
from null_models import Rate
from scipy.special import stdtrit

from dataenv.environment.env import TeachingEnv
from dataenv.execution.executors import make_executor
from dataenv.execution.runner import Runner
from dataenv.execution.store import open_store
from dataenv.leaderboard.config import BASELINE, UNTAUGHT, load
from dataenv.leaderboard.folder import read_rows
from dataenv.leaderboard.play import _row
from dataenv.leaderboard.provenance import this_code
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.runs import known_runs
from dataenv.leaderboard.statistics.outcomes import outcome
from dataenv.leaderboard.trackers import Tracker
from tasks.records import stream

TEACHERS = 6
"""Beside the baseline, as on `quick`."""
WORLDS = ((0.0, 0.0, 0.0), (0.25, 0.0, 0.0), (0.5, 0.0, 0.0), (0.25, 0.5, 0.0), (0.25, 0.8, 0.0), (0.25, 0.0, 0.5))
"""See ``drawn``: ``own``, ``known`` and ``shared``."""
Interval = tuple[np.ndarray, np.ndarray]
"""Gains and half-widths, ``(boards,)`` each."""


def plain(d: np.ndarray) -> Interval:
    """The shipped paired t over seeds; ``d`` is ``(boards, seeds)``."""
    n = d.shape[-1]
    return d.mean(-1), stdtrit(n - 1, 0.975) * d.std(-1, ddof=1) / n**0.5


def adjusted(d: np.ndarray, x: np.ndarray, middle: np.ndarray | float | None = None) -> Interval:
    """Regression of differences on a covariate of their seeds (ANCOVA), with n − 2 degrees of freedom.

    Args:
        d: ``(boards, seeds)``.
        x: The same of the covariate.
        middle: Where the gain is told: the covariate's mean over all seeds, if it is known. Without, the mean of the
            seeds at hand; the gain is then that of their students, and not of new ones.
    """
    n, at = d.shape[-1], x - x.mean(-1, keepdims=True)
    square = np.maximum((at**2).sum(-1), 1e-18)
    slope = (at * d).sum(-1) / square
    rest = d - d.mean(-1, keepdims=True) - slope[:, None] * at
    away = np.zeros(len(d)) if middle is None else x.mean(-1) - middle
    error = np.sqrt((rest**2).sum(-1) / (n - 2) * (1 / n + away**2 / square))
    return d.mean(-1) - slope * away, stdtrit(n - 2, 0.975) * error


def drawn(
    rng: np.random.Generator, boards: int, n: int, own: float, known: float, shared: float
) -> dict[str, np.ndarray]:
    """Differences of sd 1 and true gain 0 of one teacher, ``(boards, n)`` each.

    Args:
        rng: Where draws come from.
        boards: How many.
        n: Seeds of each.
        own: The part of the variance that is noise of the baseline's own run.
        known: Correlation of the difference, without that noise, with what is known of the untaught student.
        shared: Correlation of the noise of both runs. It is 0 in differences of runs whose random numbers differ.
    """
    x, of_seed, ours, theirs, again, level = rng.standard_normal((6, boards, n))
    base = own**0.5
    seed = (1 - 2 * own) ** 0.5 * (known * x + (1 - known**2) ** 0.5 * of_seed)
    common = shared**0.5 * ours + (1 - shared) ** 0.5 * theirs
    return {"x": x, "once": seed + base * (ours - common), "apart": seed + base * (ours - theirs),
            "twice": seed + base * (ours - (theirs + again) / 2), "baseline": 2 * level + base * theirs}  # fmt: skip


def simulation(boards: int, seed: int) -> None:
    """Level and price of every way, where it should help and where it cannot."""
    rows = []
    for n in (6, 8, 12):
        for own, known, shared in WORLDS:
            at = drawn(stream(seed, f"fewer runs {own} {known} {shared}", n), boards, n, own, known, shared)
            shipped = plain(at["apart"])
            ways = {
                "baseline twice": (plain(at["twice"]), (TEACHERS + 2) / (TEACHERS + 1)),
                "untaught, these seeds": (adjusted(at["apart"], at["x"]), 1.0),
                "untaught, known mean": (adjusted(at["apart"], at["x"], 0.0), 1.0),
                "baseline's outcome": (adjusted(at["apart"], at["baseline"]), 1.0),
                "shared random numbers": (plain(at["once"]), 1.0),
            }
            cells = [f"{Rate.of(abs(gain) > half)} / {price(half, shipped[1], runs):.2f}"
                     for (gain, half), runs in ways.values()]  # fmt: skip
            rows.append([f"{n}; {own:g}, {known:g}, {shared:g}", Rate.of(abs(shipped[0]) > shipped[1]), *cells])
    head = ["seeds; own, known, shared", "shipped: errs, %", *(f"{name}: errs, % / price" for name in ways)]
    table(f"no teacher is better, {boards} boards each (nominal 5 %); price below 1 pays", head, rows)


def price(half: np.ndarray, shipped: np.ndarray, runs: float = 1.0) -> float:
    """Median half-width beside the shipped one's, times the root of the runs."""
    return float(np.median(half) / np.median(shipped) * runs**0.5)


# --- rows ------------------------------------------------------------------------------------------------------------

Outcomes = Mapping[str, Mapping[int, float]]
"""Primary outcome by teacher and seed, in points."""


def outcomes(folder: Path) -> Outcomes:
    """Of the rows of a board."""
    found: dict[str, dict[int, float]] = {}
    for row in read_rows(folder):
        if row.test is not None:
            found.setdefault(row.teacher, {})[row.seed] = 100 * outcome(row).value
    return found


def replicas(folder: Path) -> list[Outcomes]:
    """Of rows that ``--play`` made: a board for each further data stream."""
    boards: dict[str, dict[str, dict[int, float]]] = {}
    for path in sorted(folder.glob("*.json")):
        row, which = Row.model_validate_json(path.read_bytes()), path.stem.rpartition("--")[2]
        boards.setdefault(which, {}).setdefault(row.teacher, {})[row.seed] = 100 * outcome(row).value
    return [boards[which] for which in sorted(boards)]


def of_rows(folder: Path, again: Sequence[Outcomes]) -> None:
    """Half-widths on the rows of a board, one teacher a line."""
    board = outcomes(folder)
    seeds = sorted(set(board[BASELINE]).intersection(*(one[BASELINE] for one in again)))

    def of(name: str, where: Outcomes = board) -> np.ndarray:
        return np.array([[where[name][seed] for seed in seeds]])

    theirs, untaught, streams = of(BASELINE), of(UNTAUGHT), [of(BASELINE, one) for one in again]
    rows = []
    for name in sorted(set(board) - {BASELINE, "format-only", "joint", "joint-x4", UNTAUGHT, "static-best"}):
        d = of(name) - theirs
        shipped = plain(d)[1]
        cells = [f"{d.std(ddof=1):.2f}", *(f"{price(adjusted(d, x)[1], shipped):.2f}" for x in (untaught, theirs))]
        if streams:
            twice = plain(of(name) - (theirs + streams[0]) / 2)[1]
            cells.append(f"{price(twice, shipped, (TEACHERS + 2) / (TEACHERS + 1)):.2f}")
            cells.append(", ".join(f"{(of(name) - other).std(ddof=1):.2f}" for other in streams))
        rows.append([name, *cells])
    head = ["teacher", "sd, points", "untaught", "baseline's outcome", "baseline twice", "sd, other data streams"]
    table(f"{folder}, {len(seeds)} seeds: price beside the shipped interval", head[: len(rows[0])], rows)
    if streams:
        noise = np.concatenate([theirs, *streams]).var(0, ddof=1).mean() ** 0.5
        print(f"  sd of {BASELINE} over data streams, same untaught student: {noise:.2f} points")


def play(folder: Path, names: Sequence[str], streams: int) -> None:
    """Play teachers of `quick` on its seeds, with the untaught students of those seeds and other data streams."""
    board, source = load("quick"), this_code()
    folder.mkdir(parents=True, exist_ok=True)
    runner, fresh = Runner(open_store(str(folder / ".store")), make_executor("inline")), TeachingEnv._fresh
    runner.asked = set()
    for which in range(1, streams + 1):
        TeachingEnv._fresh = lambda env, seed, which=which: fresh(env, seed).model_copy(  # type: ignore[method-assign]
            update={"seed": 10_000 * which + seed})  # fmt: skip
        for planned in known_runs(board):
            path = folder / f"{planned.label}--{planned.seed}--{which}.json"
            if planned.label in names and not path.exists():
                row = _row(board, planned, runner, Tracker(), source, None)
                path.write_text(json.dumps(row.model_dump(mode="json")))


def main(arguments: list[str] | None = None) -> None:
    """Print it all, or play."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="of boards whose rows are looked at")
    parser.add_argument("--again", type=Path, help="rows of other data streams, of the first folder's seeds")
    parser.add_argument("--play", type=Path, help="make such rows")
    parser.add_argument("--teachers", nargs="*", default=[BASELINE], help="whom --play plays")
    parser.add_argument("--streams", type=int, default=2, help="of data, for --play")
    parser.add_argument("--boards", type=int, default=4000, help="of the simulation")
    options = parser.parse_args(arguments)
    if options.play:
        return play(options.play, options.teachers, options.streams)
    simulation(options.boards, 0)
    for i, folder in enumerate(options.folders):
        of_rows(folder, replicas(options.again) if options.again and not i else [])


if __name__ == "__main__":
    main()
