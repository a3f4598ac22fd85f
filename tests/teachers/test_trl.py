"""The environments for TRL, without TRL: what is said, what a tool call comes to, and what TRL would find."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import dataenv
from dataenv.errors import ActionError, SettingError
from teachers.trl import Examples, Weights, environments
from tests.toys import PAYING

pytestmark = pytest.mark.usefixtures("toys")


def made(level: str = "skill-list", **how: Any) -> Any:
    return environments(level, **how, **PAYING)()


@pytest.mark.parametrize("kind", [Weights, Examples])
def test_the_model_may_call_teach_and_nothing_else(kind: type) -> None:
    """TRL's rule: every public function of the class but ``reset`` and ``get_reward`` is a tool."""
    public = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
    assert public == {"reset", "get_reward", "teach"}
    (argument,) = list(inspect.signature(kind.teach).parameters)[1:]  # type: ignore[attr-defined]
    assert f"Args:\n            {argument}: " in str(kind.teach.__doc__), "what TRL tells the model of it"  # type: ignore[attr-defined]


def test_an_episode_is_the_environments_own() -> None:
    rollout, env = made(), dataenv.TeachingEnv("skill-list", **PAYING)
    assert '{"skill": "short", "accuracy": 0, "taught": 0}' in rollout.reset(prompt=[], seed=3)
    env.reset(seed=3)
    total, over, said = 0.0, False, ""
    while not over:
        said = rollout.teach({"long": 1})
        _, reward, terminated, truncated, _ = env.step([0.0, 1.0])
        total, over = total + float(reward), terminated or truncated
        assert rollout.get_reward() == pytest.approx(total)
    assert total > 0
    assert "The training is over. Answer without a tool call." in said
    with pytest.raises(ActionError, match="the training is over"):
        rollout.teach({"long": 1})
    assert "100 percent of the budget are left" in rollout.reset()
    assert rollout.get_reward() == 0


def test_examples_are_the_lesson() -> None:
    rollout = made("open-ended")
    assert "You write the examples" in rollout.reset().replace("you write", "You write")
    said = rollout.teach([{"prompt": "abcde>", "response": "edcba"}, {"prompt": 5}])
    assert said.startswith("1 of 2 examples were taught.")
    assert rollout.teach('[{"prompt": "fghij>", "response": "jihgf"}]').startswith("1 of 1")
    assert "The training is over" in rollout.teach([])


def test_rollouts_of_a_group_share_what_was_computed() -> None:
    factory = environments(**PAYING)
    one, other = factory(), factory()
    told = [(each.reset(seed=1), each.teach({"short": 0.5, "long": 0.5})) for each in (one, other)]
    assert told[0] == told[1]
    runner = one._env.runner
    assert runner is other._env.runner
    assert runner.trained == 1
    assert other.reset(seed=2) != told[0][0]


def test_what_a_student_wrote_stays_data() -> None:
    rollout = made(errors=1)
    said = rollout.reset()
    mark = said.split("<errors ")[1].split(">")[0]
    assert said.count(f"</errors {mark}>") == 1
    assert "<errors" not in made(errors=0).reset()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"lnog": 1}, "weights names 'lnog', which is no skill; give names such as 'long'"),
        ({"long": -1}, r"weights\['long'\] is -1; give a number that is not negative"),
        ({"long": float("nan")}, r"weights\['long'\] is nan; give a number"),
        ({"long": True}, r"weights\['long'\] is True; give a number"),
        ([1, 2], "weights is a list; give an object with a weight for each skill"),
        ("{", "the argument is a text that is no JSON"),
    ],
)
def test_a_bad_call_is_one_sentence_and_costs_nothing(given: Any, sentence: str) -> None:
    rollout = made()
    rollout.reset()
    with pytest.raises(ActionError, match=sentence):
        rollout.teach(given)
    assert "of 12 examples were taught" in rollout.teach({"long": 7})


def test_bad_arguments() -> None:
    with pytest.raises(SettingError, match="level is 'skill-tree'; give one of skill-list, open-ended"):
        environments("skill-tree")
    with pytest.raises(ActionError, match="examples is a dict; give a list"):
        made("open-ended").teach({"prompt": "a"})
