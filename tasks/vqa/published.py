"""easy-VQA as its package ships it: real image files, and the questions about each.

Source: V. Zhou, easy-VQA (2019), MIT licence; 4,000 training and 1,000 test images of 64 × 64 pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from tasks import media
from tasks.errors import SettingError

COLOURS = ("black", "blue", "brown", "gray", "green", "red", "teal", "yellow")
SHAPES = ("circle", "rectangle", "triangle")
SIDE = 32
"""Pixels of a side, after the published 64 are averaged two by two: a quarter of the work for the student."""
Part = Literal["train", "test"]


class PublishedQuestion(NamedTuple):
    """A published question: its text, its answer and the number of its image."""

    text: str
    answer: str
    image: int


class Facts(NamedTuple):
    """What an image shows: a shape of a colour; ``None`` where its questions do not say."""

    colour: str | None
    shape: str | None


class Pictures(Mapping[str, bytes]):
    """The images of a part by their digests, in canonical form; all are read when the part is.

    Attributes:
        names: The digest of each image, by its number.
    """

    def __init__(self, folder: Path) -> None:
        count = sum(1 for _ in folder.glob("*.png"))
        pictures = [shrunk(media.admit(folder / f"{i}.png", f"picture {i} of {folder}")) for i in range(count)]
        self.names = tuple(map(media.keep, pictures))
        self._held = dict(zip(self.names, pictures, strict=True))

    def __getitem__(self, name: str) -> bytes:
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


def shrunk(png: bytes) -> bytes:
    """A picture averaged two by two, rounded to the nearest brightness."""
    pixels = media.pixels(png).astype(np.uint16)
    height, width = (n // 2 for n in pixels.shape[:2])
    cells = pixels[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3).sum((1, 3))
    return media.encode(((cells + 2) // 4).astype(np.uint8))


@lru_cache(maxsize=2)
def pictures_of(part: Part) -> Pictures:
    """The images of a part.

    Raises:
        SettingError: If the package is not installed.
        tasks.media.PictureError: If a file is damaged or missing.
    """
    return Pictures(_folder() / part / "images")


@lru_cache(maxsize=2)
def questions_of(part: Part) -> tuple[PublishedQuestion, ...]:
    """The questions of a part, in the published order.

    Raises:
        SettingError: If the package is not installed, or its files are damaged.
    """
    path = _folder() / part / "questions.json"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return tuple(PublishedQuestion(str(text), str(answer), int(image)) for text, answer, image in rows)
    except (OSError, ValueError, TypeError) as error:
        raise SettingError(f"task 'vqa' cannot read {path} ({error}); install easy-vqa again") from None


def facts_of(questions: tuple[PublishedQuestion, ...]) -> dict[int, Facts]:
    """What each image shows, as far as its own questions say."""
    colours: dict[int, str] = {}
    shapes: dict[int, str] = {}
    for question in questions:
        if question.answer in COLOURS:
            colours[question.image] = question.answer
        elif question.answer in SHAPES:
            shapes[question.image] = question.answer
        elif (named := named_in(question.text)) is not None and is_negated(question.text) != (question.answer == "yes"):
            (colours if named in COLOURS else shapes)[question.image] = named
    return {image: Facts(colours.get(image), shapes.get(image)) for image in colours.keys() | shapes.keys()}


def named_in(text: str) -> str | None:
    """The colour or the shape that a question names; ``None`` where it names none."""
    words = words_of(text)
    return next((word for word in words if word in COLOURS or word in SHAPES), None)


def is_negated(text: str) -> bool:
    """Whether a question asks if something is not there."""
    return not {"not", "no"}.isdisjoint(words_of(text))


def words_of(text: str) -> list[str]:
    """The words of a question, in small letters and without its mark."""
    return text.lower().replace("?", " ").split()


def _folder() -> Path:
    found = find_spec("easy_vqa")
    if found is None or found.origin is None:
        raise SettingError("task 'vqa' needs the package easy-vqa; install it: pip install 'dataenv[vision]'")
    return Path(found.origin).parent / "data"
