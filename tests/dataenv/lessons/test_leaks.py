"""Leaks are rejected behind the disguises that docs/leaks.md lists, and named for the board's owner alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import dataenv
from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.lessons.leaks import COMMON, LISTED, SHOWN, Guard, Leaks, guard_of, words
from dataenv.lessons.screen import as_example, screen
from dataenv.setting import make_setting
from tasks.arithmetic import Arithmetic
from tasks.records import Example
from tests.bench.leak_catch_rates import ARITHMETIC, DISGUISES, SHORT, Prose, caught, docstrings, manual, short_texts
from tests.toys import TOYS, Parrot, Reverse

PASSAGES = [p for p in manual() if len(words(p)) >= 24][:40]
ESCAPES = {  # the rows of docs/leaks.md that say so; all other disguises are caught, each time
    "sentences in reverse order", "every 8th word changed", "every 7th word changed", "every 5th word changed",
    "one word in 7 changed, by chance", "one word in 5 changed, by chance", "spaces moved, inside a longer text",
    "digits for letters (l33t)", "words shuffled", "words in reverse order", "letters in reverse order", "rot13",
    "base64", "short, one word changed", "inside a longer prompt, with spaces", "asked in words",
}  # fmt: skip


@pytest.fixture(scope="module")
def prose() -> Prose:
    return Prose([*PASSAGES, *short_texts()[:40]])


def how(task: Any, prompt: str, response: str = "Yes.") -> tuple[str, str] | None:
    hit = guard_of(task).find(Example(prompt=prompt, response=response))
    return None if hit is None else (hit.how, hit.problem.id)


# --- what is caught ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted({*DISGUISES, *SHORT} - ESCAPES))
def test_a_disguised_copy_of_a_natural_text_is_caught(prose: Prose, name: str) -> None:
    texts = prose.texts[40:] if name in SHORT else PASSAGES
    k, n = caught(Guard(prose), texts, (DISGUISES | SHORT)[name])
    assert k == n == len(texts)


@pytest.mark.parametrize("name", sorted({*ARITHMETIC} - ESCAPES))
def test_a_disguised_copy_of_an_arithmetic_problem_is_caught(name: str) -> None:
    task = registry.shared("task", "arithmetic", "{}")
    k, n = caught(guard_of(task), [p.prompt for p in task.split("selection")], ARITHMETIC[name])
    assert k == n > 50


def test_what_is_said_to_escape_does() -> None:
    """The page says so; were it caught by now, the page would be wrong."""
    k, n = caught(Guard(Prose(PASSAGES)), PASSAGES, DISGUISES["base64"])
    assert (k, n) == (0, 40)
    assert caught(Guard(Prose(PASSAGES)), PASSAGES, DISGUISES["every 5th word changed"])[0] < 20


def test_each_hit_says_which_problem_and_how(prose: Prose) -> None:
    text, short = PASSAGES[3], prose.texts[45]
    assert how(prose, text) == ("identity", "test/3")
    assert how(prose, text.upper()) == ("normalised", "test/3")
    assert how(prose, "yes " + " ".join(text.split()[2:14])) == ("8-gram", "test/3")
    assert how(prose, f"Yes, {short.lower()} And so on.") == ("contained", "test/45")
    assert how(prose, f"Yes{short}And so on.") == ("verbatim", "test/45")
    assert how(prose, docstrings()[0]) is None


def test_an_example_is_searched_as_one_text(prose: Prose) -> None:
    text = PASSAGES[0]
    for at in range(1, len(text)):
        assert how(prose, text[:at], text[at:]) is not None, (text[:at], text[at:])


def test_a_cut_through_a_word_hides_nothing_inside_longer_texts() -> None:
    """Neither half of a copy holds eight words in a row; put together where it was cut, they do."""
    text = " ".join(words(PASSAGES[0])[:12])
    task, around = Prose([text]), docstrings()[0]
    for at in range(1, len(text)):
        assert how(task, f"{around} {text[:at]}", f"{text[at:]} {around}") == ("8-gram", "test/0"), text[:at]


def test_what_is_made_from_templates_is_not_searched_by_words() -> None:
    class Template(Prose):
        natural = False

    text = PASSAGES[0]
    task = Template(PASSAGES)
    assert how(task, text.upper()) is None
    assert how(task, "Yes. " + text) == ("verbatim", "test/0")


def test_the_wording_that_a_task_always_uses_names_no_problem() -> None:
    ask = "Read the passage and answer with a single word, true or false:"
    task = Prose([f"{ask} {text}" for text in PASSAGES[: COMMON + 1]])
    assert how(task, f"{ask} {docstrings()[0]}") is None
    few = Prose([f"{ask} {text}" for text in PASSAGES[:COMMON]])
    assert how(few, f"{ask} {docstrings()[0]}") is not None
    assert how(task, f"{ask} {PASSAGES[COMMON].lower()}") == ("normalised", f"test/{COMMON}")


def test_one_or_two_sealed_words_do_not_seal_every_text_that_holds_them() -> None:
    task = Prose(["yes", "The END", "...", "?"])
    assert how(task, "It is the end of it, yes", "no") is None
    assert how(task, "the end!", "no") == ("normalised", "test/1")
    assert how(task, "the", "end") == ("normalised", "test/1")
    assert how(task, "Wait...", "no") is None
    assert how(task, "...", "no") == ("identity", "test/2")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Don't STOP", ["dont", "stop"]),
        ("snake_case-d, e.g.", ["snake", "case", "d", "e", "g"]),
        ("ﬁne “Straße” naïve", ["fine", "strasse", "naive"]),
        ("а\u200bbс\u00add\u0301", ["abcd"]),
        ("１２ + ３", ["12", "3"]),
        ("a\tb\nc\x00d", ["a", "b", "cd"]),
        ("🙂 …", []),
    ],
)
def test_words(text: str, plain: list[str]) -> None:
    assert words(text) == plain == words(" ".join(words(text)))


# --- the screen -------------------------------------------------------------------------------------------------------


def test_lessons_and_probes_pass_the_same_screen_for_natural_text_too(
    monkeypatch: pytest.MonkeyPatch, toys: None
) -> None:
    monkeypatch.setattr(Reverse, "natural", True)
    monkeypatch.setitem(registry.TASKS, "reverse-natural", "tests.toys:Reverse")
    env = toy_env(task="reverse-natural")
    sealed = env.task.split("test")[0].prompt
    disguised = Example(prompt=sealed.upper().replace(">", " ->"), response="no")
    _, _, _, _, info = env.step([disguised])
    assert info["rejected/leak"] == 1
    with pytest.raises(dataenv.SettingError, match="1 would not pass the screen"):
        dataenv.Context(env).probe([disguised])
    assert [(leak.where, leak.how) for leak in env.leaks.first] == [("lesson", "normalised"), ("probe", "normalised")]


def test_what_is_screened_is_what_is_trained() -> None:
    """An example of a class of one's own could show the screen one prompt and the student another."""
    task = Arithmetic()
    sealed = task.split("test")[0]

    class Sly(Example):
        def __getattribute__(self, name: str) -> Any:
            if name == "prompt":
                looks.append(1)
                return sealed.prompt if len(looks) > 1 else "123+111....="
            return super().__getattribute__(name)

    class Text(str):
        def isascii(self) -> bool:
            return True

    looks: list[int] = []
    found = as_example(Sly(prompt="-", response="234"))
    assert type(found) is Example
    assert found.prompt == found.prompt == "123+111....="
    assert as_example(Example.model_construct(prompt=Text("a"), response="b", skills=(), origin="")) is None
    mapped = as_example({"prompt": Text("a"), "response": "b"})
    assert mapped is not None
    assert type(mapped.prompt) is str


