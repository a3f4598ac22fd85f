"""What the oracle does with simulated students, and how far teachers stay behind it (docs/simulated.md).

The purse is that of the board `quick`. The menu: even shares, and those that its fixed mixtures suggest.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from common import machine, table

KNOWN, SLOW = ("first", "second", "succ", "rotate", "chain"), ("add-carry", "sub-borrow", "times", "hash")
TEACHERS: dict[str, dict[str, Any]] = {
    "stratified": {},
    "random": {},
    "failure": {},
    "learning-progress": {},
    "frontier": {},
    "static": {"weights": {**dict.fromkeys(KNOWN, 0.5), **dict.fromkeys(SLOW, 0.0)}, "other": 1.0},
}


def menu(skills: tuple[str, ...]) -> Any:
    """Four mixtures, a row each: even; without what is slow, known skills at a half; and of that one, single operators
    without the chains of two, and those chains without the single operators."""
    import numpy as np

    def row(*without: str) -> list[float]:
        return [0.0 if s in (*SLOW, *without) else 0.5 if s in KNOWN else 1.0 for s in skills]

    chains, single = ("max-succ", "add-max"), ("max", "min", "add", "sub", "sort")
    return np.array([[1.0] * len(skills), row(), row(*chains), row(*single)])


def main(seeds: int, real: int) -> None:
    """Print the oracle's value and the teachers' regret to it."""
    import numpy as np

    from dataenv import registry
    from dataenv.environment.env import TeachingEnv
    from dataenv.episode.loop import run
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import Store
    from dataenv.leaderboard.statistics.formulas import paired_t
    from dataenv.learning.oracle import Course, best_schedule, expected, refine
    from dataenv.setting import make_setting

    items = {"feedback": 50, "selection": 60, "test": 1, "transfer": 0}
    setting = make_setting({"student": "simulated", "items": items})
    rows, runner, begun = menu(setting.built_task.skills), Runner(Store(None)), time.process_time()
    exact = [best_schedule(setting, seed, rows) for seed in range(seeds)]
    took = (time.process_time() - begun) / seeds
    better = [refine(setting, seed, found) for seed, found in enumerate(exact)]
    course = [Course(setting, seed) for seed in range(seeds)]
    mixtures = rows / rows.sum(1, keepdims=True)
    kept = np.array([c.value(np.repeat(mixtures[:, None], c.lessons, 1)) for c in course])
    values = {name: [] for name in TEACHERS}  # type: dict[str, list[float]]
    for name, args in TEACHERS.items():
        for seed in range(seeds):
            env = TeachingEnv("skill-list", runner=runner, setting=setting)
            run(env, registry.build("teacher", name, args), seed=seed)
            values[name].append(expected(env))
    top, over = (np.array([x.value for x in each]) for each in (exact, better))
    print(f"{len(exact[0].mixtures)} lessons, {np.mean([x.looked for x in exact]):,.0f} schedules looked at, "
          f"{took:.0f} s of processor time a student")  # fmt: skip
    lines = [["oracle of the menu", f"{100 * top.mean():.1f}", "", ""], ["refined", f"{100 * over.mean():.1f}", "", ""]]
    lines.append(["best of the menu kept to", f"{100 * kept.mean(0).max():.1f}", *_regrets(
        kept[:, kept.mean(0).argmax()], top, over, paired_t)])  # fmt: skip
    for name, found in sorted(values.items(), key=lambda pair: -np.mean(pair[1])):
        lines.append([name, f"{100 * np.mean(found):.1f}", *_regrets(np.array(found), top, over, paired_t)])
    table(f"Expected accuracy, %, and regret in points [95 %], n = {seeds} students",
          ["", "value", "to the menu's oracle", "to the refined"], lines)  # fmt: skip
    schedule = np.mean([x.mixtures for x in better if len(x.mixtures) == len(better[0].mixtures)], axis=0)
    for lesson, mixture in enumerate(schedule):
        shares = zip(setting.built_task.skills, mixture, strict=True)
        print(f"lesson {lesson + 1}: " + ", ".join(f"{s} {p:.0%}" for s, p in shares if p >= 0.02))
    if real:
        _on_real(schedule, mixtures, real)


def _on_real(schedule: Any, mixtures: Any, students: int) -> None:
    """The mean of the refined schedules, taught to real students of seeds that nothing was fitted to."""
    import numpy as np

    from dataenv.environment.env import TeachingEnv
    from dataenv.leaderboard.statistics.formulas import paired_t
    from dataenv.setting import make_setting

    setting = make_setting({"items": {"feedback": 5, "selection": 100, "test": 1, "transfer": 0}})
    ways = {"refined": schedule, "no-slow-half-known": mixtures[1], "stratified": mixtures[0]}
    ways = {name: np.broadcast_to(way, schedule.shape) for name, way in ways.items()}
    env, scores = TeachingEnv("skill-list", setting=setting), {name: [] for name in ways}  # type: ignore[var-annotated]
    for seed in range(200, 200 + students):
        for name, lessons in ways.items():
            observation, _ = env.reset(seed=seed)
            found = [float(observation["score"][0])]
            for mixture in lessons:
                observation, _, _, over, _ = env.step((mixture / mixture.max()).astype(np.float32))
                found.append(float(observation["score"][0]))
                if over:
                    break
            scores[name].append(max(found))
            print(f"real student {seed}, {name}: " + " ".join(f"{100 * x:.1f}" for x in found), flush=True)
    refined, rows = np.array(scores["refined"]), []
    for name, values in scores.items():
        t = paired_t((refined - np.array(values)).tolist())
        gain = "" if name == "refined" else f"{100 * t.gain:+.1f} [{100 * t.low:+.1f}, {100 * t.high:+.1f}]"
        rows.append([name, f"{100 * np.mean(values):.1f}", gain])
    table(f"Best selection accuracy, %, n = {students} real students", ["", "value", "refined is ahead by"], rows)


def _regrets(found: Any, *tops_and_test: Any) -> list[str]:
    *tops, test = tops_and_test
    out = []
    for top in tops:
        t = test((top - found).tolist())
        out.append(f"{100 * t.gain:+.1f} [{100 * t.low:+.1f}, {100 * t.high:+.1f}]")
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--real", type=int, default=0, help="real students that the schedule is taught to")
    args = parser.parse_args()
    print(machine("numpy"))
    main(args.seeds, args.real)
