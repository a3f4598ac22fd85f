"""The pocket student with pieces for tokens: what a piece is, and that it is ``pocket`` otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from students.base import Data, Decoding, Recipe, asked
from students.pocket.pieces import PiecePocket, Pieces
from tasks.records import Example

SMALL = ("way", "oslo", "rome", "7", '"oslo"', '"rome"', '{"from":', ',"to":', "}", "[", "]", "wayward")
LESSON = tuple(
    Example(prompt=f"way {a} {b}", response=f'[{{"from":"{a}","to":"{b}"}}]')
    for a, b in (("oslo", "rome"), ("rome", "oslo"), ("rome", "rome"), ("oslo", "oslo"))
)
SIZES: dict[str, Any] = {"width": 16, "layers": 2, "heads": 2, "context": 16}


def test_the_longest_piece_is_taken_and_words_are_whole() -> None:
    vocabulary = Pieces(SMALL)
    assert vocabulary.count('[{"from":"oslo","to":"rome"}]') == 7
    assert vocabulary.count("wayward") == vocabulary.count("way") == 1
    assert vocabulary.encode("wayward") != vocabulary.encode("way")
    assert not vocabulary.knows("ways")
    assert not vocabulary.knows("77")
    assert vocabulary.count("ways {") == 2


@pytest.mark.parametrize("text", ["way oslo rome", '[{"from":"oslo","to":"rome"}]', "7[7]way way", ""])
def test_what_is_known_is_read_back(text: str) -> None:
    vocabulary = Pieces(SMALL)
    assert vocabulary.knows(text)
    assert vocabulary.decode([*vocabulary.encode(text), 1, 5]) == text


def test_it_learns_and_answers() -> None:
    student = PiecePocket(SMALL, **SIZES)
    weights, trained = student.fit(student.initial(0), Data(LESSON), Recipe(updates=80, batch=4, rate=1e-2), seed=0)
    assert trained.loss[1] < 0.2 < trained.loss[0]
    said = student.answer(weights, asked([e.prompt for e in LESSON]), Decoding(max_tokens=9), seed=0)
    assert said == [e.response for e in LESSON]


def test_torch_computes_the_same() -> None:
    students = [PiecePocket(SMALL, backend=backend, **SIZES) for backend in ("numpy", "torch")]
    losses = [student.losses(student.initial(0), LESSON) for student in students]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_the_fingerprint_names_the_pieces() -> None:
    student = PiecePocket(SMALL, **SIZES)
    assert PiecePocket(list(SMALL), **SIZES).fingerprint == student.fingerprint
    assert PiecePocket(SMALL[::-1], **SIZES).fingerprint != student.fingerprint
    assert PiecePocket().vocabulary.size > 400


def test_what_is_unknown_or_long_is_refused() -> None:
    student = PiecePocket(SMALL, **SIZES)
    assert student.refuse(LESSON[0]) is None
    assert student.refuse(Example(prompt="way paris", response="7")) == "alphabet"
    assert student.refuse(Example(prompt="way " * 16, response="7")) == "length"


@pytest.mark.parametrize(
    ("pieces", "sentence"),
    [
        ("songs", "student_args.pieces is 'songs'; give one of tools"),
        ([], "give texts without spaces, at least one"),
        (["a b"], "give texts without spaces"),
        ([""], "give texts without spaces"),
        ([7], "give texts without spaces"),
        (["a", "a"], "names a piece twice"),
        (7, "student_args.pieces is 7; give a name or a list"),
    ],
)
def test_bad_pieces_are_one_sentence(pieces: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        PiecePocket(pieces)
