"""Pre-training: one seed, one file; no text that a sealed problem asks; and it learns."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from students.base import Recipe
from students.pocket.vocabulary import EOS
from students.training.loop import IGNORE
from students.word_lm.pretrain import DRILLS, STORIES, corpus, pretrain, vocabulary
from tasks.words import Words

SHORT = Recipe(updates=12, cooldown=4, rate=3e-3, warmup=2)
TASK = Words()
LIST = vocabulary(TASK)


def test_one_seed_is_one_file(capsys: pytest.CaptureFixture[str]) -> None:
    made = pretrain(SHORT, seed=3, width=16, layers=1, every=10)
    assert pretrain(SHORT, seed=3, width=16, layers=1, every=10).digest == made.digest
    assert pretrain(SHORT, seed=4, width=16, layers=1, every=10).digest != made.digest
    assert "update 10 of 16" in capsys.readouterr().out


def test_the_corpus_is_drills_with_their_answers_and_whole_stories() -> None:
    for batch in islice(corpus(TASK, LIST, 0), 3):
        assert len(batch.ids) == DRILLS + STORIES
        for i, (ids, targets) in enumerate(zip(batch.ids, batch.targets, strict=True)):
            end = int(np.flatnonzero(targets == EOS)[0])
            first = int(np.flatnonzero(targets != IGNORE)[0])
            assert np.array_equal(targets[first : end + 1], ids[first : end + 1])
            if i < DRILLS:
                prompt, answer = LIST.decode(ids[:first]), LIST.decode(targets[first:])
                solved = TASK.solve(prompt)
                assert solved is not None
                assert solved[1] == answer
                assert TASK.identity(prompt) not in TASK.sealed
            else:
                assert first == 1


def test_every_word_of_the_task_has_a_token() -> None:
    texts = [p.prompt + " " + p.answer for p in (*TASK.split("test"), *TASK.split("transfer"))]
    assert all(LIST.knows(text) for text in texts)
    assert len(set(LIST.words)) == len(LIST.words)
