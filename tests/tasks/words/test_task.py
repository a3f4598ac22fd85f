"""The word problems: answers worked out by hand, wordings that are read back, and what no split may share."""

from __future__ import annotations

from collections import Counter

import pytest

from tasks.records import SPLITS, Example, Split, stream
from tasks.words import Words
from tasks.words.kinds import CATALOGUE
from tasks.words.lexicon import spoken
from tasks.words.task import SEALED
from tasks.words.wording import skeleton

TASK = Words()


@pytest.mark.parametrize(
    ("skill", "prompt", "answer"),
    [
        ("where", "tom is in the hall. ann is in the shop. where is tom?", "hall"),
        ("where", "ann is in the shop. tom is in the hall. where is tom?", "hall"),
        ("more", "tom has 7 nuts. ann has 9 nuts. who has more?", "ann"),
        ("add", "tom has 7 nuts. tom gets 5 more. how many nuts has tom now?", "12"),
        ("take", "tom had 7 nuts and lost 5. how many are left?", "2"),
        ("groups", "there are 4 bags with 6 nuts in each. how many nuts are there?", "24"),
        ("total", "tom brings 3 nuts and ann brings 4. how many is that together?", "7"),
        ("twice", "tom has 8 nuts. ann has twice as many. how many nuts has ann?", "16"),
        ("last", "first comes the hat, then the cup, then the key. which comes last?", "key"),
        ("difference", "tom has 9 nuts. ann has 4 nuts. how many more has tom?", "5"),
        (
            "moved",
            "tom went to the hall. ann went to the shop. then tom went to the barn. where is tom now?",
            "barn",
        ),
        (
            "carried",
            "tom took the hat. ann took the cup. tom went to the hall. ann went to the shop. where is the hat?",
            "hall",
        ),
        ("three", "tom brings 2 nuts, ann brings 3 and ben brings 4. how many is that together?", "9"),
        ("chain", "tom had 6 nuts, found 5 more and lost 4. how many are left?", "7"),
        ("share", "4 friends share 12 nuts. how many nuts does each get?", "3"),
        ("clock", "tom comes at 11 and stays 3 hours. when does tom go?", "2"),
        ("clock", "tom comes at 10 and stays 2 hours. when does tom go?", "12"),
        ("days", "tom comes on saturday and stays 9 days. on which day does tom go?", "monday"),
        ("tallest", "ann is taller than ben. tom is taller than ann. who is the tallest?", "tom"),
        ("tallest", "ben is not as tall as ann. ann is not as tall as tom. who is the tallest?", "tom"),
        ("change", "tom pays 50 for the hat, which costs 13. how much does tom get back?", "37"),
    ],
)
def test_answers_worked_out_by_hand(skill: str, prompt: str, answer: str) -> None:
    assert TASK.solve(prompt) == (skill, answer)
    assert TASK.judge(Example(prompt=prompt, response=answer)) is True
    assert TASK.judge(Example(prompt=prompt, response=answer + "0")) is False


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "how many?",
        "tom is in the hall. ann is in the shop. where is ben?",  # of whom nothing is said
        "tom is in the hall. tom is in the shop. where is tom?",  # two places at once
        "tom has 7 nuts. ann has 7 nuts. who has more?",
        "tom had 5 nuts and lost 7. how many are left?",
        "5 friends share 12 nuts. how many nuts does each get?",
        "tom had many nuts and lost 7. how many are left?",
        "tom comes at 13 and stays 2 hours. when does tom go?",
    ],
)
def test_what_is_no_problem_cannot_be_judged(prompt: str) -> None:
    assert TASK.solve(prompt) is None
    assert TASK.judge(Example(prompt=prompt, response="7")) is None


