"""``pocket-vlm`` looks at the picture: what it learns cannot be had from the question."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from students.base import Asked, Data, Decoding, Recipe
from students.pocket_vlm.student import CONTEXT, PocketVlm, _seen
from tasks import media
from tasks.records import Example, stream

STUDENT = PocketVlm(answers=["red", "blue", "left", "right"], width=8, blocks=1)
COLOURS = {"red": (220, 20, 20), "blue": (20, 20, 220)}


def spot(colour: str, side: str, row: int) -> str:
    """A spot on the left or on the right."""
    pixels = np.full((32, 32, 3), 40, np.uint8)
    left = 4 if side == "left" else 20
    pixels[row : row + 8, left : left + 8] = COLOURS[colour]
    return media.keep(media.encode(pixels))


def lesson(rows: range) -> tuple[Example, ...]:
    made = []
    for row in rows:
        for colour in COLOURS:
            for side in ("left", "right"):
                name = (spot(colour, side, row),)
                made.append(Example(prompt="what color is it?", response=colour, media=name))
                made.append(Example(prompt="where is it?", response=side, media=name))
    return tuple(made)


@pytest.fixture(scope="module")
def taught() -> bytes:
    recipe = Recipe(updates=80, batch=32, rate=1e-2)
    return STUDENT.fit(STUDENT.initial(0), Data(lesson(range(0, 24, 2))), recipe, 0)[0]


def asked(examples: tuple[Example, ...]) -> list[Asked]:
    return [Asked(e.prompt, tuple(map(media.picture, e.media))) for e in examples]


def test_it_sees(taught: bytes) -> None:
    """Of pictures that it was not shown it tells colour and place; each question has both answers equally often."""
    fresh = lesson(range(1, 24, 4))
    said = STUDENT.answer(taught, asked(fresh), Decoding(), 0)
    assert np.mean([text == e.response for text, e in zip(said, fresh, strict=True)]) > 0.95
    blind = STUDENT.answer(taught, [Asked(e.prompt) for e in fresh], Decoding(), 0)
    assert len({*blind}) == 2, "without a picture it says one thing to each question"


def test_losses_and_entropies_are_of_the_answer(taught: bytes) -> None:
    some = lesson(range(1, 3))
    losses, entropies = STUDENT.losses(taught, some), STUDENT.entropies(taught, some)
    assert all(0 <= h <= math.log(4) + 1e-9 for h in entropies)
    wrong = [e.model_copy(update={"response": "left" if e.response != "left" else "right"}) for e in some]
    assert np.mean(STUDENT.losses(taught, wrong)) > np.mean(losses) + 1
    untaught = STUDENT.losses(STUDENT.initial(0), some)
    assert np.mean(untaught) == pytest.approx(math.log(4), abs=0.2)


def test_draws_depend_on_the_picture_and_not_on_what_else_is_asked() -> None:
    untaught, warm = STUDENT.initial(0), Decoding(temperature=1.0)
    some = asked(lesson(range(0, 24, 2)))
    said = STUDENT.answer(untaught, some, warm, 3)
    assert said[10:] == STUDENT.answer(untaught, some[10:], warm, 3)
    assert len({*said}) == 4
    assert said != STUDENT.answer(untaught, some, warm, 4)


def test_what_it_cannot_read() -> None:
    one, other = spot("red", "left", 0), spot("blue", "left", 0)
    reasons = {
        None: Example(prompt="where is it?", response="left", media=(one,)),
        "alphabet": Example(prompt="where is it?", response="above", media=(one,)),
        "length": Example(prompt="where " * (CONTEXT + 1), response="left", media=(one,)),
        "media": Example(prompt="where is it?", response="left", media=(one, other)),
    }
    assert {STUDENT.refuse(example): example for example in reasons.values()} == reasons
    long, two = Asked("where " * (CONTEXT + 1)), Asked("where is it?", (media.picture(one), media.picture(other)))
    said = STUDENT.answer(STUDENT.initial(0), [long, Asked("where is it?"), two], Decoding(), 0)
    assert [bool(text) for text in said] == [False, True, False]


def test_other_sizes_are_averaged() -> None:
    large = stream(0, "large").integers(256, size=(64, 96, 3), dtype=np.uint8)
    seen = _seen(media.encode(large))
    assert seen.shape == (3, 32, 32)
    assert seen[0, 0, 0] == round(large[:2, :3, 0].mean())
    assert _seen(media.encode(np.full((5, 7), 9, np.uint8))).tolist() == np.full((3, 32, 32), 9).tolist()
    assert (_seen(b"") == 128).all()


def test_replay_shows_earlier_pictures() -> None:
    """Pictures of the lesson and of replay are numbered apart."""
    recipe = Recipe(updates=60, batch=32, rate=1e-2, replay=0.5)
    old = tuple(e for e in lesson(range(0, 24, 2)) if e.prompt.startswith("what"))
    new = tuple(e for e in lesson(range(0, 24, 2)) if e.prompt.startswith("where"))
    weights, report = STUDENT.fit(STUDENT.initial(0), Data(new, earlier=old), recipe, 0)
    assert np.mean(STUDENT.losses(weights, old)) < 0.3
    assert report.tokens == 60 * 16 * (STUDENT.tokens(new[0]) + STUDENT.tokens(old[0]))


def test_export(tmp_path: Path, taught: bytes) -> None:
    STUDENT.export(taught, tmp_path / "student")
    config = json.loads((tmp_path / "student/config.json").read_text())
    assert config["answers"] == ["red", "blue", "left", "right"]
    assert all(name.startswith("model.") for name in load_file(tmp_path / "student/model.safetensors"))


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"width": 6}, r"student_args\.width is 6; it must be a multiple of 4"),
        ({"blocks": 0}, r"student_args\.blocks is 0; it must be a whole number of at least 1"),
        ({"threads": "one"}, r"student_args\.threads is 'one'"),
    ],
)
def test_bad_arguments(args: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        PocketVlm(**args)  # type: ignore[arg-type]
