"""The site: `make docs`. Pages are Markdown; the reference is made from docstrings, commands and record fields."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

project = "dataenv"
author = copyright = "the dataenv authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "dataenv"
exclude_patterns = ["_site"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
autodoc_mock_imports = ["torch", "transformers", "ray", "safetensors.torch"]
autodoc_typehints = "none"  # signatures of records name each field's type; in the text they stand a second time
autodoc_member_order = "bysource"
napoleon_use_ivar = True  # an attribute of a record is a field, and is described once
nitpicky = False
suppress_warnings = ["misc.highlighting_failure"]  # a block of JSON lines with … in it
GENERATED = DOCS / "_generated"
LINKS = (("](docs/", "]("), ("](../CONTRIBUTING.md", "](contributing.md"), ("](../README.md", "](index.md"),
         ("](CONTRIBUTING.md", "](contributing.md"), ("](../CHANGELOG.md", "](changelog.md"),
         ("](CHANGELOG.md", "](changelog.md"))  # fmt: skip


def setup(app: Sphinx) -> None:
    """Make the pages that follow from code, and turn links between files into links between pages."""
    GENERATED.mkdir(exist_ok=True)
    (GENERATED / "cli.md").write_text(commands(), encoding="utf-8")
    (GENERATED / "fields.md").write_text(fields(), encoding="utf-8")
    app.connect("source-read", lambda _app, _name, source: source.__setitem__(0, linked(source[0])))
    app.connect("include-read", lambda _app, _path, _parent, source: source.__setitem__(0, linked(source[0])))


def linked(text: str) -> str:
    """A page's text with links that hold in the site."""
    for old, new in LINKS:
        text = text.replace(old, new)
    return re.sub(r"\[([^\]]+)\]\((?:\.\./)?(?:LICENSE|Makefile|dataenv/[^)]*|tests/[^)]*)\)", r"\1", text)


def commands() -> str:
    """Every command with its arguments and options, as typer knows them."""
    from dataenv.cli import app

    parts = ["# Commands, in full\n"]
    pending: list[tuple[str, Any]] = [("dataenv", typer.main.get_command(app))]
    while pending:
        name, command = pending.pop(0)
        members = getattr(command, "commands", None)
        if members is not None:
            pending += [(f"{name} {each}", member) for each, member in sorted(members.items()) if not member.hidden]
            continue
        parts.append(
            f"## `{name}`\n\n{plain(command.help)}\n\n| | |\n|---|---|\n" + "\n".join(map(row, command.params))
        )
    return "\n\n".join(parts) + "\n"


def row(parameter: Any) -> str:
    """A parameter as a row of a table."""
    names = ", ".join(f"`{each}`" for each in (*parameter.opts, *parameter.secondary_opts))
    return f"| {names} | {plain(getattr(parameter, 'help', '') or '')} |"


def fields() -> str:
    """The fields of what a user writes: a Setting, a recipe, a board."""
    from dataenv.leaderboard.config import Board
    from dataenv.setting import Setting

    parts, seen, pending = ["# Settings, recipes and boards\n"], set[type[BaseModel]](), [Setting, Board]
    while pending:
        model = pending.pop(0)
        if model in seen:
            continue
        seen.add(model)
        rows = []
        for name, field in model.model_fields.items():
            pending += [inner for inner in records(field.annotation) if inner not in seen]
            default = "required" if field.default is PydanticUndefined and field.default_factory is None else ""
            if not default:
                made = field.get_default(call_default_factory=True, validated_data={})
                default = "" if isinstance(made, BaseModel) else f"`{made!r:.60}`"
            rows.append(f"| `{name}` | {default.replace('|', chr(92) + '|')} |")
        parts.append(f"## {model.__name__}\n\n```{{eval-rst}}\n.. autoclass:: {model.__module__}.{model.__name__}\n"
                     "   :no-index:\n```\n\n| field | default |\n|---|---|\n" + "\n".join(rows))  # fmt: skip
    return "\n\n".join(parts) + "\n"


def records(annotation: Any) -> list[type[BaseModel]]:
    """The record types within an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is None and get_origin(annotation) is not Union:
        return []
    return [found for inner in get_args(annotation) for found in records(inner)]


def plain(text: str | None) -> str:
    """One paragraph without marks that Markdown would read."""
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "\\<")
