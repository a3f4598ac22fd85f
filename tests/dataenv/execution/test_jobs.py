"""A job's exams: the images that prompts refer to are read from the blobs, and shown to who can see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.execution.blobs import BlobCorruptError, MemoryBlobs
from dataenv.execution.jobs import BuildSpec, Exam, Job, execute, from_initial
from students.base import Asked, Decoding
from tasks.records import Example, canonical_json
from tests.toys import Parrot

PICTURES = (b"\x89PNG one", b"\x89PNG two")


class Seeing(Parrot):
    """Says what it was shown: the text, and how long each image is."""

    name = "seeing"
    sees = ("text", "image")
    measured: ClassVar[list[tuple[str, ...]]] = []

    def answer(self, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        return [json.dumps([text, [image.decode("latin-1") for image in media]]) for text, media in asked]

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        self.measured.extend(example.media for example in examples)
        return super().losses(weights, examples)


class Blind(Seeing):
    """The same without eyes: it is never shown an image."""

    name = "blind"
    sees = ("text",)


@pytest.fixture
def students(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.STUDENTS, "seeing", f"{__name__}:Seeing")
    monkeypatch.setitem(registry.STUDENTS, "blind", f"{__name__}:Blind")


def exam(blobs: MemoryBlobs, **fields: Any) -> Exam:
    one, two = map(blobs.put, PICTURES)
    return Exam(name="x", prompts=("a", "b", "c"), media=((one,), (), (two, one)), **fields)


def sat(student: str, asked: Exam, blobs: MemoryBlobs) -> list[Any]:
    job = from_initial(BuildSpec(name=student), 0, exams=(asked,))
    job = Job.model_validate_json(job.model_dump_json())
    return [json.loads(said) for said in execute(job, job.key(), blobs).answers["x"].responses]


def test_images_are_shown_in_place_of_their_digests(students: None) -> None:
    blobs = MemoryBlobs()
    one, two = (picture.decode("latin-1") for picture in PICTURES)
    assert sat("seeing", exam(blobs), blobs) == [["a", [one]], ["b", []], ["c", [two, one]]]


def test_losses_are_asked_of_the_same_prompts(students: None) -> None:
    blobs = MemoryBlobs()
    asked = exam(blobs, golds=("x", "y", "z"))
    student = registry.shared("student", "seeing", canonical_json({}))
    student.measured.clear()
    sat("seeing", asked, blobs)
    assert tuple(student.measured) == asked.media


def test_without_images_everybody_is_asked_texts_alone(students: None) -> None:
    asked = Exam(name="x", prompts=("a", "b"), golds=("x", "y"))
    for student in ("seeing", "blind"):
        assert sat(student, asked, MemoryBlobs()) == [["a", []], ["b", []]]
    assert "media" not in asked.model_dump(mode="json"), "and the exam keeps its name"


def test_a_student_that_does_not_see_is_shown_no_image(students: None) -> None:
    blobs = MemoryBlobs()
    with pytest.raises(SettingError, match="the x exam shows images, which student 'blind' does not see"):
        sat("blind", exam(blobs), blobs)


def test_an_image_that_is_missing_is_told(students: None) -> None:
    asked = exam(MemoryBlobs())
    with pytest.raises(BlobCorruptError):
        sat("seeing", asked, MemoryBlobs())


def test_images_are_in_the_name_of_an_exam() -> None:
    asked = exam(MemoryBlobs())
    plain = asked.model_copy(update={"media": ()})
    turned = asked.model_copy(update={"media": asked.media[::-1]})
    assert len({e.key("state") for e in (asked, plain, turned)}) == 3
