"""Examples that the task's generator makes, and the student may guide: a metered look at the student, as a probe is."""

from __future__ import annotations

from collections.abc import Sequence

from dataenv.environment.env import TeachingEnv
from dataenv.execution.jobs import Job
from dataenv.execution.making import Making
from dataenv.lessons.screen import passing
from dataenv.lessons.tuition import nominal_tokens
from dataenv.validation import finite, whole
from students.base import FORWARD_BACKWARD
from tasks.images.denoiser import STEPS
from tasks.records import Example


def draw(
    env: TeachingEnv, requests: Sequence[tuple[str, int]], omega: float, scale: float, checked: bool, seed: int
) -> list[Example]:
    """See ``Context.draw``.

    Args:
        env: Whose student guides.
        requests: Skills, and how many examples of each.
        omega: Of the guidance.
        scale: Of classifier-free guidance.
        checked: Whether labels are confirmed by an independent classifier.
        seed: Of every draw.
    """
    for skill, n in requests:
        env.task.check_request(skill, whole(f"n of skill {skill!r}", n), None)
    making = Making(
        task=env.setting.task,
        task_args=env.setting.task_args,
        requests=tuple((skill, int(n)) for skill, n in requests),
        scale=finite("scale", scale, 0),
        omega=finite("omega", omega, 0),
        checked=bool(checked),
        seed=seed,
    )
    if making.omega:
        asked = sum(n for _, n in making.requests)
        env.purse.pay(FORWARD_BACKWARD * STEPS * asked * nominal_tokens(env.setting), "probes")
    made = env.runner.make(env.anchor(Job(student=env.setting.student_spec, parent=env.state, make=making)))
    return passing(made, env.task, env.student)
