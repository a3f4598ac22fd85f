"""ExecutorSpec: how jobs are to be run, as plain JSON."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from dataenv import registry
from dataenv.errors import SettingError
from tasks.records import Record


class ExecutorSpec(Record):
    """How jobs are run, as plain JSON. It is no part of a Setting: results do not depend on it.

    Attributes:
        kind: A registered executor: ``inline`` (this process), ``processes`` (on this machine), ``pool`` (the same,
            several jobs a worker at once), ``ray`` (on this machine or a cluster), or one from outside. What it has
            no use for is refused by its ``from_spec``.
        workers: How many workers, each with one job at once (``pool``: several); 0 for as many as there is room for.
        pool_width: Jobs that one worker runs at once at the most (``pool``), where the student has slots for them.
        address: Of a Ray cluster, ``host:port``; ``None`` starts Ray on this machine for as long as it is needed.
        num_cpus: Cores that one job takes (``ray``).
        num_gpus: GPUs that one job takes (``ray``): a share below 1, or a whole number.
        threads: Torch threads of a worker, where the student does not set its own.
        deadline: Seconds a job may run before its worker ends itself; it is then tried again, and given up in the end.
        patience: Seconds that a job may wait for its worker beyond that (``ray``), before it is sent elsewhere.
    """

    kind: str = "inline"
    workers: Annotated[int, Field(ge=0, le=100_000)] = 0
    pool_width: Annotated[int, Field(ge=1, le=1024)] = 16
    address: str | None = None
    num_cpus: Annotated[float, Field(gt=0)] = 1.0
    num_gpus: Annotated[float, Field(ge=0)] = 0.0
    threads: Annotated[int, Field(ge=1)] = 1
    deadline: Annotated[float, Field(gt=0)] = 1800.0
    patience: Annotated[float, Field(gt=0)] = 3600.0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        registry.must_know("executor", self.kind)
        if self.num_gpus > 1 and self.num_gpus % 1:
            raise ValueError(f"num_gpus is {self.num_gpus}; give a share below 1 or a whole number")
        return self


OWNERS = {"address": "ray", "num_cpus": "ray", "num_gpus": "ray", "pool_width": "pool"}
"""Fields that one kind alone has a use for."""


def refuse_others(spec: ExecutorSpec, kind: str) -> None:
    """Refuse a spec that says what only another kind heeds.

    Args:
        spec: What was asked for.
        kind: Which executor is made from it.

    Raises:
        SettingError: With the first such field.
    """
    for name, owner in OWNERS.items():
        if owner != kind and getattr(spec, name) != ExecutorSpec.model_fields[name].default:
            raise SettingError(f"executor: {name} is {getattr(spec, name)!r}; it is for kind={owner!r} alone")
