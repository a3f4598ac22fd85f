"""The requests: golden examples, wordings that are read back, what no split may share, and arguments."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tasks.records import SPLITS, Example, stream
from tasks.templates import spoken
from tasks.tools import Tools
from tasks.tools.checking import aim_of, is_needless
from tasks.tools.kinds import CATALOGUE, LONGER, STYLES
from tasks.tools.lexicon import FILLERS, LEXICON, PLACEHOLDERS
from tasks.tools.plan import MOST_CALLS, Refusal, read_plan
from tasks.tools.task import KNOWN, SEALED, TRANSFER, WHOLE

TASKS = {style: Tools(style) for style in STYLES}
TASK = TASKS["compact"]


def made(tool: str, args: str) -> str:
    """A call as it is written; ``args`` are JSON without its braces."""
    return f'{{"tool":"{tool}","args":{{{args}}}}}'


LOOKUP = made("lookup", '"good":"nuts","column":"price","city":"oslo"')
FIGS, ROME = LOOKUP.replace("nuts", "figs"), LOOKUP.replace("oslo", "rome")
TRIP, ON = made("travel_time", '"from":"oslo","to":"rome"'), made("travel_time", '"from":"rome","to":"bern"')
PARTY = made("add_event", '"title":"party","day":"monday","hour":9')
CANCEL, FIND = made("cancel_event", '"title":"gym"'), made("find_day", '"title":"gym"')
SHIFT = made("move_event", '"title":"gym","day":"friday","hour":20')
SET = made("set_cell", '"good":"nuts","column":"price","city":"oslo","value":7')
HOURS = made("convert", '"value":"$1","from":"minutes","to":"hours"')


R1, R2, R3, R4 = (f'"${i}"' for i in range(1, 5))


def work(left: str, operation: str, right: str) -> str:
    return made("calculate", f'"left":{left},"operation":"{operation}","right":{right}')


def plan_of(*calls: str) -> str:
    return f"[{','.join(calls)}]"


GOLDEN = [
    ("add_event", "add party monday 9", plan_of(PARTY)),
    ("add_event", "my calendar needs party at 9 on monday.", plan_of(PARTY)),
    ("move_event", "shift gym friday 20", plan_of(SHIFT)),
    ("move_file", "the folder attic should hold bills.", plan_of(made("move_file", '"file":"bills","folder":"attic"'))),
    ("write_file", "write memo red", plan_of(made("write_file", '"file":"memo","content":"red"'))),
    ("convert", "how many m are 5 km?", plan_of(made("convert", '"value":5,"from":"km","to":"m"'))),
    ("lookup", "what is the price of nuts in oslo?", plan_of(LOOKUP)),
    ("set_cell", "set price nuts oslo 7", plan_of(SET)),
    ("travel_time", "way oslo rome", plan_of(TRIP)),
    ("calculate", "work 7 times 8", plan_of(work("7", "times", "8"))),
    ("join_texts", "join red sour", plan_of(made("join_texts", '"first":"red","second":"sour"'))),
    ("same-day", "add party like gym 9", plan_of(FIND, PARTY.replace('"monday"', R1))),
    ("cost", "what do 5 nuts cost in oslo?", plan_of(LOOKUP, work("5", "times", R1))),
    ("trip-in", "travel oslo rome in hours", plan_of(TRIP, HOURS)),
    ("write-trip", "log memo oslo rome", plan_of(TRIP, made("write_file", f'"file":"memo","content":{R1}'))),
    ("price-gap", "gap nuts oslo rome", plan_of(LOOKUP, ROME, work(R1, "minus", R2))),
    ("via", "how long is it from oslo to bern via rome?", plan_of(TRIP, ON, work(R1, "plus", R2))),
    ("replace", "swap gym party monday 9", plan_of(CANCEL, PARTY)),
    ("raise", "raise price nuts oslo 7", plan_of(LOOKUP, work(R1, "plus", "7"), SET.replace(":7", f":{R2}"))),
    (
        "basket",
        "basket 5 nuts 2 figs oslo",
        plan_of(LOOKUP, work("5", "times", R1), FIGS, work("2", "times", R3), work(R2, "plus", R4)),
    ),
]


@pytest.mark.parametrize(("skill", "prompt", "plan"), GOLDEN)
def test_plans_worked_out_by_hand(skill: str, prompt: str, plan: str) -> None:
    assert TASK.solve(prompt) == (skill, plan)
    assert TASK.judge(Example(prompt=prompt, response=f" {plan}\n")) is True
    assert TASK.judge(Example(prompt=prompt, response=plan[:-1])) is False


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "add party",
        "add gym monday 9",  # a new event is of another list
        "add party monday 24",
        "convert 3 km kg",
        "convert 3 km km",
        "convert 61 km m",
        "way oslo oslo",
        "travel oslo rome in km",
        "travel oslo rome in minutes",
        "please book the moon.",
    ],
)
def test_what_is_no_request_cannot_be_judged(prompt: str) -> None:
    assert TASK.solve(prompt) is None
    assert TASK.judge(Example(prompt=prompt, response=GOLDEN[0][2])) is None
    assert TASK.judge(Example(prompt=prompt, response="x")) is None


@pytest.mark.parametrize("style", STYLES)
def test_every_kind_is_asked_in_all_its_wordings_and_read_back(style: Any) -> None:
    task = TASKS[style]
    for kind in CATALOGUE:
        made = task.generate(kind.name, 40, stream(0, "read"))
        assert [task.solve(e.prompt) for e in made] == [(kind.name, e.response) for e in made]
        assert not {task.identity(e.prompt) for e in made} & task.sealed
        used = {LEXICON.skeleton(spoken(e.prompt)) for e in made}
        assert used == {template.skeleton for template in kind.templates(style)}, kind.name


def test_no_wording_uses_a_filler_or_a_single_letter_as_a_word_of_its_own() -> None:
    assert len(LEXICON.kind_of) == sum(map(len, FILLERS.values()))  # no word is of two kinds
    texts = [t.text for kind in (*CATALOGUE, *LONGER) for style in STYLES for t in kind.templates(style)]
    assert len({text.lower() for text in texts}) == len(texts)
    for text in texts:
        own = spoken(text.format_map(dict.fromkeys(PLACEHOLDERS, "")))
        assert not set(own) & set(LEXICON.kind_of), text
        assert all(len(word) > 1 for word in own), text


def test_no_two_kinds_read_one_prompt() -> None:
    templates = [(kind.name, t) for kind in (*CATALOGUE, *LONGER) for style in STYLES for t in kind.templates(style)]
    owners: dict[Any, set[str]] = {}
    for name, template in templates:
        owners.setdefault(template.skeleton, set()).add(name)
    assert all(len(names) == 1 for names in owners.values())


@pytest.mark.parametrize("style", STYLES)
def test_no_taught_request_holds_a_whole_other_one(style: Any) -> None:
    """Its words would be a verbatim copy of a sealed prompt. Those of the transfer split are never taught."""
    kinds = [(kind.name, " ".join(t.skeleton)) for kind in (*CATALOGUE, *LONGER) for t in kind.templates(style)]
    held = [(a, b) for a, one in kinds for b, other in kinds if a != b and f" {one} " in f" {other} "]
    assert not [pair for pair in held if pair[1] in TASK.skills]


def test_both_styles_ask_the_same() -> None:
    assert TASK.identity("add party monday 9") == TASK.identity("Please book party on Monday at 9!")
    assert TASK.identity("add party monday 9") != TASK.identity("add party monday 8")
    for split in SPLITS:
        compact, english = (TASKS[style].split(split) for style in STYLES)
        assert Counter(p.skills[0] for p in compact) == Counter(p.skills[0] for p in english)


def test_splits_have_their_sizes_and_every_gold_plan_can_be_run() -> None:
    for split, count in SEALED.items():
        assert Counter(p.skills[0] for p in TASK.split(split)) == dict.fromkeys(TASK.skills, count)
    longer = TASK.split("transfer")
    assert Counter(p.skills[0] for p in longer) == dict.fromkeys((kind.name for kind in LONGER), TRANSFER)
    taught = {"lookup", "calculate", "travel_time", "convert", "write_file", "add_event"}
    assert {skill for p in longer for skill in p.skills[1:]} == taught


def test_transfer_plans_are_longer_than_the_compositions_that_they_extend() -> None:
    def lengths(name: Any) -> list[int]:
        plans = [read_plan(p.answer) for p in TASK.split(name)]
        return [len(plan) for plan in plans if not isinstance(plan, Refusal)]

    assert (min(lengths("test")), max(lengths("test"))) == (1, 3)
    assert (min(lengths("transfer")), max(lengths("transfer"))) == (3, 5)
    assert max(lengths("transfer")) <= MOST_CALLS


def test_no_call_of_a_gold_plan_is_needless() -> None:
    for split in ("feedback", "transfer"):
        for problem in TASK.split(split)[::10]:  # type: ignore[call-overload]
            plan = read_plan(problem.answer)
            assert not isinstance(plan, Refusal)
            assert not any(is_needless(plan, i, aim_of(plan)) for i in range(len(plan))), problem.prompt


@pytest.mark.parametrize("style", STYLES)
def test_difficulty_bounds_numbers_and_words(style: Any) -> None:
    task = TASKS[style]
    for skill, least in (("set_cell", 30), ("travel_time", 12)):
        easy, free = (
            {w for e in task.generate(skill, 150, stream(0, "easy"), d) for w in spoken(e.prompt)} for d in (0.0, None)
        )
        assert len(free) - len(easy) >= least
    problems = [p for p in task.split("feedback") if p.skills[0] == "set_cell"]
    assert 0 <= min(p.difficulty for p in problems) < 0.4 < 0.6 < max(p.difficulty for p in problems) <= 1


def test_subskills_are_arguments_of_a_tool_and_tools_of_a_composition() -> None:
    assert TASK.subskills("convert") == (WHOLE, "length", "weight", "time")
    assert TASK.subskills("calculate") == (WHOLE, "plus", "minus", "times")
    assert TASK.subskills("raise") == (WHOLE, "lookup", "calculate", "set_cell")
    assert TASK.subskills("add_event") == ()
    for skill, part, said in (("convert", "weight", "mg"), ("lookup", "stock", "stock"), ("raise", "set_cell", "set")):
        made = TASK.generate_subskill(skill, part, 60, stream(0, part))
        words = [spoken(e.prompt) for e in made]
        assert any(said in w for w in words)
        if part == "weight":
            assert {w for row in words for w in row} & {"km", "hours", "m", "mm"} == set()
        if part == "stock":
            assert all("stock" in row for row in words)
        if part == "set_cell":
            assert {e.skills for e in made} == {("raise", "set_cell")}
            assert all(TASK.judge(e) for e in made)


def test_the_warm_start_has_what_is_known_in_its_shares() -> None:
    counts = Counter(e.skills[0] for e in TASK.prior(3000, stream(0, "prior")))
    total = sum(KNOWN.values())
    assert set(counts) == set(KNOWN)
    for name, share in KNOWN.items():
        assert counts[name] / 3000 == pytest.approx(share / total, abs=0.04)
    assert Tools(known={}).prior(10, stream(0, "prior")) == []
    assert {e.skills[0] for e in Tools(known={"via": 2}).prior(10, stream(0, "prior"))} == {"via"}


def test_same_compares_what_plans_come_to() -> None:
    one = Example(prompt="way oslo rome", response=f"[{TRIP}]")
    assert TASK.same(one, f" [ {TRIP} ] ")
    assert not TASK.same(one, f"[{ON}]")
    assert not TASK.same(one, "x")
    wrong = one.model_copy(update={"response": "x"})
    assert TASK.same(wrong, "x")
    assert not TASK.same(wrong, one.response)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"style": "french"}, "task_args.style is 'french'; give one of compact, english"),
        ({"known": {"fly": 1}}, "known has 'fly'; give some of"),
        ({"known": {"via": 0}}, "known.via is 0; give a number above 0"),
        ({"known": {"via": True}}, "known.via is True"),
        ({"known": {"via": float("nan")}}, "known.via is nan"),
        ({"known": ["via"]}, "known is a list; give a table of skills and shares"),
    ],
)
def test_bad_arguments_are_one_sentence(args: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(").replace(".", r"\.")):
        Tools(**args)
