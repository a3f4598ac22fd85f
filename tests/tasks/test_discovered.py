"""A task under discovered skills keeps the contract of tasks, and the task's own problems, answers and seals."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from dataenv import check_task
from tasks.discovered import Discovered, Discovery, TextRule, item_key
from tasks.lego import Lego
from tasks.records import SPLITS, stream
from tests.toys import OTHER, Plenty, found


def test_the_contract_holds() -> None:
    check_task(Discovered(Plenty(), found(Plenty())))
    depths = {skill: f"{'short' if skill < 'depth-3' else 'long'} chains" for skill in Lego().skills}
    items = {item_key(Lego(), e.prompt): depths[e.skills[0]] for e in Lego().pool()}
    skills = ("short chains", "long chains")
    check_task(Discovered(Lego(), Discovery(task="lego", method="test", skills=skills, items=items)))


def test_only_the_skills_are_others() -> None:
    own, task = Plenty(), Discovered(Plenty(), found(Plenty()))
    for split in SPLITS:
        ours = {p.id: p for p in task.split(split)}
        assert ours.keys() == {p.id for p in own.split(split)}
        for problem in own.split(split):
            twin = ours[problem.id]
            assert twin.skills == (OTHER[problem.skills[0]],)
            assert twin.model_copy(update={"skills": problem.skills}) == problem
            assert task.grade(twin, problem.answer).correct
            assert task.diagnose(twin, "wrong") == twin.skills
    assert task.sealed == own.sealed
    assert [e.prompt for e in task.pool()] == [e.prompt for e in own.pool()]
    assert (task.name, task.subskills("brief words")) == ("plenty", ())


def test_the_version_names_the_labels() -> None:
    one = Discovered(Plenty(), found(Plenty()))
    items = dict(found(Plenty()).items)
    key = next(iter(items))
    items[key] = "lengthy words" if items[key] == "brief words" else "brief words"
    other = Discovered(Plenty(), found(Plenty(), items=items))
    elsewhere = Discovered(Plenty(), found(Plenty(), method="another", cost={"money": 3.0}))
    assert one.version.startswith("1+")
    assert one.fingerprint == elsewhere.fingerprint
    assert len({one.fingerprint, other.fingerprint, Plenty().fingerprint}) == 3


def test_a_label_stands_and_the_rule_says_the_rest() -> None:
    """One item that was labelled against the rule keeps its label; items that nobody looked at go by the rule."""
    pool = Plenty().pool()
    items = {item_key(Plenty(), e.prompt): OTHER[e.skills[0]] for e in (*pool[:120], *pool[-120:])}
    items[item_key(Plenty(), pool[0].prompt)] = "lengthy words"
    task = Discovered(Plenty(), found(Plenty(), items=items))
    assert [e.skills[0] for e in task.pool()] == ["lengthy words", *(OTHER[e.skills[0]] for e in pool[1:])]
    assert task.label([pool[0].prompt]) == ["brief words"]


def test_the_generator_makes_what_the_rule_gives_to_the_skill() -> None:
    task = Discovered(Lego(), _by_last_bit())
    for skill in task.skills:
        made = task.generate(skill, 50, stream(0, "t"))
        assert Counter(task.label([e.prompt for e in made])).most_common(1)[0][0] == skill
        assert {e.skills for e in made} == {(skill,)}
        assert not {task.identity(e.prompt) for e in made} & Lego().sealed
        assert len(task.generate(skill, 20, stream(0, "t"), 0.0)) == 20


def _by_last_bit() -> Discovery:
    """Skills that cut across the task's own."""
    items = {item_key(Lego(), e.prompt): "ends in 0" if e.response == "0" else "ends in 1" for e in Lego().pool()}
    return Discovery(task="lego", method="test", skills=("ends in 0", "ends in 1"), items=items)


def test_a_batch_of_texts_is_labelled_as_its_parts() -> None:
    texts = [e.prompt for e in Lego().pool()]
    rule = TextRule(texts[:400], [i % 3 for i in range(400)], 3)
    assert rule.labels(texts[:300]) == [rule.labels([text])[0] for text in texts[:300]]
    assert rule.labels([]) == []


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"task": "lego"}, "skills are those of task 'lego', and this is 'plenty'; discover its own"),
        ({"items": {"0" * 16: "brief words", "1" * 16: "lengthy words"}}, "2 of 2 labelled items are not in the"),
        ({"skills": ("brief words", "brief words")}, "skills are no distinct names"),
        ({"skills": ("brief words", "\x1b[2J")}, "skills are no distinct names"),
        ({"skills": ("brief words", "other")}, "items name 'lengthy words', which skills does not"),
        ({"skills": (*OTHER.values(), "third")}, "items hold none of skill 'third'; drop it"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Discovered(Plenty(), found(Plenty(), **fields))


def test_a_skill_that_no_split_asks_is_refused() -> None:
    items = {item_key(Plenty(), e.prompt): "brief words" for e in Plenty().pool()}
    items[next(iter(items))] = "lengthy words"  # one of a kind, which the rule finds nowhere
    with pytest.raises(ValueError, match=r"skills has 'lengthy words', of which .* has no problem"):
        Discovered(Plenty(), found(Plenty(), items=items))
