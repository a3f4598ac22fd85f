"""``new``: a package whose tests pass as written, and whose entry point is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dataenv import registry
from dataenv.cli.new import KINDS, write
from dataenv.errors import SettingError

ROOT = Path(__file__).resolve().parents[3]


def call(*words: str, folder: Path, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, *path))), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environ, capture_output=True, text=True, timeout=250, check=False
    )


def install(package: Path, site: Path) -> None:
    """What an installer leaves of a package: the folder with its entry points, as its own pyproject.toml has them."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    folder = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {where}" for name, where in points.items()))
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_new_package_pass_as_written(kind: str, tmp_path: Path) -> None:
    package, files = write(kind, "of_mine", tmp_path)
    assert files == ["README.md", "of_mine/__init__.py", "pyproject.toml", "tests/test_contract.py"]
    done = call("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=package)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_is_found_by_its_name_when_installed(kind: str, tmp_path: Path) -> None:
    package, _ = write(kind, "of_mine", tmp_path)
    install(package, tmp_path / "site")
    code = (
        f"from dataenv import registry; print(registry.names({kind!r})['of_mine'], registry.find({kind!r}, 'of_mine'))"
    )
    done = call("-c", code, folder=tmp_path, path=(package, tmp_path / "site"))
    assert done.stdout.startswith("of_mine:OfMine <class 'of_mine.OfMine'>"), done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_its_readme_has_three_commands_and_its_code_is_formatted(kind: str, tmp_path: Path) -> None:
    package, files = write(kind, "of_mine", tmp_path)
    commands = [line for line in (package / "README.md").read_text().splitlines() if line.startswith("    ")]
    assert len(commands) == 3
    assert "of_mine" in commands[2]
    for file in files:
        text = (package / file).read_text()
        assert "{{" not in text
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
    ruff = Path(sys.executable).parent / "ruff"
    if ruff.exists():
        words = ("check", "format", "--check", "--config", str(ROOT / "pyproject.toml"))
        done = subprocess.run(
            [ruff, *words[1:], "."], cwd=package, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        ("taks", "x", "KIND is 'taks'; did you mean 'task'?"),
        ("task", "1x", "NAME is '1x', and a package is called by it; give small letters, digits and '_'"),
        ("task", "a-b", "NAME is 'a-b'"),
        ("task", "../x", "NAME is '../x'"),
        ("task", "class", "NAME is 'class'"),
        ("task", "", "NAME is ''"),
        ("task", "été", "NAME is 'été'"),
        ("task", "a_", "NAME is 'a_'"),
        ("teacher", "none", "NAME is 'none'"),
        ("task", "problem", "its class would hide Problem, which a task needs"),
        ("engine", "request", "its class would hide Request, which an engine needs"),
        ("student", "example", "its class would hide Example, which a student needs"),
        ("teacher", "failure", "a teacher of that name is registered"),
        ("task", "tasks", "a package of that name is there, which it would hide"),
        ("task", "students", "a package of that name is there, which it would hide"),
        ("task", "dataenv", "a package of that name is there, which it would hide"),
        ("task", "json", "a package of that name is there, which it would hide"),
        ("task", "numpy", "a package of that name is there, which it would hide"),
    ],
)
def test_a_name_that_cannot_be_is_refused(kind: str, name: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        write(kind, name, tmp_path)
    assert sentence in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    package, _ = write("task", "of_mine", tmp_path)
    (package / "README.md").write_text("mine")
    with pytest.raises(SettingError, match="is there, and nothing is overwritten"):
        write("teacher", "of_mine", tmp_path)
    assert (package / "README.md").read_text() == "mine"


def test_every_kind_is_registered() -> None:
    assert set(KINDS) <= set(registry.KINDS)


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    done = call("-m", "dataenv", "new", "task", "of_mine", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["kind"], told["name"], told["folder"]) == ("task", "of_mine", "of_mine")
    assert all((tmp_path / told["folder"] / file).is_file() for file in told["files"])
