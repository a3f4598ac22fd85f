"""One `env.step` on `pocket` beside TRL's SFTTrainer: same weights, lesson, updates, batch and decoded exam, one run.

warm   median of interleaved steps in one process: ours, theirs, ours, theirs …
cold   median of interleaved fresh processes, from the start of Python to the end of the first step. The untaught
       student is on disk beforehand for both: in a store for us, in a from_pretrained folder for them.
flat   step 10 beside step 2 of one episode, each taken again and again from its snapshot, in turns and in turned order:
       under (current, lesson) a step must not grow with what went before.
back   with `--backends` alone, and without TRL: the parts of a step in NumPy beside the same in PyTorch, interleaved,
       in processor seconds.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

from common import machine, make, table

WARM, COLD, PAIRS, LAST = 7, 3, 9, 10
FLAT = 1.2


def action_of(env, variant: int = 0):
    """Every skill, one of them a little less, so that no two variants teach the same lesson."""
    import numpy as np

    action = np.ones(env.action_space.shape, np.float32)
    action[variant % len(action)] = 0.9 - 0.05 * (variant // len(action))
    return action


def lesson_of(env):
    """The examples that the last step trained on."""
    inner = env.unwrapped
    return inner.runner.store.lesson(inner.history[-1].lesson)


def exam_prompts(setting) -> list[str]:
    """What a step decodes: the feedback and the selection exam."""
    return [p.prompt for split in ("feedback", "selection") for p in setting.exam_items(split)]


def score(setting, responses: list[str]) -> float:
    """Accuracy on the selection exam, in [0, 1]."""
    problems = setting.exam_items("selection")
    answers = responses[-len(problems) :]
    task = setting.built_task
    return sum(task.grade(p, a).correct for p, a in zip(problems, answers, strict=True)) / len(problems)


class Parts:
    """Where the time of our step goes: the student's three methods, timed from outside."""

    def __init__(self, student) -> None:
        self.seconds: dict[str, float] = {}
        for method, part in (("fit", "train"), ("answer", "exam"), ("losses", "losses")):
            setattr(student, method, self._timed(getattr(student, method), part))

    def _timed(self, method, part: str):
        def timed(*args):
            begun = time.perf_counter()
            result = method(*args)
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - begun
            return result

        return timed

    def take(self, whole: float) -> dict[str, float]:
        """The parts of a step that took ``whole`` seconds, and the rest."""
        out = {part: self.seconds.pop(part, 0.0) for part in ("train", "exam", "losses")}
        return out | {"rest": whole - sum(out.values())}


def warm(env, folder: Path) -> None:
    """Interleaved steps in this process."""
    from peer import Peer

    inner = env.unwrapped
    setting, prompts = inner.setting, exam_prompts(inner.setting)
    env.reset(seed=0)
    inner.student.export(inner.runner.weights(inner.state), folder)
    peer, parts = Peer(folder), Parts(inner.student)
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for i in range(WARM + 1):
        begun = time.perf_counter()
        env.step(action_of(env, i))
        whole = time.perf_counter() - begun
        split = {"whole": whole} | parts.take(whole)
        responses = peer.step(lesson_of(env), setting.recipe, prompts, setting.decoding)
        if i:  # the first of each is the warming up
            ours.append(split)
            theirs.append({"whole": sum(peer.seconds.values())} | peer.seconds)
    names = ("whole", "set up", "train", "exam", "losses", "rest")
    rows = []
    for name in names:
        a, b = (median(s[name] for s in side) if name in side[0] else None for side in (ours, theirs))
        shown = [f"{x:.2f}" if x is not None else "-" for x in (a, b)]
        rows.append([name, *shown, f"{b / a:.1f}" if a and b else "-"])
    spread = [f"{min(s['whole'] for s in side):.2f}-{max(s['whole'] for s in side):.2f}" for side in (ours, theirs)]
    rows.append(["range of whole", *spread, "-"])
    tally = inner.history[-1].selection
    final = [f"{sum(tally.correct) / sum(tally.n):.3f}", f"{score(setting, responses):.3f}", "-"]
    rows.append([f"score after {WARM + 1} lessons", *final])
    table(f"warm step, seconds, median of {WARM} interleaved", ["", "dataenv", "TRL", "TRL / dataenv"], rows)
    recipe = setting.recipe
    print(
        f"  {recipe.updates} updates of {recipe.batch}, lesson {setting.lesson_size}, {len(prompts)} answers of "
        f"at most {setting.decoding.max_tokens} tokens; only dataenv measures losses too, screens, charges and stores"
    )


