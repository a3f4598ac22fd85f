"""The task ``arithmetic``: what a question is, what is sealed, what is right, and what a wrong answer says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.arithmetic import Arithmetic
from tasks.arithmetic.grammar import OPERATORS, codes, identity, read
from tasks.arithmetic.skills import CATALOGUE, UNTAUGHT
from tasks.records import SPLITS, Example, Grade, Problem, digest_examples, stream

TASK = Arithmetic()
SYMBOLS = "".join(OPERATORS)
operand = st.text("0123456789", min_size=3, max_size=3)
symbol = st.sampled_from(sorted(SYMBOLS))
seeds = st.integers(0, 2**32 - 1)
quick = settings(deadline=None, max_examples=40)


def ask(prompt: str, *skills: str) -> Problem:
    question = read(prompt)
    assert question is not None
    return Problem(id="x", prompt=prompt, answer=question.answer(), skills=skills, split="feedback")


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("123+456....=", "579"),
        ("950+180....=", "041"),  # 59 + 81 = 140
        ("999+100....=", "000"),  # registers wrap
        ("041-950....=", "180"),  # 140 - 59 = 81
        ("123-024....=", "109"),  # 321 - 420 wraps to 901
        ("205^731....=", "735"),
        ("205_731....=", "201"),
        ("205<731....=", "205"),
        ("205>731....=", "731"),
        ("295~731....=", "306"),
        ("205@731....=", "052"),
        ("205$731....=", "025"),
        ("210*310....=", "651"),  # 12 * 13 = 156
        ("123+456^900=", "579:979"),
        ("205^731~000=", "735:846"),
    ],
)
def test_answers_worked_by_hand(prompt: str, answer: str) -> None:
    question = read(prompt)
    assert question is not None
    assert question.answer() == answer


@quick
@given(operand, symbol, operand)
def test_identity_knows_what_commutes_and_what_is_ignored(a: str, op: str, b: str) -> None:
    same = identity(f"{a}{op}{b}....=") == identity(f"{b}{op}{a}....=")
    assert same == (a == b or OPERATORS[op].commutes)
    other = identity(f"{a}{op}{'000' if b != '000' else '111'}....=")
    assert (other == identity(f"{a}{op}{b}....=")) == OPERATORS[op].unary


@quick
@given(operand, symbol, operand, symbol, operand, st.integers(0, 8))
def test_identity_ignores_spaces_and_filler(a: str, op: str, b: str, then: str, c: str, at: int) -> None:
    for prompt in (f"{a}{op}{b}....=", f"{a}{op}{b}{then}{c}="):
        messy = prompt[:at] + " \t. " + prompt[at:].rstrip("=.")
        assert identity(messy) == identity(prompt)


@quick
@given(st.text(max_size=40))
def test_any_text_has_a_stable_identity_and_may_be_judged(text: str) -> None:
    assert identity(text) == identity(f" {text} ")
    if read(text) is None:
        assert TASK.judge(Example(prompt=text, response="1")) is None


@quick
@given(operand, symbol, operand, symbol, operand)
def test_a_prompt_is_not_the_identity_of_another_form(a: str, op: str, b: str, then: str, c: str) -> None:
    assert identity(f"{a}{op}{b}....=") != identity(f"{a}{op}{b}{then}{c}=")


@pytest.mark.parametrize("form", sorted({form for skill in (*CATALOGUE, *UNTAUGHT) for form in skill.forms}))
def test_codes_agree_with_identities(form: str) -> None:
    rng = np.random.default_rng(0)
    a, b, c = (rng.integers(10, size=(400, 3)) for _ in range(3))
    a[200:], b[200:], c[300:] = b[:200], a[:200], 7  # swapped pairs and equal ends, so that identities do collide
    words = [["".join(map(str, row)) for row in x.tolist()] for x in (a, b, c)]
    names = [identity(f"{x}{form[0]}{y}{form[1:] + z if form[1:] else ''}=") for x, y, z in zip(*words, strict=True)]
    numbers = codes(form, a, b, c).tolist()
    assert len(set(names)) == len(set(numbers)) == len(set(zip(names, numbers, strict=True)))


def test_splits_have_their_sizes_and_share_no_identity() -> None:
    seen: set[str] = set()
    for name in SPLITS:
        problems = TASK.split(name)
        names = {TASK.identity(p.prompt) for p in problems}
        assert len(names) == len(problems)
        assert not names & seen
        seen |= names
        if name != "transfer":
            rows = [p.skills[0] for p in problems]
            each = len(rows) // len(TASK.skills)
            assert rows == [skill for skill in TASK.skills for _ in range(each)]
            assert each >= (300 if name == "test" else 100)
    assert len(TASK.split("transfer")) == 450
    ids = [p.id for name in SPLITS for p in TASK.split(name)]
    assert len(set(ids)) == len(ids)


def test_gold_answers_pass_and_lack_nothing() -> None:
    for name in SPLITS:
        for problem in TASK.split(name):
            assert TASK.grade(problem, problem.answer).correct
            assert TASK.judge(Example(prompt=problem.prompt, response=problem.answer))
            assert TASK.diagnose(problem, problem.answer) == ()
            assert set(problem.skills) <= set(TASK.skills)


def test_every_prefix_of_a_split_holds_every_form() -> None:
    chains = [p for p in TASK.split("test") if p.skills[0] == "chain"]
    forms = [read(p.prompt).operators for p in chains[:60]]  # type: ignore[union-attr]
    assert all(5 <= forms.count(form) <= 27 for form in set(forms))
    assert len(set(forms)) == 4


@pytest.mark.parametrize("difficulty", [None, 0.0, 0.5, 1.0])
@pytest.mark.parametrize("skill", TASK.skills)
def test_generated_examples_are_right_in_region_and_never_sealed(skill: str, difficulty: float | None) -> None:
    made = TASK.generate(skill, 400, stream(5, skill), difficulty)
    assert len(made) == 400
    for example in made:
        assert TASK.judge(example) is True
        assert TASK.identity(example.prompt) not in TASK.sealed
        assert example.skills[0] == skill
        question = read(example.prompt)
        assert question is not None
        if len(question.operators) == 2:  # a chain spells out its first step, so that may not be sealed either
            first = f"{question.operands[0]}{question.operators[0]}{question.operands[1]}="
            assert TASK.identity(first) not in TASK.sealed


def test_untaught_compositions_are_never_generated() -> None:
    untaught = {form for skill in UNTAUGHT for form in skill.forms}
    assert not untaught & {form for skill in CATALOGUE for form in skill.forms}
    assert {read(p.prompt).operators for p in TASK.split("transfer")} == untaught  # type: ignore[union-attr]


def test_harder_examples_use_more_columns() -> None:
    def columns(difficulty: float) -> float:
        made = TASK.generate("max", 300, stream(1, "columns"), difficulty)
        pairs = [read(e.prompt).operands for e in made]  # type: ignore[union-attr]
        return float(np.mean([sum(x != "0" or y != "0" for x, y in zip(*pair, strict=True)) for pair in pairs]))

    assert columns(0.0) <= 1 < columns(0.5) <= 2 < columns(1.0)


def test_subskills_are_what_they_are_called() -> None:
    """Columns in use, the one operator of a first step, and one pair of operators each."""
    task = Arithmetic()
    assert task.subskills("add") == ("3 columns", "2 columns", "1 column")
    assert task.subskills("sub-borrow") == ("3 columns", "2 columns"), "a borrow takes two columns"
    assert task.subskills("chain") == ("<~", "<@", "@~", "~@")
    for skill in task.skills:
        for name in task.subskills(skill):
            made = task.generate_subskill(skill, name, 30, stream(0, "subskills"))
            questions = [read(e.prompt) for e in made]
            assert all(task.judge(e) and e.skills[0] == skill for e in made)
            if name == "first step":
                assert {q.operators for q in questions if q} == {"^" if skill == "max-succ" else "+"}
                assert {e.skills[1] for e in made} <= set(task.skills) - {skill}
            elif skill == "chain":
                assert {q.operators for q in questions if q} == {name}
            else:
                busy = [sum(any(o[i] != "0" for o in q.operands) for i in range(3)) for q in questions if q]
                assert max(busy) == int(name[0]), (skill, name)
    assert {e.skills for e in task.generate_subskill("max-succ", "first step", 3, stream(0, "x"))} == {
        ("max-succ", "max")
    }


@pytest.mark.parametrize(("skill", "name"), [("ad", "3 columns"), ("add", "4 columns"), ("add", "")])
def test_a_bad_subskill_is_named(skill: str, name: str) -> None:
    with pytest.raises(ValueError, match="is not one of"):
        Arithmetic().generate_subskill(skill, name, 1, stream(0, "x"))
    with pytest.raises(ValueError, match="n is -1"):
        Arithmetic().generate_subskill("add", "1 column", -1, stream(0, "x"))


def test_pool_and_prior_are_right_and_never_sealed() -> None:
    pool = TASK.pool()
    assert {s: sum(e.skills[0] == s for e in pool) for s in TASK.skills} == dict.fromkeys(TASK.skills, 1000)
    prior = TASK.prior(2000, stream(3, "prior"))
    assert len(prior) == 2000
    assert {e.skills[0] for e in prior} == {skill.name for skill in CATALOGUE if skill.prior}
    for example in (*pool, *prior):
        assert TASK.judge(example) is True
        assert TASK.identity(example.prompt) not in TASK.sealed


def test_equal_streams_give_equal_examples_and_others_do_not() -> None:
    made = [digest_examples(TASK.generate("chain", 50, stream(seed, "engine"))) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    assert TASK.generate("add", 0, stream(0, "none")) == [] == TASK.prior(0, stream(0, "none"))


@pytest.mark.parametrize(
    ("skill", "n", "difficulty", "word"),
    [
        ("ad", 1, None, "skill 'ad'"),
        ("add", -1, None, "n is -1"),
        ("add", 1, 2.0, "difficulty"),
        ("add", 1, float("nan"), "difficulty"),
    ],
)
def test_a_bad_request_is_named(skill: str, n: int, difficulty: float | None, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        TASK.generate(skill, n, stream(0, "bad"), difficulty)


@pytest.mark.parametrize(
    ("prompt", "skills", "response", "missing"),
    [
        # 950+180: 59+81=140. Columns 0 and 1 carry, column 2 receives.
        ("950+180....=", ("add-carry", "add"), "030", ("add-carry",)),  # carries ignored
        # 152+171: 251+171=422, columns 1 and 2 are touched, column 0 is 1+1
        ("152+171....=", ("add-carry", "add"), "223", ("add-carry",)),
        ("152+171....=", ("add-carry", "add"), "924", ("add",)),
        ("152+171....=", ("add-carry", "add"), "923", ("add", "add-carry")),
        ("152+171....=", ("add-carry", "add"), "", ("add", "add-carry")),
        ("123+456....=", ("add",), "570", ("add",)),
        # 102-031: 201-130=71: column 1 borrows, column 2 lends, column 0 is 1-0
        ("102-031....=", ("sub-borrow", "sub"), "171", ("sub-borrow",)),
        ("102-031....=", ("sub-borrow", "sub"), "570", ("sub",)),
        ("205^731....=", ("max",), "201", ("max",)),
        ("123+456^900=", ("add-max", "add", "max"), "578:978", ("add",)),  # wrong, then right on what it wrote
        ("123+456^900=", ("add-max", "add", "max"), "579:579", ("max",)),
        ("123+456^900=", ("add-max", "add", "max"), "570:579", ("add", "max")),
        ("123+456^900=", ("add-max", "add", "max"), "979", ("add-max",)),  # knows the answer, skips the step
        ("123+456^900=", ("add-max", "add", "max"), "579", ("add-max",)),  # stops after the first step
        ("123+456^900=", ("add-max", "add", "max"), "579979", ("add-max",)),
        ("123+456^900=", ("add-max", "add", "max"), "?:", ("add", "max", "add-max")),
    ],
)
def test_diagnosis_of_constructed_errors(
    prompt: str, skills: tuple[str, ...], response: str, missing: tuple[str, ...]
) -> None:
    assert TASK.diagnose(ask(prompt, *skills), response) == missing


@quick
@given(st.sampled_from(TASK.split("feedback")), st.text(max_size=80) | st.text("0123456789:", max_size=9))
def test_diagnosis_and_grade_survive_any_response(problem: Problem, response: str) -> None:
    missing = TASK.diagnose(problem, response)
    assert (missing == ()) == TASK.grade(problem, response).correct
    assert set(missing) <= set(problem.skills)
    assert len(set(missing)) == len(missing)


@pytest.mark.parametrize("skill", [skill for skill in CATALOGUE if skill.rests_on])
def test_ignoring_every_carry_blames_carrying_alone(skill: object) -> None:
    name = skill.name  # type: ignore[attr-defined]
    for problem in (p for p in TASK.split("feedback") if p.skills[0] == name):
        sign = 1 if "+" in problem.prompt else -1
        columns = zip(problem.prompt[0:3], problem.prompt[4:7], strict=True)
        naive = "".join(str((int(x) + sign * int(y)) % 10) for x, y in columns)
        assert TASK.diagnose(problem, naive) == (name,)


def test_another_process_with_other_hashes_makes_the_same_task() -> None:
    code = (
        "import json; from tasks.arithmetic import Arithmetic; from tasks.records import digest_examples, stream\n"
        "t = Arithmetic(); e = [x for s in t.skills for x in t.generate(s, 20, stream(9, s))]\n"
        "print(json.dumps([t.fingerprint, digest_examples(e), digest_examples(t.prior(50, stream(1, 'p'))),"
        " digest_examples(t.pool())]))"
    )
    env = os.environ | {"PYTHONHASHSEED": "12345"}
    root = Path(__file__).parents[2]
    out = subprocess.run([sys.executable, "-c", code], cwd=root, env=env, capture_output=True, text=True, check=True)
    mine = [e for s in TASK.skills for e in TASK.generate(s, 20, stream(9, s))]
    here = [digest_examples(x) for x in (mine, TASK.prior(50, stream(1, "p")), TASK.pool())]
    assert json.loads(out.stdout) == [TASK.fingerprint, *here]


def test_a_fresh_task_has_the_same_content() -> None:
    assert Arithmetic().fingerprint == TASK.fingerprint


SEALED = [p for name in SPLITS for p in TASK.split(name)]
written = st.one_of(
    st.builds(lambda p: p.prompt, st.sampled_from(SEALED)),
    st.builds("{}{}{}....=".format, operand, symbol, operand),
    st.builds("{}{}{}{}{}=".format, operand, symbol, operand, symbol, operand),
    st.text("0123456789.=+<~ \t\n/:", min_size=12, max_size=12),
    st.text(max_size=14),
    st.builds(lambda p, i, c: p.prompt[:i] + c + p.prompt[i + 1 :], st.sampled_from(SEALED), st.integers(0, 11),
              st.sampled_from(sorted(SYMBOLS + "0./:é٣ \x00"))),
)  # fmt: skip


@quick
@given(prompts=st.lists(written, max_size=30))
def test_many_prompts_are_sealed_as_each_one_is(prompts: list[str]) -> None:
    assert TASK.asks_sealed(prompts) == [TASK.identity(prompt) in TASK.sealed for prompt in prompts]


@quick
@given(prompts=st.lists(written, max_size=30), said=st.text("0123456789: ", max_size=7), right=st.booleans())
def test_many_examples_are_judged_as_each_one_is(prompts: list[str], said: str, right: bool) -> None:
    golds = [question.answer() if right and (question := read(prompt)) else said for prompt in prompts]
    examples = [Example(prompt=p, response=f" {gold} ") for p, gold in zip(prompts, golds, strict=True)]
    assert TASK.judges(examples) == [TASK.judge(example) for example in examples]


def test_many_answers_are_graded_as_each_one_is() -> None:
    asked = [
        (p, said) for p in SEALED[::97] for said in (p.answer, f" {p.answer}  ", p.answer[:-1], "", "\t" + p.answer)
    ]
    assert TASK.grades(asked) == [TASK.grade(problem, said) for problem, said in asked]


class Strict(Arithmetic):
    """Another checker, judge and form, which must be asked in place of the batches of its parent."""

    def grade(self, problem: Problem, response: str) -> Grade:
        return Grade(correct=False)

    def judge(self, example: Example) -> bool | None:
        return False

    def identity(self, prompt: str) -> str:
        return "all alike"


def test_a_task_that_is_derived_is_asked_by_its_own_methods() -> None:
    task, problem = Strict(), SEALED[0]
    assert task.grades([(problem, problem.answer)]) == [Grade(correct=False)]
    assert task.judges([Example(prompt=problem.prompt, response=problem.answer)]) == [False]
    assert task.asks_sealed(["anything"]) == [True]


def test_examples_that_are_made_equal_those_that_are_validated() -> None:
    (made,) = Example.made(["1+1="], ["2"], [(("add", "sub"), "solution", "generator")])
    plain = Example(prompt="1+1=", response="2", skills=("add", "sub"), origin="generator")
    assert made == plain
    assert made.model_dump(mode="json") == plain.model_dump(mode="json")
    assert made.model_fields_set == plain.model_fields_set
    assert (
        made.model_copy(update={"origin": "me"}).model_dump_json()
        == plain.model_copy(update={"origin": "me"}).model_dump_json()
    )
    assert Example.made(["a"], ["b"], [((), "solution", "")])[0].model_fields_set == {
        "prompt",
        "response",
        "skills",
        "origin",
    }


SOME = ("first", "succ", "rotate", "max", "min", "chain", "max-succ", "min-rotate", "hash")


def test_chosen_skills_are_the_task() -> None:
    task = Arithmetic(SOME, known={"first": 3, "max": 1})
    assert task.skills == SOME
    for name in ("feedback", "selection", "test"):
        counted = {skill: sum(p.skills[0] == skill for p in task.split(name)) for skill in SOME}
        assert counted == dict.fromkeys(SOME, {"feedback": 100, "selection": 100, "test": 300}[name])
    assert {e.skills[0] for e in task.pool()} == set(SOME)
    prior = task.prior(400, stream(0, "prior"))
    counted = Counter(e.skills[0] for e in prior)
    assert set(counted) == {"first", "max"}
    assert 250 < counted["first"] < 350
    assert all(task.judge(e) for e in prior)
    assert {read(p.prompt).operators for p in task.split("transfer")} == {"_~", "^@"}  # type: ignore[union-attr]
    assert task.solve("123+456....=") is None
    assert task.solve("205_731@000=") == ("min-rotate", "201:012")


def test_a_chosen_skill_asks_what_it_asks_in_the_whole_catalogue() -> None:
    task = Arithmetic(("max", "hash"))
    for name in ("feedback", "selection", "test"):
        assert task.split(name) == tuple(p for p in TASK.split(name) if p.skills[0] in task.skills)
    assert task.split("transfer") == ()
    assert task.prior(10, stream(0, "prior")) == []


def test_the_whole_catalogue_is_the_same_task_by_name() -> None:
    assert Arithmetic(TASK.skills).fingerprint == TASK.fingerprint
    assert Arithmetic(SOME).fingerprint != Arithmetic(SOME[::-1]).fingerprint != TASK.fingerprint


@pytest.mark.parametrize(
    ("skills", "known", "said"),
    [
        (("max", "ad"), {}, r"skills has 'ad'; give some of first, .*hash, min-rotate"),
        (("max", "max"), {}, "skills names one twice; give each once"),
        (("max-succ", "max"), {}, "skills has 'max-succ', which needs 'succ'; name 'succ' too"),
        (("max",), {"min": 1}, "known has 'min'; give some of max"),
        (("max",), {"max": 0}, "known.max is 0; give a number above 0, or leave it out"),
        (("max",), {"max": "1"}, "known.max is '1'; give a number"),
    ],
)
def test_a_wrong_choice_of_skills_is_named(skills: tuple[str, ...], known: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Arithmetic(skills, known)
