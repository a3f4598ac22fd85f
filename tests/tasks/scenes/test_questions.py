"""Questions: answered by hand on one scene, and equally often with each answer."""

from __future__ import annotations

from collections import Counter

import pytest

from tasks.records import stream
from tasks.scenes.drawing import Thing
from tasks.scenes.questions import HELD, KINDS, SceneQuestion, drawn, solved
from tasks.scenes.task import LOOKS

SCENE = (
    Thing("red", "circle", "large", 0, 0),
    Thing("blue", "square", "small", 0, 3),
    Thing("red", "cross", "small", 2, 1),
    Thing("green", "square", "large", 3, 3),
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("what color is the circle?", "red"),
        ("what color is the square?", None),  # there are two
        ("what shape is the blue thing?", "square"),
        ("What  shape is the BLUE thing?", "square"),
        ("what size is the green square?", "large"),
        ("how many things are there?", "4"),
        ("how many red things are there?", "2"),
        ("how many white things are there?", "0"),
        ("is there a red square?", "no"),
        ("is there a blue square?", "yes"),
        ("is there a white square?", None),  # half of it is nowhere, and the question alone would say so
        ("where is the green square?", "bottom right"),
        ("are there more red than blue things?", "yes"),
        ("are there more blue than red things?", "no"),
        ("are there more blue than green things?", None),
        ("is the blue thing left of the green one?", None),
        ("is the green thing left of the blue one?", None),
        ("what color is the ghost?", None),
        ("who is there?", None),
        ("", None),
    ],
)
def test_answers(text: str, answer: str | None) -> None:
    found = solved(SCENE, text)
    assert (found and found[1]) == answer


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_answer_is_equally_likely(kind: SceneQuestion) -> None:
    """Within four standard errors; and the words that are asked say nothing of a yes or a no."""
    n, rng = 900, stream(0, "answers")
    made = [drawn(kind, 6, LOOKS, rng) for _ in range(n)]
    counts = Counter(answer for _, _, answer in made)
    share = 1 / len(kind.answers)
    assert set(counts) == set(kind.answers)
    assert all(abs(k / n - share) < 4 * (share * (1 - share) / n) ** 0.5 for k in counts.values())
    assert all(solved(scene, text) == (kind.name, answer) for scene, text, answer in made)
    assert not any((thing.colour, thing.shape) in HELD for scene, _, _ in made for thing in scene)
