"""What a probe is: what one question costs, the exam that asks it, and one number out of each answer.

``dataenv.episode.probes`` charges, screens and asks. A probe of one's own is one class and one name: the entry-point
group ``dataenv.probes``, or ``dataenv.register("probe", "mine", Mine)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dataenv.execution.jobs import Answers, Exam, media_of
from dataenv.validation import whole
from students.base import Decoding, Student
from tasks.base import Task
from tasks.records import Example

Floats = npt.NDArray[np.float64]


class Probe(ABC):
    """A metered look at the student on examples of a teacher's own. It is made without arguments.

    Attributes:
        needs: Methods of ``Student`` that a student must have of its own, such as ``entropies``.
    """

    needs: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def tokens(self, student: Student, example: Example, decoding: Decoding) -> int:
        """Tokens that one question goes forward with, at least 1: what is paid for it.

        Args:
            student: Who is asked.
            example: What is asked.
            decoding: Of the Setting.
        """

    @abstractmethod
    def exam(self, examples: Sequence[Example], decoding: Decoding) -> Exam:
        """The exam that asks all of them, in order."""

    @abstractmethod
    def read(self, answers: Answers, examples: Sequence[Example], task: Task) -> Floats:
        """One number for each example, ``(n,)``, in order."""

    def measures(self, student: Student) -> bool:
        """Whether a student has all that this probe needs."""
        return all(getattr(type(student), name) is not getattr(Student, name) for name in self.needs)


class LossProbe(Probe):
    """Mean loss on the response, in nats a token."""

    def tokens(self, student: Student, example: Example, decoding: Decoding) -> int:
        """Prompt and response."""
        return student.tokens(example)

    def exam(self, examples: Sequence[Example], decoding: Decoding) -> Exam:
        """An exam always answers; answers that nobody asked for are kept to one token."""
        prompts, golds = tuple(e.prompt for e in examples), tuple(e.response for e in examples)
        short = decoding.model_copy(update={"max_tokens": 1})
        return Exam(name="probe", prompts=prompts, media=media_of(examples), golds=golds, decoding=short)

    def read(self, answers: Answers, examples: Sequence[Example], task: Task) -> Floats:
        """The losses."""
        return np.asarray(answers.losses, np.float64)


class EntropyProbe(LossProbe):
    """Mean entropy of what the student would write in the response's place, in nats a token."""

    needs = ("entropies",)

    def exam(self, examples: Sequence[Example], decoding: Decoding) -> Exam:
        """As for the loss, and the entropies besides."""
        return super().exam(examples, decoding).model_copy(update={"entropy": True})

    def read(self, answers: Answers, examples: Sequence[Example], task: Task) -> Floats:
        """The entropies."""
        return np.asarray(answers.entropies, np.float64)


class AccuracyProbe(Probe):
    """Whether the decoded answer comes to what the response comes to: 0 or 1."""

    def tokens(self, student: Student, example: Example, decoding: Decoding) -> int:
        """What a student reads, and the most it may write."""
        return answer_tokens(student, example, decoding)

    def exam(self, examples: Sequence[Example], decoding: Decoding) -> Exam:
        """The prompts, decoded as the Setting says."""
        prompts = tuple(e.prompt for e in examples)
        return Exam(name="probe", prompts=prompts, media=media_of(examples), decoding=decoding)

    def read(self, answers: Answers, examples: Sequence[Example], task: Task) -> Floats:
        """The task says what is the same."""
        return np.array(task.sames(list(zip(examples, answers.responses, strict=True))), np.float64)


def answer_tokens(student: Student, example: Example, decoding: Decoding) -> int:
    """Tokens of a prompt, and the most that a student may write after it."""
    prompt = student.tokens(example.model_copy(update={"response": ""}))
    return whole(f"tokens() of student {student.name!r}", prompt) + decoding.max_tokens
