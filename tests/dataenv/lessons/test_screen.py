"""A lesson is screened, counted and paid: what is offered is kept or rejected by reason, and no purse is overdrawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError
from dataenv.lessons.bill import tokens_of
from dataenv.lessons.leaks import guard_of
from dataenv.lessons.screen import as_example, passing, pool_of, refused, screen
from dataenv.setting import make_setting
from students.pocket.student import Pocket
from tasks import media
from tasks.arithmetic import Arithmetic
from tasks.columns import ExampleColumns, ExampleLabels
from tasks.records import SPLITS, Example, stream
from tests.tiny import TINY
from tests.toys import Parrot, Reverse

K = len(make_setting(TINY).built_task.skills)


def make(**changes: Any) -> TeachingEnv:
    fields = TINY | {"store": "off"} | changes
    return TeachingEnv(fields.pop("level", "skill-list"), **fields)


def uniform(env: TeachingEnv) -> np.ndarray:
    return np.ones(len(env.task.skills), np.float32)


@pytest.mark.parametrize("action", ["text", 3, None, {"prompt": "x", "response": "y"}, np.ones(3)])
def test_a_lesson_of_the_wrong_type_is_refused(action: Any) -> None:
    env = make(level="open-ended")
    env.reset(seed=0)
    before = env.snapshot()
    with pytest.raises(dataenv.ActionError, match="give a tuple of"):
        env.step(action)
    assert env.snapshot() == before


hostile = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=40),
    st.fixed_dictionaries({"prompt": st.text(max_size=40), "response": st.text(max_size=40)}),
    st.fixed_dictionaries({"prompt": st.just("123+111^...="), "response": st.text(max_size=8)}),
    st.fixed_dictionaries({"prompt": st.integers(), "response": st.none()}),
)


@pytest.fixture(scope="module")
def open_env() -> TeachingEnv:
    return make(level="open-ended", budget={"student_tokens": 10**9})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lesson=st.lists(hostile, min_size=1, max_size=12))
def test_offered_is_kept_and_rejected_whatever_is_offered(open_env: TeachingEnv, lesson: list[Any]) -> None:
    open_env.reset(seed=0)
    _, _, _, _, info = open_env.step(lesson)
    rejected = sum(n for name, n in info.items() if name.startswith("rejected/"))
    assert info["offered"] == len(lesson) == info["kept"] + rejected
    assert info["kept"] == sum(n for name, n in info.items() if name.startswith("judged/"))
    assert info["price"] > 0


def test_a_lesson_of_which_nothing_is_kept_is_charged_and_not_trained() -> None:
    env = make(level="open-ended")
    env.reset(seed=0)
    before = env.state
    sealed = env.task.split("test")[0]
    lesson = [dataenv.Example(prompt=sealed.prompt, response=sealed.answer), {"prompt": "é", "response": "1"}, 7]
    _, reward, _, _, info = env.step(lesson)
    assert env.state == before
    assert float(reward) == 0.0
    assert (info["rejected/leak"], info["rejected/alphabet"], info["rejected/form"]) == (1, 1, 1)
    assert info["spent"] > 0


def test_a_sealed_prompt_is_a_leak_wherever_its_prompt_is_said_to_end() -> None:
    env = make(level="open-ended")
    env.reset(seed=0)
    sealed = env.task.split("test")[0]
    halves = dataenv.Example(prompt=sealed.prompt[:2], response=sealed.prompt[2:] + sealed.answer)
    longer = dataenv.Example(prompt="9" + sealed.prompt, response=sealed.answer)
    _, _, _, _, info = env.step([halves, longer])
    assert info["rejected/leak"] == 2


def test_huge_lessons_are_cut_and_counted() -> None:
    env = make(level="open-ended")
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    made = env.task.generate("max", 500, rng)
    _, _, _, _, info = env.step([{"prompt": "1" * 10**6, "response": "1"}, *made])
    assert info["offered"] == 501
    assert info["rejected/length"] == 1
    assert info["rejected/size"] == 501 - 2 * TINY["lesson_size"]
    assert info["kept"] + info["rejected/duplicate"] == 2 * TINY["lesson_size"] - 1


class Endless(Sequence[Example]):
    """A lesson without an end, which counts how much of it was looked at."""

    def __init__(self, length: int) -> None:
        self.length, self.looked = length, 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: Any) -> Any:
        self.looked += 1
        return Example(prompt=f"{i}+{i}=", response=str(2 * i))


@pytest.mark.parametrize("length", [5, 10**9, 2**63 - 1])
def test_what_has_no_end_is_looked_at_as_far_as_a_lesson_may_go(length: int) -> None:
    env = make(level="open-ended")
    env.reset(seed=0)
    endless = Endless(length)
    _, _, _, _, info = env.step(endless)
    most = 2 * TINY["lesson_size"]
    assert endless.looked == most + 1
    assert (info["offered"], info["rejected/size"]) == (most + 1, 1)


def test_verify_rejects_what_the_judge_finds_wrong_and_counting_is_the_default() -> None:
    for verify, kept in ((False, 2), (True, 1)):
        env = make(level="open-ended", verify=verify)
        env.reset(seed=0)
        right, other = env.task.generate("max", 2, np.random.default_rng(0))
        wrong = other.model_copy(update={"response": "999" if other.response != "999" else "000"})
        _, _, _, _, info = env.step([right, wrong])
        assert info["kept"] == kept
        assert info["rejected/wrong"] + info["judged/wrong"] == 1


def test_the_examples_cap_ends_the_episode() -> None:
    env = make(budget={"student_tokens": 10**9, "examples": 100})
    env.reset(seed=0)
    kept, truncated = 0, False
    while not truncated:
        _, _, _, truncated, info = env.step(uniform(env))
        kept += info["kept"]
    assert kept == 100
    assert info["rejected/budget"] > 0


@settings(max_examples=8, deadline=None)
@given(purse=st.integers(0, 9000), data=st.data())
def test_no_teacher_can_overdraw_the_purse(purse: int, data: st.DataObject) -> None:
    env = make(budget={"student_tokens": purse})
    env.reset(seed=0)
    over, steps = False, 0
    while not over and steps < 12:
        mixture = data.draw(st.lists(st.floats(0, 1, width=32), min_size=K, max_size=K))
        _, _, terminated, truncated, info = env.step(np.array(mixture, np.float32))
        over, steps = terminated or truncated, steps + 1
        assert info["spent"] + info["remaining"] == purse
        assert info["remaining"] >= 0
    assert over


def test_pool_lessons_do_not_repeat_until_the_pool_is_used_up() -> None:
    env = make(engine="pool", budget={"student_tokens": 10**9})
    env.reset(seed=0)
    seen: set[str] = set()
    for _ in range(3):
        _, _, _, _, info = env.step(uniform(env))
        assert info["rejected/leak"] == 0
        lesson = {e.prompt for e in env._taught.lessons[-1]}
        assert not seen & lesson
        seen |= lesson


def test_what_is_not_for_this_student_is_counted_by_its_reason(open_env: TeachingEnv) -> None:
    """A kind that it does not learn from, an image that it does not see; a check is nobody's to refuse here."""
    open_env.reset(seed=0)
    made = open_env.task.generate("max", 5, stream(0, "kinds"))
    changes: list[dict[str, Any]] = [
        {},
        {"kind": "edit"},
        {"kind": "dialogue"},
        {"media": ("0" * 64,)},
        {"check": '{"tests": []}'},
    ]
    lesson = [e.model_copy(update=change) for e, change in zip(made, changes, strict=True)]
    *_, info = open_env.step(lesson)
    told = {name: info.get(f"rejected/{name}", 0) for name in ("form", "kind", "media")}
    assert told == {"form": 0, "kind": 1, "media": 1}
    assert open_env.history[-1].kept == 3
    kept = open_env.runner.store.lesson(open_env.history[-1].lesson or "")
    assert [(e.kind, e.check) for e in kept] == [("solution", None), ("edit", None), ("solution", '{"tests": []}')]


