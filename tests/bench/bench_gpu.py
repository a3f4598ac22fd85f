"""``make gpu``: everything that waits for a CUDA card, in one go of at most eight minutes.

Parts: the tests marked ``gpu``; whether training repeats itself bit for bit; times beside a plain loop; many students
in one computation; memory, and the cap on it; two jobs that share a card; the board ``real`` for one seed. One JSON is
written anew after each part, and one table for docs is printed. A part that fails says why, and the next one goes on.
A part for which no time is left, or no card is there, is *not run*.

`--device cpu` runs the parts that need no card, with any model, to test this script.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from common import markdown

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 480.0
"""Seconds for all of it."""
LEAST = 20.0
"""Seconds that must be left for a part to begin."""
Found = dict[str, Any]


class NotRunError(Exception):
    """A part that cannot be run here; the message says why."""


class Bench(NamedTuple):
    """What the parts share.

    Attributes:
        path: Of the model; see ``CausalLM``.
        device: ``cuda`` or ``cpu``.
        rounds: Of each comparison, interleaved.
        until: When it must be over, in ``time.monotonic``.
        folder: For what is written.
    """

    path: str
    device: str
    rounds: int
    until: float
    folder: Path

    @property
    def left(self) -> float:
        """Seconds."""
        return self.until - time.monotonic()

    def student(self, dtype: str = "auto", **args: Any) -> Any:
        """The student on the device."""
        from students.causal_lm.student import CausalLM

        return CausalLM(path=self.path, context=128, dtype=dtype, device=self.device, **args)

    def must_be_card(self) -> None:
        """Raise NotRunError where there is none."""
        if self.device != "cuda":
            raise NotRunError("needs a CUDA card")

    def command(self, *words: str, seconds: float) -> subprocess.CompletedProcess[str]:
        """Run Python with a time limit."""
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        limit = min(seconds, self.left)
        command = [sys.executable, *words]
        try:
            return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            raise NotRunError(f"took more than {limit:.0f} s") from None


def card(bench: Bench) -> Found:
    """The machine and the releases."""
    import torch
    import transformers

    found = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__}
    if bench.device == "cpu":
        return found | {"device": "cpu"}
    properties = torch.cuda.get_device_properties(0)
    capability = "sm_{}{}".format(*torch.cuda.get_device_capability())
    memory = round(properties.total_memory / 2**30, 1)
    return found | {"device": properties.name, "gib": memory, "isa": capability, "cuda": torch.version.cuda}


def tests(bench: Bench) -> Found:
    """The tests marked ``gpu``."""
    bench.must_be_card()
    files = sorted(str(f.relative_to(ROOT)) for f in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in f.read_text())
    done = bench.command("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", *files, seconds=150)
    lines = done.stdout.strip().splitlines()
    failed = [line[:200] for line in lines if line.startswith(("FAILED", "ERROR"))]
    return {"code": done.returncode, "summary": lines[-1] if lines else "", "failed": failed}


TRAIN = """
import hashlib, json, sys
sys.path.insert(0, "tests/bench")
from bench_causal_lm import problems
from students.base import Data, Recipe
from students.causal_lm.student import CausalLM
args = json.loads(sys.argv[1])
student = CausalLM(**args)
recipe = Recipe(updates=8, batch=8, rate=1e-3)
for _ in range(2):
    weights, _ = student.fit(student.initial(0), Data(tuple(problems(64, "lesson"))), recipe, 0)
    print(hashlib.sha256(weights).hexdigest())
