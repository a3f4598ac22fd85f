"""Whether an episode may go on from a snapshot: it fits, and what its student learnt was paid."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

from dataenv.environment.taught import TaughtLessons
from dataenv.errors import SnapshotError
from dataenv.execution import lineage
from dataenv.execution.store import Store
from dataenv.lessons.tuition import paid_for
from dataenv.setting import Setting
from dataenv.snapshot import Snapshot
from students.base import Trained


def taught_at(
    snapshot: Snapshot, setting: Setting, level: str, store: Store, branch: bool, known: TaughtLessons
) -> TaughtLessons:
    """The lessons of an episode that goes on from a snapshot, if it may.

    Args:
        snapshot: As it was given.
        setting: Of the environment.
        level: Name of the environment's level.
        store: Holds the lessons, and knows how the student came about.
        branch: Whether it spends another episode's purse; what its own snapshot says that it spent plays no part then.
        known: What is at hand; where that is what the snapshot names, no lesson is read or counted again.

    Raises:
        SnapshotError: If it does not fit, or claims to have spent or taught less than its student was trained on.
        StoreError: If its lessons are not in this store.
    """
    if snapshot.setting != setting.digest:
        raise SnapshotError(
            "snapshot.setting differs from this environment's; make the environment with equal arguments"
        )
    if snapshot.level != level:
        raise SnapshotError(f"snapshot.level is {snapshot.level!r} and this one's is {level!r}; make one of that level")
    if snapshot.training + snapshot.probes > setting.budget.student_tokens:
        raise SnapshotError("snapshot.training + snapshot.probes is more than the purse; give env.snapshot() as it was")
    taught = known.at(snapshot.lessons, store.lesson)
    if not branch:
        _check_paid(snapshot, setting, taught.total, _lineage(snapshot, setting, store))
    return taught


def _check_paid(snapshot: Snapshot, setting: Setting, taught: int, trained: list[_PaidTraining]) -> None:
    """Refuse a snapshot that spent or taught less than the training of its student took."""
    paid = sum(each.paid for each in trained)
    if snapshot.training + snapshot.probes < paid:
        raise SnapshotError(
            f"snapshot.training + snapshot.probes is less than the {paid} student tokens that its student was trained "
            "with; give env.snapshot() as it was"
        )
    sizes = {kind: [each.size for each in trained if each.data == kind] for kind in ("lesson", "all")}
    if taught < max(sum(sizes["lesson"]), *sizes["all"], 0):
        raise SnapshotError("snapshot.lessons leaves out what its student was taught; give env.snapshot() as it was")


class _PaidTraining(NamedTuple):
    """What the training of one state took: student tokens, and examples; and what its recipe says of ``data``."""

    parent: str
    paid: int
    size: int
    data: str


_KNOWN: WeakKeyDictionary[Store, dict[str, _PaidTraining]] = WeakKeyDictionary()
"""By store and state: a row that was read once is right for good, and a restore asks for all of an episode."""


def _lineage(snapshot: Snapshot, setting: Setting, store: Store) -> list[_PaidTraining]:
    """The trainings between the untaught student and the present one, as far as the store knows them; newest first."""
    found, key, known = list[_PaidTraining](), snapshot.state, _KNOWN.setdefault(store, {})
    while key != snapshot.base:
        if key not in known:
            row = lineage.row_of(key, store)
            if row is None:
                break
            job = lineage.read(row, store)
            assert job.train is not None, "the row of a state tells of a training"
            paid = paid_for(job.train, Trained.model_validate(row["trained"]), setting)
            known[key] = _PaidTraining(job.parent, paid, len(job.train.lesson), job.train.recipe.data)
        found.append(known[key])
        key = known[key].parent
    return found
