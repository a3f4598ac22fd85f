"""Records grow without renaming what there is: an optional field that holds nothing is in no JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from dataenv import registry
from dataenv.environment.env import TeachingEnv
from tasks.records import Example, Grade, Problem, digest_examples
from tests.toys import TOYS, Reverse


class Parted(Reverse):
    """The same problems, graded letter by letter."""

    name = "parted"

    def grade(self, problem: Problem, response: str) -> Grade:
        parts = {f"letter {i}": response[i : i + 1] == letter for i, letter in enumerate(problem.answer)}
        return Grade(correct=all(parts.values()) and response.strip() == problem.answer, parts=parts)


@pytest.fixture
def parted(monkeypatch: pytest.MonkeyPatch, toys: None) -> None:
    monkeypatch.setitem(registry.TASKS, "parted", f"{__name__}:Parted")


def test_an_optional_field_that_holds_nothing_is_in_no_json() -> None:
    assert set(Example(prompt="p", response="r").model_dump()) == {"prompt", "response", "skills", "kind", "origin"}
    assert set(Grade(correct=True).model_dump()) == {"correct", "error", "lenient"}
    held = {"id", "prompt", "answer", "skills", "split", "difficulty"}
    assert set(Problem(id="i", prompt="p", answer="a", skills=(), split="test").model_dump()) == held


def test_what_a_field_holds_comes_back_and_names_another_lesson() -> None:
    plain = Example(prompt="p", response="r")
    full = [
        plain.model_copy(update=change)
        for change in ({"kind": "edit"}, {"check": "[1]"}, {"media": ("a", "b")}, {"rejected": "x"})
    ]
    assert len({digest_examples([e]) for e in (plain, *full)}) == 5
    for example in full:
        assert Example.model_validate_json(example.model_dump_json()) == example
    grade = Grade(correct=False, parts={"test 1": True, "test 2": False})
    assert Grade.model_validate_json(grade.model_dump_json()) == grade
    assert json.loads(grade.model_dump_json())["parts"] == {"test 1": True, "test 2": False}


@pytest.mark.parametrize("fields", [{"kind": "poem"}, {"check": "{"}, {"media": "abc"}, {"check": 3}], ids=str)
def test_what_is_no_example_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Example.model_validate({"prompt": "p", "response": "r"} | fields)


def test_a_task_of_parts_is_taught_and_graded_as_one_without(parted: None) -> None:
    histories = []
    for task in ("parted", "reverse"):
        env = TeachingEnv("skill-list", store="off", **TOYS | {"task": task})
        env.reset(seed=0)
        for _ in range(2):
            env.step(np.ones(2, np.float32))
        histories.append([(s.reward, s.selection, s.feedback, s.loss) for s in env.history])
    assert histories[0] == histories[1]
    problem = Parted().split("test")[0]
    grade = Parted().grades([(problem, problem.answer[:1])])[0]
    assert (grade.correct, sum(grade.parts.values()) if grade.parts else 0) == (False, 1)
