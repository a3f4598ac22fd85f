"""jsonl: a file becomes a benchmark, and what makes it none is said in one sentence with the place."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dataenv import check_task, registry
from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.errors import SettingError
from dataenv.setting import make_setting
from students.base import Asked, Decoding
from tasks.errors import UnsupportedError
from tasks.jsonl import Jsonl
from tasks.records import Example, Problem
from tests.toys import TOYS, Parrot

Row = dict[str, Any]
SUMS: list[Row] = [
    {"question": f"{a} + {b} =", "answer": a + b, "skill": "even" if a % 2 == 0 else "odd"}
    for a in range(12)
    for b in range(12)
]


def write(path: Path, rows: Sequence[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def sums(tmp_path: Path) -> str:
    return write(tmp_path / "sums.jsonl", SUMS)


def where(task: Jsonl) -> dict[str, str]:
    """The split of each prompt."""
    found = {p.prompt: p.split for name in ("feedback", "selection", "test", "transfer") for p in task.split(name)}
    return found | {e.prompt: "pool" for e in task.pool()}


def test_a_split_is_made_once(sums: str, tmp_path: Path) -> None:
    task, before = Jsonl(sums), where(Jsonl(sums))
    assert set(before) == {row["question"] for row in SUMS}
    assert 0.25 < list(before.values()).count("pool") / len(SUMS) < 0.55
    mixed = random.Random(0).sample(SUMS, len(SUMS))
    shuffled = Jsonl(write(tmp_path / "other.jsonl", mixed))
    assert shuffled.fingerprint == task.fingerprint  # neither the order nor the path is in it
    assert [shuffled.split("test"), shuffled.pool()] == [task.split("test"), task.pool()]
    longer = Jsonl(write(tmp_path / "long.jsonl", [*mixed, {"question": "99 + 1 =", "answer": 100, "skill": "odd"}]))
    assert before.items() <= where(longer).items()
    assert longer.fingerprint != task.fingerprint
    assert where(Jsonl(sums, seed=1)) != before


def test_what_is_taught_is_in_the_fingerprint(sums: str, tmp_path: Path) -> None:
    pool = Jsonl(sums).pool()[0].prompt
    rows = [
        row | ({"solution": f"0{row['answer']}"} if row["question"] == pool else {"solution": str(row["answer"])})
        for row in SUMS
    ]
    names = {
        Jsonl(sums).fingerprint,
        Jsonl(write(tmp_path / "b.jsonl", rows)).fingerprint,
        Jsonl(sums, tolerance=0.5).fingerprint,
        Jsonl(sums, checker="exact").fingerprint,
    }
    assert len(names) == 4


def test_columns_of_any_name(sums: str, tmp_path: Path) -> None:
    """Also where a usual name stands for something else."""
    names = {"question": "Frage", "answer": "Ergebnis", "skill": "Thema"}
    rows = [
        {names[name]: value for name, value in row.items()}
        | {"Weg": f"so: #### {row['answer']}", "answer": "?", "id": 7}
        for row in SUMS
    ]
    columns = {"prompt": "Frage", "answer": "Ergebnis", "skill": "Thema", "solution": "Weg", "id": ""}
    task, usual = Jsonl(write(tmp_path / "named.jsonl", rows), marker="####", **columns), Jsonl(sums)
    assert where(task) == where(usual)
    assert list(task.skills) == list(usual.skills) == ["even", "odd"]
    taught = {row["question"]: f"so: #### {row['answer']}" for row in SUMS}
    assert all(example.response == taught[example.prompt] for example in task.pool())
    assert all(task.grade(problem, f"#### {problem.answer}").correct for problem in task.split("test"))


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_other_files(kind: str, sums: str, tmp_path: Path) -> None:
    path = tmp_path / f"sums.{kind}"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        if kind == "json":
            json.dump(SUMS, file)
        else:
            writer = csv.DictWriter(file, list(SUMS[0]))
            writer.writeheader()
            writer.writerows(SUMS)
    assert Jsonl(str(path)).fingerprint == Jsonl(sums).fingerprint


def test_a_local_data_set(sums: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.Dataset.from_list(SUMS).save_to_disk(str(tmp_path / "saved"))
    assert Jsonl(f"datasets:{tmp_path}/saved").fingerprint == Jsonl(sums).fingerprint
    both = datasets.DatasetDict({name: datasets.Dataset.from_list(SUMS) for name in ("train", "test")})
    both.save_to_disk(str(tmp_path / "both"))
    with pytest.raises(ValueError, match="has the splits train, test; name one"):
        Jsonl(f"datasets:{tmp_path}/both")
    assert Jsonl(f"datasets:{tmp_path}/both::test").fingerprint == Jsonl(sums).fingerprint


def test_no_data_set_and_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def offline(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("no\nnetwork")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(ValueError, match=r"cannot be loaded \(ConnectionError: no network\); give"):
        Jsonl("datasets:somebody/something")
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(ValueError, match="needs the package datasets; pip install"):
        Jsonl("datasets:somebody/something")


def choices(n: int = 60) -> list[Row]:
    return [
        {"problem": f"Which is {i}?", "options": [f"n{i}", f"n{i + 1}", f"n{i + 2}"], "target": "ABC"[i % 3]}
        for i in range(n)
    ]


def test_choices_are_written_below_the_question(tmp_path: Path) -> None:
    task = Jsonl(write(tmp_path / "c.jsonl", choices()))
    check_task(task)
    problem = task.split("test")[0]
    assert problem.prompt.count("\n") == 3
    text = next(line[3:] for line in problem.prompt.splitlines() if line.startswith(f"{problem.answer}. "))
    assert task.grade(problem, text).correct
    by_place = [row | {"target": "ABC".index(row["target"])} for row in choices()]
    labelled = [row | {"options": {"label": ["A", "B", "C"], "text": row["options"]}} for row in choices()]
    by_text = [row | {"target": row["options"]["ABC".index(row["target"])]} for row in choices()]
    for rows in (by_place, labelled, by_text):
        assert Jsonl(write(tmp_path / "d.jsonl", rows)).fingerprint == task.fingerprint


def test_worked_solutions_and_a_marker(tmp_path: Path) -> None:
    rows = [row | {"solution": f"it is {row['answer']}"} for row in SUMS]
    path = write(tmp_path / "s.jsonl", rows)
    with pytest.raises(ValueError, match=r"s\.jsonl, line 1: the solution 'it is 0' holds the right answer in a form"):
        Jsonl(path)
    assert Jsonl(path, solution="").pool()[0].response.isdigit()
    task = Jsonl(path, marker="####")
    check_task(task)
    taught = task.pool()[0]
    assert taught.response.startswith("it is ")
    assert " #### " in taught.response
    assert task.judge(taught) is True
    assert task.judge(taught.model_copy(update={"response": taught.response.replace("####", "")})) is None
    assert task.judge(taught.model_copy(update={"response": "it is #### -1"})) is False
    assert task.judge(Example(prompt="else?", response="1")) is None
    whole = [{"question": row["question"], "answer": f"so #### {row['answer']}"} for row in SUMS]
    assert Jsonl(write(tmp_path / "w.jsonl", whole), marker="####").pool()[0].response.startswith("so #### ")


def test_patterns(tmp_path: Path) -> None:
    rows = [{"question": f"Write {i} a's", "answer": "a" * i, "pattern": f"a{{{i}}}"} for i in range(1, 60)]
    task = Jsonl(write(tmp_path / "p.jsonl", rows))
    problem = task.split("test")[0]
    assert task.grade(problem, problem.answer).correct
    assert not task.grade(problem, problem.answer + "a").correct


def test_skills_primary_first_and_transfer(sums: str, tmp_path: Path) -> None:
    rows = [row | {"skill": [row["skill"], "sum", "odd"]} for row in SUMS]
    harder = [{"question": f"{a} + 100 =", "answer": a + 100, "skill": "hundreds"} for a in range(9)]
    task = Jsonl(write(tmp_path / "k.jsonl", rows), transfer=write(tmp_path / "t.jsonl", harder))
    check_task(task)
    assert task.skills == ("even", "odd")
    assert {e.skills for e in task.pool()} == {("even", "odd"), ("odd",)}
    assert len(task.split("transfer")) == 9
    assert Jsonl(sums, skill="").skills == ("all",)
    with pytest.raises(ValueError, match=r"sums\.jsonl, line 1 of transfer, asks what k\.jsonl, line 1, asks"):
        Jsonl(str(tmp_path / "k.jsonl"), transfer=sums)


def test_equal_rows_are_merged_and_counted(sums: str, tmp_path: Path) -> None:
    twice = [*SUMS, {**SUMS[0], "question": f" {SUMS[0]['question']}  "}]
    task = Jsonl(write(tmp_path / "twice.jsonl", twice))
    assert task.merged == 1
    assert len(where(task)) == len(SUMS)


BAD: list[tuple[Any, dict[str, Any], str]] = [
    ({"question": "1 + 1 =", "answer": 3, "skill": "odd"}, {}, r"line 145, asks what .* line 14, asks and has another"),
    ({"question": " ", "answer": 3, "skill": "odd"}, {}, "line 145, has an empty prompt in column 'question'"),
    ({"question": "x", "answer": "", "skill": "odd"}, {"checker": "number"}, "empty answer in column 'answer'"),
    ({"question": "x", "answer": None, "skill": "odd"}, {"checker": "number"}, "NoneType in column 'answer'"),
    ({"question": "x", "answer": "two", "skill": "odd"}, {"checker": "number"}, "line 145: .*does not accept .*'two'"),
    ({"question": "x", "answer": "2"}, {}, "line 145, has no column 'skill'; give skill= one of 'question', 'answer'"),
    ({"question": "x", "answer": "2", "skill": []}, {}, "no skill in column 'skill'"),
    ({"question": "x\ud800", "answer": "2", "skill": "odd"}, {}, "half a character in column 'question'"),
    ({"question": "x", "answer": "2", "skill": "rare"}, {}, "skill 'rare' has 1 rows, of which 0 fall to"),
    ([1], {}, "line 145, is a JSON list; give an object"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "args", "words"), BAD)
def test_bad_rows(row: Any, args: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=words) as caught:
        registry.build("task", "jsonl", {"path": write(tmp_path / "bad.jsonl", [*SUMS, row]), **args})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"prompt": "text"}, "line 1, has no column 'text'; give prompt= one of 'question', 'answer', 'skill'"),
        ({"checker": "numbers"}, "checker is 'numbers'"),
        ({"checker": "regex"}, "no pattern for checker 'regex'"),
        ({"shares": {"train": 0.5}}, "shares has 'train'"),
        ({"shares": {"test": 0.9}}, "together at most 1"),
        ({"least": 100}, "fall to feedback and least= asks 100"),
        ({"least": 0}, "least is 0"),
        ({"id": "skill"}, "has the id 'even' of sums.jsonl, line 1; ids are unique"),
    ],
)
def test_bad_arguments(sums: str, args: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        registry.build("task", "jsonl", {"path": sums, **args})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b'{"question": "x"\n', "a.jsonl, line 1, is no JSON"),
        ("a.jsonl", b"\n\n", "holds no row"),
        ("a.jsonl", b"[" * 100_000, "a.jsonl, line 1, cannot be read"),
        ("a.jsonl", b'{"q": ' + b"9" * 5000 + b"}", "a.jsonl, line 1, cannot be read"),
        ("a.jsonl", b'{"q": "\xff"}', "is not UTF-8"),
        (
            "a.jsonl",
            b'{"text": "x", "answer": 1}',
            "no column that is called like a prompt; give prompt= one of 'text'",
        ),
        ("a.json", b'{"question": "x"}', "is a JSON object; give a list"),
        ("a.csv", b"question,answer\nx,1,2\n", "a.csv, line 2, has not as many fields"),
        ("a.txt", b"x", r"a\.txt is no \.jsonl, .*; rename it to what it is"),
    ],
)
def test_bad_files(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        Jsonl(str(tmp_path / name))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "D"}, "answer 'D', which is none of its options"),
        ({"target": 3}, "answer '3', which is none of its options"),
        ({"options": ["x", "x"]}, "two equal or empty options"),
        ({"options": ["B", "x"]}, "option 'B' that is the label of another"),
        ({"options": "A or B"}, "has no options in column 'options'"),
    ],
)
def test_bad_choices(change: Row, words: str, tmp_path: Path) -> None:
    rows = choices()
    rows[3] |= change
    with pytest.raises(ValueError, match=f"c.jsonl, line 4, has .*{words.removeprefix('has ')}"):
        Jsonl(write(tmp_path / "c.jsonl", rows))


def test_no_such_file() -> None:
    with pytest.raises(SettingError, match=r"missing\.jsonl is not there; give the path of a file"):
        registry.build("task", "jsonl:missing.jsonl")


def test_a_file_that_changed_is_read_anew(sums: str) -> None:
    fields = {"task": "jsonl", "task_args": {"path": sums}, "engine": "pool"}
    before = make_setting(fields).built_task
    assert make_setting(fields).built_task is before
    write(Path(sums), [*SUMS, {"question": "99 + 1 =", "answer": 100, "skill": "odd"}])
    assert make_setting(fields).built_task.fingerprint != before.fingerprint


def test_the_short_name_is_the_argument_path(sums: str) -> None:
    setting = make_setting({"task": f"jsonl:{sums}", "engine": "pool"})
    assert setting.built_task.fingerprint == Jsonl(sums).fingerprint
    with pytest.raises(SettingError, match="is given a path twice"):
        registry.build("task", f"jsonl:{sums}", {"path": sums})
    with pytest.raises(SettingError, match="'jsonk' is not registered; did you mean 'jsonl'"):
        registry.build("task", f"jsonk:{sums}")
    with pytest.raises(SettingError, match="do not fit"):
        registry.build("task", f"arithmetic:{sums}")


def test_no_generator_and_nothing_to_teach(sums: str) -> None:
    import numpy as np

    task = Jsonl(sums, shares={"feedback": 0.3, "selection": 0.3, "test": 0.4})
    with pytest.raises(UnsupportedError, match="no generator; give the Setting engine='pool'"):
        task.generate("odd", 1, np.random.default_rng(0))
    with pytest.raises(
        UnsupportedError, match=r"seals all of its questions; leave some to teach by smaller task_args\.shares"
    ):
        task.pool()


def test_a_problem_of_another_task_is_an_error_of_the_checker(sums: str) -> None:
    stranger = Problem(id="x", prompt="else?", answer="1", skills=("odd",), split="test")
    assert Jsonl(sums).grade(stranger, "1").error is not None


WORKED = "{a} and {b} make {c}.\n#### {c}"
OTHER_WORDS = "I count {b} more from {a}, which is {c}. #### {c}"


@pytest.fixture
def worked(tmp_path: Path) -> str:
    """Worked answers in the form of GSM8K."""
    rows = [
        {
            "question": f"What is {a} and {b}?",
            "answer": WORKED.format(a=a, b=b, c=a + b),
            "skill": "even" if a % 2 else "odd",
        }
        for a in range(16)
        for b in range(16)
    ]
    return write(tmp_path / "worked.jsonl", rows)


class OwnWords(Parrot):
    """Is always right, and never in the words that it was taught."""

    name = "own-words"

    def answer(self, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        said = []
        for text, _ in asked:
            a, b = map(int, re.findall(r"\d+", text))
            said.append(OTHER_WORDS.format(a=a, b=b, c=a + b))
        return said


def test_a_student_that_is_right_in_its_own_words_is_right(worked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.STUDENTS, "own-words", f"{__name__}:OwnWords")
    fields = TOYS | {
        "task": "jsonl",
        "task_args": {"path": worked, "marker": "####"},
        "student": "own-words",
        "engine": "pool",
    }
    env = TeachingEnv("open-ended", store="off", **fields)
    observation, _ = env.reset(seed=0)
    assert observation["score"][0] == 1.0
    context = Context(env)
    pool = list(context.pool())[:20]
    assert context.probe(pool, "accuracy").tolist() == [1.0] * 20
    wrong = [e.model_copy(update={"response": "so it is\n#### 99"}) for e in pool]
    assert context.probe(wrong, "accuracy").tolist() == [0.0] * 20, "compared with the response, right or not"


@pytest.mark.parametrize(
    ("response", "same", "other"),
    [
        ("12 it is. #### 12", ["#### 12", "hence #### 12.0", "#### 7, no: #### 12"], ["#### 13", "12", "", "#### x"]),
        ("wrong. #### 99", ["#### 99", "wrong. #### 99 "], ["#### 12", "#### 9"]),
        ("no final answer", ["no final answer", " no final answer\n"], ["#### 12", "other"]),
        ("", [""], ["#### 12", "x"]),
    ],
)
def test_same_number(worked: str, response: str, same: list[str], other: list[str]) -> None:
    """Of the worked form; the question's own answer is 12, and plays no part."""
    task = Jsonl(worked, marker="####")
    example = Example(prompt="What is 5 and 7?", response=response)
    assert [task.same(example, text) for text in (*same, *other)] == [True] * len(same) + [False] * len(other)


