"""What several `pocket` students in one batched computation could save on a processor, from three measurements.

rows    one update by its number of rows. A line through the times splits an update into a part that does not depend
        on the rows and a part that does. Batching K students pays the first part once in place of K times, so it
        saves at most (1 − 1/K) of it.
stacked SwiGLU, forward and backward, of K students: one product of stacked matrices in place of K products.
exam    an answer by how many prompts are asked at once. A joint exam of K students is at best as cheap as one
        student's exam of K times as many prompts.

Processor seconds, medians of interleaved rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Hashable
from statistics import median

import common  # sets the number of threads, so it comes before NumPy
import numpy as np

from dataenv.setting import Setting
from students.pocket.decoding import generate
from students.pocket.packed import packed
from students.pocket.transformer import Transformer, token_scores, token_scores_back
from students.pocket.vocabulary import EOS, FIRST, Characters
from students.training.loop import IGNORE, Encoded, unpack_arrays
from tasks.records import stream

ROWS = (8, 16, 32, 64, 128)
STUDENTS = (1, 2, 4, 8)
PROMPTS = (64, 128, 256, 512, 1024)


def interleaved(jobs: dict[Hashable, Callable[[], object]], rounds: int) -> dict[Hashable, float]:
    """Median processor seconds of each job; all once a round, to and fro, after one round to warm up."""
    seconds: dict[Hashable, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in list(jobs.items())[:: -1 if turn % 2 else 1]:
            begun = time.process_time()
            job()
            if turn:
                seconds[name].append(time.process_time() - begun)
    return {name: median(times) for name, times in seconds.items()}


def examples(setting: Setting, n: int) -> list:  # type: ignore[type-arg]
    """As many examples, of all skills in turn."""
    rng, task = stream(0, "bench"), setting.built_task
    of_skills = [task.generate(skill, -(-n // len(task.skills)), rng) for skill in task.skills]
    return [example for turn in zip(*of_skills, strict=True) for example in turn][:n]


def update(model: Transformer, encoded: Encoded, rows: int) -> Callable[[], object]:
    """Loss and gradients of one batch."""
    ids, targets = encoded.ids[:rows], encoded.targets[:rows, 1:]
    asked = targets != IGNORE
    due = targets[asked]

    def job() -> object:
        logits, tape = model.forward(packed(ids[:, :-1], asked))
        _, probabilities = token_scores(logits, due)
        upstream = np.full(len(due), -1 / len(due), logits.dtype)
        return model.backward(tape, token_scores_back(upstream, probabilities, due))

    return job


def by_rows(model: Transformer, encoded: Encoded, rounds: int) -> None:
    """Table ``rows``."""
    times = interleaved({rows: update(model, encoded, rows) for rows in ROWS}, rounds)
    slope, fixed = np.polyfit(ROWS, [times[rows] for rows in ROWS], 1)
    rows = [[n, f"{1e3 * times[n]:.2f}", f"{1e3 * times[n] / n:.3f}", f"{100 * fixed / times[n]:.0f} %"] for n in ROWS]
    common.markdown(["rows", "ms an update", "ms a row", "fixed part"], rows)
    print(f"\nfixed part {1e3 * fixed:.2f} ms, then {1e3 * slope:.3f} ms a row")


def stacked(model: Transformer, rows: int, rounds: int) -> None:
    """Table ``stacked``: the three products of SwiGLU, and their six gradients, alone and for K students at once."""
    names = ("gate_proj", "up_proj", "down_proj")
    weights = [model.parameters[f"model.layers.0.mlp.{name}.weight"] for name in names]
    x = stream(0, "rows").standard_normal((rows, model.width)).astype(model.dtype)

    def swiglu(x: np.ndarray, gate: np.ndarray, up: np.ndarray, down: np.ndarray) -> object:  # type: ignore[type-arg]
        g, u = x @ gate.swapaxes(-1, -2), x @ up.swapaxes(-1, -2)
        s = 1 / (1 + np.exp(-g))
        h = g * s * u
        y = h @ down.swapaxes(-1, -2)
        back = y @ down
        gu, gg = back * g * s, back * u * (s + g * s * (1 - s))
        products = (y.swapaxes(-1, -2) @ h, gg.swapaxes(-1, -2) @ x, gu.swapaxes(-1, -2) @ x)
        return gg @ gate + gu @ up, products

    jobs: dict[Hashable, Callable[[], object]] = {}
    for k in STUDENTS:
        many = [np.stack([w] * k) for w in (x, *weights)]
        jobs[k, "alone"] = lambda k=k: [swiglu(x, *weights) for _ in range(k)]  # type: ignore[misc]
        jobs[k, "stacked"] = lambda many=many: swiglu(*many)  # type: ignore[misc]
    times = interleaved(jobs, rounds)
    table = []
    for k in STUDENTS:
        alone, together = (1e3 * times[k, how] / k for how in ("alone", "stacked"))
        table.append([k, f"{alone:.2f}", f"{together:.2f}", f"{alone / together:.2f}"])
    common.markdown(["students", "one by one, ms a student", "stacked, ms a student", "times as fast"], table)


def by_prompts(model: Transformer, setting: Setting, rounds: int) -> None:
    """Table ``exam``."""
    rows = [Characters().encode(example.prompt) for example in examples(setting, max(PROMPTS))]
    most = setting.decoding.max_tokens

    def job(n: int) -> Callable[[], object]:
        rooms = np.full(n, most, np.int64)
        return lambda: generate(model, rows[:n], rooms, 0.0, np.zeros((n, most)), FIRST)

    times = interleaved({n: job(n) for n in PROMPTS}, rounds)
    common.markdown(["prompts", "ms an answer"], [[n, f"{1e3 * times[n] / n:.3f}"] for n in PROMPTS])


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="of each measurement (default 15)")
    rounds = parser.parse_args().rounds
    setting = Setting(task="arithmetic", student="pocket")
    student = setting.built_student
    parameters, _ = unpack_arrays(student.initial(0), False)
    model = Transformer(parameters, student.heads)
    encode = student.vocabulary.encode
    pairs = [(encode(e.prompt), [*encode(e.response), EOS]) for e in examples(setting, max(ROWS))]
    encoded = Encoded(pairs, 0)
    print(common.machine("numpy"))
    by_rows(model, encoded, rounds)
    for rows in (200, 1200):  # targets of a batch of 64, and all its tokens
        print(f"\nSwiGLU of {rows} tokens")
        stacked(model, rows, rounds)
    by_prompts(model, setting, rounds)


if __name__ == "__main__":
    main()
