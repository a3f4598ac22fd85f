"""``loss``: items that a student learns alike are of one skill. No language model is asked.

Skill-It's clustering by loss trajectories (arXiv 2307.14430): the loss on every item is measured along training
runs, and items whose trajectories are alike are one skill. There, over ten runs, it found 61 % of the skills of
LEGO.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dataenv.discovery.discover import DiscoveryScene, Found
from dataenv.execution.jobs import Exam, Job, Outcome, Training, from_initial
from dataenv.execution.runner import side_by_side
from students.base import FORWARD, FORWARD_BACKWARD, Decoding
from tasks.records import Example, stream
from teachers.base import require_whole
from teachers.discovery.clusters import kmeans, named

STUDENTS = 1000
"""Seeds of the students begin here, so that they are none of a board's."""


class ByLoss:
    """k-means of the items' losses at the checkpoints of some training runs, each checkpoint standardised.

    A run is an untaught student of its own, taught lessons that are drawn evenly from the rest of the pool (from
    the items, where there is no rest) by the Setting's recipe. The loss is on the item's response.

    Args:
        skills: Clusters, at least 2.
        runs: Training runs, at least 1.
        checkpoints: Lessons of a run, at least 1; the losses before the first are a checkpoint too.
    """

    name = "loss"

    def __init__(self, skills: int = 16, runs: int = 3, checkpoints: int = 8) -> None:
        self.skills = require_whole("skills", skills, 2)
        self.runs, self.checkpoints = require_whole("runs", runs), require_whole("checkpoints", checkpoints)

    def discover(self, scene: DiscoveryScene) -> Found:
        """See Discoverer."""
        done = side_by_side(scene.runner, range(self.runs), lambda run: self._run(scene, run))
        points = np.concatenate([_losses(outcomes) for outcomes in done], axis=1)
        points = (points - points.mean(0)) / np.maximum(points.std(0), 1e-9)
        labels = kmeans(points, self.skills, stream(scene.seed, "discover loss"))
        student = scene.setting.built_student
        looks = FORWARD * sum(student.tokens(item) for item in scene.items) * points.shape[1]
        taught = sum(o.trained.tokens for outcomes in done for o in outcomes[1:] if o.trained)
        cost = {"student_tokens": float(looks + FORWARD_BACKWARD * taught)}
        return Found(skills=named(labels), labels=tuple(labels), cost=cost)

    def _run(self, scene: DiscoveryScene, run: int) -> list[Outcome]:
        """Losses of the student before the first lesson and after each."""
        setting, seed = scene.setting, STUDENTS + self.runs * scene.seed + run
        plain = {"start": "current", "data": "lesson", "replay": 0.0, "patience": 0}
        recipe = setting.recipe.model_copy(update=plain)
        exam = _exam(scene.items)
        rng = stream(seed, "discover lessons")
        outcomes = [scene.runner.run(from_initial(setting.student_spec, seed, setting.warm_training(seed), (exam,)))]
        for _ in range(self.checkpoints):
            lesson = _drawn(scene.others or scene.items, recipe.updates * recipe.batch, rng)
            training = Training(lesson=lesson, recipe=recipe, seed=int(rng.integers(2**31)))
            initial = seed if len(outcomes) == 1 and setting.warm_training(seed) is None else None
            parent = outcomes[-1].key
            job = Job(student=setting.student_spec, parent=parent, initial=initial, train=training, exams=(exam,))
            outcomes.append(scene.runner.run(job))
        for outcome in outcomes[1:]:  # nobody asks for these students again
            scene.runner.evict(outcome.key)
        return outcomes


def _exam(items: tuple[Example, ...]) -> Exam:
    """An exam that measures losses; its answers, which are not needed, are one token long."""
    prompts, golds = tuple(e.prompt for e in items), tuple(e.response for e in items)
    return Exam(name="items", prompts=prompts, golds=golds, decoding=Decoding(max_tokens=1))


def _losses(outcomes: list[Outcome]) -> npt.NDArray[np.float64]:
    """``(items, checkpoints)``, in nats per token."""
    return np.array([outcome.answers["items"].losses for outcome in outcomes], np.float64).T


def _drawn(pool: tuple[Example, ...], n: int, rng: np.random.Generator) -> tuple[Example, ...]:
    """``n`` examples; none is repeated before all of the pool were drawn."""
    order = np.concatenate([rng.permutation(len(pool)) for _ in range(-(-n // len(pool)))])[:n]
    return tuple(pool[i] for i in order)
