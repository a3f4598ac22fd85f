"""A scene is drawn to the pixel and read back."""

from __future__ import annotations

import hashlib

import numpy as np

from tasks import media
from tasks.records import stream
from tasks.scenes.drawing import Thing, draw, read
from tasks.scenes.questions import KINDS, drawn
from tasks.scenes.task import LOOKS


def test_every_scene_is_read_back() -> None:
    rng = stream(0, "scenes")
    for kind in KINDS:
        for _ in range(20):
            scene, _, _ = drawn(kind, 6, LOOKS, rng)
            assert read(draw(scene)) == scene


def test_a_picture_is_the_same_everywhere() -> None:
    """Written down, so that a change of the drawing (and of every sealed picture) is seen."""
    scene = (Thing("red", "circle", "large", 0, 1, 0, 1), Thing("white", "triangle", "small", 3, 2, 3, 2))
    assert hashlib.sha256(draw(scene)).hexdigest()[:16] == "31d6123839dd5558"


def test_what_is_no_scene_is_not_read() -> None:
    pixels = media.pixels(draw((Thing("red", "cross", "small", 0, 0),))).copy()
    pixels[2, 2] ^= 1
    assert read(media.encode(pixels)) is None
    assert read(media.encode(np.zeros((8, 8, 3), np.uint8))) is None
    assert read(draw(())) == ()
