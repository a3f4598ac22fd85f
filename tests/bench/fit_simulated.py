"""The curves that the simulated student is fitted to, and the fit.

measure  plays fixed schedules of mixtures on real students and writes what they could do after each lesson
         (students/simulated/curves.json): 180 lessons, about eight minutes of one core.
fit      fits the model to the curves, writes students/simulated/arithmetic.json and prints the tables of
         docs/simulated.md; the error on each student is that of a fit to the others.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from common import FREE

HERE = Path(__file__).resolve()
FOLDER = HERE.parents[2] / "students" / "simulated"
CURVES = FOLDER / "curves.json"
SEEDS, LESSONS = (0, 1, 2), 10
SLOW, KNOWN = ("times", "hash", "add-carry", "sub-borrow"), ("first", "second", "succ", "rotate", "chain")
RIDGE = 2e-3
"""On how far forgetting departs from a product; chosen by the error on students left out."""
ITEMS = {"feedback": 30, "selection": 30}


def schedules(skills: tuple[str, ...], rng: Any) -> dict[str, Any]:
    """Six schedules ``(lessons, skills)``: what teachers do (even shares, fewer slow ones), and what teaches the model
    most (drawn shares, one skill alone between even lessons, a few skills for three lessons)."""
    import numpy as np

    k = len(skills)
    even = np.ones((LESSONS, k))
    informed = np.array([0.0 if s in SLOW else 0.5 if s in KNOWN else 1.0 for s in skills])
    alone = even.copy()
    alone[::2] = np.eye(k)[rng.permutation(k)[: len(alone[::2])]]
    few = np.zeros((LESSONS, k))
    for start in range(0, LESSONS, 3):
        few[start : start + 3, rng.permutation(k)[:4]] = 1.0
    return {
        "even": even,
        "informed": np.tile(informed, (LESSONS, 1)),
        "drawn": rng.dirichlet(np.ones(k), LESSONS),
        "peaked": rng.dirichlet(np.full(k, 0.25), LESSONS),
        "alone": alone,
        "few": few,
    }


def measure() -> None:
    """Play the schedules on real students."""
    import numpy as np

    from dataenv.environment.env import TeachingEnv
    from tasks.records import stream

    runs, begun = [], time.process_time()
    env = TeachingEnv("skill-list", **(FREE | {"items": ITEMS}))
    for seed in SEEDS:
        for name, mixtures in schedules(env.task.skills, stream(seed, "schedules")).items():
            env.reset(seed=seed)
            for mixture in mixtures:
                env.step((mixture / mixture.max()).astype(np.float32))
            n = [sum(pair) for pair in zip(env.history[0].feedback.n, env.history[0].selection.n, strict=True)]
            right = [np.add(r.feedback.correct, r.selection.correct).tolist() for r in env.history]
            loss = [[round(x, 4) for x in r.loss] for r in env.history]
            shares = [[round(x, 5) for x in r.mixture or ()] for r in env.history[1:]]
            runs.append({"seed": seed, "schedule": name, "n": n, "shares": shares, "right": right, "loss": loss})
            print(f"seed {seed} {name}: {time.process_time() - begun:.0f} s of processor time", flush=True)
    kept = {
        "command": "python tests/bench/fit_simulated.py measure",
        "setting": env.setting.model_dump(mode="json"),
        "processor_seconds": round(time.process_time() - begun),
        "runs": runs,
    }
    FOLDER.mkdir(exist_ok=True)
    body = json.dumps(kept).replace('{"seed"', '\n{"seed"').replace(', "right"', ',\n "right"')
    CURVES.write_text(body + "\n")


class Tables:
    """The runs as tensors: shares (runs, lessons, k), accuracy and loss (runs, 1 + lessons, k), and whose they are."""

    def __init__(self, runs: list[dict[str, Any]]) -> None:
        import torch

        self.seeds = sorted({run["seed"] for run in runs})
        self.whose = torch.tensor([self.seeds.index(run["seed"]) for run in runs])
        self.shares = torch.tensor([run["shares"] for run in runs])
        self.accuracy = torch.tensor([run["right"] for run in runs]) / torch.tensor([run["n"] for run in runs])[:, None]
        self.loss = torch.tensor([run["loss"] for run in runs])


def prior_shares(skills: tuple[str, ...]) -> Any:
    """What the warm start of ``arithmetic`` holds of each skill."""
    import torch

    from tasks.arithmetic.skills import CATALOGUE

    weights = torch.tensor([skill.prior for skill in CATALOGUE])
    return weights / weights.sum()


class Fit:
    """Maximum a posteriori by Adam: squared errors of accuracy and of log(1 + loss), with sparse transfer, forgetting
    that is a product of what is taught and what is forgotten but for a ridge, and a pace for each student and skill."""

    def __init__(self, data: Tables, skills: tuple[str, ...], updates: int, warm: int, ridge: float) -> None:
        import torch

        k = len(skills)
        self.data, self.updates, self.warm, self.ridge = data, updates, warm, ridge
        self.prior = prior_shares(skills)
        self.off = 1 - torch.eye(k)
        start = {
            "own": torch.full((k,), -4.0),
            "across": torch.full((k, k), -9.0),
            "harm": torch.full((k,), -4.0),
            "frailty": torch.zeros(k),
            "bend": torch.zeros(k, k),
            "ceiling": torch.full((k,), 1.0),
            "steepness": torch.full((k,), 1.0),
            "shelter": torch.tensor(1.0),
            "pace": torch.zeros(len(data.seeds), k),
        }
        self.raw = {name: value.requires_grad_() for name, value in start.items()}

    def matrices(self) -> tuple[Any, Any]:
        """Learning and forgetting, (k, k) each."""
        import torch

        raw = self.raw
        learn = torch.diag(raw["own"].exp()) + raw["across"].exp() * self.off
        return learn, (raw["harm"][:, None] + raw["frailty"] + raw["bend"]).exp() * self.off

    def objective(self) -> Any:
        """What is made small."""
        import torch

        learn, forget = self.matrices()
        raw, data = self.raw, self.data
        ceiling, steepness, pace = raw["ceiling"].exp(), raw["steepness"].exp(), raw["pace"].exp()[data.whose]

        def after(loss: Any, shares: Any, effort: float) -> Any:
            g, f = shares @ learn * pace, shares @ forget * torch.exp(-shares * raw["shelter"].exp())
            total = g + f + 1e-12
            goal = f * ceiling / total
            return goal + (loss - goal) * torch.exp(-total * effort)

        loss = after(ceiling.expand(len(pace), -1), self.prior.expand(len(pace), -1), self.warm)
        losses = [loss]
        for t in range(data.shares.shape[1]):
            losses.append(after(losses[-1], data.shares[:, t], self.updates))
        seen = torch.stack(losses, 1)
        wrong = (torch.exp(-steepness * seen) - data.accuracy).square().mean()
        off = (seen.log1p() - data.loss.log1p()).square().mean()
        ridge = self.ridge * raw["bend"].square().mean() + 2e-3 * raw["pace"].square().mean()
        return wrong + 0.05 * off + ridge + 0.05 * (raw["across"].exp() * self.off).mean()

    def descend(self, steps: int = 2000) -> None:
        """Adam with a rate that falls to zero."""
        import torch

        optimiser = torch.optim.Adam(self.raw.values(), lr=0.03)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            optimiser.zero_grad()
            value = self.objective()
            value.backward()
            optimiser.step()
            schedule.step()

    def parameters(self) -> dict[str, Any]:
        """As ``Curves`` takes them."""
        learn, forget = self.matrices()
        raw = self.raw
        mean = raw["pace"].mean(0)

        def plain(x: Any) -> Any:
            return [plain(y) for y in x] if x.ndim else float(f"{x.item():.5g}")

        return {
            "ceiling": plain(raw["ceiling"].exp()),
            "steepness": plain(raw["steepness"].exp()),
            "learn": plain(learn * mean.exp()),
            "forget": plain(forget),
            "shelter": plain(raw["shelter"].exp()),
            "spread": plain((raw["pace"] - mean).square().sum().div((len(raw["pace"]) - 1) * len(mean)).sqrt()),
        }


def tokens_of(kept: dict[str, Any]) -> int:
    """Student tokens that the lessons of all runs took, about: by their shares, as a lesson is priced."""
    import numpy as np

    from dataenv.vector.simulated import SimulatedVectorEnv

    shares = np.array([run["shares"] for run in kept["runs"]])
    form = SimulatedVectorEnv(1)
    return int(kept["setting"]["recipe"]["updates"] * form.price(shares.reshape(-1, shares.shape[-1])).sum())


def fitted_to(runs: list[dict[str, Any]], kept: dict[str, Any], ridge: float) -> Any:
    """The curves of some of the runs."""
    from students.simulated.model import Curves
    from tasks.arithmetic import Arithmetic

    recipe, warm = kept["setting"]["recipe"], kept["setting"]["warm_start"]["recipe"]
    fitting = Fit(Tables(runs), Arithmetic.skills, recipe["updates"], warm["updates"], ridge)
    fitting.descend()
    return Curves(skills=Arithmetic.skills, rate=recipe["rate"], **fitting.parameters())


def fit(ridge: float) -> None:
    """Fit the model to all students; its error on each is that of a fit to the others."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    kept = json.loads(CURVES.read_text())
    runs = kept["runs"]
    guess = np.zeros((len(runs), LESSONS + 1, len(runs[0]["n"])))
    for left_out in SEEDS:
        mine = [run["seed"] == left_out for run in runs]
        curves = fitted_to([run for run, out in zip(runs, mine, strict=True) if not out], kept, ridge)
        guess[mine] = predicted(curves, kept)[mine]
    curves = fitted_to(runs, kept, ridge).model_copy(update={"tokens": tokens_of(kept)})
    (FOLDER / "arithmetic.json").write_text(curves.model_dump_json(indent=1) + "\n")
    report(curves, kept, guess)


