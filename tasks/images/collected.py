"""``image-classes``: pictures of one's own, from a folder of class folders or from the columns of a data set."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tasks import media
from tasks.images.packaged import Labels, Pictures
from tasks.images.sizing import sized
from tasks.images.sorting import sort_out
from tasks.images.task import ImageClasses
from tasks.jsonl.reading import DATASETS, read_rows

NAMED = 3
"""Bad files that an error names."""


class FoundPicture(NamedTuple):
    """A picture of a source: what errors call it, the name of its class, and how its file is read."""

    where: str
    label: str
    read: Callable[[], bytes]


class ImageCollection(ImageClasses):
    """Pictures of one's own. Every split, and the pool, are drawn from one source.

    Args:
        source: A folder that holds a folder of pictures for each class; or a table that ``jsonl`` reads too: a file
            (.jsonl, .csv, .parquet), or ``datasets:NAME[:CONFIG[:SPLIT]]``.
        image: The column of a table that holds pictures: their bytes, or in a .jsonl or .csv their paths, relative to
            that file.
        label: The column of a table that holds classes.
        side: Height and width that pictures are brought to, in pixels.
        colour: Whether colours are kept.
        imbalance: How many times as many pictures the pool holds of the first class as of the last.
    """

    name: ClassVar[str] = "image-classes"
    version: ClassVar[str] = "1"

    def __init__(
        self,
        source: str,
        image: str = "image",
        label: str = "label",
        side: int = 32,
        colour: bool = False,
        imbalance: float = 1.0,
    ) -> None:
        if not isinstance(side, int) or not 4 <= side <= 1024:
            raise ValueError(f"task_args.side is {side!r}; give a whole number of pixels from 4 to 1024")
        self._source = source
        found = list(_in_folder(Path(source)) if Path(source).is_dir() else _in_table(source, image, label))
        classes = sorted({one.label for one in found})
        if len(classes) < 2:
            raise ValueError(f"{source} holds pictures of {len(classes)} class(es); give two or more")
        pictures = _read(source, found, side, colour)
        labels = np.array([classes.index(one.label) for one in found], np.int64)
        _check_sizes(source, labels, classes)
        super().__init__(sort_out(pictures, labels), classes, imbalance)


def _in_folder(folder: Path) -> Iterator[FoundPicture]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            raise ValueError(f"{entry} lies beside the class folders; move it into the folder of its class")
        for path in sorted(entry.iterdir()):
            if not path.name.startswith("."):
                yield FoundPicture(f"{entry.name}/{path.name}", entry.name, partial(media.admit, path))


def _in_table(source: str, image: str, label: str) -> Iterator[FoundPicture]:
    if not source.startswith(DATASETS) and not Path(source).exists():
        raise ValueError(
            f"task_args.source is {source!r}, which is not there; give a folder of class folders, a table, or "
            f"{DATASETS}NAME, as seen from {Path.cwd()}"
        )
    beside = None if source.startswith(DATASETS) else Path(source).parent
    for row in read_rows(source):
        for field, column in (("image", image), ("label", label)):
            if column not in row.fields:
                raise ValueError(
                    f"{row.where}, has no column {column!r}; give task_args.{field}, one of "
                    f"{', '.join(map(repr, row.fields))}"
                )
        value, name = row.fields[image], str(row.fields[label])
        if not name.strip():
            raise ValueError(f"{row.where}, has an empty {label!r}; give the name of a class")
        yield FoundPicture(row.where, name.strip(), partial(_admitted, value, beside))


def _admitted(value: Any, beside: Path | None) -> bytes:
    """The canonical picture of a cell: bytes, a mapping with ``bytes``, a picture of pillow, or a path."""
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        value = value["bytes"]
    elif isinstance(value, str) and beside is not None:
        value = beside / value
    elif hasattr(value, "save") and hasattr(value, "mode"):
        file = io.BytesIO()
        value.save(file, format="PNG")
        value = file.getvalue()
    return media.admit(value)


def _read(source: str, found: list[FoundPicture], side: int, colour: bool) -> Pictures:
    """All pictures, ``(n, side, side)`` or ``(n, side, side, 3)``."""
    out = np.zeros((len(found), side, side, *((3,) if colour else ())), np.uint8)
    bad: list[str] = []
    decoded = media.pixels if colour else media.grey
    for i, one in enumerate(found):
        try:
            out[i] = np.rint(sized(decoded(one.read()), side))
        except media.PictureError as error:
            bad.append(f"{one.where} ({error})")
    if bad:
        more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        raise ValueError(
            f"{source} holds {len(bad)} of {len(found)} pictures that cannot be used, mend or remove them: "
            f"{', '.join(bad[:NAMED])}{more}"
        )
    return out


def _check_sizes(source: str, labels: Labels, classes: list[str]) -> None:
    for label, count in enumerate(np.bincount(labels, minlength=len(classes)).tolist()):
        if count < 20:
            raise ValueError(f"{source} holds {count} pictures of class {classes[label]!r}; give at least 20")
