"""The chains of ``lego``: values, identities, the paper's imbalance."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tasks.lego import IMBALANCE, POOL, Lego
from tasks.records import Example, stream


@pytest.mark.parametrize(
    ("prompt", "bit"),
    [("a=1:1", "1"), ("a=1,b=-a:2", "0"), ("k=1,b=-k,x=+b,a=-x,m=+a:3", "0")],
)
def test_chains_are_followed(prompt: str, bit: str) -> None:
    task = Lego()
    assert task.judge(Example(prompt=prompt, response=bit)) is True
    assert task.judge(Example(prompt=prompt, response=str(1 - int(bit)))) is False


@pytest.mark.parametrize(
    "prompt",
    ["", ":", "a=1", "a=1:0", "a=1:2", "a=1:a", "a=2:1", "a=-a:1", "b=+a:1", "a=1,b=0:1", "a=1,c=+b:2"],
)
def test_what_is_no_chain_cannot_be_judged(prompt: str) -> None:
    assert Lego().judge(Example(prompt=prompt, response="1")) is None


def test_generated_chains_are_right_and_ask_what_their_skill_says() -> None:
    task = Lego()
    for depth, skill in enumerate(task.skills):
        made = task.generate(skill, 200, np.random.default_rng(0))
        assert all(task.judge(e) for e in made)
        assert 60 < sum(e.response == "1" for e in made) < 140
        assert not {task.identity(e.prompt) for e in made} & task.sealed
        assert {e.prompt[-1] for e in made} == {str(depth + 1)}


def test_the_pool_is_out_of_balance_as_in_the_paper() -> None:
    counts = Counter(e.skills[0] for e in Lego().pool())
    assert tuple(counts[s] // POOL for s in Lego.skills) == IMBALANCE


def test_subskills_are_lengths_of_the_chain() -> None:
    task = Lego()
    assert task.subskills("depth-5") == ("5 variables",)
    assert task.subskills("depth-1")[-1] == "1 variable"
    for skill in task.skills:
        for name in task.subskills(skill):
            for example in task.generate_subskill(skill, name, 20, stream(0, "subskills")):
                clauses, asked = example.prompt.split(":")
                assert (len(clauses.split(",")), asked) == (int(name[0]), skill[-1])
                assert task.judge(example)
