"""A method of training from outside: one class and an entry point."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError
from dataenv.execution.jobs import BuildSpec, Training, from_initial, student_for
from students.base import Data, Recipe, derive_key
from students.pocket.student import Pocket
from students.training import methods
from students.training.methods import method_code, method_of
from tasks.records import Example
from tests.tiny import TINY

SOURCE = '''
"""A method that trains on the first examples of a lesson alone."""
import numpy as np

from students.base import FORWARD_BACKWARD
from students.training.loop import Batch, Encoded, Optimisation, walked
from students.training.method import Method, Rate


class Fewer(Method):
    """The first examples of a lesson, and no others."""

    def __init__(self, policy, data, recipe, seed):
        first = data.lesson[: recipe.method_args.get("first", 2)]
        self.policy, self.recipe, self.seed = policy, recipe, seed
        self.rows = [(policy.prompt(e), policy.response(e.response)) for e in first]

    @classmethod
    def rate(cls, recipe):
        return Rate(2 * FORWARD_BACKWARD)

    def run(self, moments):
        return Optimisation(dict(self.policy.parameters), self.loss, self.recipe, moments).run(self.batches())

    def batches(self):
        for picked in walked(len(self.rows), self.recipe.batch, self.recipe, self.seed):
            encoded = Encoded([self.rows[i] for i in picked], self.policy.pad)
            yield Batch(encoded.ids, encoded.targets, int(encoded.lengths.sum()))

    def loss(self, batch):
        scores, mask = self.policy.score(batch, 1.0)
        return -(scores * mask).sum() / mask.sum()
'''
STUDENT = Pocket(width=16, layers=1, heads=2, context=16)
LESSON = tuple(Example(prompt=f"{word}>", response=word[::-1]) for word in ("abc", "bca", "cab", "acb"))
FEWER = Recipe(method="fewer", updates=8, batch=4, rate=1e-2, method_args={"first": 2})


def forget() -> None:
    """What was looked up once a process is looked up again."""
    methods._outside.cache_clear()
    registry._outside.cache_clear()
    importlib.invalidate_caches()
    sys.modules.pop("a_method_from_outside", None)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A package with an entry point, as pip leaves it; called with a source, a later version of it."""
    info = tmp_path / "a_method_from_outside-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-method-from-outside\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        f"[{methods.GROUP}]\nfewer = a_method_from_outside:Fewer\ngone = a_method_from_outside:Gone\nodd = json:dumps\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions may be written within a second

    def write(source: str) -> None:
        (tmp_path / "a_method_from_outside.py").write_text(source)
        forget()
        import linecache

        linecache.clearcache()
        methods.code_digest.cache_clear()

    write(SOURCE)
    yield write
    monkeypatch.undo()
    forget()


def test_it_trains_a_student_that_shows_a_policy(installed: Callable[[str], None]) -> None:
    start = STUDENT.initial(0)
    taught, report = STUDENT.fit(start, Data(LESSON), FEWER, 0)
    assert STUDENT.fit(start, Data(LESSON), FEWER, 0) == (taught, report)
    before, after = (np.array(STUDENT.losses(weights, LESSON)) for weights in (start, taught))
    assert (after[:2] < before[:2] - 0.2).all()
    same, _ = STUDENT.fit(start, Data(LESSON[:2]), FEWER, 0)
    assert same == taught, "it looks at the first two alone"
    more, _ = STUDENT.fit(start, Data(LESSON), FEWER.model_copy(update={"method_args": {"first": 4}}), 0)
    assert more != taught, "and method_args say how many those are"


def test_an_episode_pays_its_own_price(installed: Callable[[str], None]) -> None:
    recipe = TINY["recipe"] | {"method": "fewer", "updates": 2, "replay": 0.0}
    env = TeachingEnv("skill-list", store="off", **TINY | {"recipe": recipe})
    env.reset(seed=0)
    *_, info = env.step(np.ones(len(env.task.skills), np.float32))
    first = env.runner.store.lesson(env.snapshot().lessons[0])[:2]
    seen = recipe["updates"] * recipe["batch"] // 2 * sum(map(env.student.tokens, first))
    assert info["price"] == env.purse.spent == 6 * seen > 0


def test_its_code_is_in_the_name_of_a_state_and_in_no_students(installed: Callable[[str], None]) -> None:
    spec = BuildSpec(name="pocket", args=STUDENT.args)

    def key() -> str:
        return from_initial(spec, 0, Training(lesson=LESSON, recipe=FEWER, seed=0)).key()

    first, fingerprint = key(), STUDENT.fingerprint
    plain = method_code(Recipe()), method_code(Recipe(method="dpo"))
    assert plain == ("", ""), "what is in the student's fingerprint is not named twice"
    assert first == derive_key(STUDENT, from_initial(spec, 0).key(), Data(LESSON).digest, FEWER, 0, method_code(FEWER))
    installed(SOURCE.replace('"""The first examples', '# said otherwise\n    """Some examples'))
    assert key() == first
    installed(SOURCE.replace("-(scores * mask).sum()", "-(2 * scores * mask).sum()"))
    assert key() != first
    assert Pocket(**STUDENT.args).fingerprint == fingerprint


def test_one_that_this_process_was_told_of_is_the_same(
    installed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ``dataenv.register``, as a class or by its path: no entry point is needed, and its code names its states."""
    monkeypatch.setattr(methods, "HERE", {})
    monkeypatch.setitem(registry._HERE, "method", {})
    monkeypatch.setenv(registry.VARIABLE, "{}")
    told = FEWER.model_copy(update={"method": "told"})
    want = STUDENT.fit(STUDENT.initial(0), Data(LESSON), FEWER, 0)
    for thing in ("a_method_from_outside:Fewer", method_of(FEWER)):
        registry.register("method", "told", thing)
        assert STUDENT.fit(STUDENT.initial(0), Data(LESSON), told, 0) == want
        assert method_code(told) == method_code(FEWER) != ""


def test_what_is_no_method_is_one_sentence(installed: Callable[[str], None]) -> None:
    with pytest.raises(ValueError, match=r"cannot be loaded: .*Gone"):
        method_of(Recipe(method="gone"))
    with pytest.raises(ValueError, match=r"'odd' is no subclass of students\.training\.method\.Method"):
        method_of(Recipe(method="odd"))
    with pytest.raises(ValueError, match="method is 'sftt'; give one of"):
        method_of(Recipe(method="sftt"))


def test_an_unknown_method_is_told_the_nearest_one(installed: Callable[[str], None]) -> None:
    for field in ({"recipe": {"method": "fewr"}}, {"recipes": {"a": {"method": "fewr"}}}):
        with pytest.raises(SettingError, match="method 'fewr' is not registered; did you mean 'fewer'"):
            TeachingEnv(store="off", **TINY | field)


def test_a_student_without_a_policy_is_not_trained_by_it(installed: Callable[[str], None], toys: None) -> None:
    with pytest.raises(SettingError, match="'fewer', by which student 'parrot' is not trained; give 'sft'"):
        student_for(BuildSpec(name="parrot"), "reverse", ("fewer",))
    assert student_for(BuildSpec(name="pocket"), "reverse", ("fewer",)).has_policy


def test_every_method_of_this_project_can_be_loaded() -> None:
    for name in methods.BUILT_IN:
        assert method_of(Recipe(method=name)).rate(Recipe(method=name)).times >= 3
