"""Are a board's statistics what they say they are? Boards of our size whose truth is known, judged by the shipped code.

level      no teacher is better than the baseline: how often is one said to be? Whole boards, answer by answer
whole      the same through ``summarise``: do its verdicts and p come out as the bare functions say?
power      one teacher is better by 1, 2, 4, 8 points: how often is that seen?
visible    a true gain of the size of the smallest visible one: is it seen by four boards in five?
shapes     differences that are not normal: a comparison alone, and six teachers on one board
items      one test split is a sample of problems
failures   a failed run scored as the untaught student, beside dropping it
mixtures   the best of 20 equal mixtures, chosen on another seed and on the same ones

Exits with 1 if, under the normal model, the shipped procedure errs more often than 5 % beyond Monte Carlo error, or one
of its other claims does not hold. What the sizes are taken from: docs/statistics.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import numpy as np
from common import table, verdict
from null_models import Claims, Rate, families, items_drawn, shapes, shipped, t_and_holm

from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.statistics.comparisons import corrected, p_of_seeds
from dataenv.leaderboard.statistics.crossed import crossed
from dataenv.leaderboard.statistics.formulas import paired_t
from dataenv.leaderboard.statistics.summary import summarise
from tasks.records import stream

SKILLS, ITEMS, SEEDS = 16, 200, (3, 6, 10)
T_975 = {2: 4.302653, 4: 2.776445, 5: 2.570582, 9: 2.262157, 10: 2.228139, 18: 2.100922}
"""Quantiles of Student's t by degrees of freedom, from a table."""

HALF = {"frontier": 5.8, "learning-progress": 2.6, "con-sel": 6.05, "random": 5.05, "failure": 7.6, "stat-sel": 7.4}
"""Half-widths of the 95 % intervals of the board `quick` at six seeds, points (docs/results.md)."""
SD = np.array([half * 6**0.5 / T_975[5] for half in HALF.values()]) / 100
SMALL, MIDDLE, LARGE = (float(value) for value in (SD.min(), np.median(SD), SD.max()))
UNTAUGHT, UNTAUGHT_SD, MIXTURE_SD = -0.144, 5.85 * 6**0.5 / T_975[5] / 100, 4.05 * 6**0.5 / T_975[5] / 100
"""Nothing − stratified: gain and sd; static-best − stratified: sd."""
OWN = 0.0175
"""Sd of the baseline's own runs around what their seed makes of everybody; its noise is in every difference."""
SHARED = 0.04
"""Sd of what a seed does to all teachers alike. Assumed: pairing takes it out, so only the unpaired t depends on it."""
LEVEL = 0.468
"""Test accuracy of the baseline."""


# --- boards ----------------------------------------------------------------------------------------------------------