def predicted(curves: Any, kept: dict[str, Any]) -> Any:
    """Accuracy ``(runs, 1 + lessons, k)`` that a student of mean pace would have."""
    import numpy as np

    from students.simulated.model import Model

    model, shares = Model(curves), np.array([run["shares"] for run in kept["runs"]])
    even, warm = np.ones_like(shares[:, 0]), kept["setting"]["warm_start"]["recipe"]["updates"]
    loss = model.after(model.ceiling * even, even, prior_shares(curves.skills).numpy() * even, warm)
    seen = [model.accuracy(loss)]
    for t in range(shares.shape[1]):
        loss = model.after(loss, even, shares[:, t], kept["setting"]["recipe"]["updates"])
        seen.append(model.accuracy(loss))
    return np.stack(seen, 1)


def report(curves: Any, kept: dict[str, Any], unseen: Any) -> None:
    """Root mean squared errors in points of accuracy, by skill and lesson and of the mean over skills.

    Args:
        curves: Fitted to all students.
        kept: What was measured.
        unseen: What fits to the other students say of each, (runs, 1 + lessons, k).
    """
    import numpy as np
    from common import table

    runs, seen = kept["runs"], predicted(curves, kept)
    true = np.array([run["right"] for run in runs]) / np.array([run["n"] for run in runs])[:, None]
    name = np.array([run["schedule"] for run in runs])

    def rms(error: Any) -> str:
        return f"{100 * np.sqrt(np.square(error).mean()):.1f}"

    rows = []
    for schedule in (*dict.fromkeys(name), "all"):
        of = np.ones(len(name), bool) if schedule == "all" else name == schedule
        taught, peers = true[of][:, 1:], "-"
        if schedule in ("even", "informed"):  # the others are drawn for each student
            others = (taught.sum(0) - taught) / (len(taught) - 1)
            peers = f"{rms(others - taught)} / {rms((others - taught).mean(2))}"
        cells = [f"{rms(x)} / {rms(x.mean(2))}" for x in (guess[of][:, 1:] - taught for guess in (seen, unseen))]
        still = true[of][:, :1] - taught
        rows.append([schedule, *cells, peers, f"{rms(still)} / {rms(still.mean(2))}"])
    table("Error of accuracy after a lesson, points, of a skill / of their mean",
          ["schedule", "fitted", "student left out", "the other students", "no change"], rows)  # fmt: skip
    print(f"spread of pace between students: {curves.spread:.2f}")
    even = name == "even"
    table("After ten even lessons: the students' mean, and what fits to the others say", ["skill", "real", "model"], [
        [s, f"{a:.0%}", f"{b:.0%}"]
        for s, a, b in zip(curves.skills, true[even][:, -1].mean(0), unseen[even][:, -1].mean(0), strict=True)
    ])  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("measure", "fit"))
    parser.add_argument("--ridge", type=float, default=RIDGE)
    args = parser.parse_args()
    measure() if args.what == "measure" else fit(args.ridge)
