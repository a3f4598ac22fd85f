"""What goes into a sandbox and what comes out: a program with its inputs, its limits, and its values or a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from tasks.errors import DataenvError

Reason = Literal[
    "syntax", "entry", "raised", "cpu", "wall", "memory", "output", "exited", "crashed", "malformed", "sandbox"
]
"""Why a program did not answer all of its inputs.

``syntax``: it does not compile. ``entry``: it has no such function. ``raised``: its top level raised. ``cpu``,
``wall``, ``memory``, ``output``: it passed that limit. ``exited``: it ended before it had answered. ``crashed``: a
signal ended it. ``malformed``: what came out is not what the sandbox writes. ``sandbox``: the sandbox itself failed, so
nothing is known of the program.
"""


class SandboxError(DataenvError, RuntimeError):
    """This machine has no sandbox that holds, so no program is run."""


@dataclass(frozen=True)
class ProgramLimits:
    """What one program may use, all of its inputs together.

    Attributes:
        cpu: Seconds of computing.
        wall: Seconds by the clock. Leave it far above ``cpu``: on a busy machine a program waits.
        memory: Bytes of address space, the interpreter's own (about 40 MiB) among them.
        output: Bytes of encoded values. A set or dict of this size is also what the grader has to rebuild.

    Raises:
        ValueError: If a limit is out of range.
    """

    cpu: float = 2.0
    wall: float = 30.0
    memory: int = 512 << 20
    output: int = 256 << 10

    def __post_init__(self) -> None:
        for name, least, most in (("cpu", 0.01, 3600.0), ("wall", 0.01, 7200.0)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} is {getattr(self, name)}; give seconds from {least:g} to {most:g}")
        for name, least, most in (("memory", 128 << 20, 1 << 40), ("output", 1 << 10, 64 << 20)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} is {getattr(self, name)}; give bytes from {least} to {most}")


@dataclass(frozen=True)
class Program:
    """A program that nobody trusts, and what it is given.

    Attributes:
        code: Its Python text.
        entry: The function that is called, once for each input. ``None``: the text is a script, which is run once for
            each input.
        inputs: For a function, the positional arguments of each call. For a script, one text each: its standard input.
            Arguments are None, bool, int, float, complex, str, bytes, and lists, tuples, dicts, sets of them.
    """

    code: str
    entry: str | None
    inputs: Sequence[Sequence[object]]


@dataclass(frozen=True)
class NoValue:
    """What stands in place of a value, for an input on which there is none.

    Attributes:
        reason: ``raised``: the call raised. ``type``: it returned something that is not exactly a plain value.
        detail: The name of the exception's or the value's type, as the program gives it: untrusted text.
    """

    reason: Literal["raised", "type"]
    detail: str


@dataclass(frozen=True)
class ProgramOutcome:
    """What a program returned. Whether that is right is decided by whoever asked, outside of the sandbox.

    Attributes:
        values: One for each input, in order, as far as the program came; ``NoValue`` where a call gave none. For a
            script, what it wrote on its standard output.
        reason: ``None`` where there is one for each input; else why the rest is missing.
        detail: More of the reason, such as the name of an exception: untrusted text.
    """

    values: tuple[object, ...] = ()
    reason: Reason | None = None
    detail: str = ""


@runtime_checkable
class RunsPrograms(Protocol):
    """A task that runs programs: its rows say in which sandbox (``versions.sandbox``)."""

    def sandbox(self) -> str:
        """The sandbox in force: ``tasks.sandbox.in_force``."""


class Sandbox(Protocol):
    """Runs programs where they can do no harm.

    Attributes:
        name: As doctor and rows name it.
    """

    name: str

    def run(self, programs: Sequence[Program], limits: ProgramLimits) -> list[ProgramOutcome]:
        """One outcome a program, in order. Whatever a program does is a reason; it is never raised."""

    def close(self) -> None:
        """End all processes; the next ``run`` starts others."""
