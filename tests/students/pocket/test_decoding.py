"""Writing on: PyTorch's answers token for token, each prompt for itself, and no work for rows that have ended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from students.pocket import decoding
from students.pocket.by_torch import TorchModel
from students.pocket.decoding import choose, draws_for, generate
from students.pocket.transformer import Transformer
from students.training.loop import pack
from tests.students.models import VOCABULARY, parameters_of

ENDS = 12  # a token in eight ends an answer
HEADS = 2
MODEL = Transformer(parameters_of(np.random.default_rng(0), 2, 16, np.float32), HEADS)
REFERENCE = TorchModel(pack(MODEL.parameters), False, HEADS, 64, 1)


def prompts(n: int, seed: int = 0) -> list[list[int]]:
    """Rows of any length, no two alike."""
    rng = np.random.default_rng(seed)
    return [[i % VOCABULARY, *rng.integers(VOCABULARY, size=length)] for i, length in enumerate(rng.integers(1, 8, n))]


def written(rows: Sequence[Sequence[int]], most: int, temperature: float, seed: int = 0) -> list[list[int]]:
    rooms = np.full(len(rows), most)
    return generate(MODEL, rows, rooms, temperature, draws_for(seed, [str(row) for row in rows], most), ENDS)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.sampled_from([0.0, 0.7, 2.0]), st.integers(0, 9))
def test_it_writes_what_the_reference_writes(n: int, most: int, temperature: float, seed: int) -> None:
    rows = prompts(n, seed)
    draws = draws_for(seed, [str(row) for row in rows], most)
    rooms = np.random.default_rng(seed).integers(1, most + 1, n)
    found = generate(MODEL, rows, rooms, temperature, draws, ENDS)
    assert found == REFERENCE.write(rows, rooms, temperature, draws, ENDS)
    for answer, room in zip(found, rooms, strict=True):
        assert 1 <= len(answer) <= room
        assert all(token >= ENDS for token in answer[:-1])
        assert len(answer) == room or answer[-1] < ENDS


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_answer_depends_on_what_else_is_asked(temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = prompts(60)
    together = written(rows, 10, temperature)
    assert len({len(answer) for answer in together}) > 3
    assert together == [written([row], 10, temperature)[0] for row in rows]
    assert together == written(rows[::-1], 10, temperature)[::-1]
    monkeypatch.setattr(decoding, "BLOCK", 7)
    assert together == written(rows, 10, temperature)


def test_a_shorter_room_gives_the_beginning() -> None:
    rows = prompts(30)
    assert written(rows, 4, 1.0) == [answer[:4] for answer in written(rows, 12, 1.0)]


def test_a_prompt_that_comes_twice_is_drawn_for_twice() -> None:
    one, two = draws_for(0, ["a", "a"], 5)
    assert (one != two).all()
    np.testing.assert_array_equal(draws_for(0, ["b", "a", "a"], 9)[1:, :5], [one, two])
    assert (draws_for(1, ["a"], 5) != one).all()


def test_rows_that_have_ended_are_no_longer_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row is read once a token that it has, but where fewer than a quarter of a block have ended."""
    read: list[int] = []
    inner = decoding._Block._read

    def counts(self: decoding._Block, tokens: np.ndarray) -> None:
        read.append(len(tokens))
        inner(self, tokens)

    monkeypatch.setattr(decoding._Block, "_read", counts)
    answers = written(prompts(200), 12, 1.0)
    longest = max(map(len, answers))
    assert len(read) == longest - 1, "of the last token nothing is predicted"
    for step, rows in enumerate(read, 1):
        live = sum(len(answer) > step for answer in answers)
        assert live <= rows <= live / 0.75 + 1


def test_a_choice_is_where_the_distribution_passes_the_draw() -> None:
    logits = np.log(np.array([[0.5, 0.3, 0.2]], np.float32))
    for draw, token in ((0.0, 0), (0.49, 0), (0.51, 1), (0.79, 1), (0.81, 2), (1 - 1e-16, 2)):
        assert choose(logits, 1.0, np.array([draw])).tolist() == [token]
    hot = [choose(logits, 100.0, np.array([draw]))[0] for draw in np.linspace(0, 0.999, 300)]
    np.testing.assert_allclose(np.bincount(hot) / 300, 1 / 3, atol=0.01)
    assert choose(logits, 1e-3, np.array([0.999])).tolist() == choose(logits, 0.0, np.array([0.999])).tolist() == [0]
