"""Rows of a file or a data set, as they are written there, each with the words that say where.

Text stays text: no reader guesses that ``0119`` is a number or ``2024-01-02`` a time. Numbers of JSON keep the form in
which they are written. The same reader serves a path and the same path behind ``datasets:``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from tasks.jsonl.unpacking import LARGEST, PACKED, opened, regular

DATASETS = "datasets:"
MOST_ROWS = 1_000_000
"""Rows of a source."""
LONGEST_LINE = 16 << 20
"""Characters of a line."""


class Raw(NamedTuple):
    """A row: its fields, and where it stands, such as ``eval.jsonl, line 3``."""

    where: str
    fields: Mapping[str, Any]


class WrittenFloat(str):
    """A number of JSON that is not whole, as it is written."""


def read_rows(source: str) -> list[Raw]:
    """The rows of a source, in its order.

    Args:
        source: A file of one of the ``READERS``, packed by one of ``PACKED`` or not, or
            ``datasets:NAME[:CONFIG[:SPLIT]]`` where NAME is one of the hub, a file, or a folder.

    Raises:
        ValueError: In one sentence, if it is not there, cannot be read, or holds no row or too many.
    """
    found = _dataset(source) if source.startswith(DATASETS) else _file(source)
    rows = list(islice(found, MOST_ROWS + 1))
    if not rows:
        raise ValueError(f"{source} holds no row; give one a question")
    if len(rows) > MOST_ROWS:
        raise ValueError(f"{source} has more than {MOST_ROWS:,} rows; give a part of it")
    return rows


def _file(source: str) -> Iterator[Raw]:
    path = Path(source)
    packed = path.suffix.lower() if path.suffix.lower() in PACKED else ""
    kind = Path(path.stem).suffix.lower() if packed else path.suffix.lower()
    if kind not in (*READERS, ".parquet"):
        raise ValueError(
            f"{source} is no {', '.join(READERS)} or .parquet ({', '.join(PACKED)} may follow); rename it to what it is"
        )
    try:
        regular(path)
        if kind == ".parquet":
            if packed:
                raise ValueError(f"{source} is packed twice, for .parquet is packed in itself; unpack the {packed}")
            yield from _parquet(path)
            return
        with opened(path, packed) as file:
            yield from READERS[kind](path.name, file)
    except FileNotFoundError:
        raise ValueError(f"{source} is not there; give the path of a file, as seen from {Path.cwd()}") from None
    except OSError as error:
        raise ValueError(f"{source} cannot be read ({error.strerror or error}); give a whole file") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def _lines(name: str, file: TextIO) -> Iterator[str]:
    for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE + 1), ""), start=1):
        if len(line) > LONGEST_LINE:
            raise ValueError(f"{name}, line {number}, is longer than {LONGEST_LINE:,} characters; give shorter lines")
        yield line


def _jsonl(name: str, file: TextIO) -> Iterator[Raw]:
    for number, line in enumerate(_lines(name, file), start=1):
        if line.strip():
            where = f"{name}, line {number}"
            yield Raw(where, _object(where, _parsed(where, line)))


def _json(name: str, file: TextIO) -> Iterator[Raw]:
    value = _parsed(name, file.read())
    if not isinstance(value, list):
        raise ValueError(f"{name} is a JSON {_kind(value)}; give a list of objects, or one object a line in a .jsonl")
    for number, item in enumerate(value, start=1):
        where = f"{name}, item {number}"
        yield Raw(where, _object(where, item))


def _csv(name: str, file: TextIO, delimiter: str = ",") -> Iterator[Raw]:
    reader = csv.DictReader(_lines(name, file), strict=True, delimiter=delimiter)
    try:
        twice = _first_twice(reader.fieldnames or ())
        if twice is not None:
            raise ValueError(f"{name}, line 1, names two columns {twice!r}; rename one")
        for row in reader:
            where = f"{name}, line {reader.line_num}"
            if None in row or None in row.values():
                held = "a comma" if delimiter == "," else "a tab"
                raise ValueError(f"{where}, has not as many fields as the first line; quote what holds {held}")
            yield Raw(where, row)
    except csv.Error as error:
        kind = "CSV" if delimiter == "," else "TSV"
        raise ValueError(f"{name}, line {reader.line_num}, is no {kind} ({error}); mend that line") from None


READERS: dict[str, Callable[[str, TextIO], Iterator[Raw]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".tsv": partial(_csv, delimiter="\t"),
}


def _parquet(path: Path) -> Iterator[Raw]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ValueError(f"{path} needs the package pyarrow; pip install 'dataenv[data]'") from None
    try:
        with ParquetFile(path) as file:
            if sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)) > LARGEST:
                raise ValueError(f"{path.name} holds more than {LARGEST >> 20} MiB, unpacked; give a part of it")
            twice = _first_twice(file.schema_arrow.names)
            if twice is not None:
                raise ValueError(f"{path.name} names two columns {twice!r}; rename one")
            batches = file.iter_batches(batch_size=1024)
            rows = (row for batch in batches for row in batch.to_pylist())
            yield from (Raw(f"{path.name}, row {i}", row) for i, row in enumerate(rows, start=1))
    except ArrowException as error:
        raise ValueError(f"{path} is no whole .parquet ({_short(error)}); write it anew") from None


def _parsed(where: str, text: str) -> Any:
    try:
        return json.loads(text, parse_float=WrittenFloat, object_pairs_hook=_pairs)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}, is no JSON ({error.msg} at character {error.pos + 1}); mend that line") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets a thousand deep
        raise ValueError(f"{where}, cannot be read ({error}); mend that line") from None


def _pairs(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    twice = _first_twice([key for key, _ in pairs])
    if twice is not None:
        raise ValueError(f"the key {twice!r} stands there twice")
    return dict(pairs)


def _first_twice(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _object(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f'{where}, is a JSON {_kind(value)}; give an object such as {{"question": …, "answer": …}}')
    return value


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()):.200}"


def _dataset(source: str) -> Iterator[Raw]:
    """The rows of a data set. Code that a data set brings along is never run: this release of ``datasets`` cannot."""
    name, config, split = [*source.removeprefix(DATASETS).split(":"), "", ""][:3]
    path = Path(name)
    if path.is_file() and path.suffix.lower() != ".arrow":  # read here: datasets guesses types, and keeps copies
        if (config, split) not in (("", ""), ("", "train")):
            raise ValueError(f"{source} names a part of a file, which has none; give {DATASETS}{name}")
        yield from _file(name)
        return
    try:
        import datasets
    except ImportError:
        raise ValueError(f"{source} needs the package datasets; pip install 'dataenv[data]'") from None
    try:
        found = _load(datasets, path, name, config)
    except Exception as error:  # whatever its parsers, file systems and HTTP clients raise: said, not hidden
        raise ValueError(
            f"{source} cannot be loaded ({_short(error)}); give a file or folder that is here, or "
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


def _load(datasets: Any, path: Path, name: str, config: str) -> Any:
    if path.is_file():
        return datasets.Dataset.from_file(str(path))
    if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
        return datasets.load_from_disk(str(path))
    found = datasets.load_dataset(name, config or None)
    one = next(iter(found.values())) if isinstance(found, Mapping) else found
    if one.info.builder_name == "csv":  # once more as text, now that the columns are known
        text = datasets.Features({column: datasets.Value("string") for column in one.features})
        return datasets.load_dataset(name, config or None, features=text, keep_default_na=False)
    if one.info.builder_name == "json":
        _no_times(one.features)
    return found


def _no_times(features: Mapping[str, Any]) -> None:
    """Refuse what was text in JSON and is a time now: how it was written cannot be told any more."""
    for column, feature in features.items():
        if str(getattr(feature, "dtype", "")).startswith(("timestamp", "date", "time", "duration")):
            raise ValueError(f"column {column!r} is taken for a time; give the JSON file itself by its path")
