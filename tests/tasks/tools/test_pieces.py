"""The pieces: each text of the task is made of them, and comes back as it was."""

from __future__ import annotations

import pytest

from students.pocket.pieces import Pieces
from tasks.records import SPLITS
from tasks.tools import Tools
from tasks.tools.kinds import STYLES
from tasks.tools.pieces import PIECES


@pytest.mark.parametrize("style", STYLES)
def test_every_prompt_and_plan_is_made_of_pieces(style: str) -> None:
    vocabulary = Pieces(PIECES)
    for split in SPLITS:
        for problem in Tools(style).split(split):  # type: ignore[arg-type]
            assert vocabulary.knows(problem.prompt), problem.prompt
            assert vocabulary.knows(problem.answer), problem.answer
            assert vocabulary.decode(vocabulary.encode(problem.answer)) == problem.answer


def test_no_piece_stands_twice_or_holds_a_space() -> None:
    assert len(set(PIECES)) == len(PIECES)
    assert not [piece for piece in PIECES if not piece or any(c.isspace() for c in piece)]
