"""The house rules a machine can check: light imports, four packages that are ours, short modules and functions, names
that stand once, no circle, real commands.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.golden.make import API, GOLDEN, api, found

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("dataenv", "teachers", "students", "tasks")
HEAVY = (
    "torch",
    "transformers",
    "tokenizers",
    "ray",
    "openai",
    "scipy",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "reasoning_gym",
    "math_verify",
    "gguf",
    "xllamacpp",
    "pandas",
    "stable_baselines3",
    "minari",
    "h5py",
)
LONGEST, LONGEST_FUNCTION = 450, 40
Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_import_is_light() -> None:
    """`import dataenv` takes a moment, whatever is installed beside it."""
    code = "import sys, json, dataenv; print(json.dumps(sorted(m for m in sys.modules if '.' not in m)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60
    )
    loaded = set(json.loads(done.stdout))
    assert "gymnasium" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("name", PACKAGES)
def test_package_is_the_one_in_this_checkout(name: str) -> None:
    """Somebody's own `tasks.py` on the path would be imported instead of ours."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin == str(ROOT / name / "__init__.py")
    assert (ROOT / name / "py.typed").is_file()


def test_installed_command_runs_this_checkout() -> None:
    code = "from importlib.metadata import entry_points; import inspect; print(inspect.getfile({}))".format(
        "entry_points(group='console_scripts')['dataenv'].load()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", check=True, timeout=60)
    assert Path(done.stdout.strip()).is_relative_to(ROOT)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_make_commands_of_the_pages_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^\s*|`)make ((?:[A-Z_]+=\S+ )*)([a-z0-9-]+)", text, flags=re.MULTILINE))
    assert named
    targets = set(
        re.findall(r"^([a-z][a-z0-9, -]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    assert {target for _, target in named} <= targets


def test_make_refuses_an_old_python(tmp_path: Path) -> None:
    """One sentence, and nothing half-made."""
    old = tmp_path / "python3.9"
    old.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9); exec(sys.argv[1])" "$2"\n'
    )
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(
        ["make", f"PYTHON={old}", "install"], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode != 0
    assert "needs Python 3.11" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_modules_are_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for name in (*PACKAGES, "tests")
        for path in (ROOT / name).rglob("*.py")
    }
    assert len(lengths) > 20
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of every module of ours, by its dotted name."""
    paths = [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    return {dotted(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for module, tree in modules().items():
        yield from ((module, node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def lines_of(function: Function) -> int:
    """Lines of what a function does: its body without the docstring. The options of a command stand in its head."""
    body = function.body[1 if ast.get_docstring(function, clean=False) is not None else 0 :]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_functions_are_short() -> None:
    lengths = {
        f"{module}.{node.name}": lines_of(node)
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, Function)
    }
    assert len(lengths) > 1_000
    assert {name for name, n in lengths.items() if n > LONGEST_FUNCTION} == set()


def test_a_public_class_name_stands_once() -> None:
    places = defaultdict(set)
    for module, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(module)
    assert len(places) > 100
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def exceptions() -> dict[str, set[str]]:
    """Every exception of ours with the names of its bases: it derives from a built-in one, or from another of ours."""
    bases = {node.name: {ast.unparse(base).split(".")[-1] for base in node.bases} for _, node in classes()}
    known = {name for name, value in vars(builtins).items() if isinstance(value, type) and is_exception(value)}
    while more := {name for name, above in bases.items() if name not in known and above & known}:
        known |= more
    return {name: above for name, above in bases.items() if name in known}


def is_exception(value: type) -> bool:
    return issubclass(value, BaseException)


def test_exceptions_end_in_error_and_stand_under_ours() -> None:
    """One ``except DataenvError`` catches whatever a user can mend."""
    found, ours = exceptions(), {"DataenvError"}
    assert len(found) > 10
    assert [name for name in found if not name.endswith("Error")] == []
    while more := {name for name, above in found.items() if name not in ours and above & ours}:
        ours |= more
    assert set(found) - ours == set()


def imports() -> Iterator[tuple[str, str]]:
    """Every import of one module of ours by another, those inside functions and those for types alone too."""
    known = modules()
    for module, tree in known.items():
        for node in ast.walk(tree):
            named: list[str] = []
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                named = [name if name in known else node.module for name in inner]
            yield from ((module, name) for name in named if name in known and name != module)


def room(module: str) -> str:
    """A folder, or a module that lies in dataenv itself."""
    path = ROOT / module.replace(".", "/")
    parts = module.split(".") if path.is_dir() else module.split(".")[:-1]
    return module if parts == ["dataenv"] else ".".join(parts)


def circle(edges: Iterable[tuple[str, str]]) -> list[str]:
    """Some circle of imports, or nothing."""
    below: Mapping[str, set[str]] = defaultdict(set)
    for above, name in edges:
        below[above].add(name)
    try:
        TopologicalSorter(below).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_and_no_room_is_in_a_circle() -> None:
    edges = set(imports())
    assert len(edges) > 500
    assert circle(edges) == []
    between = {(room(a), room(b)) for a, b in edges if a.startswith("dataenv") and b.startswith("dataenv")}
    assert circle((a, b) for a, b in between if a != b) == []


def test_a_circle_is_found() -> None:
    assert circle([("a", "b"), ("b", "c")]) == []
    assert set(circle([("a", "b"), ("b", "c"), ("c", "a")])) == {"a", "b", "c"}


def test_test_folders_are_not_packages() -> None:
    """A `tests/tasks/__init__.py` would stand in the way of the package `tasks`."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


CROSS_CUTTING = {
    "dataenv/cli/test_cli.py": "the commands together",
    "dataenv/checks/test_checks.py": "the checks together",
    "dataenv/checks/test_kinds.py": "the checks of all other kinds together, over everything registered",
    "dataenv/environment/test_finish.py": "what comes after the last lesson: env, exams and play",
    "dataenv/environment/test_menu.py": "recipes that an action asks for: levels, screen and price",
    "dataenv/environment/test_phases.py": "phases after the last lesson: env, forks, plan, validate and play",
    "dataenv/execution/serving/test_board.py": "a board whose exams an engine answers",
    "dataenv/execution/serving/test_vllm.py": "vLLM itself",
    "dataenv/execution/test_bench_gpu.py": "tests/bench/bench_gpu.py, what `make gpu` runs",
    "dataenv/execution/test_gpu.py": "workers that share a card",
    "dataenv/leaderboard/test_suites.py": "named transfer suites, from the exam to the page",
    "dataenv/leaderboard/test_targets.py": "a Setting's targets, from the exams to the page",
    "dataenv/leaderboard/report/test_leaks_shown.py": "leaks, from the screen to the page",
    "dataenv/leaderboard/report/test_page_layout.py": "the page in a browser",
    "dataenv/leaderboard/report/test_page_text.py": "what the page says first, word for word",
    "dataenv/leaderboard/statistics/test_prove_statistics.py": "tests/bench/prove_statistics.py",
    "dataenv/test_parts.py": "modules too small for a file of their own",
    "students/test_contract.py": "everything registered",
    "students/test_gpu.py": "students on a card",
    "students/test_schedule.py": "schedules, through every student that has them",
    "tasks/test_contract.py": "everything registered",
    "teachers/chat/test_misbehaving.py": "servers that break their word",
    "teachers/discovery/test_discovery.py": "the discoverers together",
    "teachers/llm/test_hostile_replies.py": "what a reply cannot do, whatever it says, to any teacher that asks",
    "teachers/test_on_programs.py": "everything registered that needs no language model, on `programs`",
    "teachers/test_on_scenes.py": "everything registered that needs no language model, on `scenes`",
    "teachers/llm/test_local_model.py": "teachers with a model of this machine",
    "teachers/llm/test_outage.py": "what an outage leaves",
    "teachers/llm/test_policies.py": "the three policies together",
    "teachers/llm/test_prompts_shown.py": "what prompts show, and what they must not",
    "teachers/test_contract.py": "everything registered",
    "teachers/test_controls.py": "the teachers that others are compared with",
    "teachers/test_laws.py": "laws that hold for every teacher",
}
"""Tests that stand for no one module, and what they are about instead."""


def test_the_test_of_a_module_is_found_by_its_path() -> None:
    """``dataenv/budget/purse.py`` is tested in ``tests/dataenv/budget/test_purse.py``."""
    tests = ROOT / "tests"
    lost = {
        str(path.relative_to(tests))
        for package in PACKAGES
        for path in (tests / package).rglob("test_*.py")
        if not _tested_by(path.relative_to(tests))
    }
    assert lost <= set(CROSS_CUTTING), (
        "no module has the path of these tests; name the file after the module it tests, or say in CROSS_CUTTING what "
        f"it is about: {sorted(lost - set(CROSS_CUTTING))}"
    )
    assert set(CROSS_CUTTING) <= lost, f"take out of CROSS_CUTTING: {sorted(set(CROSS_CUTTING) - lost)}"


def _tested_by(test: Path) -> bool:
    """Whether there is a module, or a package, of a test's path."""
    module = ROOT / test.parent / test.stem.removeprefix("test_")
    return module.with_suffix(".py").is_file() or (module / "__init__.py").is_file()


RENEW = (
    "the public API has changed. If that was not meant, mend it: users import these names. If it was meant, say so in "
    "CHANGELOG.md and renew the snapshot: python -m tests.golden.make"
)


def test_public_names_are_those_of_the_snapshot() -> None:
    """Each name of ``dataenv.__all__`` is what it was, with the parameters that it had."""
    kept, now = json.loads((GOLDEN / API).read_text(encoding="utf-8"))["dataenv"], api()["dataenv"]
    changed = {name: (kept.get(name), now.get(name)) for name in kept | now if kept.get(name) != now.get(name)}
    assert not changed, f"{RENEW} (name: before, now) {changed}"


def test_what_the_pages_import_stays_importable() -> None:
    """What a page once showed too: a script that was written by it goes on running."""
    kept, now = json.loads((GOLDEN / API).read_text(encoding="utf-8"))["pages"], api()["pages"]
    fresh = {page: sorted(set(names) - set(kept.get(page, ()))) for page, names in now.items()}
    assert not any(fresh.values()), f"the pages show names that the snapshot has not; {RENEW} {fresh}"
    for name in sorted({name for names in kept.values() for name in names}):
        assert found(name) is not None, f"{name}: {RENEW}"


def test_every_dependency_is_pinned_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(name for extra in extras.values() for name in extra)]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [_plain(line.split("==")[0]) for line in lines if line and not line.startswith("#")]
    assert len(pins) == len(set(pins))
    assert {_plain(re.split(r"[<>=\[]", name)[0]) for name in wanted} <= set(pins)
    assert "torch==2.13.0" in lines


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
