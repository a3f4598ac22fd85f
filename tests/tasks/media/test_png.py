"""The canonical form: pixels come back, equal pixels have equal bytes, and nothing else is read."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest

from tasks import media
from tasks.records import stream


def random_pixels(*shape: int) -> media.Pixels:
    return stream(0, "pixels").integers(256, size=shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 3), (32, 32, 3), (300, 120, 3)], ids=str)
def test_pixels_come_back(shape: tuple[int, ...]) -> None:
    """Of a picture of more bytes than a stored block holds, too."""
    given = random_pixels(*shape)
    assert np.array_equal(media.pixels(media.encode(given)), given)


def test_others_read_it() -> None:
    image = pytest.importorskip("PIL.Image")
    for given in (random_pixels(9, 4, 3), random_pixels(6, 5)):
        assert np.array_equal(np.asarray(image.open(io.BytesIO(media.encode(given)))), given)


def test_bytes_follow_from_the_pixels_alone() -> None:
    """These are the bytes on every machine: no library compresses them."""
    assert media.encode(np.zeros((1, 1, 3), np.uint8)).hex() == (
        "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000d494441"
        "547801010200fdff0000000200017e050dd20000000049454e44ae426082"
    )
    grey = random_pixels(4, 4)
    assert media.encode(np.repeat(grey[..., None], 3, 2)) == media.encode(grey), "without colour it is grey"
    assert media.encode(np.asfortranarray(grey)) == media.encode(grey)


def test_grey_is_the_mean_of_the_channels() -> None:
    given = np.array([[[1, 2, 4], [255, 255, 254]]], np.uint8)
    assert media.grey(media.encode(given)).tolist() == [[2, 254]]
    assert media.pixels(media.encode(np.full((2, 2), 7, np.uint8))).tolist() == np.full((2, 2, 3), 7).tolist()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (np.zeros((2, 2), np.float64), "an array of float64 .*uint8"),
        (np.zeros((2, 2, 4), np.uint8), r"shape \(2, 2, 4\); give \(height, width\)"),
        (np.zeros((0, 2), np.uint8), r"shape \(0, 2\)"),
        (np.zeros((4096, 2048), np.uint8), "2048 × 4096 pixels; give at most"),
        ("face.png", "picture is a str; give an array"),
    ],
)
def test_what_is_no_picture_is_refused(given: media.Pixels, sentence: str) -> None:
    with pytest.raises(media.PictureError, match=sentence):
        media.encode(given)


def test_what_is_not_canonical_is_refused() -> None:
    png = media.encode(random_pixels(4, 4, 3))
    filtered = bytearray(png)
    filtered[8 + 25 + 8 + 7] = 1  # the filter of the first row
    bomb = png[:41] + zlib.compress(b"\0" * 10_000_000) + png[-12:]
    bad = [b"", b"GIF89a", png[:30], png[:-20], bytes(filtered), b"x" + png[1:], bomb, png + b"x"]
    for given in bad:
        with pytest.raises(media.PictureError, match=r"no canonical PNG.*tasks\.media\.admit"):
            media.pixels(given)


def test_pixels_cannot_be_written_to() -> None:
    """They are kept, and another student would see the change."""
    seen = media.pixels(media.encode(random_pixels(3, 3, 3)))
    with pytest.raises(ValueError, match="read-only"):
        seen[:] = 0
