r"""Published benchmarks by their columns: the final answer is found, the checker fits, nothing is graded blindly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataenv import check_task
from dataenv.errors import SettingError
from dataenv.registry import build, sentence
from tasks.jsonl import Jsonl
from tasks.jsonl.formats import FORMATS, last_box
from tests.benchmark_files import gsm8k_rows, math_rows, mmlu_rows, write_rows
from tests.code_files import humaneval_rows


def test_the_list_names_every_form() -> None:
    assert all(name in sentence("task", "jsonl") for name in FORMATS)


def test_gsm8k(tmp_path: Path) -> None:
    task = Jsonl(write_rows(tmp_path / "g.jsonl", gsm8k_rows(80)), format="gsm8k")
    problem = task.split("test")[0]
    number = problem.answer.rpartition("#### ")[2]
    assert task.form == "gsm8k"
    assert task.grade(problem, f"in my own words #### {number}").correct
    assert task.grade(problem, f"#### {number}.0").correct, "by number"
    assert not task.grade(problem, f"#### {number}1").correct
    assert not task.grade(problem, number).correct, "without the mark"
    assert "####" in task.pool()[0].response


def test_gsm8k_with_units_is_compared_by_number(tmp_path: Path) -> None:
    rows = [row | {"answer": f"so\n#### ${100 * int(row['answer'].split()[-1]):,}"} for row in gsm8k_rows(80)]
    rows[3]["answer"] = "so\n#### 7,000 figs"
    task = Jsonl(write_rows(tmp_path / "g.jsonl", rows), format="gsm8k", least=1)
    problem = next(p for p in task.split("test") if "$" in p.answer and "," in p.answer)
    number = problem.answer.rpartition("#### $")[2]
    assert task.grade(problem, f"#### ${number.replace(',', '')}").correct
    assert not task.grade(problem, f"#### ${number}1").correct
    assert not [said for said in task.told if "compared as text" in said]


def test_math(tmp_path: Path) -> None:
    pytest.importorskip("math_verify")
    path = write_rows(tmp_path / "m.jsonl", math_rows(100))
    task = Jsonl(path, least=4)
    assert task.form == "math"
    assert task.skills == ("Algebra", "Geometry")
    problem = task.split("test")[0]
    number = last_box(problem.answer)
    assert task.grade(problem, f"it is \\boxed{{{number}}}").correct
    assert task.grade(problem, f"\\boxed{{\\frac{{{2 * int(number)}}}{{2}}}}").correct
    assert not task.grade(problem, f"it is \\boxed{{{number}1}}").correct
    levels = {p.difficulty for name in ("feedback", "selection", "test") for p in task.split(name)}
    assert levels == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert Jsonl(path, least=4, format="math").fingerprint == task.fingerprint


def test_math_with_an_answer_column_and_without_a_solution(tmp_path: Path) -> None:
    """As MATH-500, and as sets that have the worked answer in ``answer``."""
    pytest.importorskip("math_verify")
    rows = [
        {"problem": r["problem"], "solution": r["solution"], "answer": last_box(r["solution"]), "subject": r["type"],
         "unique_id": f"{i}", "level": 1 + i % 5} for i, r in enumerate(math_rows(100))
    ]  # fmt: skip
    task = Jsonl(write_rows(tmp_path / "m.jsonl", rows), least=4)
    assert (task.form, task.skills) == ("math", ("Algebra", "Geometry"))
    assert "\\boxed" in task.pool()[0].response
    bare = [{"question": r["problem"], "answer": r["solution"]} for r in math_rows(100)]
    assert Jsonl(write_rows(tmp_path / "b.jsonl", bare)).form == "", "loads without a form, so none is assumed"
    worked = Jsonl(write_rows(tmp_path / "b.jsonl", bare), format="math")
    assert worked.grade(worked.split("test")[0], worked.split("test")[0].answer).correct
    no_box = [r | {"solution": r["solution"].replace("\\boxed", "")} for r in rows]
    added = Jsonl(write_rows(tmp_path / "n.jsonl", no_box), format="math", least=4).pool()[0]
    assert added.response.endswith(f"\\boxed{{{last_box(added.response)}}}"), "a box is added where there is none"


@pytest.mark.parametrize(
    ("text", "box"),
    [
        (r"so $\boxed{5}$", "5"),
        (r"\boxed{1} no, \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{\left\{ 1, 2 \right\}}", r"\left\{ 1, 2 \right\}"),
        (r"\boxed{\{x}", r"\{x"),
        (r"$\boxed 7$ apples", "7"),
        (r"\boxed {8}", "8"),
        (r"\boxed{1} and \fbox{2}", "2"),
        (r"\boxed{9", ""),
        (r"\boxed{}", ""),
        ("\\boxed", ""),
        ("none", ""),
    ],
)
def test_the_last_box(text: str, box: str) -> None:
    assert last_box(text) == box


def test_a_row_without_a_box_or_a_mark_is_named(tmp_path: Path) -> None:
    rows = math_rows(60)
    rows[7]["solution"] = "it is 5"
    with pytest.raises(ValueError, match=r"m\.jsonl, line 8, .* no answer in a \\boxed"):
        Jsonl(write_rows(tmp_path / "m.jsonl", rows), format="math")
    rows = gsm8k_rows(60)
    lines = rows[7]["answer"].replace("####", "so it is")
    with pytest.raises(ValueError, match=r"g\.jsonl, line 8, has no answer after '####'"):
        Jsonl(write_rows(tmp_path / "g.jsonl", [*rows[:7], rows[7] | {"answer": lines}, *rows[8:]]), format="gsm8k")
    rows[7]["answer"] += "\n####"
    with pytest.raises(ValueError, match=r"g\.jsonl, line 8, has no answer after '####'"):
        Jsonl(write_rows(tmp_path / "g.jsonl", rows), format="gsm8k")


def test_math_with_slips_and_with_options(tmp_path: Path) -> None:
    pytest.importorskip("math_verify")
    rows = math_rows(100)
    rows[5]["solution"] = rows[5]["solution"].replace("boxed", "fbox")
    task = Jsonl(write_rows(tmp_path / "m.jsonl", rows), least=4)
    assert task.form == "math"
    taught = {e.prompt: e.response for e in task.pool()} | {p.prompt: p.answer for p in task.split("test")}
    taught |= {p.prompt: p.answer for name in ("feedback", "selection") for p in task.split(name)}
    assert "\\fbox" in taught[rows[5]["problem"]]
    assert taught[rows[5]["problem"]].endswith(f"\\boxed{{{last_box(rows[5]['solution'])}}}")
    rows[7]["solution"] = "it is 5"
    with pytest.raises(ValueError, match=r"m\.jsonl, line 8, has no answer in a \\boxed"):
        Jsonl(write_rows(tmp_path / "m.jsonl", rows))
    example = next(e for e in task.pool() if "\\fbox" not in e.response)
    assert task.same(example, f"other words \\boxed{{{last_box(example.response)}}}")
    assert not task.same(example, f"other words \\boxed{{{last_box(example.response)}1}}")
    options = [{**row, "options": ["1", "2"], "answer": "A"} for row in math_rows(60)]
    with pytest.raises(ValueError, match="the checker 'choice' does not accept"):
        Jsonl(write_rows(tmp_path / "o.jsonl", options), skill="")


def test_choices_in_all_their_forms(tmp_path: Path) -> None:
    rows = mmlu_rows(80)
    task = Jsonl(write_rows(tmp_path / "mmlu.jsonl", rows))
    assert Jsonl(str(tmp_path / "mmlu.jsonl"), format="mmlu").fingerprint == task.fingerprint
    letters = [
        {"question": r["question"], "subject": r["subject"], "answer": "A",
         **dict(zip("ABCD", r["choices"], strict=True))}
        for r in rows
    ]  # fmt: skip
    path = write_rows(tmp_path / "letters.jsonl", letters)
    assert Jsonl(path, format="mmlu").fingerprint == task.fingerprint
    assert Jsonl(path).split("test")[0].prompt.count("\n") == 0, "read as before, where nobody says what it is"
    pro = [
        {"question_id": i, "question": r["question"], "options": r["choices"], "answer": "A", "answer_index": 0,
         "cot_content": "", "category": "sums", "src": "x"} for i, r in enumerate(rows)
    ]  # fmt: skip
    assert Jsonl(write_rows(tmp_path / "pro.jsonl", pro)).pool() == task.pool()
    arc = [
        {"id": f"a{i}", "question": r["question"], "answerKey": "A",
         "choices": {"text": r["choices"], "label": list("ABCD")}} for i, r in enumerate(rows)
    ]  # fmt: skip
    assert [e.prompt for e in Jsonl(write_rows(tmp_path / "arc.jsonl", arc)).pool()] == [e.prompt for e in task.pool()]
    with pytest.raises(ValueError, match="has None as an option"):
        Jsonl(write_rows(tmp_path / "n.jsonl", [rows[0] | {"choices": ["a", None]}, *rows[1:]]))


def test_code_may_be_compared_as_text(tmp_path: Path) -> None:
    """``test_code_forms.py`` has the rest."""
    path = write_rows(tmp_path / "h.jsonl", humaneval_rows(80))
    by_text = Jsonl(path, checker="exact")
    check_task(by_text)
    assert by_text.form == "humaneval"
    assert by_text.split("test")[0].check is None
    assert Jsonl(path).fingerprint != by_text.fingerprint


@pytest.mark.parametrize(
    ("rows", "form", "words"),
    [
        (gsm8k_rows(60), "gsm8", "format is 'gsm8'; did you mean 'gsm8k'"),
        (gsm8k_rows(60), "squad", "format is 'squad'; give 'gsm8k', 'math', 'mmlu', 'humaneval', "),
        (gsm8k_rows(60), "mmlu", "has no column that is called like a choices; give choices= one of 'question'"),
        (gsm8k_rows(60), "humaneval", "has no column 'test', which format 'humaneval' needs"),
        ([{"problem": "x"}] * 60, "math", "no column that is called like a answer; give answer= one of 'problem'"),
        ([{"prompt": "x", "canonical_solution": "y", "test": "z"}] * 9, "humaneval", "no column 'entry_point', which"),
    ],
)  # fmt: skip
def test_a_form_that_does_not_fit(rows: list[Any], form: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=words):
        build("task", "jsonl", {"path": write_rows(tmp_path / "x.jsonl", rows), "format": form})
