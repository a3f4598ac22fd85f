"""Each rule of the three checks, broken on purpose: the sentence names what is wrong and what mends it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import dataenv
from dataenv import registry
from dataenv.checks import ContractError, check_student, check_task, check_teacher
from dataenv.checks.teacher import QUICK
from dataenv.environment.env import TeachingEnv
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from students.base import Asked, Data, Decoding, Recipe, Trained
from tasks.records import Example, Grade, Problem
from tests.toys import Branching, Parrot, Reverse


def test_what_keeps_its_contract_passes() -> None:
    check_task(Reverse())
    check_task(Branching())
    check_student(Parrot())


def broken(base: type[Any], /, **members: Any) -> Any:
    """An object of a subclass with these members."""
    return type("Broken", (base,), members | {"__module__": base.__module__})()


def changed(method: str, change: Callable[[Any], Any], base: type[Any] = Reverse) -> Any:
    """An object whose method gives something else than it should."""
    original = getattr(base, method)
    return broken(base, **{method: lambda self, *args: change(original(self, *args))})


def every(**update: Any) -> Callable[[Sequence[Any]], list[Any]]:
    """All records with these fields changed."""
    return lambda records: [r.model_copy(update=update) for r in records]


def leaky(
    self: Reverse, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None
) -> list[Example]:
    sealed = [p for p in self.split("test") if p.skills == (skill,)]
    picked = [sealed[i] for i in rng.integers(len(sealed), size=n)]
    return [Example(prompt=p.prompt, response=p.answer, skills=p.skills) for p in picked]


def unseeded(self: Reverse, skill: str, n: int, rng: Any, difficulty: float | None = None) -> list[Example]:
    return Reverse.generate(self, skill, n, np.random.default_rng())


def same_words(self: Reverse, skill: str, n: int, rng: Any, difficulty: float | None = None) -> list[Example]:
    return Reverse.generate(self, skill, n, np.random.default_rng(0))


def chatty(self: Reverse, skill: str, n: int, rng: Any, difficulty: float | None = None) -> list[Example]:
    random.random()
    return Reverse.generate(self, skill, n, rng)


def strict(self: Reverse, problem: Problem, response: str) -> Grade:
    response.encode()  # fails on half a character
    return Reverse.grade(self, problem, response)


def one_split(self: Reverse, name: str) -> list[Problem]:
    return [p.model_copy(update={"split": name, "id": f"{name}/{p.id}"}) for p in Reverse.split(self, "feedback")]


def shifting(self: Reverse, name: Any) -> list[Problem]:
    order = np.random.default_rng().permutation(20)
    problems = Reverse.split(self, name)
    return [problems[i] for i in order]


def shuffled_twice(rows: list[Example]) -> list[Example]:
    return [rows[i] for i in np.random.default_rng().permutation(len(rows))]


def only_if_right(self: Reverse, example: Example, answer: str) -> bool:
    """Says what the judge would."""
    return self.judge(example.model_copy(update={"response": answer})) is True


def tells_what_is_right(self: Reverse, example: Example, answer: str) -> bool:
    return answer == example.response or only_if_right(self, example, answer)


def counts_tests(self: Reverse, example: Example, response: str = "") -> bool | None:
    """Trusts that a check is a list of tests."""
    return len(json.loads(example.check)) > 0 if example.check else Reverse.judge(self, example)


def counts_each(self: Reverse, asked: Sequence[tuple[Example, str]]) -> list[bool | None]:
    """The same, of many at once."""
    return [counts_tests(self, example) for example, _ in asked]


TASKS = [
    (broken(Reverse, name=""), "name is ''; set it to a word"),
    (broken(Reverse, skills=("short", "short")), "give a tuple of distinct words"),
    (
        broken(Reverse, skills=("short", "long", "none"), split=lambda self, name: Reverse().split(name)),
        r"no problem with primary skill \['none'\]; every skill",
    ),
    (broken(Reverse, split=shifting), r"split\('feedback'\) differs between two calls"),
    (changed("split", every(split="test")), "says split 'test' and is in 'feedback'"),
    (changed("split", every(id="x")), "problem 'x' is not the only one of that id"),
    (changed("split", every(answer="")), "has an empty prompt or answer"),
    (changed("split", every(skills=())), "names no skill"),
    (changed("split", every(skills=("short", "odd"))), r"names \['odd'\], which skills does not"),
    (broken(Reverse, split=one_split), "ask the same thing in two splits"),
    (changed("grade", lambda g: Grade(correct=False)), "a gold answer is right"),
    (changed("grade", lambda g: Grade(correct=True, error="?")), "a gold answer is right"),
    (changed("grade", lambda g: Grade(correct=True)), "finds every response to problem .* right"),
    (changed("diagnose", lambda s: ()), "lacks at least one skill, and a right one none"),
    (broken(Reverse, grade=strict), r"grade\(\) with problem .* raises UnicodeEncodeError .*give Grade\(error=…\)"),
    (changed("diagnose", lambda s: ("short",)), "finds skills missing in the gold answer"),
    (changed("diagnose", lambda s: tuple("?" for _ in s)), r"gives \('\?',\) for .*skills of the task"),
    (broken(Reverse, identity=lambda self, text: text[0] + text), r"identity\(''\) raises IndexError"),
    (broken(Reverse, judge=lambda self, e: int(e.response) and None), r"judge\(\) with prompt .* raises ValueError"),
    (changed("grades", lambda g: g[1:]), r"grades\(\) gives 17 for 18 asked; give a list with one for each, in order"),
    (changed("grades", lambda g: g[::-1]), r"grades\(\) says .* of response .* and grade\(\) .*; let the two agree"),
    (changed("grades", tuple), r"grades\(\) gives tuple for 18 asked"),
    (
        broken(Reverse, grades=lambda self, asked: [strict(self, *a) for a in asked]),
        r"grades\(\) with hostile text raises UnicodeEncodeError",
    ),
    (changed("judges", lambda v: v[1:]), r"judges\(\) gives 15 for 16 asked"),
    (changed("judges", lambda v: [None for _ in v]), r"judges\(\) says None of response .* and judge\(\) True"),
    (
        broken(Reverse, judges=lambda self, e: [bool(int(x.response)) for x in e]),
        r"judges\(\) with hostile text raises",
    ),
    (changed("same", lambda s: False), r"same\(\) finds .* unlike itself"),
    (changed("same", lambda s: None), r"same\(\) gives None for response"),
    (broken(Reverse, same=only_if_right), r"same\(\) finds .* unlike itself; compare answers, whether they are right"),
    (broken(Reverse, same=tells_what_is_right), r"same\(\) takes the gold answer of .* for the wrong response"),
    (
        broken(Reverse, same=lambda self, e, a: e.response == a or int(a) < 0),
        r"same\(\) with response .* raises ValueE",
    ),
    (broken(Reverse, judge=counts_tests), r"judge\(\) of an example with check .* raises"),
    (
        broken(Reverse, verify=lambda *_: True),
        r"verifies\(\) says False of response '' and verify\(\) True; let the two",
    ),
    (broken(Reverse, verifies=counts_each), r"verify\(\) of an example with check 'null' raises TypeError"),
    (broken(Reverse, same=lambda self, e, a: e.response == a or "x" in e.check), r"same\(\) .* raises TypeError"),
    (changed("generate", lambda rows: rows[1:]), "gives 19 examples; give as many as were asked"),
    (broken(Reverse, generate=unseeded), "differs for an equal rng"),
    (broken(Reverse, generate=same_words), "ignores its rng"),
    (broken(Reverse, generate=leaky), "which a sealed split asks; draw again"),
    (broken(Reverse, generate=chatty), "draws from random's global generator"),
    (changed("generate", every(response="x")), r"with an answer that judge\(\) finds wrong"),
    (changed("generate", every(skills=("long",))), r"primary skills \[\('long',\)\]; put 'short' first"),
    (changed("generate", every(skills=("odd",))), r"skills \['odd'\], which the task does not have"),
    (
        broken(Branching, subskills=lambda self, skill: ("a", "a")),
        r"subskills\('short'\) is \('a', 'a'\); give a tuple of",
    ),
    (broken(Branching, subskills=lambda self, skill: ("a/b",)), "distinct names without '/'"),
    (changed("generate_subskill", lambda rows: rows[1:], Branching), "gives 19 examples; give as many as were asked"),
    (changed("generate_subskill", every(skills=("long",)), Branching), r"\('long',\)\]; put 'short' first in skills"),
    (changed("generate_subskill", every(response="x"), Branching), r"with an answer that judge\(\) finds wrong"),
    (changed("generate_subskill", shuffled_twice, Branching), r"generate_subskill\(.*\) differs for an equal rng"),
    (broken(Reverse, pool=lambda self: []), r"pool\(\) is empty"),
    (changed("pool", every(skills=())), "an example without skills"),
    (broken(Reverse, prior=lambda self, n, rng: self.generate("short", 3, rng)), "gives 3 examples; give 20"),
]


@pytest.mark.parametrize(("task", "sentence"), TASKS, ids=[s for _, s in TASKS])
def test_a_task_that_breaks_a_rule_is_told(task: Reverse, sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        check_task(task)


class Rememberer(Parrot):
    """Keeps something outside the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        self.calls += 1
        call = Example(prompt="calls", response=str(self.calls))
        return super().fit(weights, Data((*data.lesson, call)), recipe, seed)