def cold(env, folder: Path, scratch: Path) -> None:
    """Interleaved fresh processes; each of ours gets a copy of a store that knows the untaught student alone."""
    known = scratch / "known"
    before = make(str(known))
    before.reset(seed=0)
    lesson = scratch / "lesson.jsonl"
    lesson.write_text("".join(e.model_dump_json() + "\n" for e in lesson_of(env)), encoding="utf-8")
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for i in range(COLD + 1):
        store = scratch / f"store{i}"
        shutil.copytree(known, store)
        for side, where in (("ours", [str(store)]), ("theirs", [str(folder), str(lesson)])):
            begun = time.perf_counter()
            subprocess.run([sys.executable, __file__, f"--{side}", *where], check=True, stdout=subprocess.DEVNULL)
            if i:
                times[side].append(time.perf_counter() - begun)
    a, b = median(times["ours"]), median(times["theirs"])
    spread = [f"{min(t):.1f}-{max(t):.1f}" for t in times.values()]
    rows = [["whole", f"{a:.1f}", f"{b:.1f}", f"{b / a:.1f}"], ["range", *spread, "-"]]
    table(
        f"cold step, seconds, median of {COLD} interleaved fresh processes",
        ["", "dataenv", "TRL", "TRL / dataenv"],
        rows,
    )


def cold_ours(store: str) -> None:
    """In a fresh process: make the environment and take a step."""
    env = make(store)
    env.reset(seed=0)
    env.step(action_of(env))


def cold_theirs(folder: str, lesson: str) -> None:
    """In a fresh process: load the student and give it a lesson and the exam."""
    from peer import Peer

    from dataenv.setting import Setting
    from tasks.records import Example

    setting = Setting()
    examples = [Example.model_validate_json(line) for line in Path(lesson).read_text(encoding="utf-8").splitlines()]
    Peer(Path(folder)).step(examples, setting.recipe, exam_prompts(setting), setting.decoding)


def flat(env) -> bool:
    """Step 10 beside step 2; whether their ratio keeps to ``FLAT``."""
    inner, (early, late) = env.unwrapped, (2, LAST)
    recipe, before = inner.setting.recipe, {}
    env.reset(seed=0)
    for t in range(1, LAST):
        env.step(action_of(env, 20))
        before[t + 1] = inner.snapshot()
    walls: dict[int, list[float]] = {early: [], late: []}
    cpus: dict[int, list[float]] = {early: [], late: []}
    for pair in range(PAIRS + 1):
        for t in (early, late) if pair % 2 else (late, early):
            env.reset(seed=0, options={"snapshot": before[t]})
            wall, cpu = time.perf_counter(), time.process_time()
            env.step(action_of(env, 21 + pair))
            if pair:
                walls[t].append(time.perf_counter() - wall)
                cpus[t].append(time.process_time() - cpu)
    rows, ratios = [], {}
    for name, times in (("wall", walls), ("processor", cpus)):
        ratios[name] = median(b / a for a, b in zip(times[early], times[late], strict=True))
        rows.append([name, f"{median(times[early]):.2f}", f"{median(times[late]):.2f}", f"{ratios[name]:.2f}"])
    table(
        f"step {late} beside step {early} under ({recipe.start}, {recipe.data}), seconds, median of {PAIRS} pairs",
        ["", f"step {early}", f"step {late}", "median ratio of a pair"],
        rows,
    )
    holds = ratios["processor"] <= FLAT
    print(f"  at most {FLAT} in processor time: {'holds' if holds else 'DOES NOT HOLD'}")
    return holds


def backends(env) -> None:
    """Training, exam and losses of one lesson by both back ends, from the same weights."""
    import numpy as np

    from students.base import Data, asked
    from students.pocket.student import Pocket

    env.reset(seed=0)
    env.step(action_of(env))
    setting, weights, lesson = env.unwrapped.setting, env.unwrapped.runner.weights(env.unwrapped.state), lesson_of(env)
    prompts = asked(exam_prompts(setting))
    sides = {name: Pocket(backend=name) for name in ("numpy", "torch")}
    seconds: dict[tuple[str, str], list[float]] = {}
    for i in range(WARM + 1):
        for name, student in sides.items():
            parts = {
                "train": partial(student.fit, weights, Data(lesson), setting.recipe, i),
                "exam": partial(student.answer, weights, prompts, setting.decoding, 0),
                "losses": partial(student.losses, weights, lesson[:800]),
            }
            for part, call in parts.items():
                begun = time.process_time()
                call()
                if i:
                    seconds.setdefault((part, name), []).append(time.process_time() - begun)
    rows = []
    for part in ("train", "exam", "losses"):
        ours, theirs = (np.array(seconds[part, name]) for name in sides)
        rows.append([part, f"{median(ours):.2f}", f"{median(theirs):.2f}", f"{median(theirs / ours):.2f}"])
    table(
        f"parts of a step by back end, processor seconds, median of {WARM} interleaved",
        ["", "numpy", "torch", "median ratio of a pair"],
        rows,
    )


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", nargs=1, help=argparse.SUPPRESS)
    parser.add_argument("--theirs", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--backends", action="store_true", help="NumPy beside PyTorch alone; needs no TRL")
    args = parser.parse_args()
    if args.ours:
        cold_ours(*args.ours)
        return 0
    if args.theirs:
        cold_theirs(*args.theirs)
        return 0
    if args.backends:
        print(machine("numpy", "torch", "transformers"))
        backends(make())
        return 0
    print(machine("torch", "transformers", "trl"))
    with tempfile.TemporaryDirectory() as name:
        env = make()
        warm(env, Path(name) / "student")
        cold(env, Path(name) / "student", Path(name))
        holds = flat(env)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
