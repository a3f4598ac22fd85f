"""What teachers with ``chat`` and ``engine`` share: each of them draws from the task, or from a language model."""

from __future__ import annotations

from typing import Any

import pytest

from teachers.accel import Accel
from teachers.best_of import BestOf
from teachers.chat.spec import ChatError
from teachers.drawing import DrawingTeacher
from teachers.influence import Influence
from teachers.lessons import Source
from teachers.llm2llm import Llm2Llm
from teachers.practice import DeliberatePractice
from tests.teachers.fakes import Fake

DRAWING: tuple[Any, ...] = (Accel, BestOf, Influence, Llm2Llm, DeliberatePractice)
CHAT = {"base_url": "http://127.0.0.1:9/v1", "model": "scripted"}


def test_all_of_them_are_here() -> None:
    assert set(DrawingTeacher.__subclasses__()) == set(DRAWING)


@pytest.mark.parametrize("kind", DRAWING)
def test_without_a_chat_the_task_is_the_source(kind: Any) -> None:
    teacher = kind()
    teacher.begin(Fake())
    assert (teacher.level, type(teacher._source)) == ("open-ended", Source)
    assert teacher.yields is teacher._source.yields
    assert teacher.most_requests(40) == 0


@pytest.mark.parametrize("kind", DRAWING)
def test_with_a_chat_a_lesson_takes_requests(kind: Any) -> None:
    most = kind(chat=CHAT).most_requests(40)
    assert most is None or most > 40


@pytest.mark.parametrize("kind", DRAWING)
def test_an_engine_without_a_chat_is_refused(kind: Any) -> None:
    with pytest.raises(ChatError, match="engine is given and chat is not"):
        kind(engine={"references": 2})


@pytest.mark.parametrize("kind", DRAWING)
def test_a_wrong_field_of_the_engine_is_named(kind: Any) -> None:
    with pytest.raises(ChatError, match="solution is no field; did you mean solutions"):
        kind(chat=CHAT, engine={"solution": 3})