def test_leaks_are_counted_as_before() -> None:
    task = Reverse()
    offered = [Example(prompt=p.prompt, response="no") for p in task.split("test")] * 2
    found = screen(offered, task, Parrot(), verify=False, largest=99, allowed=None)
    assert found.rejected == {"leak": len(offered)}
    assert [hit.example for hit in found.leaks] == offered
    assert {hit.problem.split for hit in found.leaks} == {"test"}


# --- who is told ------------------------------------------------------------------------------------------------------


def toy_env(**fields: Any) -> TeachingEnv:
    setting = make_setting(TOYS | {"budget": {"student_tokens": 10**6}} | fields)
    env = TeachingEnv("open-ended", runner=Runner(Store()), setting=setting)
    env.reset(seed=0)
    return env


def leaking(env: TeachingEnv, split: str, n: int, response: str = "no") -> list[Example]:
    return [Example(prompt=p.prompt, response=response) for p in env.task.split(split)[:n]]  # type: ignore[arg-type]


def test_hits_are_listed_for_the_owner_and_not_for_the_teacher(toys: None) -> None:
    env = toy_env()
    context = dataenv.Context(env)
    fine = env.task.generate("short", 4, np.random.default_rng(0))
    told = env.step([*fine, *leaking(env, "test", 2)])
    with pytest.raises(dataenv.SettingError) as refused:
        context.probe(leaking(env, "transfer", 1))
    branch = context.fork()
    branch.step(leaking(branch, "selection", 1))
    seen = [(leak.step, leak.where, leak.problem, leak.split, leak.how) for leak in env.leaks.first]
    expected = [("test", 0), ("test", 1), ("transfer", 0), ("selection", 0)]
    ids = [env.task.split(split)[i].id for split, i in expected]  # type: ignore[call-overload]
    assert seen == [
        (1, "lesson", ids[0], "test", "identity"),
        (1, "lesson", ids[1], "test", "identity"),
        (2, "probe", ids[2], "transfer", "identity"),
        (2, "branch", ids[3], "selection", "identity"),
    ]
    assert env.leaks.count == 4
    assert branch.leaks.count == 0, "a branch is in the teacher's hands"
    shown = repr((told, env.history, env.snapshot(), branch.history, str(refused.value)))
    assert not any(name in shown for name in ids)
    assert told[-1]["rejected/leak"] == 2
    env.reset(seed=0)
    assert env.leaks.count == 0


