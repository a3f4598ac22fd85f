"""What a metric is: a further column of a board, one number a run, computed from its row alone.

A board file names them (``metrics = ["transfer"]``). They decide nothing that is computed or ranked. One of your own is
one class and one name: the entry-point group ``dataenv.metrics``, or ``dataenv.register("metric", "mine", Mine)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.leaderboard.rows import Row
from tasks.records import SPLITS

PERCENT = "%"
"""The unit of shares in [0, 1], which are shown as percentages."""


class Metric(ABC):
    """An axis of the board. It is made without arguments; the first sentence of its docstring is shown.

    Attributes:
        unit: ``%`` for a share in [0, 1], which is shown as a percentage; else a word, such as ``tokens``.
        higher_is_better: Which end is the good one; ``None`` where neither is.
        split: The split whose answers it counts; empty where it counts none.
    """

    unit: ClassVar[str]
    higher_is_better: ClassVar[bool | None] = True
    split: ClassVar[str] = ""

    @abstractmethod
    def of(self, row: Row) -> float | None:
        """The number of one run; ``None`` where it cannot be told. Failed runs come as their untaught student."""


def metric_of(name: str) -> Metric:
    """The metric of a name.

    Raises:
        SettingError: If there is none of that name (with the nearest one), it cannot be loaded, or it has no unit.
    """
    kind: type[Metric] = registry.find_class("metric", name, Metric)
    unit, split = getattr(kind, "unit", None), kind.split
    if not isinstance(unit, str) or not unit:
        raise SettingError(f"metric {name!r} has the unit {unit!r}; give '%' for a share in [0, 1], or a word")
    if split and split not in SPLITS:
        raise SettingError(f"metric {name!r} has the split {split!r}; give one of {', '.join(SPLITS)}, or none")
    return kind()
