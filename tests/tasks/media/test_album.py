"""The album: a digest finds its picture, wherever it was put."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import pytest

from tasks import media
from tasks.media import album

PNG = media.encode(np.array([[7, 77], [1, 2]], np.uint8))
NAME = hashlib.sha256(PNG).hexdigest()


@pytest.fixture(autouse=True)
def _own_album(monkeypatch: pytest.MonkeyPatch) -> None:
    for field, empty in (("_kept", type(album._kept)()), ("_lent", []), ("_size", 0)):
        monkeypatch.setattr(album, field, empty)


def test_what_is_kept_is_found() -> None:
    assert not media.has(NAME)
    assert media.keep(PNG) == media.keep(PNG) == NAME
    assert media.has(NAME)
    assert media.picture(NAME) == PNG


def test_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [media.encode(np.full((2, 2), i, np.uint8)) for i in range(4)]
    monkeypatch.setattr(album, "MOST", 2 * len(PNG))
    names = [media.keep(png) for png in (PNG, *others)]
    assert [media.has(name) for name in names] == [False, False, False, True, True]


def test_what_is_lent_is_looked_up() -> None:
    lent: Mapping[str, bytes] = {NAME: PNG}
    media.lend(lent)
    assert media.has(NAME)
    assert media.picture(NAME) == PNG


def test_a_worker_reads_the_store() -> None:
    asked: list[str] = []

    def read(name: str) -> bytes:
        asked.append(name)
        return PNG

    with media.reading(read):
        assert media.picture(NAME) == PNG
        assert not media.has(NAME), "what the store holds is not in the album"
    assert asked == [NAME]
    with pytest.raises(media.MissingPictureError, match=f"picture {NAME[:12]} is not there; put it into the album"):
        media.picture(NAME)


def test_what_a_task_shows() -> None:
    class Seen:
        shows = ("text", "image")

    class Divided:
        task = Seen()

    assert media.shown_by(Seen()) == media.shown_by(Divided()) == ("text", "image")
    assert media.shown_by(object()) == ("text",)
