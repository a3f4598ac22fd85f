"""Every kind of teacher comes out of the adapter with everything that is ever asked of one."""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dataenv
from dataenv import errors, registry
from dataenv.episode.teacher import AdaptedTeacher, TeacherLike, Transition, as_teacher, build_teacher, yields_of
from teachers.base import Teacher
from teachers.failure import Failure

ATTRIBUTES = sorted(name for name in vars(TeacherLike) if not name.startswith("_"))
TOLD = Transition({}, (), 0.0, {}, False, False, {})


def made(name: str) -> Any:
    """A registered teacher; what it must be given, it is given."""
    needs = {"chat": {"base_url": "http://127.0.0.1:9/v1", "model": "none"}, "weights": {"max": 1.0}}
    parameters = inspect.signature(registry.find("teacher", name)).parameters
    given = {need: needs[need] for need, p in parameters.items() if p.default is p.empty and p.kind != p.VAR_KEYWORD}
    return registry.build("teacher", name, given)


class Foreign:
    """Nothing but ``act``."""

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        return ("acted", observation, info)


class Whole(Foreign):
    """Everything, and nothing of ours."""

    name, level, prior_compute, row_args, trained_on = "whole", "open-ended", np.int64(12), {"file": "x"}, "sums"

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.yields = Counter(offered=1)

    def begin(self, context: Any) -> None:
        self.heard.append(context)
        self.yields = Counter(offered=2)

    def learn(self, transition: Any) -> None:
        self.heard.append(transition)

    def most_requests(self, lesson_size: int) -> int:
        return 3 * lesson_size


class Subclass(Teacher):
    """A teacher of ours that says its name, and acts."""

    name = "subclass"

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Any:
        return ()


def one(observation: Any) -> Any:
    return ("one", observation)


def two(observation: Any, info: Any) -> Any:
    return ("two", observation, info)


def optional(observation: Any, scale: float = 2.0) -> Any:
    return ("optional", observation, scale)


@pytest.mark.parametrize("name", registry.names("teacher"))
def test_every_registered_teacher_comes_through_with_everything(name: str) -> None:
    raw = made(name)
    teacher = as_teacher(raw)
    for attribute in ATTRIBUTES:
        assert hasattr(raw, attribute), "teachers.base.Teacher gives what a teacher leaves out"
        given = getattr(teacher, attribute)
        if not callable(given) and attribute != "inner":
            assert given == getattr(raw, attribute)
    assert teacher.name == name
    assert teacher.most_requests(8) == raw.most_requests(8)
    assert (teacher.inner is None) == (raw.inner is None)
    assert yields_of(teacher) == {}


def test_a_teacher_around_one_that_does_not_bound_its_requests_bounds_none() -> None:
    chat = {"base_url": "http://127.0.0.1:9/v1", "model": "none"}
    inside = {"teacher": "influence", "args": {"chat": chat}}
    assert registry.build("teacher", "reflection", {"chat": chat} | inside).most_requests(8) is None
    assert registry.build("teacher", "reflection", {"chat": chat}).most_requests(8) == 16


def test_the_protocol_is_kept_by_our_teachers_and_by_the_adapter() -> None:
    kept: list[TeacherLike] = [Subclass(), as_teacher(Foreign())]
    for teacher in kept:
        assert [a for a in ATTRIBUTES if not hasattr(teacher, a)] == []


@pytest.mark.parametrize("make", [Foreign, Subclass, lambda: one, lambda: two])
def test_what_a_teacher_leaves_out_has_a_default(make: Callable[[], Any]) -> None:
    teacher = as_teacher(make())
    assert (teacher.level, teacher.prior_compute, teacher.trained_on) == ("skill-list", 0, "")
    assert (teacher.row_args, teacher.inner, dict(teacher.yields)) == (None, None, {})
    assert teacher.most_requests(8) is None
    teacher.begin(SimpleNamespace())
    teacher.learn(TOLD)


def test_what_a_teacher_has_is_what_is_told() -> None:
    raw = Whole()
    teacher = as_teacher(raw, "another")
    assert (teacher.name, teacher.level, teacher.row_args) == ("whole", "open-ended", {"file": "x"})
    assert (teacher.trained_on, teacher.most_requests(4)) == ("sums", 12)
    assert type(teacher.prior_compute) is int
    assert teacher.prior_compute == 12
    context: Any = SimpleNamespace()
    teacher.begin(context)
    teacher.learn(TOLD)
    assert raw.heard == [context, TOLD]
    assert teacher.unwrapped is raw


@pytest.mark.parametrize(
    ("thing", "done"),
    [
        (Foreign(), ("acted", 1, {})),
        (one, ("one", 1)),
        (two, ("two", 1, {})),
        (optional, ("optional", 1, 2.0)),
        (lambda observation: observation, 1),
        (SimpleNamespace(act=two), ("two", 1, {})),
    ],
)
def test_objects_and_functions_of_one_or_two_arguments_act(thing: Any, done: Any) -> None:
    assert as_teacher(thing).act(1, {}) == done


@pytest.mark.parametrize(
    ("thing", "given", "name"),
    [
        (Foreign(), "", "Foreign"),
        (Foreign(), "mine", "mine"),
        (one, "", "one"),
        (one, "mine", "mine"),
        (Failure(), "mine", "failure"),
        (SimpleNamespace(act=two, name=3), "", "SimpleNamespace"),
    ],
)
def test_a_teacher_is_called_by_its_own_name_first(thing: Any, given: str, name: str) -> None:
    assert as_teacher(thing, given).name == name


@pytest.mark.parametrize("thing", [3, None, {"act": two}, SimpleNamespace(act=3)])
def test_what_is_no_teacher_is_refused(thing: Any) -> None:
    said = rf"teacher is a {type(thing).__name__}; give an object with act\(observation, info\), or a function"
    with pytest.raises(dataenv.SettingError, match=said):
        as_teacher(thing)