def test_a_student_says_what_it_learns_from_and_sees(toys: None) -> None:
    class Reader(Parrot):
        kinds = ("solution", "document", "dialogue")
        sees = ("text", "image")

    picture = media.keep(media.encode(np.zeros((2, 2), np.uint8)))
    nowhere = Example(prompt="abf>", response="fba", media=("0" * 64,))
    lesson = [
        Example(prompt="abc>", response="cba", kind="document"),
        Example(prompt="abd>", response="dba", media=(picture,)),
        Example(prompt="abe>", response="eba", kind="edit"),
    ]
    found = screen(lesson, Reverse(), Reader(), verify=False, largest=9, allowed=None)
    assert (found.kept, found.rejected) == (tuple(lesson[:2]), {"kind": 1})
    found = screen([lesson[1], nowhere], Reverse(), Reader(), verify=False, largest=9, allowed=None)
    assert (found.kept, found.rejected) == ((lesson[1],), {"media": 1}), "a digest whose picture is nowhere"
    found = screen(lesson, Reverse(), Parrot(), verify=False, largest=9, allowed=None)
    assert (found.kept, found.rejected) == ((lesson[2],), {"kind": 1, "media": 1})


@pytest.mark.parametrize("check", ["no json", 7, "[" * 100_000], ids=["text", "number", "deep"])
def test_a_check_that_is_no_json_is_no_example(check: Any) -> None:
    offered = [{"prompt": "abc>", "response": "cba", "check": check}]
    assert screen(offered, Reverse(), Parrot(), verify=False, largest=9, allowed=None).rejected == {"form": 1}


