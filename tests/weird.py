"""Teachers that do what none should: a board goes on without them, and says what each did."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataenv.budget.teacher import Cost
from tasks.records import Example


class Weird:
    """An ordinary teacher that each of the others departs from in one place."""

    level = "skill-list"

    def begin(self, context: Any) -> None:
        self.context = context

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        return np.ones(len(self.context.skills), np.float32)


class RaisesInAct(Weird):
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        raise ValueError("two\nlines of it")


class RaisesInBegin(Weird):
    def begin(self, context: Any) -> None:
        raise KeyError("not there")


class RaisesInLearn(Weird):
    def learn(self, transition: Any) -> None:
        return {}["gone"]  # type: ignore[no-any-return]


class LeavesInAct(Weird):
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        sys.exit(0)


class LeavesInLearn(Weird):
    def learn(self, transition: Any) -> None:
        raise GeneratorExit


class KillsItsProcess(Weird):
    """Kills its process so many times, counts them in a file, and then teaches."""

    def __init__(self, path: str, times: int) -> None:
        self.path, self.times = Path(path), times

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        died = self.path.read_text() if self.path.exists() else ""
        if len(died) < self.times:
            self.path.write_text(died + "x")
            os.kill(os.getpid(), signal.SIGKILL)
        logging.getLogger(__name__).warning("it died %d times", len(died))
        return super().act(observation, info)


class PressesCtrlC(Weird):
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        raise KeyboardInterrupt


class FillsMemory(Weird):
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        raise MemoryError


class Recurses(Weird):
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        return self.act(observation, info)


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text of mine")


class RaisesWithoutText(Weird):
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        raise Silent


class SaysStore(Weird):
    """Says that the store is at fault, which would end the board."""

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        from dataenv.errors import StoreError

        raise StoreError("the disk is full")


class Unarrayed:
    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no array of mine")


class GivesUnarrayed(Weird):
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        return Unarrayed()


class GivesNothing(Weird):
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        return None


class Loops(Weird):
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        while True:
            pass


class LoopsForGood(Weird):
    """Catches whatever it is told."""

    until = float("inf")

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        while time.monotonic() < type(self).until:
            try:
                time.sleep(0.01)
            except BaseException:
                continue


class Sleeps(Weird):
    """In a library, where nothing of Python reaches it."""

    def learn(self, transition: Any) -> None:
        time.sleep(20)


class Resets(Weird):
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        self.context._env.reset(seed=0)
        return super().act(observation, info)


class Steps(Weird):
    def learn(self, transition: Any) -> None:
        self.context._env.step(super().act(None, {}))


class AsksNonsense(Weird):
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        return self.context.sample(["a>"], n="many")


class Unspends(Weird):
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        self.context.teacher_purse.settle(Cost(), Cost(tokens_in=-500))


class CountsDown(Weird):
    """Ends well, and then has counted less than nothing."""

    yields = Counter({"made": -1})


class ForgetsItsPrior(Weird):
    """Says something else of what it used once it has taught."""

    prior_compute: Any = 0

    def learn(self, transition: Any) -> None:
        self.prior_compute = "much"


class FailsTheSecondTime(Weird):
    """Is made when a board is read, and cannot be made for its run."""

    def __init__(self) -> None:
        if any(frame.name == "_row" for frame in traceback.extract_stack()):
            raise SystemExit("enough of me")


class Endless(Sequence[Any]):
    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, i: Any) -> Any:
        return Example(prompt=f"{i}>", response="x")

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in itertools.count())


class OffersWithoutEnd(Weird):
    """No mistake: what is beyond a lesson's length is counted, and the episode goes on."""

    level = "open-ended"

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        return Endless()


class OffersMillions(Weird):
    level = "open-ended"

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        return [Example(prompt="a>", response="x")] * 1_000_000


FAILS: dict[type, str] = {
    RaisesInAct: r"ValueError: two lines of it \(weird\.py:\d+ in act\)",
    RaisesInBegin: r"KeyError: 'not there' \(weird\.py:\d+ in begin\)",
    RaisesInLearn: r"KeyError: 'gone' \(weird\.py:\d+ in learn\)",
    LeavesInAct: r"SystemExit: 0 \(weird\.py:\d+ in act\)",
    LeavesInLearn: r"GeneratorExit \(weird\.py:\d+ in learn\)",
    PressesCtrlC: r"KeyboardInterrupt \(weird\.py:\d+ in act\)",
    FillsMemory: r"MemoryError \(weird\.py:\d+ in act\)",
    Recurses: r"RecursionError: maximum recursion depth exceeded \(weird\.py:\d+ in act\)",
    RaisesWithoutText: r"Silent \(weird\.py:\d+ in act\)",
    SaysStore: "the disk is full",
    GivesUnarrayed: r"RuntimeError: no array of mine \(weird\.py:\d+ in __array__\)",
    GivesNothing: "action is a NoneType; give shape",
    Loops: r"act\(\) was not done within 1 seconds \(weird\.py:\d+ in act\); see that it ends",
    LoopsForGood: r"act\(\) was not done within 1 seconds \(weird\.py:\d+ in act\)",
    Sleeps: r"learn\(\) was not done within 1 seconds \(weird\.py:\d+ in learn\)",
    Resets: r"act\(\) has reset or stepped the environment itself; try things on a fork",
    Steps: r"learn\(\) has reset or stepped the environment itself",
    AsksNonsense: "n is 'many'; give a whole number of at least 1",
    Unspends: r"ValueError: tokens_in is -500; give a whole number of at least 0, a plain int \(weird\.py:\d+ in act\)",
    CountsDown: "yields of teacher CountsDown is -1; give a whole number of at least 0",
    ForgetsItsPrior: "prior_compute of teacher ForgetsItsPrior is 'much'; give a whole number",
    FailsTheSecondTime: "teacher 'tests.weird:FailsTheSecondTime' are refused: SystemExit: enough of me",
}
"""What the row of each says of it."""
ENDS = (OffersWithoutEnd, OffersMillions)
"""Those that end as others do."""