def test_the_list_stays_short_and_the_count_whole(toys: None) -> None:
    env = toy_env()
    many = [e for split in ("test", "selection") for e in leaking(env, split, 20)]
    long = Example(prompt=many[0].prompt, response="no " * 30)
    most = 2 * env.setting.lesson_size
    for at in range(0, len(many), most - 1):
        env.step([long, *many[at : at + most - 1]])
    steps = env.snapshot().step
    assert env.leaks.count == len(many) + steps > LISTED == len(env.leaks.first)
    huge = Guard(Reverse()).find(Example(prompt=many[0].prompt, response="no" * SHOWN))
    assert huge is not None
    env.account.leaks.note([huge], 1, "lesson")
    assert (env.leaks.count, len(env.leaks.first)) == (len(many) + steps + 1, LISTED)


def test_what_is_listed_is_cut(toys: None) -> None:
    env = toy_env()
    hit = Guard(Reverse()).find(Example(prompt=leaking(env, "test", 1)[0].prompt, response="no" * SHOWN))
    assert hit is not None
    env.account.leaks.note([hit], 1, "probe")
    assert len(env.leaks.first[0].response) == SHOWN


def test_a_row_holds_what_was_listed(toys: None) -> None:
    env = toy_env()
    env.step(leaking(env, "test", 3))
    held = Leaks.model_validate(env.leaks.model_dump(mode="json"))
    assert (held.count, [leak.problem for leak in held.first]) == (3, [p.id for p in env.task.split("test")[:3]])
    with pytest.raises(ValidationError, match=r"leaks.first lists 3, but leaks.count is 2"):
        Leaks.model_validate(env.leaks.model_dump(mode="json") | {"count": 2})
