"""Files as they are: every kind, packed or not, by its path and behind ``datasets:``; what is no file is refused."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataenv.setting import make_setting
from tasks.jsonl import Jsonl, reading, unpacking
from tasks.jsonl.reading import read_rows

ROWS: list[dict[str, Any]] = [
    {"question": "code?", "answer": "0119"},
    {"question": "day?", "answer": "2024-01-02"},
    {"question": "time?", "answer": "12:30"},
    {"question": "null?", "answer": "NA"},
    {"question": "true?", "answer": "TRUE"},
    {"question": "hex?", "answer": "0x1F"},
    {"question": "exponent?", "answer": "1e5"},
    {"question": "large?", "answer": "123456789012345678901234567890"},
    {"question": "two\nlines, a comma\tand a tab", "answer": '"quoted" ½ 漢'},
]


def as_csv(delimiter: str) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(ROWS[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue()


TEXTS = {
    ".jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
    ".ndjson": "".join(json.dumps(row) + "\n" for row in ROWS),
    ".json": json.dumps(ROWS),
    ".csv": as_csv(","),
    ".tsv": as_csv("\t"),
}


def zstd(data: bytes) -> bytes:
    import pyarrow

    packed: bytes = pyarrow.compress(data, codec="zstd", asbytes=True)
    return packed


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
}


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("kind", TEXTS)
def test_text_stays_text(kind: str, packed: str, tmp_path: Path) -> None:
    if packed == ".zst":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"eval{kind}{packed.upper() if kind == '.csv' else packed}"
    path.write_bytes(PACK[packed](TEXTS[kind].encode("utf-8-sig")))
    rows = read_rows(str(path))
    assert [dict(row.fields) for row in rows] == ROWS
    assert rows == read_rows(f"datasets:{path}")
    assert rows[0].where.startswith(f"{path.name}, ")


def test_parquet(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    from datetime import date
    from decimal import Decimal

    path = tmp_path / "eval.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    assert [dict(row.fields) for row in read_rows(str(path))] == ROWS
    assert read_rows(f"datasets:{path}") == read_rows(str(path))
    typed = {"answer": [Decimal("1.50"), Decimal("2.00")] * 40, "question": [f"q{i}" for i in range(80)]}
    parquet.write_table(pyarrow.table(typed), path)
    assert {e.response for e in Jsonl(str(path)).pool()} == {"1.50", "2.00"}
    days = {"answer": [date(2024, 1, 2)] * 80, "question": [f"q{i}" for i in range(80)]}
    parquet.write_table(pyarrow.table(days), path)
    assert {e.response for e in Jsonl(str(path)).pool()} == {"2024-01-02"}
    floats = {"answer": [1.0, float("nan")] * 40, "question": [f"q{i}" for i in range(80)]}
    parquet.write_table(pyarrow.table(floats), path)
    with pytest.raises(ValueError, match=r"eval\.parquet, row 2, has nan as answer in column 'answer'"):
        Jsonl(str(path))


@pytest.mark.parametrize("written", ["1.50", "0.10", "1e5", "1E-7", "-0.0", "12345678901234567.25", "1e999"])
def test_numbers_of_json_are_as_written(written: str, tmp_path: Path) -> None:
    path = tmp_path / "n.jsonl"
    path.write_text("".join(f'{{"question": "q{i}", "answer": {written}}}\n' for i in range(60)))
    assert {e.response for e in Jsonl(str(path), checker="exact").pool()} == {written}


def test_a_folder_and_a_data_set_of_csv_keep_their_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "train.csv"
    file.write_text("question,answer\na,0119\nb,NA\nc,\nd,2024-01-02\n")
    assert [row.fields["answer"] for row in read_rows(f"datasets:{tmp_path}/data")] == ["0119", "NA", "", "2024-01-02"]
    file.unlink()
    (tmp_path / "data" / "train.jsonl").write_text('{"question": "a", "answer": "2024-01-02"}\n')
    with pytest.raises(ValueError, match="column 'answer' is taken for a time; give the JSON file itself"):
        read_rows(f"datasets:{tmp_path}/data")


BAD = '{"question": "q", "answer": %s}\n'


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", BAD % "NaN", "line 1, has nan as answer in column 'answer'"),
        ("a.jsonl", BAD % "-Infinity", "line 1, has -inf as answer"),
        ("a.jsonl", BAD % '"\\u200b"', "line 1, has an empty answer"),
        ("a.jsonl", BAD % '"\\u2800\\ufe0f"', "line 1, has an empty answer"),
        ("a.jsonl", '{"question": "q", "answer": 1, "answer": 2}', "the key 'answer' stands there twice"),
        ("a.json", '[{"question": "q", "answer": {"b": 1, "b": 2}}]', "the key 'b' stands there twice"),
        ("a.csv", "question,answer,answer\nx,1,2\n", "line 1, names two columns 'answer'; rename one"),
        ("a.tsv", "question\tanswer\nx\t1\t2\n", "line 2, has not as many fields as the first line; quote what holds"),
        ("a.jsonl.gz", "no gzip", "cannot be unpacked"),
        ("a.csv.bz2", "no bzip2", "cannot be unpacked"),
        ("a.csv.xz", "no xz", "cannot be unpacked"),
        ("a.csv.zst", "no zstandard", "cannot be unpacked"),
        ("a.parquet", "no parquet", "is no whole .parquet"),
        ("a.parquet.gz", "x", "is packed twice, for .parquet is packed in itself; unpack the .gz"),
        ("a.txt.gz", "x", "rename it to what it is"),
        ("a.gz", "x", "rename it to what it is"),
    ],
)
def test_refused_in_one_sentence(name: str, content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    for source in (f"{tmp_path}/{name}", f"datasets:{tmp_path}/{name}"):
        with pytest.raises(ValueError, match=words) as caught:
            Jsonl(source)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="names a part of a file, which has none"):
        Jsonl(f"datasets:{tmp_path}/{name}:main:test")


@pytest.mark.parametrize("packed", [kind for kind in PACK if kind])
def test_half_a_packed_file_is_refused(packed: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.jsonl{packed}"
    whole = PACK[packed](b"".join(json.dumps({"question": f"{i}", "answer": i}).encode() + b"\n" for i in range(999)))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cannot be unpacked|is no JSON"):
        read_rows(str(path))


def test_what_is_no_file_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "folder.csv").mkdir()
    for name in ("pipe.jsonl", "folder.csv"):
        with pytest.raises(ValueError, match="is no file but a folder, a pipe or a device"):
            read_rows(f"{tmp_path}/{name}")
    path = tmp_path / "a.jsonl"
    path.write_text((BAD % 1) * 30)
    monkeypatch.setattr(reading, "MOST_ROWS", 29)
    with pytest.raises(ValueError, match="has more than 29 rows; give a part of it"):
        read_rows(str(path))
    monkeypatch.setattr(reading, "LONGEST_LINE", 20)
    with pytest.raises(ValueError, match=r"line 1, is longer than 20 characters; give shorter lines"):
        read_rows(str(path))
    bomb = tmp_path / "bomb.jsonl.gz"
    bomb.write_bytes(gzip.compress(b" " * (3 << 20)))
    monkeypatch.setattr(unpacking, "LARGEST", 1 << 20)
    monkeypatch.setattr(reading, "LONGEST_LINE", 4 << 20)
    with pytest.raises(ValueError, match=r"bomb\.jsonl\.gz holds more than 1 MiB, unpacked; give a part of it"):
        read_rows(str(bomb))


def test_a_parquet_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    texts = [f"{i:06}" * 500 for i in range(700)]
    parquet.write_table(pyarrow.table({"question": texts, "answer": texts}), path, compression="zstd")
    assert len(read_rows(str(path))) == 700
    monkeypatch.setattr(reading, "LARGEST", 1 << 20)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ValueError, match=r"a\.parquet holds more than 1 MiB, unpacked; give a part of it"):
        read_rows(str(path))


def test_files_named_anywhere_are_read_anew(tmp_path: Path) -> None:
    """By every way in which arguments can name them."""

    def write(name: str, first: int) -> str:
        rows = [{"question": f"{name} {i}?", "answer": i + first} for i in range(120)]
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(tmp_path / name)

    train, test, far = write("train.jsonl", 0), write("test.jsonl", 0), write("far.jsonl", 0)
    args = {"train": f"datasets:{train}", "test": test, "transfer": {"far": f"datasets:{far}"}}
    fields = {"task": "jsonl", "task_args": args, "engine": "pool"}
    seen = {make_setting(fields).built_task.fingerprint}
    assert make_setting(fields).built_task is make_setting(fields).built_task
    for n, name in enumerate(("train.jsonl", "test.jsonl", "far.jsonl"), start=2):
        write(name, 1000)
        seen.add(make_setting(fields).built_task.fingerprint)
        assert len(seen) == n, name


@pytest.mark.parametrize(
    ("skill", "words"),
    [
        ("x" * 201, "has a name of 201 characters in column 'skill'; give at most 200"),
        ("al\u200bgebra", r"has an invisible character \(U\+200B\) in column 'skill'"),
        ("\u202eevil", r"invisible character \(U\+202E\)"),
        ("a\x1b[2J", r"invisible character \(U\+001B\)"),
        ("a\u3164", r"invisible character \(U\+3164\)"),
        ("a\ufe0f", r"invisible character \(U\+FE0F\)"),
        (["ok", "a\u00ad"], r"invisible character \(U\+00AD\)"),
        (["ok", None], "has a skill that is no text"),
        ("cafe\u0301", "look alike and are written in two ways"),
    ],
)
def test_skills_that_nobody_can_tell_apart(skill: Any, words: str, tmp_path: Path) -> None:
    rows = [{"question": f"q{i}", "answer": str(i), "skill": "caf\u00e9" if i % 2 else skill} for i in range(120)]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=words):
        Jsonl(f"{tmp_path}/s.jsonl")


def test_an_id_that_is_too_long(tmp_path: Path) -> None:
    rows = [{"question": f"q{i}", "answer": str(i), "id": f"{i}" * (300 if i == 7 else 1)} for i in range(120)]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=r"line 8, has a name of 300 characters in column 'id'; give at most 200"):
        Jsonl(f"{tmp_path}/s.jsonl")
