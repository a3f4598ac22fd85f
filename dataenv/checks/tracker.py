"""``check_tracker``: it is told everything, from several threads, and changes nothing."""

from __future__ import annotations

import threading
from typing import Any

from dataenv.checks.common import ContractError, demand, own_randomness, says_what_it_is
from dataenv.environment.steps import StepRecord, Tally
from dataenv.leaderboard.runs import Run
from dataenv.leaderboard.trackers import Outline, Tracker, make_tracker
from dataenv.setting import Setting


def check_tracker(tracker: str | Tracker) -> None:
    """Check a tracker by a board of two runs that report from two threads; the second one fails.

    Args:
        tracker: A registered name with what it needs, such as ``jsonl:events.jsonl``, or a tracker.

    Raises:
        ContractError: With the first rule that is broken.
    """
    made = make_tracker(tracker) if isinstance(tracker, str) else tracker
    demand(isinstance(made, Tracker), f"it is a {type(made).__name__}; derive it from {Tracker.__module__}.Tracker")
    says_what_it_is("tracker", type(made))
    runs = [Run(name, name, "teacher", object, {}, "skill-list", 0, Setting()) for name in ("one", "two")]
    failures: list[Exception] = []

    def play(cell: Run, error: str | None) -> None:
        try:
            _tell(made, cell, error)
        except Exception as failure:
            failures.append(failure)

    with own_randomness("the tracker"):
        made.__enter__()
        made.begin(Outline({"one": 1, "two": 1}, 2000, 100, 1, 2, lambda: 2))
        errors = (None, "the loss became NaN")
        threads = [threading.Thread(target=play, args=pair) for pair in zip(runs, errors, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        leave: Any = made.__exit__  # typed to give nothing, which is what is checked
        swallows = leave(KeyError, KeyError("check"), None)
    if failures:
        said = f"it raises {type(failures[0]).__name__} ({failures[0]}) when it is told of two runs"
        raise ContractError(f"{said}; keep a lock, and mend that") from failures[0]
    demand(not swallows, "__exit__() gives a true value, which would hide the failure of a board; give None")


def _tell(tracker: Tracker, cell: Run, error: str | None) -> None:
    tracker.start(cell)
    for step in range(3):
        tally = Tally(correct=(step,), n=(5,))
        record = StepRecord(
            step=step, spent=100 * step, teacher_tokens=0, money=0.0, state=f"state {step}", reward=0.0,
            selection=tally, feedback=tally, loss=(1.0,), mixture=None, offered=0, kept=0, rejected={}, judged={},
            lesson=None, ended="",
        )  # fmt: skip
        tracker.step(cell, record)
    tracker.done(cell, error)