def test_same_of_the_other_checkers(tmp_path: Path) -> None:
    rows = [{"question": f"q{i}", "answer": "Paris", "skill": "s"} for i in range(60)]
    exact = Jsonl(write(tmp_path / "e.jsonl", rows), checker="exact", fold_case=True)
    paris = Example(prompt="q1", response="Paris")
    assert exact.same(paris, "paris")
    assert exact.same(paris.model_copy(update={"response": "Rome"}), "rome")
    assert not exact.same(paris.model_copy(update={"response": "Rome"}), "Paris")
    options = [{"question": f"q{i}", "answer": "B", "choices": ["Rome", "Paris"], "skill": "s"} for i in range(60)]
    choice = Jsonl(write(tmp_path / "c.jsonl", options))
    asked = choice.pool()[0]
    assert choice.same(asked, "B")
    assert choice.same(asked, "(B)")
    assert not choice.same(asked, "A")
    wrong = asked.model_copy(update={"response": "A"})
    assert choice.same(wrong, "(A)")
    assert not choice.same(wrong, "B")
    patterns = [{"question": f"q{i}", "answer": "aab", "pattern": "a+b", "skill": "s"} for i in range(60)]
    regex = Jsonl(write(tmp_path / "r.jsonl", patterns), checker="regex", pattern="pattern", answer="answer")
    matched = regex.pool()[0]
    assert regex.same(matched, " aab ")
    assert not regex.same(matched, "ab"), "both match, which says that both are right and not that they are equal"
