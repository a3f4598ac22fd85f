"""Synthetic rows: students that learn by exposure, items with a difficulty shared by all teachers of a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

SKILLS = (
    "copy", "reverse", "compare", "cipher", "add-no-carry", "add-carry",
    "sub-no-borrow", "digit-max", "sort", "chain", "hash", "multiply",
)  # fmt: skip
KNOWN = np.array([0.99, 0.97, 0.9, 0.98] + [0.02] * 8)
SPEED = np.array([9, 9, 6, 9, 4, 1.2, 1.6, 5, 2.4, 1.5, 0.02, 0.01])
STEPS, PURSE, TEST_N, SELECTION_N = 8, 1_200_000, 100, 50

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\x1b[31mred\x1b[0m and \x07 a bell \x00",
    "=cmd|' /C calc'!A0",
    "right\u202eto left\u202c, zero\u200bwidth",
    "long " * 2000,
    "a" * 5000,
    "{{ 7*7 }} {% raw %} &amp; \" ' ` ]]> --> <!--",
    "lone \ud800 surrogate",
)


def mixtures(teacher: str, accuracy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a teacher of this name would teach a student of this accuracy."""
    k = len(SKILLS)
    uniform = np.full(k, 1 / k)
    weights = {
        "failure": (1 - accuracy) ** 2 + 0.01,
        "frontier": accuracy * (1 - accuracy) + 0.02,
        "learning-progress": np.where(SPEED > 0.1, 1 - accuracy, 0.05) + 0.05,
        "stat-sel": np.where(KNOWN > 0.5, 0.2, np.where(SPEED > 0.1, 1.2, 0.5)),
        "static-best": np.where(KNOWN > 0.5, 0.25, np.where(SPEED > 0.1, 1.0, 0.02)),
        "random": rng.dirichlet(np.full(k, 0.7)),
    }.get(teacher, uniform)
    return np.asarray(weights / weights.sum())


def tally(rng: np.random.Generator, accuracy: np.ndarray, n: int) -> dict[str, list[int]]:
    return {"correct": [int(x) for x in rng.binomial(n, accuracy)], "n": [n] * len(accuracy)}


def make_row(
    teacher: str,
    seed: int = 0,
    *,
    role: str = "teacher",
    level: str = "skill-list",
    ended: str = "spent",
    steps: int = STEPS,
    hostile: bool = False,
    purse: int = PURSE,
) -> dict[str, Any]:
    """One run, as the JSON that a board would have written."""
    rng = np.random.default_rng([seed, *teacher.encode()])
    ease = np.random.default_rng([seed, 7]).random((len(SKILLS), TEST_N))  # shared by the teachers of a seed
    speed = SPEED * np.random.default_rng([seed, 8]).lognormal(0, 0.15, len(SKILLS))
    learnt, memory = np.zeros(len(SKILLS)), np.ones(len(SKILLS))
    rows, accuracies, taught = [], [], None
    probes = 40_000 if teacher == "stat-sel" and steps else 0
    price = (purse - probes) // STEPS
    for step in range(steps + 1):
        accuracy = np.clip(memory * KNOWN + (1 - KNOWN) * (1 - np.exp(-learnt)) * 0.97, 0, 1)
        accuracies.append(accuracy)
        rejected = {"duplicate": int(rng.integers(0, 9)), "leak": int(rng.integers(0, 4))} if step else {}
        kept = 2048 - sum(rejected.values()) if step else 0
        record = {
            "step": step,
            "spent": step * price + probes * (step > 0),
            "state": f"{teacher}-{seed}-{step}",
            "reward": float(accuracy.mean() - accuracies[max(step - 1, 0)].mean()),
            "selection": tally(rng, accuracy, SELECTION_N),
            "feedback": tally(rng, accuracy, 30),
            "loss": [float(x) for x in -np.log(accuracy + 0.05)],
            "mixture": taught,
            "offered": 2048 if step else 0,
            "kept": kept,
            "rejected": rejected,
            "lesson": f"{teacher}-{seed}-lesson-{step}" if kept else None,
        }
        rows.append(record)
        share = mixtures(teacher, accuracy, rng)
        taught = [float(x) for x in share]
        learnt = learnt + speed * share * 1.1
        memory = np.clip(memory * (0.9 + share * 1.6), 0.3, 1.0)
    selected = max(range(len(rows)), key=lambda i: (sum(rows[i]["selection"]["correct"]), -i))
    right = (ease < accuracies[selected][:, None]).astype(int)
    transfer = (np.random.default_rng([seed, 9]).random(150) < 0.7 * accuracies[selected].mean()).astype(int)
    spent = rows[-1]["spent"]
    texts = HOSTILE if hostile else ("ADD 120+335=", "SORT 5 2 9 1=", "REV abcde=")
    return {
        "schema": 1, "board": "quick", "teacher": teacher, "teacher_args": {}, "role": role, "level": level,
        "seed": seed, "simulated": False,
        "setting": {"task": "arithmetic", "student": "pocket", "recipe": {"updates": 32, "rate": 0.003},
                    "budget": {"student_tokens": purse}, **({"note": HOSTILE[0]} if hostile else {})},
        "setting_digest": "5e77" * 16, "commit": "d32098f", "dirty": False,
        "versions": {"torch": "2.13.0", "numpy": "2.4.0"}, "hashes": {"task": "ab" * 32, "student": "cd" * 32},
        "skills": list(SKILLS), "ended": ended, "error": "the loss became NaN" if ended == "failed" else None,
        "budget": {"total": purse, "spent": spent, "training": spent - probes, "probes": probes,
                   "examples": sum(row["kept"] for row in rows), "prior": 90_000 if teacher == "stat-sel" else 0},
        "steps": rows, "selected": selected,
        "test": {"correct": "".join(map(str, right.ravel())), "n": [TEST_N] * len(SKILLS),
                 "by_skill": [int(x) for x in right.sum(axis=1)], "grader_errors": 0},
        "transfer": {"correct": "".join(map(str, transfer)), "n": len(transfer)},
        "lessons": [{"step": s, "examples": [{"prompt": t, "response": t[::-1][:40], "skills": [SKILLS[(s + i) % 12]]}
                                             for i, t in enumerate(texts)]} for s in range(1, steps + 1)],
        "mistakes": [{"step": steps, "skill": SKILLS[i % 12], "prompt": t, "response": t[:60], "answer": "42"}
                     for i, t in enumerate(texts * 3)],
    }  # fmt: skip


