"""Rows of a file or a data set, as they stand there, each with the words that say where."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

DATASETS = "datasets:"
_BUILDERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet", ".arrow": "arrow"}


class Raw(NamedTuple):
    """A row: its fields, and where it stands, such as ``eval.jsonl, line 3``."""

    where: str
    fields: Mapping[str, Any]


def read_rows(source: str) -> list[Raw]:
    """The rows of a source, in its order.

    Args:
        source: A ``.jsonl``, ``.json`` (a list of objects) or ``.csv`` file, or ``datasets:NAME[:CONFIG[:SPLIT]]``
            where NAME is one of the hub, a file, or a folder.

    Raises:
        ValueError: In one sentence, if it is not there, cannot be read, or holds no row.
    """
    rows = list(_dataset(source) if source.startswith(DATASETS) else _file(source))
    if not rows:
        raise ValueError(f"{source} holds no row; give one a question")
    return rows


def _file(source: str) -> Iterator[Raw]:
    path = Path(source)
    readers = {".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".csv": _csv}
    if path.suffix.lower() not in readers:
        raise ValueError(
            f"{source} is no .jsonl, .json or .csv; rename it, or give {DATASETS}{source} for what datasets can read"
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from readers[path.suffix.lower()](path.name, file)
    except FileNotFoundError:
        raise ValueError(f"{source} is not there; give the path of a file, as seen from {Path.cwd()}") from None
    except OSError as error:
        raise ValueError(f"{source} cannot be read ({error.strerror}); give a file") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def _jsonl(name: str, file: Iterable[str]) -> Iterator[Raw]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            where = f"{name}, line {number}"
            yield Raw(where, _object(where, _parsed(where, line)))


def _json(name: str, file: Iterable[str]) -> Iterator[Raw]:
    value = _parsed(name, "".join(file))
    if not isinstance(value, list):
        raise ValueError(f"{name} is a JSON {_kind(value)}; give a list of objects, or one object a line in a .jsonl")
    for number, item in enumerate(value, start=1):
        where = f"{name}, item {number}"
        yield Raw(where, _object(where, item))


def _csv(name: str, file: Iterable[str]) -> Iterator[Raw]:
    reader = csv.DictReader(file, strict=True)
    try:
        for row in reader:
            where = f"{name}, line {reader.line_num}"
            if None in row or None in row.values():
                raise ValueError(f"{where}, has not as many fields as the first line; quote what holds a comma")
            yield Raw(where, row)
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.line_num}, is no CSV ({error}); mend that line") from None


def _parsed(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}, is no JSON ({error.msg} at character {error.pos + 1}); mend that line") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets a thousand deep
        raise ValueError(f"{where}, cannot be read ({error}); mend that line") from None


def _object(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f'{where}, is a JSON {_kind(value)}; give an object such as {{"question": …, "answer": …}}')
    return value


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _dataset(source: str) -> Iterator[Raw]:
    """The rows of a data set. Code that a data set brings along is never run: this release of ``datasets`` cannot."""
    name, config, split = [*source.removeprefix(DATASETS).split(":"), "", ""][:3]
    try:
        import datasets
    except ImportError:
        raise ValueError(f"{source} needs the package datasets; pip install 'dataenv[data]'") from None
    try:
        found = _load(datasets, name, config)
    except Exception as error:  # whatever its parsers, file systems and HTTP clients raise: said, not hidden
        said = " ".join(str(error).split())
        raise ValueError(
            f"{source} cannot be loaded ({type(error).__name__}: {said:.200}); give a file or folder that is here, or "
            "be on line and give a name that the hub has"
        ) from None
    if isinstance(found, Mapping):
        if not split and len(found) == 1:
            split = next(iter(found))
        if split not in found:
            raise ValueError(
                f"{source} has the splits {', '.join(map(str, found))}; name one: {DATASETS}{name}:{config}:SPLIT"
            )
        found = found[split]
    for number, row in enumerate(found, start=1):
        yield Raw(f"{name}, row {number}", row)


def _load(datasets: Any, name: str, config: str) -> Any:
    path = Path(name)
    if path.is_file():
        return datasets.load_dataset(_BUILDERS.get(path.suffix.lower(), "text"), data_files=str(path))
    if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
        return datasets.load_from_disk(str(path))
    return datasets.load_dataset(name, config or None)
