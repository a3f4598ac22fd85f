"""Admission: what a picture from outside becomes, and one sentence for each that is refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks import media
from tasks.records import stream

Image = pytest.importorskip("PIL.Image")
PIXELS = stream(0, "admission").integers(256, size=(6, 8, 3), dtype=np.uint8)


def saved(image: Any, form: str, **options: Any) -> bytes:
    held = io.BytesIO()
    image.save(held, form, **options)
    return held.getvalue()


def test_the_same_pixels_have_the_same_digest() -> None:
    """Whatever file they come in, and whatever is written into it besides."""
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    told.add_text("author", "somebody")
    image = Image.fromarray(PIXELS)
    files = [saved(image, "PNG"), saved(image, "PNG", pnginfo=told, compress_level=1), saved(image, "BMP")]
    files.append(saved(image, "WEBP", lossless=True))
    assert {media.admit(file) for file in files} == {media.encode(PIXELS)}
    assert media.admit(media.encode(PIXELS)) == media.encode(PIXELS)


def test_palettes_and_clear_pixels() -> None:
    """What is transparent lies on white."""
    clear = Image.fromarray(np.array([[[9, 9, 9, 0], [9, 9, 9, 255]]], np.uint8), "RGBA")
    assert media.pixels(media.admit(saved(clear, "PNG"))).tolist() == [[[255] * 3, [9] * 3]]
    palette = Image.fromarray(PIXELS).quantize(4)
    assert np.array_equal(media.pixels(media.admit(saved(palette, "PNG"))), np.asarray(palette.convert("RGB")))
    bits = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    assert media.grey(media.admit(saved(bits, "PNG"))).tolist() == [[0, 255]]


def test_a_photograph_stands_upright() -> None:
    """A camera writes down how it was held; the pixels are turned, and the note is left behind."""
    exif = Image.Exif()
    exif[0x0112] = 3
    held = saved(Image.fromarray(PIXELS), "PNG", exif=exif)
    assert np.array_equal(media.pixels(media.admit(held)), PIXELS[::-1, ::-1])


def deep() -> bytes:
    return saved(Image.fromarray(np.arange(6, dtype=np.uint16).reshape(2, 3) * 9000), "PNG")


def animated() -> bytes:
    frames = [Image.fromarray(np.full((4, 4, 3), i * 60, np.uint8)) for i in range(3)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def bomb() -> bytes:
    return saved(Image.new("1", (20_000, 20_000)), "PNG")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (lambda: b"", "picture is no whole picture"),
        (lambda: b"<svg/>", "no whole picture .*give a PNG, JPEG, WEBP, GIF, BMP file"),
        (lambda: saved(Image.fromarray(PIXELS), "PNG")[:-40], "no whole picture"),
        (lambda: saved(Image.fromarray(PIXELS), "TIFF"), "no whole picture"),
        (deep, "more than 8 bits a channel; convert it to 8 bits"),
        (animated, r"is animated \(3 frames\); give a picture that stands still"),
        (bomb, "20000 × 20000 pixels; give at most|holds too many pixels"),
        (lambda: "face.png", r"is a text \('face.png'\); give the bytes of a picture, not its path"),
        (lambda: 7, "is a int; give the bytes of a picture"),
        (lambda: Path("nowhere.png"), "picture nowhere.png is not there; give the path of a picture"),
        (lambda: Path("/tmp"), "cannot be read"),
    ],
)
def test_one_sentence_for_each(given: Any, sentence: str) -> None:
    with pytest.raises(media.PictureError, match=sentence) as caught:
        media.admit(given())
    assert "\n" not in str(caught.value)
    assert "0x" not in str(caught.value), "no address, so that the sentence is the same every time"


def test_sixteen_bits_of_colour() -> None:
    """Pillow cuts these to eight bits in silence, so the header is asked."""
    head = bytearray(saved(Image.fromarray(PIXELS), "PNG"))
    head[24] = 16
    with pytest.raises(media.PictureError, match=r"more than 8 bits|no whole picture"):
        media.admit(bytes(head))


def test_damage_anywhere_is_said_or_harmless() -> None:
    """No byte that is changed gets past as another error."""
    rng = stream(0, "damage")
    for form in ("PNG", "JPEG", "GIF", "BMP"):
        whole = saved(Image.fromarray(PIXELS), form)
        for _ in range(150):
            hurt = bytearray(whole)
            for place in rng.integers(len(hurt), size=3).tolist():
                hurt[place] = int(rng.integers(256))
            try:
                media.pixels(media.admit(bytes(hurt)))
            except media.PictureError:
                continue


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(Image.fromarray(PIXELS), "PNG"))
    assert media.admit(tmp_path / "a.png") == media.encode(PIXELS)
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(1 << 27)
    with pytest.raises(media.PictureError, match=r"huge\.png is a file of \d+ bytes; give at most"):
        media.admit(tmp_path / "huge.png")
