"""The registry: names given in this process, what workers are told, and what cannot be had."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dataenv
from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError
from dataenv.lessons.engines import Procedural, engine_of
from dataenv.setting import make_setting
from students.pocket.student import Pocket
from students.training import methods
from students.training.grpo import Practising
from tests.toys import TOYS, Plenty, Reverse

pytestmark = pytest.mark.usefixtures("toys")


@pytest.fixture(autouse=True)
def unregistered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test registers is gone after it."""
    monkeypatch.setattr(registry, "_HERE", {kind: {} for kind in registry.KINDS})
    monkeypatch.setattr(methods, "HERE", {})
    monkeypatch.delenv(registry.VARIABLE, raising=False)
    yield
    os.environ.pop(registry.VARIABLE, None)
    registry._shared.cache_clear()


def test_a_function_is_a_teacher_and_one_without_parameters_makes_one() -> None:
    def weakest(observation: Any) -> Any:
        return 1.0 - observation["accuracy"]

    dataenv.register("teacher", "mine", weakest)
    dataenv.register("teacher", "made", lambda: weakest)
    assert registry.build("teacher", "mine") is weakest
    assert registry.build("teacher", "made") is weakest
    assert registry.names("teacher")["mine"].endswith("weakest")


def engine(named: str) -> type[Procedural]:
    class Mine(Procedural):
        name = named

    return Mine


def test_what_is_registered_again_takes_the_place_of_what_was_there() -> None:
    """In a notebook a class is made again under its name, and the new one is meant."""
    setting = make_setting(TOYS | {"engine": "mine"})
    for named in ("first", "second"):
        dataenv.register("engine", "mine", engine(named))
        assert engine_of(setting).name == named


def test_workers_are_told_and_what_they_were_told_before_is_kept() -> None:
    dataenv.register("task", "one", Reverse)
    dataenv.register("student", "two", Pocket)
    registry._HERE["task"].clear()  # as in a worker, which knows only what it was told
    dataenv.register("task", "three", Plenty)
    told = json.loads(os.environ[registry.VARIABLE])
    assert told["task"] == {"one": "tests.toys:Reverse", "three": "tests.toys:Plenty"}
    assert told["student"] == {"two": "students.pocket.student:Pocket"}
    assert registry.names("task")["one"] == "tests.toys:Reverse"


@pytest.mark.parametrize("thing", [functools.partial(Reverse), lambda: Reverse(), type("Local", (Reverse,), {})])
def test_what_no_worker_can_find_is_refused(thing: Any) -> None:
    with pytest.raises(SettingError, match="which no worker can find; define it in a module"):
        dataenv.register("task", "lost", thing)
    assert "lost" not in registry.names("task")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("taks", "x", Reverse), "kind is 'taks'; did you mean 'task'"),
        (("task", "a:b", Reverse), "give a word without ':'"),
        (("task", "x", 3), "is a int; give a class, a function or 'module:Class'"),
        (("method", "grpo", Practising), "method 'grpo' comes along"),
    ],
)
def test_what_cannot_be_registered(given: tuple[Any, str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        dataenv.register(*given)


@pytest.mark.parametrize("text", ["garbage", "null", "[]", '{"method": 3}', '{"task": {"x": 7}}'])
def test_a_variable_that_others_wrote_is_one_sentence(text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from dataenv.cli import main; main()", "list", "task"],
        capture_output=True, text=True, env=os.environ | {registry.VARIABLE: text}, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "which dataenv did not write; unset it" in done.stderr.splitlines()[-1]


BROKEN = {
    "raises.py": "raise RuntimeError('at import')\n",
    "leaves.py": "import sys\nsys.exit(7)\n",
    "keyed.py": "class Engine:\n    def __init__(self): raise KeyError('x')\n    make = print\n",
    "plain.py": "class Thing:\n    name = 'plain'\n",
}


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file, text in BROKEN.items():
        (tmp_path / file).write_text(text)
        monkeypatch.delitem(sys.modules, file.removesuffix(".py"), raising=False)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"engine": "raises:Engine"}, "cannot be loaded .RuntimeError: at import."),
        ({"engine": "leaves:Engine"}, "cannot be loaded .SystemExit: 7."),
        ({"engine": "keyed:Engine"}, "are refused: KeyError"),
        ({"engine": "plain:Thing"}, "derive it from dataenv.lessons.engines.Engine"),
        ({"task": "plain:Thing"}, r"'plain:Thing' is no class with grade\(\); derive it from tasks.base.Task"),
        ({"student": "plain:Thing"}, r"is no class with answer\(\); derive it from students.base.Student"),
        ({"recipe": {"method": "raises:Method"}}, "cannot be loaded|not trained"),
        ({"student_args": {"width": float("inf")}}, "student_args holds what is no JSON, or a number that is not"),
        ({"engine_args": {"x": float("nan")}}, "engine_args holds what is no JSON, or a number that is not finite"),
    ],
)
def test_what_is_broken_from_outside_is_one_sentence(broken: None, change: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said) as raised:
        TeachingEnv("skill-list", **(TOYS | change))
    assert "\n" not in str(raised.value)


def test_a_function_of_the_observation_takes_no_arguments() -> None:
    def weakest(observation: Any) -> Any:
        return 1.0 - observation["accuracy"]

    dataenv.register("teacher", "mine", weakest)
    with pytest.raises(SettingError, match="takes no arguments of its own; leave out alpha, or give a class"):
        registry.build("teacher", "mine", {"alpha": 2})


def test_a_name_that_a_module_has_not_is_told_with_the_nearest() -> None:
    with pytest.raises(SettingError, match=r"cannot be loaded .*; did you mean 'Reverse'"):
        registry.find("task", "tests.toys:Revers")


def test_a_folder_counts_by_what_is_in_it(tmp_path: Path) -> None:
    """Whatever names it: alone, behind another word and a colon, or inside a list or a mapping."""
    inner = tmp_path / "data" / "deep"
    inner.mkdir(parents=True)
    (inner / "a.txt").write_text("1")
    folder = str(tmp_path / "data")
    forms: list[Any] = [folder, f"datasets:{folder}::test", [folder], {"far": {"near": folder}}]
    made = [json.dumps({"x": form}) for form in forms]
    before = [registry._files("task", args) for args in made]
    assert all(before)
    assert registry._files(f"task:{folder}", "{}") == before[0]
    (inner / "a.txt").write_text("12")
    after = [registry._files("task", args) for args in made]
    assert all(one != other for one, other in zip(before, after, strict=True))
    (inner / "b.txt").write_text("")
    assert registry._files("task", made[0]) != after[0]
    assert registry._files("task", json.dumps({"x": "no such file", "y": 3, "z": None})) == ()


@pytest.mark.parametrize("kind", ["task", "student", "teacher", "engine", "discoverer"])
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("os:system", {"command": "touch {}"}),
        ("subprocess:Popen", {"args": ["touch", "{}"]}),
        ("subprocess:run", {"args": ["touch", "{}"]}),
        ("pathlib:Path.touch", {"self": "{}"}),
        ("tempfile:TemporaryDirectory", {}),
    ],
)
def test_nothing_is_called_because_a_file_names_it(kind: Any, name: str, args: dict[str, Any], tmp_path: Path) -> None:
    at = tmp_path / "made"
    filled = {k: [str(at) if a == "{}" else a for a in v] if isinstance(v, list) else v for k, v in args.items()}
    filled = {k: v.format(at) if isinstance(v, str) else v for k, v in filled.items()}
    with pytest.raises(SettingError, match=r"is no class with|takes no arguments of its own"):
        registry.build(kind, name, filled)
    assert not at.exists()