def test_every_kind_is_asked_in_all_its_wordings_and_read_back() -> None:
    for kind in CATALOGUE:
        made = TASK.generate(kind.name, 60, stream(0, "read"))
        assert [TASK.solve(e.prompt) for e in made] == [(kind.name, e.response) for e in made]
        assert not {TASK.identity(e.prompt) for e in made} & TASK.sealed
        used = {skeleton(spoken(e.prompt)) for e in made}
        assert used == {wording.skeleton for wording in kind.wordings[:-1]}, kind.name
        assert kind.wordings[-1].skeleton not in used


def test_an_answer_that_says_more_or_less_is_wrong() -> None:
    problem = TASK.split("feedback")[0]
    assert TASK.grade(problem, f" {problem.answer.upper()}.").correct
    assert not TASK.grade(problem, f"{problem.answer} {problem.answer}").correct
    assert not TASK.grade(problem, "").correct


def test_the_same_question_in_other_words_is_the_same() -> None:
    asked = "tom had 7 nuts and found 5 more. how many now?"
    other = "Tom has 7 nuts.  Tom gets 5 more: how many nuts has Tom now"
    assert TASK.identity(asked) == TASK.identity(other)
    assert TASK.identity(asked) != TASK.identity(asked.replace("7", "8"))
    assert TASK.identity(asked) != TASK.identity(asked.replace("found", "lost"))


@pytest.mark.parametrize("split", SPLITS)
def test_the_wordings_of_a_split_come_in_turn(split: Split) -> None:
    """So every prefix is a fair sample; the transfer split asks in a wording that is kept for it."""
    for kind in CATALOGUE:
        wordings = kind.wordings[-1:] if split == "transfer" else kind.wordings[:-1]
        problems = [p for p in TASK.split(split) if p.skills[0] == kind.name]
        assert len(problems) == SEALED[split]
        for i, problem in enumerate(problems):
            assert skeleton(spoken(problem.prompt)) == wordings[i % len(wordings)].skeleton


def test_difficulty_bounds_the_numbers() -> None:
    easy = TASK.generate("change", 200, stream(0, "easy"), 0.0)
    free = TASK.generate("change", 200, stream(0, "free"))
    assert max(int(e.response) for e in easy) < 40 < max(int(e.response) for e in free)


def test_drills_are_of_what_was_drilled_in_its_shares() -> None:
    counts = Counter(e.skills[0] for e in TASK.prior(2000, stream(0, "prior")))
    shares = {kind.name: kind.drilled for kind in CATALOGUE if kind.drilled}
    assert set(counts) == set(shares)
    total = sum(shares.values())
    for name, share in shares.items():
        assert counts[name] / 2000 == pytest.approx(share / total, abs=0.04)


def test_what_the_student_was_asked_before_may_be_given() -> None:
    """The warm start changes, and nothing that is sealed: rows of two such tasks ask the same problems."""
    task = Words(known={"twice": 3, "chain": 1})
    prior = task.prior(400, stream(0, "prior"))
    counts = Counter(e.skills[0] for e in prior)
    assert set(counts) == {"twice", "chain"}
    assert counts["twice"] / 400 == pytest.approx(0.75, abs=0.08)
    assert all(task.judge(e) for e in prior)
    assert not any(task.asks_sealed([e.prompt for e in prior]))
    assert task.fingerprint == TASK.fingerprint
    with pytest.raises(ValueError, match=r"known has 'twize'; give some of where, .*, change"):
        Words(known={"twize": 1})


def test_stories_tell_no_sealed_answer() -> None:
    """Of the problems whose places a story has too, none is told."""
    told = set(". ".join(TASK.stories(3000, stream(0, "stories"))).split(". "))
    asked = [TASK._read(p.prompt) for name in SPLITS for p in TASK.split(name) if p.skills[0] == "add"]
    slots = [found.slots for found in asked if found is not None and "p" not in found.slots]
    sealed = {f"{s['a']} has {s['x']} {s['t']} and gets {s['y']} more" for s in slots}
    assert len(sealed) > 200
    assert sum(sentence.endswith("more") and "gets" in sentence for sentence in told) > 500
    assert not told & sealed
