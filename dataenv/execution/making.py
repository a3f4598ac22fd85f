"""Making: data that needs the student, such as pictures that its uncertainty guides. A derivation beside training.

What is made is named by how it came about, as a State is: by the task and its generator, by what was asked, and, where
the student guides it, by the student's state. So it is made once, by a worker, and read back afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol, cast, runtime_checkable

import numpy as np
from pydantic import Field, TypeAdapter

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.execution.blobs import BlobCorruptError, Blobs
from students.base import Student, code_digest
from tasks import media
from tasks.base import Task
from tasks.images.denoiser import STEPS, Guide, Steering
from tasks.records import Example, Record, canonical_json, digest, stream

MADE = "made"
"""The one entry of a record of what was made."""


@runtime_checkable
class Draws(Protocol):
    """What a task has besides, whose generator a student can guide."""

    @property
    def maker(self) -> dict[str, Any]:
        """Names all that decides what is drawn, seeds apart: the generator's weights and numerics, as JSON."""

    def draw(
        self,
        requests: Sequence[tuple[str, int]],
        rng: np.random.Generator,
        steering: Steering,
        checked: bool = True,
        guide: Guide | None = None,
    ) -> list[list[Example]]:
        """The examples of each request."""


class Making(Record):
    """What is made, and how.

    Attributes:
        task: Whose generator makes it.
        task_args: Of the task.
        requests: Skills, and how many examples of each.
        scale: Of classifier-free guidance; see ``tasks.images.denoiser.Steering``.
        omega: Of the student's guidance; 0 for none.
        steps: Of the sampler.
        checked: Whether examples are left out and made again whose label an independent classifier does not confirm.
        seed: Of every draw.
    """

    task: str
    task_args: dict[str, Any] = {}
    requests: tuple[tuple[str, Annotated[int, Field(ge=0)]], ...]
    scale: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    omega: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    steps: Annotated[int, Field(ge=1, le=1000)] = STEPS
    checked: bool = True
    seed: int

    def key(self, state: str) -> str:
        """The name of what is made.

        Args:
            state: The key of the student's; it plays no part where the student does not guide.
        """
        task = self.drawing_task
        parts = [cast(Task, task).fingerprint, code_digest(type(task)), task.maker, self.model_dump(mode="json")]
        return digest(["make", state if self.omega else "", *parts])

    @property
    def drawing_task(self) -> Draws:
        """The task.

        Raises:
            SettingError: If it has no such generator.
        """
        task: Task = registry.shared("task", self.task, canonical_json(self.task_args))
        if not isinstance(task, Draws):
            raise SettingError(f"task {self.task!r} has no generator that can be steered; give task 'digits'")
        return task

    def make(self, student: Student, weights: bytes) -> list[Example]:
        """Make it.

        Args:
            student: Who guides.
            weights: Of its state.

        Raises:
            SettingError: If the student cannot guide, or not this task's generator.
        """
        guide = None
        if self.omega:
            guide_of = getattr(student, "guide", None)
            if guide_of is None:
                raise SettingError(
                    f"omega is {self.omega}, and student {student.name!r} guides no generator; give 0, or 'image-mlp'"
                )
            guide = guide_of(weights)
        steering = Steering(self.scale, self.omega, self.steps)
        made = self.drawing_task.draw(self.requests, stream(self.seed, "make"), steering, self.checked, guide)
        return [example for some in made for example in some]


_EXAMPLES = TypeAdapter(tuple[Example, ...])


def made_in(record: Any, blobs: Blobs | None = None) -> tuple[Example, ...]:
    """The examples of a record of what was made.

    Args:
        record: Of a store.
        blobs: Whose pictures of these examples the album holds from then on.

    Raises:
        ValueError: If it is no such record, or a picture is gone: then all is made again.
    """
    if not isinstance(record, dict) or set(record) != {MADE}:
        raise ValueError(f"a record of what was made holds {MADE!r} alone")
    examples = _EXAMPLES.validate_python(record[MADE])
    if blobs is None:
        return examples
    for name in {name for example in examples for name in example.media}:
        try:
            if not media.has(name):
                media.keep(blobs.get(name))
        except BlobCorruptError as error:
            raise ValueError(str(error)) from error
    return examples
