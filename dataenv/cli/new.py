"""``new``: a package of one's own with a task, student, teacher or engine in it that works, to change."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dataenv import registry
from dataenv.cli.common import HERE, Voice, command
from dataenv.cli.options import OUTPUT, Json, Quiet
from dataenv.errors import SettingError, did_you_mean

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class Pattern:
    """What is particular to a kind.

    Attributes:
        article: Before its name, at the beginning of a sentence.
        checked: What its check is given; ``{cls}`` is the class.
        command: A command that uses it; ``{name}`` is the name.
    """

    article: str
    checked: str
    command: str


KINDS: dict[registry.Kind, Pattern] = {
    "task": Pattern("A", "{cls}()", "dataenv run --task {name}"),
    "student": Pattern("A", "{cls}()", "dataenv run --student {name}"),
    "teacher": Pattern("A", "{cls}", "dataenv leaderboard quick --add {name}"),
    "engine": Pattern("An", "{cls}()", "dataenv run -s engine={name}"),
}
OURS = ("dataenv", "tasks", "students", "teachers", "tests")


@command("new", HERE)
def new(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{', '.join(KINDS)}.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the package, and what it is registered by.")],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", rich_help_panel=OUTPUT, help="In which its folder is made.")
    ] = Path("."),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a package with a task, student, teacher or engine that works: code, contract test, entry point, README."""
    folder, files = write(kind, name, out)
    voice = Voice(as_json, quiet)
    voice.result({"kind": kind, "name": name, "folder": str(folder), "files": files}, str(folder))
    if not as_json:
        voice.say(*(f"  {file}" for file in files), f"next: cd {folder} && pip install -e . && pytest")


def write(kind: str, name: str, out: Path) -> tuple[Path, list[str]]:
    """Write a package; its folder, and the files in it.

    Args:
        kind: Of what is in it.
        name: Of the package, a Python identifier, and what it is registered by.
        out: Where its folder is made.

    Raises:
        SettingError: If there is no such kind, the name is taken or none, or the folder is there.
    """
    if kind not in KINDS:
        raise SettingError(f"KIND is {kind!r}; {did_you_mean(kind, KINDS)}")
    folder = out / name
    _must_be_free(kind, name, folder)
    pattern = KINDS[kind]
    cls = _class_name(name)
    values = {
        "kind": kind,
        "name": name,
        "cls": cls,
        "article": pattern.article,
        "checked": pattern.checked.format(cls=cls),
        "command": pattern.command.format(name=name),
    }
    files = {
        "README.md": "README.md",
        "pyproject.toml": "pyproject.toml",
        f"{name}/__init__.py": f"{kind}.py",
        "tests/test_contract.py": "test_contract.py",
    }
    templates = _templates()
    texts = {file: templates.get_template(f"{template}.j2").render(values) for file, template in files.items()}
    for file, text in texts.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder, sorted(texts)


def _class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _must_be_free(kind: registry.Kind, name: str, folder: Path) -> None:
    """Refuse a name that Python, this project or an installed package has, and a folder that is there."""
    cls = _class_name(name)
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name) or keyword.iskeyword(cls):
        raise SettingError(f"NAME is {name!r}, and a package is called by it; give small letters, digits and '_'")
    if folder.exists():
        raise SettingError(f"folder {folder} is there, and nothing is overwritten; give another NAME or --out")
    if name in registry.names(kind):
        raise SettingError(f"NAME is {name!r}, and a {kind} of that name is registered; give another")
    if re.search(rf"\b{cls}\b", (_folder() / f"{kind}.py.j2").read_text(encoding="utf-8")):
        needs = f"{KINDS[kind].article.lower()} {kind} needs"
        raise SettingError(f"NAME is {name!r}, and its class would hide {cls}, which {needs}; give another")
    there = find_spec(name)
    if name in OURS or name in sys.stdlib_module_names or (there is not None and there.origin is not None):
        raise SettingError(f"NAME is {name!r}, and a package of that name is there, which it would hide; give another")


def _folder() -> Path:
    return Path(str(resources.files("dataenv.cli"))) / "templates"


def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_folder()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