"""


def repeats(bench: Bench) -> Found:
    """Whether eight updates give equal bytes, twice in each of two processes, by data type."""
    found: Found = {}
    for dtype in ("float32", "bfloat16"):
        args = json.dumps(bench.student(dtype).args)
        runs = [bench.command("-c", TRAIN, args, seconds=60) for _ in range(2)]
        broken = next((run for run in runs if run.returncode), None)
        if broken is not None:
            raise RuntimeError(broken.stderr.strip().rpartition("\n")[2])
        names = [line for run in runs for line in run.stdout.split()]
        found[dtype] = {"runs": len(names), "different": len(set(names))}
    return found


def speed(bench: Bench) -> Found:
    """Seconds of an update of 16 and of 32 answers, beside a plain loop in the same data type, rounds interleaved."""
    from bench_causal_lm import BATCH, BEFORE, CAP, ITEMS, RATE, Plain, problems

    from students.base import Data, Decoding, Recipe, asked

    lesson, exam = problems(BATCH * BEFORE, "lesson"), [e.prompt for e in problems(ITEMS, "exam")]
    recipe, decoding, batch = Recipe(updates=4, batch=BATCH, rate=RATE), Decoding(max_tokens=CAP), lesson[:BATCH]
    arms: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {}
    for dtype in ("float32", "bfloat16") if bench.device == "cuda" else ("float32",):
        student = bench.student(dtype)
        first = recipe.model_copy(update={"updates": BEFORE})
        taught, _ = student.fit(student.initial(0), Data(tuple(lesson)), first, 0)
        plain = Plain(str(student._folder), dtype, taught, bench.device)
        arms[f"causal-lm {dtype}"] = (
            lambda s=student, w=taught: s.fit(w, Data(tuple(batch)), recipe, 0),  # type: ignore[misc]
            lambda s=student, w=taught: s.answer(w, asked(exam), decoding, 0),  # type: ignore[misc]
        )
        arms[f"plain loop {dtype}"] = (
            lambda p=plain: p.train([batch] * recipe.updates),  # type: ignore[misc]
            lambda p=plain: p.examine(exam, stop=True),  # type: ignore[misc]
        )
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in arms}
    for _ in range(bench.rounds):
        for name, acts in arms.items():
            for seconds, act in zip(times[name], acts, strict=True):
                seconds.append(_seconds(act, bench.device))
    updates = recipe.updates
    return {
        name: {"update_s": round(median(train) / updates, 4), f"answers{ITEMS}_s": round(median(said), 4)}
        for name, (train, said) in times.items()
    }


def _seconds(act: Callable[[], Any], device: str) -> float:
    """By the clock, for a card works on while Python goes on; until the card is done."""
    import torch

    begun = time.perf_counter()
    act()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def memory(bench: Bench) -> Found:
    """The most memory that training takes; and that a worker with a share of a card runs out of memory at its share."""
    bench.must_be_card()
    import torch
    from bench_causal_lm import problems

    from students.base import Data, Recipe

    student = bench.student()
    torch.cuda.reset_peak_memory_stats()
    student.fit(student.initial(0), Data(tuple(problems(64, "lesson"))), Recipe(updates=2, batch=16), 0)
    peak = torch.cuda.max_memory_allocated() / 2**30
    done = bench.command("-c", CAPPED, seconds=60)
    return {"train_gib": round(peak, 2), "capped": done.stdout.strip() or done.stderr.strip()[-200:]}


CAPPED = """
import os
import torch
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
from dataenv.execution.executors.worker import Limits, _is_memory, _prepare
_prepare(Limits(gpu_share=0.1))
whole = torch.cuda.get_device_properties(0).total_memory
fits = torch.empty(whole // 20, dtype=torch.uint8, device="cuda")
try:
    torch.empty(whole // 5, dtype=torch.uint8, device="cuda")
    print("a fifth of the card was given to a share of a tenth")
except Exception as error:
    print("memory" if _is_memory(error) else repr(error))
"""


def many(bench: Bench) -> Found:
    """Seconds of K trainings one after the other and in one computation, and whether states have equal bits.

    One after the other means with ``slots=1``, as without a pool. On a card K is 64 for ``pocket-stacked`` and 16 for
    adapters, elsewhere 4.
    """
    from bench_causal_lm import problems

    from students.base import Data, Recipe
    from students.pocket.stacked_student import PocketStacked
    from students.training.many import Fit, fit_many

    card, found = bench.device == "cuda", Found()
    k, n = (64, 16) if card else (4, 4)
    rows = problems(64, "lesson")
    short = [e.model_copy(update={"prompt": e.prompt[-24:], "response": e.response[:16]}) for e in rows]
    kinds: list[tuple[str, Callable[[int], Any], int, list[Any], Recipe]] = [
        (
            "pocket-stacked",
            lambda s: PocketStacked(slots=s, device=bench.device),
            k,
            short,
            Recipe(updates=16, batch=64),
        ),
        ("adapters", lambda s: bench.student(slots=s), n, rows, Recipe(updates=4, batch=8)),
    ]
    for name, make, count, lesson, recipe in kinds:
        single, several = make(1), make(count)
        turned = [Data(tuple(lesson[i:] + lesson[:i])) for i in range(count)]
        fits = [Fit(several.initial(i), data, recipe, i) for i, data in enumerate(turned)]
        fit_many(single, fits[:1])
        together = fit_many(several, fits)
        alone = [several.fit(f.weights, f.data, f.recipe, f.seed) for f in (fits[0], fits[-1])]
        apart, at_once = [], []
        for _ in range(min(bench.rounds, 3)):
            apart.append(_seconds(lambda s=single, f=fits[:4]: fit_many(s, f), bench.device) / 4)  # type: ignore[misc]
            at_once.append(_seconds(lambda s=several, f=fits: fit_many(s, f), bench.device) / count)  # type: ignore[misc]
        found[f"{name}, {count} students"] = {
            "apart_s": round(median(apart), 4),
            "at_once_s": round(median(at_once), 4),
            "times": round(median(a / b for a, b in zip(apart, at_once, strict=True)), 2),
            "equal alone": alone == [together[0], together[-1]],
            "equal in another slot": fit_many(several, fits[::-1])[::-1] == together,
            "equal among fewer": fit_many(several, fits[: count // 2]) == together[: count // 2],
        }
    return found


def shares(bench: Bench) -> Found:
    """Seconds of four trainings one after the other and two at once, each with half a card, and equal states."""
    from bench_causal_lm import problems

    from dataenv.execution.executors import make_executor
    from dataenv.execution.jobs import BuildSpec, Training, from_initial
    from dataenv.execution.runner import Runner, run_all
    from dataenv.execution.store import Store
    from students.base import Recipe

    lesson = tuple(problems(64, "lesson"))
    spec, recipe = BuildSpec(name="causal-lm", args=bench.student().args), Recipe(updates=16, batch=8)
    jobs = [from_initial(spec, 0, Training(lesson=lesson, recipe=recipe, seed=seed)) for seed in range(4)]
    found, blobs = Found(), []
    for width in (1, 2):
        own = {"kind": "ray", "num_gpus": 1 / width} if bench.device == "cuda" else {"kind": "processes"}
        executor = make_executor({**own, "workers": width})
        try:
            warm = [from_initial(spec, 0, Training(lesson=lesson[:8], recipe=recipe, seed=9 + i)) for i in range(width)]
            runner = Runner(Store(bench.folder / f"shares{width}"), executor)
            run_all(runner, warm)
            begun = time.perf_counter()
            blobs.append([outcome.blob for outcome in run_all(runner, jobs)])
            found[f"{width} at once"] = round(time.perf_counter() - begun, 2)
        finally:
            executor.close()
    return found | {"equal": blobs[0] == blobs[1]}


def real(bench: Bench) -> Found:
    """The board ``real`` with one teacher and one seed, from nothing."""
    changes = {
        "seeds": "[0]",
        "teachers": '["stratified"]',
        "setting.student_args": json.dumps({"path": bench.path, "context": 96, "device": bench.device}),
    }
    given = [word for name, value in changes.items() for word in ("--set", f"{name}={value}")]
    store, out = str(bench.folder / "store"), str(bench.folder / "real")
    begun = time.perf_counter()
    words = ("-m", "dataenv", "leaderboard", "real", *given, "--store", store, "--out", out)
    done = bench.command(*words, seconds=170)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip()[-300:])
    rows = [json.loads(file.read_text()) for file in sorted(Path(out).glob("*/rows/*.json"))]
    return {"seconds": round(time.perf_counter() - begun, 1), "rows": len(rows)}


PARTS: dict[str, Callable[[Bench], Found]] = {
    part.__name__: part for part in (card, repeats, speed, many, memory, shares, tests, real)
}


def run(bench: Bench, out: Path, parts: list[str]) -> dict[str, Found]:
    """Run parts one after the other; the file holds what is known so far after each."""
    found: dict[str, Found] = {}
    for name in parts:
        begun = time.monotonic()
        try:
            if bench.left < LEAST:
                raise NotRunError("no time was left")
            found[name] = PARTS[name](bench)
        except NotRunError as error:
            found[name] = {"not run": str(error)}
        except Exception as error:  # what a card does is what is to be found out
            found[name] = {"failed": f"{type(error).__name__}: {error}"[:500]}
        found[name]["part_s"] = round(time.monotonic() - begun, 1)
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {json.dumps(found[name])}", file=sys.stderr, flush=True)
    return found


def rows_of(found: dict[str, Found]) -> list[tuple[str, str, str]]:
    """The lines of the table: part, figure, value."""
    lines = []
    for part, values in found.items():
        for name, value in values.items():
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            lines.append((part, name, shown.replace("|", "/") or "none"))
    return lines


def main() -> int:
    """Run it, and print the table; the exit code says whether no part failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--path", default="smollm2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    given = parser.parse_args()
    import torch

    if given.device == "cuda" and not torch.cuda.is_available():
        print(f"make gpu needs a CUDA card, and torch {torch.__version__} sees none here; nothing was run")
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(given.path, given.device, given.rounds, time.monotonic() + given.limit, Path(scratch))
        found = run(bench, given.out, given.parts)
    markdown(["part", "figure", "value"], rows_of(found))
    return int(any("failed" in values or values.get("code") for values in found.values()))


if __name__ == "__main__":
    sys.exit(main())