class Secretive(Parrot):
    """Its arguments do not make another one like it."""

    def __init__(self, size: int = 1) -> None:
        super().__init__(width=size)


def greedily(self: Parrot, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
    after, report = Parrot.fit(Parrot(), weights, data, recipe, seed)
    return after, report.model_copy(update={"tokens": 10 * report.tokens})


def forgetful(self: Parrot, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
    report = Parrot.fit(self, weights, data, recipe, seed)[1]
    return f'{{"{len(data.lesson)}": "x"}}'.encode(), report


def aloud(self: Parrot, weights: bytes, prompts: Sequence[str], decoding: Decoding, seed: int) -> list[str]:
    return [f"{prompt}{i}" for i, prompt in enumerate(prompts)]


def dicey(self: Parrot, weights: bytes, prompts: Sequence[str], decoding: Decoding, seed: int) -> list[str]:
    rng = np.random.default_rng()
    return [str(rng.random()) if decoding.temperature else "" for _ in prompts]


def blindly(self: Parrot, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
    """Says that it sees, and cannot."""
    if any(media for _, media in asked):
        raise ValueError("no eyes")
    return Parrot.answer(self, weights, asked, decoding, seed)


def short_sighted(self: Parrot, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
    answers = Parrot.answer(self, weights, asked, decoding, seed)
    return answers[1:] if any(media for _, media in asked) else answers


STUDENTS = [
    (broken(Parrot, name=None), "name is None; set it to a word"),
    (Secretive(), "which does not make a twin"),
    (broken(Parrot, base=property(lambda self: {"id": id(self)})), "fingerprint differs between two students"),
    (broken(Parrot, kinds=["solution"]), r"kinds is \['solution'\]; give a tuple of 'solution', 'edit', "),
    (broken(Parrot, kinds=("solution", "poem")), "kinds is .*'solution' among them"),
    (broken(Parrot, kinds=("edit",)), r"kinds is \('edit',\)"),
    (broken(Parrot, sees=("text", "smell")), r"sees is \('text', 'smell'\); give a tuple of 'text', 'image'"),
    (broken(Parrot, sees="text"), "sees is 'text'; give a tuple"),
    (broken(Parrot, has_policy=None), "has_policy is None; give True or False"),
    (
        broken(Parrot, refuse=lambda self, e: "length" if e.kind == "edit" or len(e.prompt) > 99 else None),
        "refuse.. says 'length' of an example of kind 'edit', which kinds names; leave it out of kinds",
    ),
    (
        broken(Parrot, losses=lambda self, w, some: Parrot.losses(self, w, [e for e in some if e.kind != "edit"])),
        r"losses\(\) gives \[\] for an example of kind 'edit'",
    ),
    (broken(Parrot, sees=("text", "image"), answer=blindly), r"answer\(\) with images raises ValueError"),
    (broken(Parrot, sees=("text", "image"), answer=short_sighted), r"give one string for each"),
    (broken(Parrot, refuse=lambda self, e: "form"), r"refuse\(\) says 'form' of 'abc>'"),
    (broken(Parrot, refuse=lambda self, e: e.prompt[0] and None), r"refuse\(\) of text '' raises IndexError"),
    (broken(Parrot, tokens=lambda self, e: 0), r"tokens\(\) gives 0"),
    (changed("initial", lambda w: {}, Parrot), r"initial\(\) gives dict; give a safetensors blob"),
    (broken(Parrot, initial=lambda self, seed: str(id(self)).encode()), r"initial\(0\) differs between two calls"),
    (broken(Parrot, fit=lambda self, w, *rest: (w, None)), "gives back the weights it was given"),
    (Rememberer(), "let nothing stay behind"),
    (broken(Parrot, fit=lambda self, w, *rest: (b"{ }", None)), "equal weights for different data"),
    (changed("fit", lambda r: (r[0], Trained(loss=(1, float("nan")), updates=1, tokens=1)), Parrot), "finite losses"),
    (changed("fit", lambda r: (r[0], Trained(loss=(1, 1), updates=99, tokens=1)), Parrot), "99 updates of 16"),
    (
        changed("fit", lambda r: (r[0], r[1].model_copy(update={"tokens": 5})), Parrot),
        "5 tokens, for which 15 are paid",
    ),
    (broken(Parrot, walk=None, fit=greedily), "tokens, for which .* are the most"),
    (changed("answer", lambda a: a[1:], Parrot), "give one string for each, in order"),
    (broken(Parrot, answer=aloud), "depends on the order of the prompts"),
    (broken(Parrot, answer=dicey), r"answer\(\) differs for an equal seed"),
    (changed("losses", lambda x: x[1:], Parrot), "gives 7 for 8 examples"),
    (changed("losses", lambda x: [-1.0 for _ in x], Parrot), "give finite floats"),
    (changed("losses", lambda x: [float(i) for i in range(len(x))], Parrot), "not in the order of the examples"),
    (broken(Parrot, fit=forgetful), r"the loss on 8 examples went from 1.000 to 1.000"),
]


@pytest.mark.parametrize(("student", "sentence"), STUDENTS, ids=[s for _, s in STUDENTS])
def test_a_student_that_breaks_a_rule_is_told(student: Parrot, sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        check_student(student)


def test_a_student_that_sees_no_image_is_shown_none() -> None:
    shown: dict[tuple[str, ...], set[int]] = {}

    def noting(self: Parrot, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        shown.setdefault(self.sees, set()).update(len(media) for _, media in asked)
        return Parrot.answer(self, weights, asked, decoding, seed)

    for sees in (("text",), ("text", "image")):
        check_student(broken(Parrot, sees=sees, answer=noting))
    assert shown == {("text",): {0}, ("text", "image"): {0, 1, 2}}


def test_an_export_that_transformers_cannot_load_is_told() -> None:
    silent = broken(Parrot, export=lambda self, weights, folder: None)
    with pytest.raises(ContractError, match="transformers cannot load"):
        check_student(silent, export=True)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[[], TeachingEnv]]:
    """Makes makers of an environment whose step trains a Parrot."""
    monkeypatch.setitem(registry.TASKS, "reverse", "tests.toys:Reverse")
    monkeypatch.setitem(registry.STUDENTS, "parrot", "tests.toys:Parrot")
    fields = {
        "task": "reverse",
        "student": "parrot",
        "lesson_size": 8,
        "recipe": {"updates": 2, "batch": 4},
        "items": {"feedback": 3, "selection": 3, "test": 3, "transfer": 0},
        "budget": {"student_tokens": 700},
    }
    return lambda level: lambda: TeachingEnv(level, store="off", **fields)


def even(observation: dict[str, Any]) -> Any:
    return np.ones_like(observation["accuracy"])


class Counter:
    """Teaches by how often it was ever asked."""

    asked = 0

    def act(self, observation: Any, info: Any) -> Any:
        Counter.asked += 1
        return np.array([1, 1 / Counter.asked], np.float32)


def wrong_type(observation: dict[str, Any]) -> Any:
    return np.ones(2)


def too_large(observation: dict[str, Any]) -> Any:
    return 3 * even(observation)


def nan(observation: dict[str, Any]) -> Any:
    return np.nan * even(observation)


def writes(observation: dict[str, Any]) -> Any:
    observation["accuracy"] += 0.1
    return even(observation)


def global_numpy(observation: dict[str, Any]) -> Any:
    return np.random.random(2).astype(np.float32)


def own_dice(observation: dict[str, Any]) -> Any:
    return np.random.default_rng().random(2).astype(np.float32)


class Lost:
    """For no level that there is."""

    level = "skill-forest"

    def act(self, observation: Any, info: Any) -> Any:
        return ()


@pytest.mark.parametrize(
    ("teacher", "sentence"),
    [
        (wrong_type, r"act\(\) at step 0 gives array\(\[1., 1.\]\), not in Box.*mind shape, range and dtype"),
        (too_large, r"act\(\) at step 0: action\[0\] \(short\) is 3.0"),
        (nan, r"act\(\) at step 0: action\[0\] \(short\) is nan"),
        (writes, r"act\(\) at step 0 writes into what it was shown"),
        (global_numpy, r"act\(\) draws from numpy's global generator"),
        (own_dice, "got different actions; draw from context.rng"),
        (Counter(), "got different actions"),
        (Lost(), "level 'skill-forest' is not registered; did you mean 'skill-"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_a_teacher_that_breaks_a_rule_is_told(teacher: Any, sentence: str, quick: Any) -> None:
    with pytest.raises(ContractError, match=sentence):
        check_teacher(teacher, quick("skill-list"))


def test_an_episode_without_an_end_is_told(quick: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataenv.checks.teacher.LONGEST_EPISODE", 2)
    with pytest.raises(
        ContractError, match=r"act\(\) at step 2 sees no end; check it in a Setting with a smaller budget"
    ):
        check_teacher(even, quick("skill-list"))


def test_open_ended_lessons_may_be_examples_or_dicts(quick: Any) -> None:
    class Listed:
        level = "open-ended"

        def begin(self, context: dataenv.Context) -> None:
            self.context = context

        def act(self, observation: Any, info: Any) -> list[Example]:
            return self.context.generate("short", 4)

    class Dicts(Listed):
        def act(self, observation: Any, info: Any) -> Any:
            return tuple({"prompt": e.prompt, "response": e.response} for e in super().act(observation, info))

    class Odd(Listed):
        def act(self, observation: Any, info: Any) -> Any:
            return ({"question": "?"},)

    check_teacher(Listed, quick("open-ended"))
    check_teacher(Dicts(), quick("open-ended"))
    with pytest.raises(ContractError, match=r"act.. at step 0 gives .*question.*, not in Sequence"):
        check_teacher(Odd(), quick("open-ended"))


def test_functions_names_classes_and_objects_are_checked(quick: Any) -> None:
    check_teacher(even, quick("skill-list"))
    check_teacher("random", quick("skill-list"))
    with pytest.raises(dataenv.SettingError, match="did you mean 'stratified'"):
        check_teacher("stratifed", quick("skill-list"))


def test_what_cannot_be_copied_is_told(quick: Any) -> None:
    class Locked(Counter):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("cannot pickle '_thread.lock' object")

    with pytest.raises(ContractError, match="give its class or registered name instead"):
        check_teacher(Locked(), quick("skill-list"))


def test_a_teacher_that_chooses_a_recipe_keeps_its_contract() -> None:
    menu = QUICK | {"recipes": {"slow": {"updates": 2, "batch": 8, "rate": 0.001}}}

    def careful(observation: Any) -> Any:
        return {"mixture": np.ones_like(observation["accuracy"]), "recipe": "slow"}

    runner = Runner(Store())
    check_teacher(careful, lambda: TeachingEnv("skill-list", runner=runner, **menu))