def test_a_judge_of_many_is_asked_once_a_lesson() -> None:
    asked = []

    class Batching(Reverse):
        def judges(self, examples: Any) -> list[bool | None]:
            asked.append(len(examples))
            return [None, False, True]

    lesson = [Example(prompt=f"ab{c}>", response=f"{c}ba") for c in "cde"]
    found = screen(lesson, Batching(), Parrot(), verify=True, largest=9, allowed=None)
    assert asked == [3]
    assert (found.rejected, found.judged) == ({"wrong": 1}, {"right": 1, "unknown": 1})


class Sub(Example):
    """What may show the screen one text and the student another."""


ARITHMETIC = Arithmetic()
POCKET = Pocket()
ODD = [
    Sub(prompt="11+22=", response="33"),
    Example(prompt="12+13=", response="250", skills=("\ud800",)),
    Example(prompt="12+13=", response="250", origin="\ud800"),
    Example(prompt="", response="1"),
    Example(prompt="1", response=""),
    Example(prompt="x" * 70, response="1"),
    Example(prompt="a\tb", response="1"),
    Example.model_construct(prompt=b"1=", response="3", skills=(), kind="solution", origin="", rejected=None, media=()),
]
plain = st.sampled_from([e for s in ("add", "chain") for e in ARITHMETIC.generate(s, 20, stream(0, "plain"))])
sealed = st.sampled_from([p for name in SPLITS for p in ARITHMETIC.split(name)])
near = st.one_of(
    st.sampled_from(ARITHMETIC.generate("add", 20, stream(0, "near"))),
    st.builds(lambda p, cut: Example(prompt=p.prompt[:cut], response=p.prompt[cut:]), sealed, st.integers(1, 11)),
    st.builds(lambda p, by: Example(prompt=by + p.prompt, response=p.answer), sealed, st.text("9 é=", max_size=2)),
    st.builds(lambda p, q: Example(prompt="1+1=", response="2", rejected=q.prompt + "x"), sealed, sealed),
    st.builds(lambda p: Example(prompt=p.prompt.replace("....", " "), response=p.answer), sealed),
    st.builds(lambda p: Example(prompt=p.prompt[4:7] + p.prompt[3] + p.prompt[:3] + "=", response="1"), sealed),
    st.builds(lambda kind: Example(prompt="12+13=", response="250", kind=kind), st.sampled_from(["edit", "document"])),
    st.just(Example(prompt="1", response="2", media=("0",))),
    st.just({"prompt": "a\x00b", "response": "\ud800"}),
    st.sampled_from(ODD),
    hostile,
)


