"""The words that ``pocket-vlm`` reads and answers."""

from __future__ import annotations

import pytest

from students.pocket_vlm.words import ANSWERS, READ, SIZE, STRANGE, AnswerList, rows_of
from tasks.scenes import Scenes
from tasks.scenes.questions import KINDS


def test_known_words_have_rows_of_their_own() -> None:
    assert len(set(READ)) == len(READ)
    rows = [row for word in READ for row in rows_of(word)]
    assert rows == list(range(1, len(READ) + 1))
    assert rows_of("IS there a Red circle?!") == rows_of("is there a red circle")


def test_strange_words_share_rows() -> None:
    found = {row for word in ("zebra", "quux", "é", "7", "\ud800", "漢字") for row in rows_of(word)}
    assert found <= set(range(len(READ) + 1, SIZE))
    assert STRANGE + len(READ) + 1 == SIZE
    assert rows_of("") == rows_of(" ? ") == []


def test_it_knows_what_its_tasks_ask_and_answer() -> None:
    assert {answer for kind in KINDS for answer in kind.answers} <= set(ANSWERS)
    strange = {p.prompt for p in Scenes().split("feedback") if max(rows_of(p.prompt)) > len(READ)}
    assert strange == set()


@pytest.mark.parametrize("answers", [[], ["a"], ["a", "a"], ["a", ""], "ab", ["a", 1]])
def test_bad_lists_are_refused(answers: list[str]) -> None:
    with pytest.raises(ValueError, match=r"student_args\.answers must be a list of at least two different texts"):
        AnswerList(answers)