def make_board(seeds: int = 6, *, hostile: bool = False) -> list[dict[str, Any]]:
    """Seven teachers and four references over some seeds; one run failed and one teacher stopped early."""
    teachers = ("stratified", "random", "failure", "frontier", "learning-progress", "stat-sel")
    rows = [make_row(t, s, hostile=hostile and t == "failure") for t in teachers for s in range(seeds)]
    rows += [make_row("patient", s, level="open-ended", steps=5, ended="stopped") for s in range(seeds)]
    rows += [make_row("nothing", s, role="reference", steps=0, ended="stopped") for s in range(seeds)]
    rows += [make_row("static-best", s, role="reference") for s in range(seeds)]
    rows += [make_row("joint", s, role="reference") for s in range(seeds)]
    rows += [make_row("joint-x4", s, role="reference", purse=4 * PURSE) for s in range(seeds)]
    if seeds > 2:
        broken = make_row("frontier", 2, ended="failed", steps=3)
        broken |= {"test": None, "transfer": None, "selected": 0}
        rows = [row for row in rows if (row["teacher"], row["seed"]) != ("frontier", 2)] + [broken]
    return rows


def make_large_board(teachers: int = 20, seeds: int = 6, skills: int = 16) -> list[dict[str, Any]]:
    """As many teachers as anybody will compare; the skills beyond twelve have the figures of the first ones."""
    pick = [i % len(SKILLS) for i in range(skills)]

    def widened(row: dict[str, Any]) -> dict[str, Any]:
        def each(values: list[Any]) -> list[Any]:
            return [values[i] for i in pick]

        for step in row["steps"]:
            for exam in (step["selection"], step["feedback"]):
                exam |= {name: each(values) for name, values in exam.items()}
            total = step["mixture"] and sum(each(step["mixture"]))
            step |= {"loss": each(step["loss"]), "mixture": total and [x / total for x in each(step["mixture"])]}
        test = row["test"]
        items = each([test["correct"][i * TEST_N : (i + 1) * TEST_N] for i in range(len(SKILLS))])
        row["test"] = test | {"correct": "".join(items), "n": each(test["n"]), "by_skill": each(test["by_skill"])}
        return row | {"skills": [SKILLS[i] + "-again" * (at >= len(SKILLS)) for at, i in enumerate(pick)]}

    names = ["stratified", "stat-sel", "failure", *(f"teacher-{i}" for i in range(teachers - 3))]
    rows = [make_row(name, seed) for name in names for seed in range(seeds)]
    rows += [make_row("nothing", seed, role="reference", steps=0, ended="stopped") for seed in range(seeds)]
    return [widened(row) for row in rows]
