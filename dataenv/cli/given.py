"""What is given on the command line by name: arguments of a teacher, fields of a Setting or of a board."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from dataenv.errors import SettingError
from dataenv.validation import assigned

if TYPE_CHECKING:
    from dataenv.leaderboard.config import Entry


def json_object(option: str, text: str) -> dict[str, Any]:
    """A JSON object given on the command line."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingError(f"{option} is no JSON ({error}); give an object such as '{{\"alpha\": 2}}'") from None
    if not isinstance(value, dict):
        raise SettingError(f"{option} is a {type(value).__name__}; give a JSON object")
    return value


def value_of(text: str) -> Any:
    """A value as JSON where it is some, else as the text that it is."""

    def refuse(_: str) -> NoReturn:
        raise ValueError  # NaN and Infinity are no JSON, though Python reads them

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError:
        return text


def pairs(option: str, given: Iterable[str] | None, such_as: str) -> dict[str, Any]:
    """``PATH=VALUE`` of a repeatable option; of one path given twice the last value counts.

    Raises:
        SettingError: If one is not of that form.
    """
    found = {}
    for text in given or ():
        path, equals, value = text.partition("=")
        if not equals or not all(path.split(".")):
            raise SettingError(f"{option} is {text!r}; give a name, '=' and a value, such as {option} {such_as}")
        found[path] = value_of(value)
    return found


def arguments(text: str, given: Iterable[str] | None, option: str = "-t") -> dict[str, Any]:
    """The arguments of ``--args``, and over them those that are given one by one."""
    fields = json_object("--args", text)
    for path, value in pairs(option, given, "alpha=2").items():
        fields = assigned(fields, path, value, Any, option)
    return fields


def setting_fields(text: str, given: Iterable[str] | None, **named: Any) -> dict[str, Any]:
    """Fields of a Setting: those with an option of their own, over them ``--setting``, over them ``-s``.

    Raises:
        SettingError: If one is no field, with the nearest that is.
    """
    from dataenv.setting import Setting

    fields = named | json_object("--setting", text)
    for path, value in pairs("-s", given, "recipe.rate=1e-3").items():
        fields = assigned(fields, path, value, Setting, "-s")
    return fields


def additions(given: Iterable[str] | None) -> tuple[Entry, ...]:
    """The teachers of ``--add``: a name, ``module:Name``, ``LABEL=`` before either, or an entry as JSON.

    Raises:
        SettingError: If one is none, or unknown, with the nearest name.
    """
    from dataenv.episode.teacher import build_teacher
    from dataenv.leaderboard.config import Entry
    from dataenv.validation import validated

    found = []
    for text in given or ():
        if text.lstrip().startswith("{"):
            fields = json_object("--add", text)
        else:
            label, _, name = text.rpartition("=")
            fields = {"name": name, "label": label}
        entry = validated(Entry, fields, "--add", SettingError)
        build_teacher(entry.name, entry.args)
        if entry not in found:
            found.append(entry)
    return tuple(found)
