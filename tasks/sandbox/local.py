"""The sandboxes that this machine gives: a few lanes each, shared by all who ask."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence

from tasks.sandbox.lane import Lane, LostError, framed
from tasks.sandbox.records import Program, ProgramLimits, ProgramOutcome, SandboxError


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalSandbox:
    """Runs programs side by side in sandboxes of this machine, which start when they are needed and are kept.

    Args:
        name: As doctor and rows name it.
        command: See ``Lane``.
        width: Sandboxes at most; by default as many as there are cores.
    """

    def __init__(self, name: str, command: Callable[[int], list[str]], width: int | None = None) -> None:
        self.name = name
        self._command, self._width = command, width or min(8, _cores())
        self.renew()

    def renew(self) -> None:
        """Begin anew, as after a fork: what runs then is the parent's."""
        self._lanes = [Lane(self._command) for _ in range(self._width)]
        self._free: queue.LifoQueue[Lane] = queue.LifoQueue()
        for lane in self._lanes:
            self._free.put(lane)

    def run(self, programs: Sequence[Program], limits: ProgramLimits) -> list[ProgramOutcome]:
        """See ``Sandbox.run``.

        Raises:
            ValueError: If an input cannot be sent.
        """
        frames = [framed(program, limits) for program in programs]
        outcomes = [ProgramOutcome(reason="sandbox")] * len(frames)
        numbers = iter(range(len(frames)))  # shared: who is free takes the next one

        def work() -> None:
            for i in numbers:
                outcomes[i] = self._one(frames[i], len(programs[i].inputs), limits)

        helpers = [threading.Thread(target=work) for _ in range(min(self._width, len(frames)) - 1)]
        for helper in helpers:
            helper.start()
        work()
        for helper in helpers:
            helper.join()
        return outcomes

    def close(self) -> None:
        """End all of them."""
        for lane in self._lanes:
            lane.close()

    def _one(self, frame: bytes, inputs: int, limits: ProgramLimits) -> ProgramOutcome:
        """One program, once more if its sandbox is lost: another process may have ended that."""
        lane = self._free.get()
        try:
            try:
                return lane.run(frame, inputs, limits)
            except LostError:
                return lane.run(frame, inputs, limits)
        except (SandboxError, OSError) as error:
            return ProgramOutcome(reason="sandbox", detail=str(error))
        finally:
            self._free.put(lane)