class Items:
    """Test items of known difficulty, and the place on their scale at which a student has a given accuracy."""

    def __init__(self, rng: np.random.Generator) -> None:
        skill = rng.permutation(np.linspace(-4, 4, SKILLS))  # from skills all know to skills nobody learns
        self.difficulty = (np.repeat(skill, ITEMS) + rng.normal(0, 1, SKILLS * ITEMS)).astype(np.float32)
        self.places = np.linspace(-9, 9, 361)
        odd = self.difficulty[:, None] + np.float32(0.7) * rng.standard_normal((1, 8), np.float32)  # as in ``board``
        self.accuracies = np.array([sigmoid(place - odd).mean() for place in self.places.astype(np.float32)])

    def place(self, accuracy: np.ndarray) -> np.ndarray:
        """Ability by mean accuracy."""
        return np.interp(accuracy, self.accuracies, self.places).astype(np.float32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


def board(rng: np.random.Generator, items: Items, seeds: int) -> np.ndarray:
    """Right answers ``(7 teachers, seeds, items)`` of a board on which no teacher is better; the baseline comes first.

    A student's accuracy is the sum of a level, what the seed does to all, and what becomes of this teacher's run. Each
    item has its difficulty, and an untaught student (a seed) its own strengths, which all teachers of the seed share.
    """
    own = np.sqrt(np.maximum(SD**2 - OWN**2 - 2 * 0.0035**2, 0))  # less what sampling the items adds to a difference
    run = np.concatenate([[OWN], own])[:, None] * rng.standard_normal((len(SD) + 1, seeds))
    accuracy = LEVEL + SHARED * rng.standard_normal(seeds) + run
    strengths = np.float32(0.7) * rng.standard_normal((seeds, SKILLS * ITEMS), np.float32)
    chance = sigmoid(items.place(accuracy)[:, :, None] - items.difficulty - strengths)
    return rng.random(chance.shape, np.float32) < chance


def rows_of(right: np.ndarray) -> Iterator[Row]:
    """The board's answers as the rows that a board writes; no steps but the untaught student's."""
    skills = tuple(f"skill {i}" for i in range(SKILLS))
    tally = {"correct": [0] * SKILLS, "n": [1] * SKILLS}
    step = {"step": 0, "spent": 0, "state": "", "reward": 0.0, "selection": tally, "feedback": tally, "mixture": None,
            "loss": [0.0] * SKILLS, "offered": 0, "kept": 0, "rejected": {}}  # fmt: skip
    spent = {"total": 1, "spent": 0, "training": 0, "probes": 0, "examples": 0, "prior": 0}
    for teacher, by_seed in zip(("stratified", *HALF), right, strict=True):
        for seed, bits in enumerate(by_seed):
            exam = {"correct": "".join(map(str, bits.astype(int))), "n": [ITEMS] * SKILLS,
                    "by_skill": bits.reshape(SKILLS, ITEMS).sum(1).tolist()}  # fmt: skip
            yield Row.model_validate({
                "schema": 1, "board": "simulated", "teacher": teacher, "role": "teacher", "level": "skill-list",
                "seed": seed, "simulated": True, "setting": {}, "setting_digest": "0", "commit": "", "dirty": False,
                "versions": {}, "hashes": {}, "skills": skills, "ended": "spent", "budget": spent, "steps": [step],
                "selected": 0, "test": exam,
            })  # fmt: skip


# --- procedures ------------------------------------------------------------------------------------------------------


def unpaired(accuracy: np.ndarray) -> np.ndarray:
    """Student's two-sample t of every teacher against the first, ``(boards, teachers - 1)``."""
    n = accuracy.shape[-1]
    variance = accuracy.var(-1, ddof=1)
    error = np.sqrt((variance[:, 1:] + variance[:, :1]) / n)
    return np.abs(accuracy[:, 1:].mean(-1) - accuracy[:, :1].mean(-1)) > T_975[2 * n - 2] * error


def bootstrap(rng: np.random.Generator, differences: np.ndarray, resamples: int = 400) -> np.ndarray:
    """Paired percentile bootstrap over seeds: whether the 95 % interval leaves out zero."""
    n = differences.shape[-1]
    times = rng.multinomial(n, [1 / n] * n, resamples) / n
    low, high = np.quantile(differences @ times.T, (0.025, 0.975), axis=-1)
    return (low > 0) | (high < 0)


# --- what is shown ---------------------------------------------------------------------------------------------------


def level(most: int, seed: int) -> Claims:
    """False positives per comparison and per board, of the shipped procedure and of others; ``most`` at three seeds."""
    rows, claims = [], {}
    for n in SEEDS:
        rng, boards = stream(seed, "level", n), most * min(SEEDS) // n
        items = Items(rng)
        accuracy, won, lost = np.empty((boards, len(SD) + 1, n)), *np.empty((2, boards, len(SD)))
        for i in range(boards):
            right = board(rng, items, n)
            accuracy[i] = right.mean(-1)
            won[i] = (right[1:] & ~right[0]).sum((1, 2))
            lost[i] = (~right[1:] & right[0]).sum((1, 2))
        differences = accuracy[:, 1:] - accuracy[:, :1]
        p, adjusted = shipped(differences)
        alone, by_holm = t_and_holm(differences)
        found = {
            "all three, corrected (shipped)": (p < 0.05, adjusted < 0.05),
            "paired t, then Holm": (alone < 0.05, by_holm < 0.05),
            "paired t, no Holm": (alone < 0.05, alone < 0.05),
            "unpaired t": (unpaired(accuracy),) * 2,
            "paired percentile bootstrap": (bootstrap(rng, differences),) * 2,
            "items pooled (McNemar)": (np.abs(won - lost) > 1.96 * np.sqrt(won + lost),) * 2,
            "higher mean wins (one-sided)": (differences.mean(-1) > 0,) * 2,
        }
        for name, (single, family) in found.items():
            rows.append([name, n, Rate.of(single), Rate.of(family.any(1))])
        single, family = Rate.of(p < 0.05), Rate.of((adjusted < 0.05).any(1))
        claims[f"{n} seeds: false positives of a comparison at most 5 %"] = not single.above(0.05)
        claims[f"{n} seeds: false positives of a board at most 5 %"] = not family.above(0.05)
        sd = 100 * differences.var(-1, ddof=1).mean(0) ** 0.5
        print(f"  {n} seeds, sd of differences over seeds, points: " + ", ".join(f"{value:.1f}" for value in sd))
    rows.sort(key=lambda row: list(found).index(row[0]))
    head = ["no teacher is better; false positives, %", "seeds", "a comparison", "any of six"]
    table(f"level, boards of 7 teachers x {SKILLS * ITEMS} items; {most} at 3 seeds, as many runs at more", head, rows)
    return claims


def whole(boards: int, seed: int) -> Claims:
    """Boards through ``summarise``: its verdicts, and whether its p are those that the other tables rest on."""
    rng, n = stream(seed, "whole"), 6
    items, said, apart = Items(rng), np.zeros(boards, bool), 0.0
    for i in range(boards):
        right = board(rng, items, n)
        summary = summarise(rows_of(right))
        said[i] = any(s.verdict in ("better", "worse") for s in summary.teachers)
        by_name = bare(right)
        counting = {s.teacher: s.comparison.p_adjusted for s in summary.teachers if s.comparison}
        apart = max(apart, *(abs(counting[name] - by_name[name]) for name in by_name))
    rate = Rate.of(said)
    print(f"\nwhole boards, 6 seeds, {boards}: {rate} % say of some teacher that it is better or worse (nominal: 5 %);")
    print(f"  largest difference of an adjusted p from that of the bare functions: {apart:.1e}")
    return {"verdicts of summarise err on at most 5 % of boards": not rate.above(0.05),
            "p of summarise are those of the bare functions": apart < 1e-9}  # fmt: skip


def bare(right: np.ndarray) -> dict[str, float]:
    """The p that count, by the bare functions, from the answers of a board."""
    ahead = right[1:].astype(float) - right[0]
    alone, by_seed = {}, {}
    for name, answers in zip(HALF, ahead, strict=True):
        differences = answers.mean(-1).tolist()
        both = crossed(answers, [ITEMS] * SKILLS)
        alone[name] = max(p_of_seeds(paired_t(differences)), both.p if both else 0.0)
        by_seed[name] = dict(enumerate(differences))
    return corrected(alone, by_seed)


def with_five_equal(rng: np.random.Generator, boards: int, n: int, gain: float, sd: float) -> np.ndarray:
    """Differences ``(boards, 6, n)``: one teacher of this gain and sd, five without, one baseline for all."""
    own = np.sqrt(np.maximum(np.array([sd, *np.sort(SD)[[0, 1, 2, 4, 5]]]) ** 2 - OWN**2, 0))
    noise = own[:, None] * rng.standard_normal((boards, 6, n)) - OWN * rng.standard_normal((boards, 1, n))
    return noise + np.array([gain, 0, 0, 0, 0, 0])[:, None]


def power(boards: int, seed: int) -> Claims:
    """How often a true gain is seen: interval above zero, and verdict *better* beside five teachers without a gain."""
    rows = []
    for sd in (SMALL, MIDDLE, LARGE):
        for n in SEEDS:
            cells: list[object] = [f"{100 * sd:.1f}", n]
            for gain in (0.01, 0.02, 0.04, 0.08):
                differences = with_five_equal(stream(seed, f"power {sd:.3f} {gain}", n), boards, n, gain, sd)
                (p, _), (_, adjusted) = t_and_holm(differences), shipped(differences)
                up = differences[:, 0].mean(-1) > 0
                cells.append(f"{Rate.of((p[:, 0] < 0.05) & up)} / {100 * ((adjusted[:, 0] < 0.05) & up).mean():.0f}")
            rows.append(cells)
    head = ["sd of differences, points", "seeds", *(f"+{gain} points" for gain in (1, 2, 4, 8))]
    table(f"power, {boards} boards each: interval above zero, % / verdict better, %", head, rows)
    return {}


def visible(boards: int, seed: int) -> Claims:
    """The claim behind *smallest visible gain*, and how far the printed one strays from the true one."""
    rows, claims = [], {}
    for n in SEEDS:
        rng = stream(seed, "visible", n)
        unit = np.array([-1.0, 1.0] * (n // 2) + [0.0] * (n % 2))
        unit /= unit.std(ddof=1)  # a sample whose sd is 1: the shipped formula then gives the multiple of the true sd
        times = paired_t(unit.tolist()).visible
        differences = with_five_equal(rng, boards, n, times * MIDDLE, MIDDLE)
        (p, _), (_, adjusted) = t_and_holm(differences), shipped(differences)
        up = differences[:, 0].mean(-1) > 0
        printed = np.array([paired_t(d).visible for d in differences[:, 0].tolist()]) / (times * MIDDLE)
        seen = Rate.of((p[:, 0] < 0.05) & up)
        low, high = np.quantile(printed, (0.1, 0.9))
        rows.append([n, f"{times:.2f}", seen, Rate.of((adjusted[:, 0] < 0.05) & up), f"{low:.2f} to {high:.2f}"])
        if n >= 6:  # at three seeds the formula, a shifted t for the noncentral one, falls a little short
            claims[f"{n} seeds: a gain of the smallest visible size is seen by four boards in five"] = (
                abs(seen.value - 0.8) < 0.02 + 3 * seen.error
            )
    head = ["seeds", "smallest visible / true sd", "seen, %", "verdict better, %", "printed / true (80 % of boards)"]
    table(f"smallest visible gain, {boards} boards each", head, rows)
    return claims


def failures(boards: int, seed: int) -> Claims:
    """One run of six failed, the one that went worst: scored as untaught, or dropped."""
    rows = []
    for gain in (0.0, 0.08):
        rng = stream(seed, "failures")
        whole = np.sort(rng.normal(gain, MIDDLE, (boards, 6)), axis=1)
        untaught = rng.normal(UNTAUGHT, UNTAUGHT_SD, (boards, 1))
        ways = {"no run failed": whole, "failed run scored as untaught (shipped)": np.hstack([untaught, whole[:, 1:]]),
                "failed run dropped": whole[:, 1:]}  # fmt: skip
        for name, differences in ways.items():
            tests = [paired_t(d) for d in differences.tolist()]
            shown = np.mean([t.gain for t in tests])
            better, worse = (
                Rate.of(np.array([t.low > 0 for t in tests])),
                Rate.of(np.array([t.high < 0 for t in tests])),
            )
            rows.append([name, f"{100 * gain:+.0f}", f"{100 * shown:+.1f}", better, worse])
    head = ["6 seeds", "gain of runs that do not fail", "mean gain shown", "above zero, %", "below zero, %"]
    table(f"failures, {boards} comparisons each", head, rows)
    return {}


def mixtures(boards: int, seed: int) -> Claims:
    """The best of 20 mixtures that are all as good as the baseline: what its gain over the baseline seems to be."""
    rng, n, many = stream(seed, "mixtures"), 6, 20
    own = (MIXTURE_SD**2 - OWN**2) ** 0.5
    run = own * rng.standard_normal((boards, many, n + 1))  # less what the seed does to all, which changes no choice
    selection = run + 0.012 * rng.standard_normal(run.shape)  # 16 x 60 selection items
    differences = run[..., :n] - OWN * rng.standard_normal((boards, 1, n))
    choices = {"one other seed (shipped)": selection[..., n], "the same six, by selection": selection[..., :n].mean(-1),
               "the same six, by test": run[..., :n].mean(-1)}  # fmt: skip
    rows, claims = [], {}
    for name, score in choices.items():
        best = differences[np.arange(boards), score.argmax(1)]
        above = Rate.of(np.array([paired_t(d).low > 0 for d in best.tolist()]))
        rows.append([name, f"{100 * best.mean():+.2f} ± {196 * best.mean(1).std() / boards**0.5:.2f}", above])
        if "shipped" in name:
            lucky = "a mixture chosen on another seed is above zero by luck at most 2.5 % of the time"
            claims[lucky] = not above.above(0.025)
    table(f"best of 20 equal mixtures, {boards} boards (true gain 0)",
          ["chosen on", "gain seen, points", "interval above zero, %"], rows)  # fmt: skip
    return claims


def main(arguments: list[str] | None = None) -> int:
    """Run it all; 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the boards: a few seconds, wide errors")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    options = parser.parse_args(arguments)
    share = 20 if options.quick else 1
    print(f"sd of paired differences on the board `quick`, points: {', '.join(f'{100 * sd:.1f}' for sd in SD)}")
    claims: Claims = {}
    for part, boards in ((level, 8000), (whole, 400), (power, 1000), (visible, 4000), (shapes, 10_000),
                         (families, 2000), (items_drawn, 4000),
                         (failures, 10_000), (mixtures, 10_000)):  # fmt: skip
        claims |= part(boards // share, options.seed)
    return verdict(claims)


if __name__ == "__main__":
    sys.exit(main())
