"""``llm2llm``: more of what is wrong, of the same difficulty, from seeds alone."""

from __future__ import annotations

from typing import Any

import pytest

from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.episode.loop import run
from teachers.chat.scripted import Server, serving
from teachers.chat.tutor import blocks
from teachers.llm2llm import Llm2Llm
from tests.chatting import backwards
from tests.teachers.fakes import Fake, taught, wrong
from tests.tiny import TINY
from tests.toys import TOYS


def begun(context: Any, **args: Any) -> Llm2Llm:
    teacher = Llm2Llm(**args)
    teacher.begin(context)
    return teacher


def test_every_wrong_seed_gets_equally_many_of_its_skill_and_difficulty() -> None:
    lesson = begun(Fake(), floor=0.0).act(wrong("add 0.5", "add 0.5", "chain 1.0", "add 0.0"), {})
    assert taught(lesson) == {"add 0.5": 20, "chain 1.0": 10, "add 0.0": 10}


def test_the_floor_stands_for_the_seeds_of_every_skill() -> None:
    assert taught(begun(Fake(), floor=0.5).act(wrong("add 1.0"), {})) == {
        "add 1.0": 20,
        "add None": 10,
        "chain None": 10,
    }


def test_a_lesson_is_full_whatever_the_number_of_seeds() -> None:
    for n in (1, 3, 7, 39, 200):
        assert len(begun(Fake(), floor=0.1).act(wrong(*["add 0.0"] * n), {})) == 40


def test_where_nothing_is_wrong_all_skills_are_taught() -> None:
    assert taught(begun(Fake()).act(wrong(), {})) == {"add None": 20, "chain None": 20}


def test_without_a_generator_the_pool_gives_the_same_skill() -> None:
    context = Fake(generator=False)
    lesson = begun(context, floor=0.0).act(wrong("chain 1.0"), {})
    assert taught(lesson) == {"chain None": 40}
    assert len({e.prompt for e in lesson}) == 4, "walked again when it is used up"


def test_a_sealed_seed_is_never_taught() -> None:
    env = TeachingEnv("open-ended", **TINY)
    episode = run(env, Llm2Llm(), seed=0)
    assert episode.steps[-1].ended == "spent"
    assert all("leak" not in step.rejected for step in episode.steps)
    assert env.snapshot().probes == 0, "its seeds are in the observation"


def test_a_floor_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"floor is 2; give a number in \[0, 1\]"):
        Llm2Llm(floor=2)


@pytest.mark.usefixtures("toys")
def test_a_language_model_is_shown_each_seed_and_writes_one_like_it() -> None:
    with serving(Server(backwards)) as server:
        chat = {"base_url": server.base_url, "model": "scripted"}
        teacher = Llm2Llm(floor=0.0, quota=3, chat=chat)
        env = TeachingEnv("open-ended", **TOYS)
        observation, info = env.reset(seed=0)
        teacher.begin(Context(env))
        lesson = teacher.act(observation, info)
    asked = [b for b in server.heard if b["response_format"]["json_schema"]["name"] == "Proposal"]
    shown = [blocks(body["messages"][0]["content"])["references"] for body in asked]
    seeds = {(error["prompt"], error["answer"]) for error in observation["errors"]}
    assert len(shown) >= 3
    assert all((one["question"], one["solution"]) in seeds for one, *_ in shown)
    assert len(lesson) == 3
    assert not {e.prompt for e in lesson} & {problem for problem, _ in seeds}, "a seed is never taught"
