"""Account: what an episode may spend, and whose purses and leaks a branch of it shares."""

from __future__ import annotations

from collections.abc import Sequence

from dataenv.budget.purse import Purse
from dataenv.budget.teacher import TeacherPurse
from dataenv.lessons.leaks import Hit, LeakLog, Where
from dataenv.setting import Setting
from dataenv.snapshot import Snapshot


class Account:
    """The purses of an episode; as a branch, those of the episode that it left.

    Args:
        setting: Its budget, and what its finish sets aside.

    Attributes:
        purse: Student tokens.
        teacher_purse: What the teacher may spend on language models.
        leaks: What leaked sealed problems since the reset; a branch writes into that of its origin.
        step: Steps made.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._origin: Account | None = None
        self.purse = Purse(setting.budget.student_tokens, aside=setting.aside)
        self.teacher_purse = TeacherPurse(setting.budget.teacher_tokens, setting.budget.money)
        self.leaks = LeakLog()
        self.step = 0

    def open(self, snapshot: Snapshot) -> None:
        """Begin an episode at a moment: a branch spends what its origin has, any other what its moment has left."""
        self.leaks, self.step = LeakLog(), snapshot.step
        if self._origin is not None:
            self.purse, self.teacher_purse = self._origin.purse, self._origin.teacher_purse
            return
        self.purse.close()  # what branches of the episode before have left is not for this one
        self.teacher_purse.close()
        budget, aside = self._setting.budget, sum(self._setting.asides[snapshot.finishing :])
        self.purse = Purse(budget.student_tokens, snapshot.training, snapshot.probes, aside)
        self.teacher_purse = TeacherPurse(budget.teacher_tokens, budget.money, snapshot.teacher_spent)

    @property
    def is_branch(self) -> bool:
        """Whether it spends another episode's purses."""
        return self._origin is not None

    @property
    def use(self) -> str:
        """What training is booked as."""
        return "probes" if self.is_branch else "training"

    def join(self, origin: Account) -> None:
        """Become a branch: spend another episode's purses from the next opening on, and report leaks there."""
        self._origin = origin._origin or origin

    def leave(self) -> None:
        """Be a branch no more: go on with purses of its own, of which as much is spent as of the shared ones."""
        aside = self.purse.total - self.purse.open
        self._origin, self.purse = None, Purse(self.purse.total, **self.purse.uses, aside=aside)
        self.teacher_purse = self.teacher_purse.branch()

    def note(self, hits: Sequence[Hit], where: Where) -> None:
        """Write down what leaked; what leaks in a branch is listed where the branch came from."""
        owner = self._origin or self
        owner.leaks.note(hits, owner.step + 1, "branch" if self.is_branch else where)
