"""Credit: what each skill's examples did for every skill, by teaching an episode again without them.

Leave-one-skill-out: entry (i, j) is the accuracy on skill j at the end of the episode, less that at the end of the same
lessons from which the examples of skill i were taken out, the number of updates unchanged (so the others are seen more
often in their place: a skill whose data only stands in the way has a negative credit). It is retrained, not estimated:
skills × lessons training runs, of which the store knows those that it has seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dataenv.budget.purse import Budget
from dataenv.environment.branch import Env, unwrap
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError
from dataenv.execution.runner import side_by_side
from dataenv.snapshot import Snapshot
from tasks.records import Record

Floats = npt.NDArray[np.float64]


class Credit(Record):
    """What leaving out each skill that was taught would have changed.

    Attributes:
        skills: Columns, and of the rows those named in ``taught``.
        taught: The skills whose examples were left out, one a row.
        n: Selection problems of each skill; a Setting's targets play no part.
        whole: Right answers on the selection split after all lessons, ``(skills,)``.
        without: The same without a skill, ``[taught][skill]``.
        simulated: Whether the student was a simulated one: no evidence about a real one.
    """

    skills: tuple[str, ...]
    taught: tuple[str, ...]
    n: tuple[int, ...]
    whole: tuple[int, ...]
    without: tuple[tuple[int, ...], ...]
    simulated: bool = False

    @property
    def matrix(self) -> Floats:
        """``(taught, skills)``, in [-1, 1]."""
        return np.asarray((np.array(self.whole) - np.array(self.without)) / np.maximum(self.n, 1), np.float64)


def leave_one_out(env: Env) -> Credit:
    """The credit of the skills that were taught in an episode; what was paid for it plays no part.

    Args:
        env: After its lessons, of any level, in any wrappers; it is left as it is.

    Raises:
        SettingError: If no lesson was taught, or none of a named skill.
        JobFailedError: If a training run failed.
    """
    inner = unwrap(env)
    moment, setting, runner = inner.snapshot(), inner.setting, inner.runner
    lessons = [runner.store.lesson(name) for name in moment.lessons]
    taught = [s for s in inner.task.skills if any(e.skills[:1] == (s,) for lesson in lessons for e in lesson)]
    if not taught:
        raise SettingError("env has taught no example of a named skill; teach a lesson first")
    if setting.finish:
        raise SettingError("env goes on by itself after its lessons (finish); take the credit of lessons without it")
    free = setting.changed(budget=Budget(student_tokens=1 << 60), mastery=1.0, targets=())
    start = Snapshot(setting=free.digest, level="open-ended", seed=moment.seed, student_seed=moment.student_seed)

    def end_of(left_out: str | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
        again = TeachingEnv("open-ended", runner=runner, setting=free)
        again.reset(seed=moment.seed, options={"snapshot": start})
        for lesson in lessons:
            kept = [e for e in lesson if e.skills[:1] != (left_out,)]
            if kept and not again.snapshot().ended:
                again.step(kept)
        tally = again.history[-1].selection
        return tally.correct, tally.n

    (whole, n), *rest = side_by_side(runner, [None, *taught], end_of)
    return Credit(
        skills=inner.task.skills,
        taught=tuple(taught),
        n=n,
        whole=whole,
        without=tuple(correct for correct, _ in rest),
        simulated=inner.student.simulated,
    )