def test_a_class_is_no_teacher_and_a_function_that_hides_its_arguments_is_none() -> None:
    with pytest.raises(dataenv.SettingError, match="teacher is a ABCMeta; give an object with act"):
        as_teacher(Failure)
    with pytest.raises(dataenv.SettingError, match=r"max.* does not tell its arguments; write a function around it"):
        as_teacher(max)


@pytest.mark.parametrize("level", ["skill-forest", 3, None, ["skill-list"]])
def test_a_level_that_there_is_not_is_refused(level: Any) -> None:
    with pytest.raises(dataenv.SettingError, match=r"level .* is not registered; (did you mean|known)"):
        as_teacher(SimpleNamespace(act=two, level=level))


@pytest.mark.parametrize("said", [-1, 1.5, float("nan"), "12", None, True])
def test_a_prior_compute_that_is_no_number_of_tokens_is_refused(said: Any) -> None:
    with pytest.raises(dataenv.SettingError, match=r"prior_compute of teacher SimpleNamespace is .*; give a whole"):
        as_teacher(SimpleNamespace(act=two, prior_compute=said))


class Silent(Exception):
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), ValueError("x"), Silent()])
@pytest.mark.parametrize("attribute", ["level", "prior_compute", "row_args", "yields", "trained_on", "most_requests"])
def test_whatever_an_attribute_raises_is_said(attribute: str, error: BaseException) -> None:
    def fails(self: Any, *given: Any) -> Any:
        raise error

    made = type("Failing", (Foreign,), {attribute: property(fails)})
    with pytest.raises(errors.SettingError, match=rf"{attribute}.* of teacher Failing cannot be read"):
        told_of(made())


def test_whatever_a_method_raises_that_is_asked_outside_of_a_run_is_said() -> None:
    def fails(self: Any, lesson_size: int) -> Any:
        raise SystemExit(3)

    with pytest.raises(errors.SettingError, match=r"most_requests\(\) of teacher Failing cannot be read"):
        told_of(type("Failing", (Foreign,), {"most_requests": fails})())


def told_of(thing: Any) -> Any:
    teacher = as_teacher(thing)
    return teacher.most_requests(8), teacher.row_args, teacher.yields, teacher.trained_on


@pytest.mark.parametrize("said", ["many", -1, 1.5])
def test_requests_that_are_no_number_are_refused(said: Any) -> None:
    made = type("Asking", (Foreign,), {"most_requests": lambda self, lesson_size: said})
    with pytest.raises(errors.SettingError, match=r"most_requests\(\) of teacher Asking is"):
        as_teacher(made()).most_requests(8)


def test_what_a_teacher_changes_later_is_seen() -> None:
    raw = Whole()
    teacher = as_teacher(raw)
    assert yields_of(teacher) == {"offered": 1}
    teacher.begin(SimpleNamespace())
    raw.yields["revised"] += 1
    assert yields_of(teacher) == {"offered": 2, "revised": 1}
    raw.prior_compute = 40
    raw.act = lambda observation, info: "new"
    assert teacher.prior_compute == 40
    assert teacher.act(1, {}) == "new"
    raw.prior_compute = -1
    with pytest.raises(dataenv.SettingError, match="prior_compute"):
        _ = teacher.prior_compute


def test_one_around_another_counts_the_others_yields_too() -> None:
    outer = SimpleNamespace(act=two, yields=Counter(offered=3), inner=Whole())
    around = SimpleNamespace(act=two, inner=outer, yields={"no": 1})
    assert yields_of(as_teacher(around)) == {"inner offered": 3, "inner inner offered": 1}
    assert as_teacher(SimpleNamespace(act=two, inner=3)).inner is None, "its own business"


@pytest.mark.parametrize("thing", [Foreign(), Whole(), Subclass(), one, two])
def test_what_is_adapted_is_adapted_once(thing: Any) -> None:
    teacher = as_teacher(thing)
    assert as_teacher(teacher) is as_teacher(teacher, "another") is teacher
    assert isinstance(copy.deepcopy(teacher), AdaptedTeacher)


def test_a_function_that_is_registered_is_built_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._HERE["teacher"], "mine", one)
    assert build_teacher("mine").name == "mine"
    assert build_teacher("mine").act(1, {}) == ("one", 1)
    assert build_teacher("teachers.failure:Failure").name == "failure"
    with pytest.raises(dataenv.SettingError, match="did you mean 'stratified'"):
        build_teacher("stratifed")


def test_nothing_else_looks_whether_a_teacher_has_an_attribute() -> None:
    words = [f'"{a}"' for a in ATTRIBUTES if a != "name"]  # students and tasks have names, too
    root = Path(dataenv.__file__).parents[1]
    found = [
        f"{path.relative_to(root)}: {line.strip()}"
        for folder in ("dataenv", "teachers")
        for path in sorted((root / folder).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if ("getattr(" in line or "hasattr(" in line) and any(word in line for word in words)
        if path.relative_to(root).as_posix() != "dataenv/episode/teacher.py"
    ]
    assert found == []


def test_a_name_is_a_teacher_too() -> None:
    assert type(dataenv.as_teacher("stratified").unwrapped).__name__ == "Stratified"
    with pytest.raises(dataenv.SettingError, match="teacher 'stratifed' is not registered; did you mean 'stratified'"):
        dataenv.as_teacher("stratifed")


def test_a_function_without_a_parameter_is_no_teacher() -> None:
    with pytest.raises(dataenv.SettingError, match="teacher is a function without a parameter"):
        dataenv.as_teacher(lambda: 1)
