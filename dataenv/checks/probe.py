"""``check_probe``: a price for every question, an exam that asks them in order, one number out of each answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dataenv.checks.common import class_of, demand, own_randomness, says_what_it_is
from dataenv.checks.teacher import QUICK
from dataenv.environment.env import TeachingEnv
from dataenv.episode.probe import Probe
from dataenv.execution.jobs import Exam, Job
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from students.base import Student
from tasks.records import Example, stream

UNTRAINED: dict[str, Any] = QUICK | {"warm_start": {"examples": 0}}


def check_probe(probe: str | type[Probe], setting: dict[str, Any] | None = None) -> None:
    """Check a probe on a small untrained student.

    Args:
        probe: A registered name, or a class.
        setting: Fields of the Setting whose student and task are asked.

    Raises:
        ContractError: With the first rule that is broken.
    """
    kind = class_of("probe", probe, Probe)
    says_what_it_is("probe", kind)
    strange = [name for name in kind.needs if not callable(getattr(Student, name, None))]
    demand(not strange, f"needs holds {strange}, which are no methods of Student; name some, such as 'entropies'")
    env = TeachingEnv("open-ended", runner=Runner(Store()), **(setting or UNTRAINED))
    env.reset(seed=0)
    made = kind()
    demand(made.measures(env.student), f"student {env.student.name!r} lacks {list(kind.needs)}; give another setting")
    asked = [example for skill in env.task.skills[:2] for example in env.task.generate(skill, 3, stream(0, "check"))]
    with own_randomness("the probe"):
        _probe_price(made, env, asked)
        numbers = _probe_read(made, env, asked)
        turned = _probe_read(made, env, asked[::-1])
    demand(
        np.allclose(turned[::-1], numbers, atol=1e-4), "read() is not in the order of the examples; keep each in place"
    )


def _probe_price(probe: Probe, env: TeachingEnv, asked: Sequence[Example]) -> None:
    for example in asked:
        tokens = [probe.tokens(env.student, example, env.setting.decoding) for _ in range(2)]
        fine = isinstance(tokens[0], int) and not isinstance(tokens[0], bool) and tokens[0] >= 1
        demand(fine, f"tokens() gives {tokens[0]!r}; give a whole number of at least 1, for nothing is asked for free")
        demand(tokens[0] == tokens[1], "tokens() differs between two calls; let it depend on the question alone")


def _probe_read(probe: Probe, env: TeachingEnv, asked: Sequence[Example]) -> Any:
    exam = probe.exam(asked, env.setting.decoding)
    demand(isinstance(exam, Exam), f"exam() gives {type(exam).__name__}; give an Exam")
    demand(
        exam == probe.exam(asked, env.setting.decoding), "exam() differs between two calls; make it of examples alone"
    )
    demand(
        exam.prompts == tuple(e.prompt for e in asked),
        "exam() asks other prompts than the examples'; what is asked is what was paid for and screened",
    )
    job = env.anchor(Job(student=env.setting.student_spec, parent=env.state, exams=(exam,)))
    answers = env.runner.run(job).answers[exam.name]
    numbers = np.asarray(probe.read(answers, asked, env.task))
    fine = numbers.shape == (len(asked),) and numbers.dtype.kind in "fiu" and bool(np.isfinite(numbers).all())
    demand(fine, f"read() gives {numbers!r:.80} for {len(asked)} examples; give one finite number for each")
    return numbers