def one_by_one(offered: list[Any], verify: bool, allowed: int | None, pairs: bool) -> tuple[Any, ...]:
    """What the screen says, asked example by example, reason by reason, in the order of ``REASONS``."""
    guard, kept, rejected, leaks = guard_of(ARITHMETIC), list[Example](), Counter[str](), list[str]()
    for offer in offered:
        example = as_example(offer)
        if example is None or (pairs and example.rejected is None):
            rejected["form"] += 1
            continue
        both = [example] if example.rejected is None else [example, refused(example)]
        unread = "kind" if example.kind not in POCKET.kinds else "media" if example.media else None
        unread = unread or next(filter(None, map(POCKET.refuse, both)), None)
        hit = None if unread else next(filter(None, map(guard.find, both)), None)
        name = (example.prompt, example.response, example.rejected)
        if hit is not None:
            leaks.append(hit.how)
        late = "duplicate" if name in [(k.prompt, k.response, k.rejected) for k in kept] else None
        late = late or ("wrong" if verify and ARITHMETIC.judge(example) is False else None)
        late = late or ("budget" if allowed is not None and len(kept) >= allowed else None)
        reason = unread or ("leak" if hit else None) or late
        if reason is None:
            kept.append(example)
        else:
            rejected[reason] += 1
    return tuple(kept), dict(sorted(rejected.items())), leaks


@given(
    offered=st.lists(near, max_size=24) | st.lists(plain | near, max_size=3) | st.lists(plain, max_size=9),
    verify=st.booleans(),
    allowed=st.none() | st.integers(0, 5),
    pairs=st.booleans(),
)
def test_a_lesson_is_screened_as_its_examples_are_one_by_one(
    offered: list[Any], verify: bool, allowed: int | None, pairs: bool
) -> None:
    given: dict[str, Any] = {"verify": verify, "largest": 99, "allowed": allowed, "pairs": pairs}
    found = screen(offered, ARITHMETIC, POCKET, **given)
    assert (found.kept, found.rejected, [hit.how for hit in found.leaks]) == one_by_one(offered, verify, allowed, pairs)
    judged = Counter({True: "right", False: "wrong", None: "unknown"}[ARITHMETIC.judge(e)] for e in found.kept)
    assert found.judged == dict(judged)


@given(offered=st.lists(plain | st.just(Example(prompt="é", response="1")), max_size=9) | st.lists(near, max_size=9))
def test_columns_are_screened_as_their_examples_are(offered: list[Any]) -> None:
    given: dict[str, Any] = {"verify": True, "largest": 8, "allowed": None}
    examples = [e for offer in offered if (e := as_example(offer)) is not None]
    labels = [ExampleLabels(e.skills, e.kind, e.origin) for e in examples]
    held = ExampleColumns([e.prompt for e in examples], [e.response for e in examples], labels)
    assert screen(held, ARITHMETIC, POCKET, **given) == screen(list(held), ARITHMETIC, POCKET, **given)


@pytest.mark.parametrize("said", [[], [None, None]])
def test_as_many_words_are_wanted_as_there_are_examples(said: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {"verify": False, "largest": 8, "allowed": None}
    example = Example(prompt="12+13....=", response="250")
    with pytest.raises(SettingError, match=rf"judges\(\) gives {len(said)} verdicts on 1 examples"):
        screen([example], ARITHMETIC, POCKET, **given, judge=lambda _: said)
    monkeypatch.setattr(POCKET, "refusals", lambda _: said)
    with pytest.raises(SettingError, match=rf"refusals\(\) of student 'pocket' gives {len(said)} words on 1 examples"):
        screen([example], ARITHMETIC, POCKET, **given)
    monkeypatch.setattr(POCKET, "token_counts", lambda _: [1] * len(said))
    with pytest.raises(SettingError, match=rf"tokens\(\) of student 'pocket' gives {len(said)} counts of 1 examples"):
        tokens_of(POCKET, [example])


def test_a_pool_is_screened_once_for_all_episodes() -> None:
    first, again = make(engine="pool"), make(engine="pool")
    assert pool_of(first.task, first.student) is pool_of(again.task, again.student)
    assert list(pool_of(first.task, first.student)) == passing(first.task.pool(), first.task, first.student)
