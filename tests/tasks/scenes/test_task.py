"""The task: what is sealed and held out, what the judge can tell, and what difficulty means."""

from __future__ import annotations

import numpy as np
import pytest

from tasks import media
from tasks.records import SPLITS, Example, stream
from tasks.scenes import Scenes
from tasks.scenes.drawing import read
from tasks.scenes.questions import HELD

TASK = Scenes()


def looks(names: tuple[str, ...]) -> set[tuple[str, str]]:
    scene = read(media.picture(names[0]))
    assert scene is not None
    return {(thing.colour, thing.shape) for thing in scene}


def test_transfer_shows_what_nothing_else_shows() -> None:
    for split in SPLITS:
        for problem in TASK.split(split):
            asked = any(f"{colour} {shape}" in problem.prompt for colour, shape in HELD)
            shown = asked or not looks(problem.media).isdisjoint(HELD)
            assert shown == (split == "transfer"), problem.id
    assert not any(looks(e.media) & {*HELD} for e in TASK.pool())


def test_no_lesson_shows_a_sealed_picture() -> None:
    sealed = {name for split in SPLITS for p in TASK.split(split) for name in p.media}
    taught = {name for e in (*TASK.pool(), *TASK.generate("color", 300, stream(0, "x"), 0.0)) for name in e.media}
    assert sealed.isdisjoint(taught)
    assert len(sealed) == sum(len(TASK.split(split)) for split in SPLITS), "each has a picture of its own"


def test_the_judge_reads_the_picture() -> None:
    example = TASK.generate("count", 1, stream(0, "x"))[0]
    wrong = next(n for n in "1234" if n != example.response)
    assert TASK.judge(example) is True
    assert TASK.judge(example.model_copy(update={"response": wrong})) is False
    for blind in (
        example.model_copy(update={"media": ()}),
        example.model_copy(update={"media": ("0" * 64,)}),
        example.model_copy(update={"media": example.media * 2}),
        example.model_copy(update={"prompt": "who?"}),
        example.model_copy(update={"media": (media.keep(media.encode(np.zeros((32, 32, 3), np.uint8))),)}),
    ):
        assert TASK.judge(blind) is None


def test_difficulty_is_how_many_things_there_are() -> None:
    def things(examples: list[Example]) -> list[int]:
        return [len(read(media.picture(e.media[0])) or ()) for e in examples]

    rng = stream(0, "difficulty")
    assert max(things(TASK.generate("color", 60, rng, 0.0))) <= 2
    assert max(things(TASK.generate("color", 60, rng, 1.0))) == 6
    assert min(things(TASK.generate_subskill("where", "many things", 40, rng))) >= 5
    assert TASK.subskills("count") == ()


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"known has 'colour'; give some of color, shape"):
        Scenes(known={"colour": 1})
    with pytest.raises(ValueError, match="skill 'colour' is not one of"):
        TASK.generate("colour", 1, stream(0, "x"))
