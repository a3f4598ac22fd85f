"""Leaks by picture: the same one always, one that looks alike where pictures are natural."""

from __future__ import annotations

import numpy as np
import pytest

from dataenv.lessons.leaks import guard_of
from dataenv.lessons.picture_leaks import PictureLeaks
from dataenv.lessons.screen import screen
from students.pocket_vlm.student import PocketVlm
from tasks import media
from tasks.records import Example, Problem, stream
from tasks.scenes import Scenes

TASK = Scenes()


def photograph(seed: int) -> media.Pixels:
    """Coarse random cells, which no two photographs share."""
    cells = stream(seed, "photograph").integers(256, size=(8, 8, 3), dtype=np.uint8)
    return cells.repeat(8, 0).repeat(8, 1)


def sealed(seed: int) -> Problem:
    name = media.keep(media.encode(photograph(seed)))
    return Problem(id=str(seed), prompt="what is it?", answer="x", skills=("a",), split="test", media=(name,))


def test_the_same_picture_and_one_that_looks_alike() -> None:
    problems = [sealed(seed) for seed in range(5)]
    noise = stream(0, "noise").integers(-3, 4, size=(64, 64, 3))
    near = media.keep(media.encode(np.clip(photograph(3) + noise, 0, 255).astype(np.uint8)))
    other = media.keep(media.encode(photograph(99)))
    for natural in (True, False):
        found = PictureLeaks(problems, natural)
        assert found.find((other, problems[2].media[0])) == (problems[2], "picture")
        assert found.find((near,)) == ((problems[3], "near-picture") if natural else None)
        assert found.find((other,)) is None
        assert found.find(()) is None
    assert PictureLeaks([], True).find((other,)) is None


def test_the_screen_counts_a_copied_picture_as_a_leak() -> None:
    """Whatever is asked about it; and the text of a question, which many share, is none."""
    problem = TASK.split("test")[0]
    own = TASK.generate(problem.skills[0], 3, stream(0, "own"))
    copied = Example(prompt="how many things are there?", response="1", media=problem.media)
    same_text = own[0].model_copy(update={"prompt": problem.prompt, "response": problem.answer})
    found = screen([*own, copied, same_text], TASK, PocketVlm(), verify=False, largest=9, allowed=None)
    assert [hit.how for hit in found.leaks] == ["picture"]
    assert found.leaks[0].problem.media == problem.media
    assert found.rejected == {"leak": 1} | ({"duplicate": 1} if same_text == own[0] else {})


def test_one_question_about_two_pictures_is_no_duplicate() -> None:
    one, other = TASK.generate("count", 2, stream(0, "two"))
    other = other.model_copy(update={"response": one.response})
    found = screen([one, other, one], TASK, PocketVlm(), verify=False, largest=9, allowed=None)
    assert (len(found.kept), found.rejected) == (2, {"duplicate": 1})


def test_suspects_of_many_and_of_one_agree() -> None:
    examples = [*TASK.pool()[:20], Example(prompt="x", response="y", media=TASK.split("feedback")[0].media)]
    guard = guard_of(TASK)
    found = guard.find_all(examples)
    assert found == [guard.find(example) for example in examples]
    assert [hit is not None for hit in found] == [False] * 20 + [True]


@pytest.mark.parametrize("media_", [("0" * 64,), ("short",)])
def test_a_digest_of_nothing_is_no_leak_and_not_trained(media_: tuple[str, ...]) -> None:
    lost = Example(prompt="x?", response="1", media=media_)
    found = screen([lost], TASK, PocketVlm(), verify=False, largest=9, allowed=None)
    assert found.rejected == {"media": 1}
